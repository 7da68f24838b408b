#include "recovery/checkpoint_gathering.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <set>
#include <sstream>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/commit.h"
#include "logging/log_error.h"
#include "recovery/checkpoint_delivery.h"

namespace ftmpi::recovery {
namespace {

using checkpoint::LevelRecord;
using logging::Environment;
using logging::LogError;
using Clock = std::chrono::steady_clock;

constexpr int kTries = 3;

const char* NameOf(const LevelRecord& record) {
  return record.level == checkpoint::Level::kPartner ? "partner" : "local";
}

// The line that says why it failed.
std::string ReasonIn(const std::string& text) {
  constexpr std::string_view kProgram = "mpi-ft-inventory: ";
  std::string first;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (const auto at = line.find(kProgram); at == 0) return line.substr(kProgram.size());
    if (first.empty() && !line.starts_with("ftmpi-inventory:") && !line.starts_with("---"))
      first = line;
  }
  return first.empty() ? "it said nothing" : first;
}

// Runs a program on a node. Empty: it succeeded; else why not.
std::string RunThere(const JobDescription& job, const GatheringOptions& options,
                     const std::string& node, const std::vector<std::string>& program) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0)
    throw RecoveryError(fmt::format("no pipe can be made: {}", std::strerror(errno)));
  Launch launch = MakeNodeLaunch(job, options.launch, node, program);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  launch.input = null;
  launch.output = ends[1];
  pid_t pid = 0;
  try {
    pid = StartProgram(launch);
  } catch (...) {
    for (const int file : {null, ends[0], ends[1]}) close(file);
    throw;
  }
  close(null);
  close(ends[1]);
  std::string text;
  bool silent = false;
  for (;;) {
    pollfd wait{ends[0], POLLIN, 0};
    const auto timeout =
        std::chrono::duration_cast<std::chrono::milliseconds>(options.node_timeout).count();
    const int ready = poll(&wait, 1, static_cast<int>(timeout));
    if (ready < 0 && errno == EINTR) continue;
    silent = ready == 0;
    if (ready <= 0) break;
    std::array<char, 4096> buffer;
    const ssize_t got = read(ends[0], buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  if (silent) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  close(ends[0]);
  if (silent) return fmt::format("no word within {} s", options.node_timeout.count());
  if (ExitCodeOf(status) == 0) return "";
  return ReasonIn(text);
}

std::string DeliverThere(const JobDescription& job, const GatheringOptions& options,
                         const LevelRecord& record, const Delivery& delivery) {
  const std::vector<std::string> program = {options.inventory_program,
                                            "--deliver",
                                            std::to_string(record.csn),
                                            "--node",
                                            delivery.node,
                                            "--directory",
                                            job.local_directory,
                                            "--job",
                                            fmt::format("{:016x}", record.job),
                                            "--epoch",
                                            std::to_string(record.epoch),
                                            "--ranks",
                                            std::to_string(record.np),
                                            "--own",
                                            fmt::format("{}", fmt::join(delivery.own, ",")),
                                            "--copied",
                                            fmt::format("{}", fmt::join(delivery.copied, ",")),
                                            "--output",
                                            options.job_directory};
  std::string reason;
  // A launcher may fail for reasons of its own; what has been delivered is not copied again.
  for (int n = 0; n < kTries; ++n) {
    reason = RunThere(job, options, delivery.node, program);
    if (reason.empty()) break;
  }
  return reason;
}

std::string DeliverHere(Environment* environment, const JobDescription& job,
                        const GatheringOptions& options, const LevelRecord& record,
                        const Delivery& delivery) {
  DeliveryOptions here;
  here.local_directory = job.local_directory;
  here.job_directory = options.job_directory;
  here.job = record.job;
  here.csn = record.csn;
  here.epoch = record.epoch;
  here.np = record.np;
  here.own = delivery.own;
  here.copied = delivery.copied;
  try {
    Deliver(environment, here);
  } catch (const LogError& error) {
    return error.what();
  }
  return "";
}

// Empty: the checkpoint is in the job directory now; else why not.
std::string Gather(Environment* environment, const GatheringOptions& options,
                   const JobDescription& job, const Findings& findings, const LevelRecord& record) {
  if (record.job != job.job || record.np != job.np)
    return "it is of another job or number of ranks";
  const DeliveryPlan plan = PlanDelivery(record, job, findings);
  if (!plan.obstacle.empty()) return plan.obstacle;
  std::vector<std::string> nodes;
  for (const Delivery& each : plan.deliveries) nodes.push_back(each.node);
  options.say(fmt::format("gathering checkpoint {} (level {}) from {}", record.csn, NameOf(record),
                          fmt::join(nodes, ", ")));
  for (const Delivery& each : plan.deliveries) {
    const std::string reason = each.node == options.this_node
                                   ? DeliverHere(environment, job, options, record, each)
                                   : DeliverThere(job, options, record, each);
    if (!reason.empty()) return fmt::format("node {}: {}", each.node, reason);
  }
  std::vector<std::int32_t> ranks(static_cast<std::size_t>(job.np));
  std::iota(ranks.begin(), ranks.end(), 0);
  constexpr std::uint32_t kKeepAll = 1'000'000;
  try {
    checkpoint::MakePermanent(environment, options.job_directory, job.job, record.csn, job.np,
                              ranks, kKeepAll);
  } catch (const LogError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

DeliveryPlan PlanDelivery(const LevelRecord& record, const JobDescription& job,
                          const Findings& findings) {
  std::vector<std::string> nodes;
  for (const ProcessPlace& place : job.ranks) nodes.push_back(place.node);
  // Nodes that have what they had: they answer, and have not come back empty.
  std::set<std::string> whole;
  for (const RankFindings& each : findings.ranks) {
    if (each.node_reached) whole.insert(each.node);
  }
  for (const RankFindings& each : findings.ranks) {
    if (each.files_lost) whole.erase(each.node);
  }
  DeliveryPlan plan;
  const auto from = [&plan](const std::string& node) -> Delivery& {
    const auto found = std::find_if(plan.deliveries.begin(), plan.deliveries.end(),
                                    [&node](const Delivery& each) { return each.node == node; });
    if (found != plan.deliveries.end()) return *found;
    plan.deliveries.push_back({node, {}, {}});
    return plan.deliveries.back();
  };
  for (std::int32_t rank = 0; rank < job.np; ++rank) {
    const std::string& home = nodes[static_cast<std::size_t>(rank)];
    if (whole.contains(home)) {
      Delivery& delivery = from(home);
      (record.level == checkpoint::Level::kPartner ? delivery.copied : delivery.own)
          .push_back(rank);
      continue;
    }
    if (record.level != checkpoint::Level::kPartner) {
      plan.obstacle =
          fmt::format("rank {}'s file was on node {} alone, which has lost it", rank, home);
      return plan;
    }
    const std::string partner = checkpoint::PartnerOf(nodes, home);
    if (!whole.contains(partner)) {
      plan.obstacle =
          fmt::format("rank {}'s file was on node {}, its copy on node {}, and both have lost them",
                      rank, home, partner);
      return plan;
    }
    from(partner).copied.push_back(rank);
  }
  return plan;
}

std::vector<std::string> GatherNewest(Environment* environment, const GatheringOptions& options,
                                      const JobDescription& job, const Findings& findings) {
  std::vector<std::string> remarks;
  for (const checkpoint::CheckpointListing& each :
       checkpoint::ListCheckpoints(environment, options.job_directory)) {
    if (each.has_index && !options.wanted) break;  // newer than all that follow
    if (options.wanted && each.csn != *options.wanted) continue;
    if (each.has_index || !each.has_level) continue;
    std::string reason;
    try {
      const std::optional<LevelRecord> record =
          checkpoint::ReadLevelRecord(environment, options.job_directory, each.csn);
      if (!record) continue;
      reason = Gather(environment, options, job, findings, *record);
    } catch (const LogError& error) {
      reason = error.what();
    }
    if (reason.empty()) break;
    remarks.push_back(fmt::format("checkpoint {} is not used: {}", each.csn, reason));
  }
  return remarks;
}

}  // namespace ftmpi::recovery
