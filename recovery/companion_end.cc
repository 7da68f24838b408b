#include "recovery/companion_end.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <vector>

#include "checkpoint/deletion.h"
#include "checkpoint/partner_secret.h"
#include "checkpoint/server_start.h"
#include "logging/environment.h"
#include "logging/log_error.h"
#include "logging/payload_log_format.h"
#include "recovery/checkpoint_request.h"

namespace ftmpi::recovery {
namespace {

// <linux/pidfd.h> of Linux 6.15: the exit status of a process, also after it was reaped.
struct PidfdInfo {
  std::uint64_t mask;
  std::uint64_t cgroupid;
  std::uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  std::int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr std::uint64_t kPidfdInfoExit = 1U << 3;
constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);

std::vector<std::string> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  DIR* stream = opendir(directory.c_str());
  if (stream == nullptr) return names;
  while (const dirent* entry = readdir(stream)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(stream);
  return names;
}

// The number behind `prefix`, up to the end of the name or a '.'; -1: another name.
int NumberIn(const std::string& name, const std::string& prefix) {
  if (!name.starts_with(prefix)) return -1;
  int number = -1;
  const char* begin = name.data() + prefix.size();
  const char* end = name.data() + name.size();
  const auto result = std::from_chars(begin, end, number);
  if (result.ec != std::errc() || number < 0) return -1;
  return result.ptr == end || *result.ptr == '.' ? number : -1;
}

bool IsRankFile(const std::string& name) {
  return NumberIn(name, "rank-") >= 0 && name.find('.') != std::string::npos;
}

void Remove(const std::string& path) { unlink(path.c_str()); }

std::set<int> RanksOfNode(const JobDescription& job, const std::string& node) {
  std::set<int> ranks;
  for (int rank = 0; rank < job.np; ++rank) {
    if (job.ranks[static_cast<std::size_t>(rank)].node == node) ranks.insert(rank);
  }
  return ranks;
}

std::string ClaimPath(const CompanionFactsChecked& facts, const std::set<int>& ranks) {
  return EpochDirectory(facts.job_directory, facts.epoch) + "/claim-" +
         std::to_string(*ranks.begin());
}

}  // namespace

std::optional<int> WaitStatusOf(int pidfd, int stat_file) {
  PidfdInfo info{};
  info.mask = kPidfdInfoExit;
  if (ioctl(pidfd, kPidfdGetInfo, &info) == 0 && (info.mask & kPidfdInfoExit) != 0) {
    return info.exit_code;
  }
  char text[4096];
  const ssize_t got = pread(stat_file, text, sizeof text - 1, 0);
  if (got <= 0) return std::nullopt;  // its parent has reaped it
  text[got] = '\0';
  // Field 52, the last one, is the exit code; field 3, behind the name in parentheses, the state.
  const char* state = std::strrchr(text, ')');
  const char* last = std::strrchr(text, ' ');
  if (state == nullptr || last == nullptr || state[1] != ' ' ||
      (state[2] != 'Z' && state[2] != 'X')) {
    return std::nullopt;
  }
  int fields = 2;
  for (const char* c = state + 1; *c != '\0'; ++c) fields += *c == ' ' ? 1 : 0;
  if (fields != 52) return std::nullopt;
  return std::atoi(last + 1);
}

std::string DescribeWaitStatus(const std::optional<int>& status) {
  if (!status) return "its process vanished";
  if (WIFSIGNALED(*status)) {
    return "killed by signal " + std::to_string(WTERMSIG(*status)) + " (" +
           strsignal(WTERMSIG(*status)) + ")";
  }
  return "exit code " + std::to_string(WEXITSTATUS(*status));
}

std::set<int> RanksWith(const std::string& job_directory, std::uint32_t epoch, const char* kind) {
  std::set<int> ranks;
  const std::string prefix = std::string(kind) + "-";
  for (const std::string& name : NamesIn(EpochDirectory(job_directory, epoch))) {
    const int rank = NumberIn(name, prefix);
    // A temporary name (lost-2.new-...) is not yet a record.
    if (rank >= 0 && name == prefix + std::to_string(rank)) ranks.insert(rank);
  }
  return ranks;
}

std::string DescribeRanks(const std::set<int>& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  const char* separator = "";
  for (auto at = ranks.begin(); at != ranks.end();) {
    const int first = *at;
    int last = first;
    for (++at; at != ranks.end() && *at == last + 1; ++at) last = *at;
    text += separator + std::to_string(first);
    if (last > first) text += (last == first + 1 ? ", " : "-") + std::to_string(last);
    separator = ", ";
  }
  return text;
}

bool EveryRankIsAccountedFor(const CompanionFactsChecked& facts) {
  std::set<int> known;
  for (const char* kind : {"lost", "survivor", "done", "alive"}) {
    known.merge(RanksWith(facts.job_directory, facts.epoch, kind));
  }
  return known.size() >= static_cast<std::size_t>(facts.np);
}

std::string DescribeSilentRanks(const CompanionFactsChecked& facts) {
  const std::set<int> lost = RanksWith(facts.job_directory, facts.epoch, "lost");
  if (!lost.empty()) return {};
  std::set<int> here = RanksWith(facts.job_directory, facts.epoch, "survivor");
  here.merge(RanksWith(facts.job_directory, facts.epoch, "alive"));
  if (!here.empty() && *here.begin() < facts.rank) return {};
  here.merge(RanksWith(facts.job_directory, facts.epoch, "done"));
  std::set<int> silent;
  for (int rank = 0; rank < facts.np; ++rank) {
    if (!here.contains(rank)) silent.insert(rank);
  }
  const std::string remedy = " To go on type: mpi-ft-recover " + facts.job_directory;
  if (silent.empty()) {
    return "ftmpi: the job was ended from outside (mpirun was told to); no rank was lost." + remedy;
  }
  std::map<std::string, std::set<int>> nodes;
  try {
    const JobDescription job = ReadJobDescription(facts.job_directory);
    for (const int rank : silent) {
      if (rank < job.np) nodes[job.ranks[static_cast<std::size_t>(rank)].node].insert(rank);
    }
  } catch (const JobDirectoryError&) {
    nodes.clear();
  }
  std::string text = "ftmpi: " + DescribeRanks(silent) + " lost";
  const char* separator = ": ";
  for (const auto& [node, ranks] : nodes) {
    text += separator;
    text += "node " + node + " (" + DescribeRanks(ranks) + ")";
    separator = ", ";
  }
  return text + " no longer answers." + " To recover type: mpi-ft-recover " + facts.job_directory;
}

bool ClaimNode(const CompanionFactsChecked& facts, const JobDescription& job) {
  const std::set<int> here = RanksOfNode(job, facts.node);
  const std::set<int> done = RanksWith(facts.job_directory, facts.epoch, "done");
  if (here.empty() || !std::includes(done.begin(), done.end(), here.begin(), here.end())) {
    return false;
  }
  const int claim =
      open(ClaimPath(facts, here).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (claim < 0) return false;
  close(claim);
  return true;
}

void RemoveLocalFiles(const CompanionFactsChecked& facts) {
  // Segments of the payload log that were moved out of memory: the link leads to their directory,
  // which is the user's.
  const std::string link = facts.local_directory + "/" + logging::kSpillLink;
  std::error_code error;
  const std::string spill = std::filesystem::read_symlink(link, error).string();
  if (!error) {
    char prefix[40];
    std::snprintf(prefix, sizeof prefix, "ftmpi-%016llx.rank-",
                  static_cast<unsigned long long>(facts.job));
    for (const std::string& name : NamesIn(spill)) {
      if (NumberIn(name, prefix) >= 0) Remove(spill + "/" + name);
    }
    Remove(link);
  }
  for (const std::string& name : NamesIn(facts.local_directory)) {
    if (IsRankFile(name) && NumberIn(name, "rank-") < facts.np) {
      Remove(facts.local_directory + "/" + name);
    }
    // Of the checkpoint server, which is about to end too.
    if (name.starts_with("checkpoint-server-")) Remove(facts.local_directory + "/" + name);
  }
  for (const std::string& store : {checkpoint::LocalStoreDirectory(facts.local_directory),
                                   checkpoint::PartnerStoreDirectory(facts.local_directory)}) {
    try {
      checkpoint::DeleteAllCheckpoints(logging::Environment::Posix(), store);
    } catch (const logging::LogError&) {
      // Something of the user's is among them: it stays.
    }
    rmdir(store.c_str());
  }
  rmdir(facts.local_directory.c_str());
}

bool MarkNodeClean(const CompanionFactsChecked& facts, const JobDescription& job) {
  const std::string prefix = EpochDirectory(facts.job_directory, facts.epoch) + "/clean-";
  const std::set<int> here = RanksOfNode(job, facts.node);
  const int mark =
      open((prefix + std::to_string(*here.begin())).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (mark >= 0) close(mark);
  std::set<std::string> nodes;
  for (const ProcessPlace& place : job.ranks) nodes.insert(place.node);
  return RanksWith(facts.job_directory, facts.epoch, "clean").size() == nodes.size();
}

void RemoveJobFiles(const CompanionFactsChecked& facts, const JobDescription& job) {
  const std::string& root = facts.job_directory;
  for (const JobEpoch& epoch : job.epochs) {
    const std::string directory = EpochDirectory(root, epoch.epoch);
    for (const std::string& name : NamesIn(directory)) {
      bool ours = IsRankFile(name);
      for (const char* kind :
           {"lost-", "survivor-", "done-", "progress-", "alive-", "unborn-", "claim-", "clean-"}) {
        ours = ours || NumberIn(name, kind) >= 0;
      }
      if (ours) Remove(directory + "/" + name);
    }
    rmdir(directory.c_str());
  }
  for (const std::string& directory : {OutputDirectory(root), LogDirectory(root)}) {
    for (const std::string& name : NamesIn(directory)) {
      if (IsRankFile(name)) Remove(directory + "/" + name);
    }
    rmdir(directory.c_str());
  }
  for (const std::string& name : NamesIn(RequestDirectory(root))) {
    // Answers stay for those that wait for them, who remove them.
    if (RequestId(name)) Remove(RequestDirectory(root) + "/" + name);
  }
  rmdir(RequestDirectory(root).c_str());
  try {
    checkpoint::DeleteAllCheckpoints(logging::Environment::Posix(), root);
  } catch (const logging::LogError&) {
    // Something of the user's is among them: it stays, and the directory with it.
  }
  Remove(root + "/" + checkpoint::kPartnerSecretName);
  Remove(StdinLogPath(root));
  Remove(JobFilePath(root));
  rmdir(root.c_str());
}

}  // namespace ftmpi::recovery
