#include "recovery/job_directory.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "recovery/durable_file.h"

namespace ftmpi::recovery {
namespace {

using Json = nlohmann::json;

constexpr char kFormatName[] = "ftmpi job";
constexpr int kMaximumRanks = 1 << 22;

std::string Hex(std::uint64_t value) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

std::uint64_t Checksum(const std::string& text) { return XXH64(text.data(), text.size(), 0); }

// What is wrong with the content; the caller adds the file's name.
struct ContentError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// JSON holds Unicode only, but arguments, paths and variables are bytes: those that are not UTF-8
// are written as {"hex": "..."}.
bool IsUtf8(const std::string& text) {
  try {
    (void)Json(text).dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

Json FromBytes(const std::string& bytes) {
  if (IsUtf8(bytes)) return bytes;
  std::string hex;
  for (const char c : bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return Json{{"hex", hex}};
}

const Json& Member(const Json& object, const char* name) {
  if (!object.is_object()) throw ContentError("an object was expected");
  const auto found = object.find(name);
  if (found == object.end()) throw ContentError(std::string("\"") + name + "\" is missing");
  return *found;
}

std::string ToBytes(const Json& value, const char* name) {
  const auto bad = [&]() { return ContentError(std::string("\"") + name + "\" is not a text"); };
  std::string text;
  if (value.is_string()) {
    text = value.get<std::string>();
  } else {
    if (!value.is_object() || value.size() != 1 || !value.contains("hex") ||
        !value["hex"].is_string()) {
      throw bad();
    }
    const std::string hex = value["hex"].get<std::string>();
    if (hex.size() % 2 != 0) throw bad();
    for (std::size_t i = 0; i < hex.size(); i += 2) {
      unsigned byte = 0;
      const auto result = std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
      if (result.ec != std::errc() || result.ptr != hex.data() + i + 2) throw bad();
      text += static_cast<char>(byte);
    }
  }
  if (text.find('\0') != std::string::npos) throw bad();
  return text;
}

std::string Text(const Json& object, const char* name) {
  return ToBytes(Member(object, name), name);
}

template <typename Integer>
Integer Number(const Json& object, const char* name, Integer low, Integer high) {
  const Json& value = Member(object, name);
  const auto out = [&]() { return ContentError(std::string("\"") + name + "\" is out of range"); };
  if (!value.is_number_integer()) {
    throw ContentError(std::string("\"") + name + "\" is not a whole number");
  }
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    if (!std::in_range<Integer>(number)) throw out();
    const auto result = static_cast<Integer>(number);
    if (result < low || result > high) throw out();
    return result;
  }
  const auto number = value.get<std::int64_t>();
  if (!std::in_range<Integer>(number)) throw out();
  const auto result = static_cast<Integer>(number);
  if (result < low || result > high) throw out();
  return result;
}

std::uint64_t HexNumber(const Json& object, const char* name) {
  const std::string text = Text(object, name);
  std::uint64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != 16 || result.ec != std::errc() || result.ptr != text.data() + text.size()) {
    throw ContentError(std::string("\"") + name + "\" is not 16 hexadecimal digits");
  }
  return value;
}

const Json& Array(const Json& object, const char* name) {
  const Json& value = Member(object, name);
  if (!value.is_array()) throw ContentError(std::string("\"") + name + "\" is not a list");
  return value;
}

std::vector<std::string> Texts(const Json& object, const char* name) {
  std::vector<std::string> texts;
  for (const Json& value : Array(object, name)) texts.push_back(ToBytes(value, name));
  return texts;
}

Json FromTexts(const std::vector<std::string>& texts) {
  Json list = Json::array();
  for (const std::string& text : texts) list.push_back(FromBytes(text));
  return list;
}

Json FromPlace(const ProcessPlace& place) {
  return Json{{"node", FromBytes(place.node)},
              {"pid", place.pid},
              {"pid_start_time", place.pid_start_time}};
}

ProcessPlace ToPlace(const Json& value) {
  ProcessPlace place;
  place.node = Text(value, "node");
  place.pid = Number<std::int64_t>(value, "pid", 0, INT32_MAX);
  place.pid_start_time = Number<std::uint64_t>(value, "pid_start_time", 0, UINT64_MAX);
  return place;
}

const char* StateName(JobState state) {
  switch (state) {
    case JobState::kRunning:
      return "running";
    case JobState::kRecovering:
      return "recovering";
    case JobState::kFinished:
      return "finished";
  }
  throw ContentError("no such state");
}

JobState ToState(const std::string& name) {
  for (const JobState state : {JobState::kRunning, JobState::kRecovering, JobState::kFinished}) {
    if (name == StateName(state)) return state;
  }
  throw ContentError("\"state\" is \"" + name + "\"; known: running, recovering, finished");
}

// What holds for every description; a file that breaks it was not written by us.
void Validate(const JobDescription& job) {
  const auto require = [](bool condition, const char* what) {
    if (!condition) throw ContentError(what);
  };
  require(job.np >= 1 && job.np <= kMaximumRanks, "\"np\" is out of range");
  require(job.ranks.size() == static_cast<std::size_t>(job.np), "\"ranks\" has not np entries");
  require(!job.name.empty() && job.name.find('/') == std::string::npos, "\"name\" is no name");
  require(!job.program.empty(), "\"program\" is empty");
  require(job.executable.starts_with('/'), "\"executable\" is not an absolute path");
  require(job.working_directory.starts_with('/'), "\"working_directory\" is not an absolute path");
  require(job.local_directory.starts_with('/'), "\"local_directory\" is not an absolute path");
  require(!job.epochs.empty(), "\"epochs\" is empty");
  for (std::size_t i = 1; i < job.epochs.size(); ++i) {
    require(job.epochs[i - 1].epoch < job.epochs[i].epoch, "\"epochs\" are not in order");
  }
  static const std::set<std::string> kModes = {"pessimistic", "optimistic", "causal",
                                               "coordinated"};
  require(kModes.contains(job.mode), "\"mode\" is not a known mode");
  require(job.failure_unit == "node" || job.failure_unit == "rank",
          "\"failure_unit\" is neither node nor rank");
  require(job.causal_f >= 1, "\"causal_f\" is out of range");
}

Json ToJson(const JobDescription& job) {
  Json ranks = Json::array();
  for (const ProcessPlace& place : job.ranks) ranks.push_back(FromPlace(place));
  Json environment = Json::array();
  for (const auto& [name, value] : job.environment) {
    environment.push_back(Json::array({FromBytes(name), FromBytes(value)}));
  }
  Json epochs = Json::array();
  for (const JobEpoch& epoch : job.epochs) {
    epochs.push_back(
        Json{{"epoch", epoch.epoch}, {"time", epoch.time}, {"reason", FromBytes(epoch.reason)}});
  }
  return Json{{"job", Hex(job.job)},
              {"name", FromBytes(job.name)},
              {"np", job.np},
              {"ranks", ranks},
              {"launcher", FromPlace(job.launcher)},
              {"local_directory", FromBytes(job.local_directory)},
              {"mode", job.mode},
              {"failure_unit", job.failure_unit},
              {"causal_f", job.causal_f},
              {"program", FromTexts(job.program)},
              {"executable", FromBytes(job.executable)},
              {"build_id", job.build_id},
              {"working_directory", FromBytes(job.working_directory)},
              {"environment", environment},
              {"launcher_command", FromTexts(job.launcher_command)},
              {"launcher_directory", FromBytes(job.launcher_directory)},
              {"launcher_stdin", FromBytes(job.launcher_stdin)},
              {"mpi_version", FromBytes(job.mpi_version)},
              {"ftmpi_version", FromBytes(job.ftmpi_version)},
              {"epochs", epochs},
              {"state", StateName(job.state)}};
}

JobDescription FromJson(const Json& value) {
  JobDescription job;
  job.job = HexNumber(value, "job");
  job.name = Text(value, "name");
  job.np = Number<int>(value, "np", 1, kMaximumRanks);
  for (const Json& place : Array(value, "ranks")) job.ranks.push_back(ToPlace(place));
  job.launcher = ToPlace(Member(value, "launcher"));
  job.local_directory = Text(value, "local_directory");
  job.mode = Text(value, "mode");
  job.failure_unit = Text(value, "failure_unit");
  job.causal_f = Number<int>(value, "causal_f", 1, INT32_MAX);
  job.program = Texts(value, "program");
  job.executable = Text(value, "executable");
  job.build_id = Text(value, "build_id");
  job.working_directory = Text(value, "working_directory");
  for (const Json& pair : Array(value, "environment")) {
    if (!pair.is_array() || pair.size() != 2) {
      throw ContentError("\"environment\" is not a list of pairs");
    }
    job.environment.emplace_back(ToBytes(pair[0], "environment"), ToBytes(pair[1], "environment"));
  }
  job.launcher_command = Texts(value, "launcher_command");
  job.launcher_directory = Text(value, "launcher_directory");
  job.launcher_stdin = Text(value, "launcher_stdin");
  job.mpi_version = Text(value, "mpi_version");
  job.ftmpi_version = Text(value, "ftmpi_version");
  for (const Json& epoch : Array(value, "epochs")) {
    job.epochs.push_back({.epoch = Number<std::uint32_t>(epoch, "epoch", 0, UINT32_MAX),
                          .time = Number<std::int64_t>(epoch, "time", 0, INT64_MAX),
                          .reason = Text(epoch, "reason")});
  }
  job.state = ToState(Text(value, "state"));
  Validate(job);
  return job;
}

// The notes of an ELF file's PT_NOTE segment: the GNU build id in hex, or "" without one.
std::string BuildIdInNotes(const std::string& notes) {
  std::size_t at = 0;
  while (at + sizeof(Elf64_Nhdr) <= notes.size()) {
    Elf64_Nhdr header;
    std::memcpy(&header, notes.data() + at, sizeof header);
    const auto round = [](std::size_t n) { return (n + 3) & ~std::size_t{3}; };
    const std::size_t name = at + sizeof header;
    const std::size_t content = name + round(header.n_namesz);
    if (content > notes.size() || header.n_descsz > notes.size() - content) return "";
    if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 &&
        std::memcmp(notes.data() + name, "GNU", 4) == 0) {
      std::string hex;
      for (std::size_t i = 0; i < header.n_descsz; ++i) {
        std::array<char, 3> digits{};
        std::snprintf(digits.data(), digits.size(), "%02x",
                      static_cast<unsigned char>(notes[content + i]));
        hex += digits.data();
      }
      return hex;
    }
    at = content + round(header.n_descsz);
  }
  return "";
}

std::string GnuBuildId(int file) {
  Elf64_Ehdr header;
  if (pread(file, &header, sizeof header, 0) != sizeof header ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_phentsize != sizeof(Elf64_Phdr)) {
    return "";
  }
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    const auto offset = static_cast<off_t>(header.e_phoff + i * sizeof segment);
    if (pread(file, &segment, sizeof segment, offset) != sizeof segment) return "";
    constexpr std::size_t kMaximumNotes = 1 << 20;
    if (segment.p_type != PT_NOTE || segment.p_filesz > kMaximumNotes) continue;
    std::string notes(segment.p_filesz, '\0');
    const ssize_t got =
        pread(file, notes.data(), notes.size(), static_cast<off_t>(segment.p_offset));
    if (got != static_cast<ssize_t>(notes.size())) return "";
    if (std::string id = BuildIdInNotes(notes); !id.empty()) return id;
  }
  return "";
}

}  // namespace

JobDescription ReadJobDescription(const std::string& job_directory) {
  const std::string path = JobFilePath(job_directory);
  const auto fail = [&](const std::string& reason) {
    return JobDirectoryError(path + ": " + reason);
  };
  const std::optional<std::string> text = ReadWholeFile(path);
  if (!text) {
    throw fail(
        "no such file: this is not a job directory of ftmpi, or the job was lost before MPI_Init "
        "had finished (then start it again)");
  }
  Json document = Json::parse(*text, nullptr, false);
  if (document.is_discarded()) {
    throw fail("damaged (truncated or not JSON): it can't be used; restore it from a copy");
  }
  try {
    if (!document.is_object() || document.value("format", Json()) != kFormatName) {
      throw fail("foreign: not a job description of ftmpi");
    }
    const int version = Number<int>(document, "version", 0, INT32_MAX);
    if (version != kJobFormatVersion) {
      throw fail("format version " + std::to_string(version) + ", this program reads version " +
                 std::to_string(kJobFormatVersion) + ": use the mpi-ft-recover of that release");
    }
    const Json& body = Member(document, "job");
    if (HexNumber(document, "checksum") != Checksum(body.dump())) {
      throw fail("damaged (checksum does not match): it can't be used; restore it from a copy");
    }
    return FromJson(body);
  } catch (const ContentError& error) {
    throw fail(std::string("damaged or foreign: ") + error.what());
  } catch (const Json::exception&) {
    throw fail("damaged (unexpected content): it can't be used; restore it from a copy");
  }
}

void WriteJobDescription(const std::string& job_directory, const JobDescription& job) {
  try {
    Validate(job);
    const Json body = ToJson(job);
    const Json document = Json{{"format", kFormatName},
                               {"version", kJobFormatVersion},
                               {"checksum", Hex(Checksum(body.dump()))},
                               {"job", body}};
    ReplaceFile(JobFilePath(job_directory), document.dump(2) + "\n");
  } catch (const ContentError& error) {
    throw JobDirectoryError(JobFilePath(job_directory) + ": not written: " + error.what());
  } catch (const Json::exception& error) {
    throw JobDirectoryError(JobFilePath(job_directory) + ": not written: " + error.what());
  }
}

std::optional<std::string> FindNewestJobDirectory(const std::string& directory) {
  namespace fs = std::filesystem;
  std::optional<std::string> newest;
  std::pair<bool, std::int64_t> newest_key;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    struct stat status;
    if (!name.starts_with("ftmpi-") ||
        stat(JobFilePath(entry->path().string()).c_str(), &status) != 0) {
      continue;
    }
    bool unfinished = true;
    try {
      unfinished = ReadJobDescription(entry->path().string()).state != JobState::kFinished;
    } catch (const JobDirectoryError&) {
      // Left as a candidate: whoever opens it says what is wrong with it.
    }
    const std::pair key(
        unfinished, std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec);
    if (!newest || key > newest_key) {
      newest = entry->path().string();
      newest_key = key;
    }
  }
  return newest;
}

bool IsLauncherVariable(const std::string& name) {
  // Seen in the environment of a rank under mpirun 4.1.4 and not in mpirun's own.
  static constexpr const char* kPrefixes[] = {"OMPI_COMM_WORLD_",
                                              "OMPI_UNIVERSE_",
                                              "OMPI_MCA_orte_",
                                              "OMPI_MCA_ess",
                                              "OMPI_MCA_pmix",
                                              "OMPI_MCA_shmem_RUNTIME_",
                                              "OMPI_MCA_initial_wdir",
                                              "OMPI_APP_CTX_",
                                              "OMPI_ARGV",
                                              "OMPI_COMMAND",
                                              "OMPI_FILE_LOCATION",
                                              "OMPI_FIRST_RANKS",
                                              "OMPI_NUM_APP_CTX",
                                              "PMIX_",
                                              "ORTE_",
                                              "PRTE_",
                                              "PMI_",
                                              "HFI_",
                                              "FTMPI_",
                                              "OMPI_MCA_mpi_oversubscribe",
                                              "HFI_NO_BACKTRACE",
                                              "IPATH_NO_BACKTRACE"};
  return std::any_of(std::begin(kPrefixes), std::end(kPrefixes),
                     [&](const char* prefix) { return name.starts_with(prefix); });
}

std::string BuildIdOf(const std::string& executable) {
  const int file = open(executable.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    throw JobDirectoryError(executable + ": can't be read: " + std::strerror(errno));
  }
  std::string id = GnuBuildId(file);
  if (id.empty()) {
    XXH64_state_t state;
    XXH64_reset(&state, 0);
    std::vector<char> buffer(1 << 20);
    ssize_t got = 0;
    while ((got = read(file, buffer.data(), buffer.size())) > 0) {
      XXH64_update(&state, buffer.data(), static_cast<std::size_t>(got));
    }
    if (got < 0) {
      const int reason = errno;
      close(file);
      throw JobDirectoryError(executable + ": can't be read: " + std::strerror(reason));
    }
    id = "xxh64:" + Hex(XXH64_digest(&state));
  }
  close(file);
  return id;
}

std::string JobFilePath(const std::string& job_directory) { return job_directory + "/job.json"; }
std::string EpochDirectory(const std::string& job_directory, std::uint32_t epoch) {
  return job_directory + "/epoch-" + std::to_string(epoch);
}
std::string LogDirectory(const std::string& job_directory) { return job_directory + "/log"; }
std::string OutputDirectory(const std::string& job_directory) { return job_directory + "/output"; }
std::string StdinLogPath(const std::string& job_directory) { return job_directory + "/stdin.log"; }
std::string ReleasedPath(const std::string& job_directory, int rank) {
  return OutputDirectory(job_directory) + "/rank-" + std::to_string(rank) + ".released";
}
std::string FlushedEventsPath(const std::string& job_directory, int rank, std::uint32_t epoch) {
  return LogDirectory(job_directory) + "/rank-" + std::to_string(rank) + ".events-" +
         std::to_string(epoch);
}
std::string LostPath(const std::string& job_directory, std::uint32_t epoch, int rank) {
  return EpochDirectory(job_directory, epoch) + "/lost-" + std::to_string(rank);
}
std::string SurvivorPath(const std::string& job_directory, std::uint32_t epoch, int rank) {
  return EpochDirectory(job_directory, epoch) + "/survivor-" + std::to_string(rank);
}
std::string DonePath(const std::string& job_directory, std::uint32_t epoch, int rank) {
  return EpochDirectory(job_directory, epoch) + "/done-" + std::to_string(rank);
}
std::string ProgressPath(const std::string& job_directory, std::uint32_t epoch, int rank) {
  return EpochDirectory(job_directory, epoch) + "/progress-" + std::to_string(rank);
}

std::string UnbornPath(const std::string& job_directory, std::uint32_t epoch, int rank) {
  return EpochDirectory(job_directory, epoch) + "/unborn-" + std::to_string(rank);
}

}  // namespace ftmpi::recovery
