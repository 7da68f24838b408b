// MPI_Init, MPI_Finalize and their kin: where ftmpi comes to life in a rank, and where it leaves.
#include <mpi.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/cut_record.h"
#include "checkpoint/image/capture.h"
#include "checkpoint/image/descriptors.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/modules.h"
#include "logging/environment.h"
#include "logging/log_error.h"
#include "logging/payload_log_format.h"
#include "pmpi/capture.h"
#include "pmpi/checkpoint_sink.h"
#include "pmpi/checkpoint_triggers.h"
#include "pmpi/checkpointing.h"
#include "pmpi/collective_selection.h"
#include "pmpi/communicator.h"
#include "pmpi/companion_link.h"
#include "pmpi/configuration.h"
#include "pmpi/engine.h"
#include "pmpi/engine_state.h"
#include "pmpi/events.h"
#include "pmpi/image_obstacle.h"
#include "pmpi/in_transit.h"
#include "pmpi/inject.h"
#include "pmpi/message.h"
#include "pmpi/object_table.h"
#include "pmpi/protocol_host.h"
#include "pmpi/registered.h"
#include "pmpi/replay.h"
#include "pmpi/restart.h"
#include "pmpi/saved_state.h"
#include "pmpi/state_heap.h"
#include "pmpi/uncoordinated.h"

namespace ftmpi {
namespace {

using engine::g;
using logging::Environment;
using logging::LogError;

constexpr int kAgreementTag = 32000;
constexpr double kAgreementSeconds = 60;

engine::WireProtocolHost g_host;

// What rank 0 decides and all ranks use.
struct JobFacts {
  std::uint64_t job = 0;
  char name[64] = {0};
  char job_directory[PATH_MAX] = {0};
  char local_directory[PATH_MAX] = {0};
};

std::string NodeName() {
  char name[256] = {0};
  gethostname(name, sizeof name - 1);
  return name;
}

bool LauncherSaysRankZero() {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  return rank == nullptr || std::strcmp(rank, "0") == 0;
}

std::string Absolute(const std::string& path) {
  if (!path.empty() && path[0] == '/') return path;
  char directory[PATH_MAX];
  if (getcwd(directory, sizeof directory) == nullptr)
    Fatal("the working directory has no name: %s", strerror(errno));
  return std::string(directory) + "/" + path;
}

// Open MPI's progress until the request is done or the time is up.
bool WaitLimited(MPI_Request* request, double deadline) {
  int done = 0;
  while (done == 0 && PMPI_Wtime() < deadline) PMPI_Test(request, &done, MPI_STATUS_IGNORE);
  return done != 0;
}

// All ranks must run with the same values. Point to point with a time limit: a rank without FT_MODE
// takes part in nothing, and must not make the others wait for ever.
void AgreeOnConfiguration(const std::string& agreed) {
  char mine[2048] = {0};
  if (agreed.size() >= sizeof mine) {
    Fatal("the settings are too long to be compared among the ranks (%zu bytes): shorten FT_DIR",
          agreed.size());
  }
  std::snprintf(mine, sizeof mine, "%s", agreed.c_str());
  const double deadline = PMPI_Wtime() + kAgreementSeconds;
  if (g.rank != 0) {
    char verdict = 0;
    MPI_Request requests[2];
    PMPI_Isend(mine, sizeof mine, MPI_CHAR, 0, kAgreementTag, MPI_COMM_WORLD, &requests[0]);
    PMPI_Irecv(&verdict, 1, MPI_CHAR, 0, kAgreementTag, MPI_COMM_WORLD, &requests[1]);
    if (!WaitLimited(&requests[0], deadline) || !WaitLimited(&requests[1], deadline)) {
      Fatal(
          "rank 0 does not answer in MPI_Init: does it run with FT_MODE and libftmpi? Give all "
          "ranks the same "
          "(mpirun -x FT_MODE, in each part of a multi-program job)");
    }
    return;
  }
  std::vector<char> others(static_cast<std::size_t>(g.size) * sizeof mine);
  std::vector<MPI_Request> requests(static_cast<std::size_t>(g.size), MPI_REQUEST_NULL);
  for (int rank = 1; rank < g.size; ++rank) {
    const auto n = static_cast<std::size_t>(rank);
    PMPI_Irecv(&others[n * sizeof mine], sizeof mine, MPI_CHAR, rank, kAgreementTag, MPI_COMM_WORLD,
               &requests[n]);
  }
  for (int rank = 1; rank < g.size; ++rank) {
    const auto n = static_cast<std::size_t>(rank);
    if (!WaitLimited(&requests[n], deadline)) {
      Fatal(
          "rank %d does not answer in MPI_Init: does it run with FT_MODE and libftmpi? Give all "
          "ranks the same "
          "(mpirun -x FT_MODE, in each part of a multi-program job)",
          rank);
    }
    if (std::strcmp(&others[n * sizeof mine], mine) != 0) {
      Fatal(
          "the ranks disagree: rank 0 has %s, rank %d has %s: give all ranks the same FT_* values",
          mine, rank, &others[n * sizeof mine]);
    }
  }
  const char verdict = 1;
  for (int rank = 1; rank < g.size; ++rank) {
    PMPI_Send(&verdict, 1, MPI_CHAR, rank, kAgreementTag, MPI_COMM_WORLD);
  }
}

void CopyPath(char (&to)[PATH_MAX], const std::string& from, const char* variable) {
  if (from.size() >= sizeof to)
    Fatal("%s is longer than a path may be: %s", variable, from.c_str());
  std::memcpy(to, from.c_str(), from.size() + 1);
}

void MakeDirectory(const std::string& path, bool must_be_new, const char* variable) {
  if (mkdir(path.c_str(), 0755) == 0) return;
  if (errno != EEXIST) {
    Fatal("the directory %s can't be made: %s. Set %s to a directory that can be written",
          path.c_str(), strerror(errno), variable);
  }
  if (!must_be_new) return;
  try {
    if (Environment::Posix()->List(path).empty()) return;
  } catch (const LogError& error) {
    Fatal("%s", error.what());
  }
  Fatal(
      "the directory %s (%s) is not empty: a job directory belongs to one job. Remove it, or set "
      "%s to another one",
      path.c_str(), variable, variable);
}

// A new job: its id, its name and its directories.
JobFacts NewJob() {
  JobFacts facts;
  if (g.rank == 0) {
    if (getrandom(&facts.job, sizeof facts.job, 0) != sizeof facts.job)
      Fatal("no random job id: %s", strerror(errno));
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    char time[32];
    std::strftime(time, sizeof time, "%Y%m%d-%H%M%S", &local);
    std::snprintf(facts.name, sizeof facts.name, "%s-%04x", time,
                  static_cast<unsigned>(facts.job & 0xffff));
    const std::string name = std::string("ftmpi-") + facts.name;
    const Configuration& c = g.configuration;
    CopyPath(facts.job_directory, Absolute(c.job_directory.empty() ? name : c.job_directory),
             "FT_DIR");
    CopyPath(facts.local_directory,
             c.local_directory.empty() ? "/dev/shm/" + name : Absolute(c.local_directory),
             "FT_LOCAL");
    MakeDirectory(facts.job_directory, true, "FT_DIR");
  }
  PMPI_Bcast(&facts, sizeof facts, MPI_BYTE, 0, MPI_COMM_WORLD);
  return facts;
}

// A job that mpi-ft-recover starts again.
JobFacts RecoveredJob(const logging::ReplayLog& replay, const std::string& job_directory) {
  JobFacts facts;
  facts.job = replay.job;
  CopyPath(facts.job_directory, job_directory, "FTMPI_JOBDIR");
  const char* local = std::getenv("FTMPI_LOCAL");
  if (local == nullptr) Fatal("FTMPI_LOCAL is not set: a recovery is started by mpi-ft-recover");
  CopyPath(facts.local_directory, local, "FTMPI_LOCAL");
  const std::size_t slash = job_directory.rfind('/');
  std::string name = job_directory.substr(slash == std::string::npos ? 0 : slash + 1);
  if (name.starts_with("ftmpi-")) name = name.substr(6);
  std::snprintf(facts.name, sizeof facts.name, "%.63s", name.c_str());
  return facts;
}

std::uint64_t OwnStartTime() {
  return logging::ProcessStartTime(Environment::Posix(), getpid()).value_or(0);
}

std::vector<CompanionRank> GatherRanks(const std::string& node) {
  struct Entry {
    char node[64];
    std::int64_t pid;
    std::uint64_t start_time;
  };
  Entry mine{};
  std::snprintf(mine.node, sizeof mine.node, "%.63s", node.c_str());
  mine.pid = getpid();
  mine.start_time = OwnStartTime();
  std::vector<Entry> all(g.rank == 0 ? static_cast<std::size_t>(g.size) : 0);
  PMPI_Gather(&mine, sizeof mine, MPI_BYTE, all.data(), sizeof mine, MPI_BYTE, 0, MPI_COMM_WORLD);
  std::vector<CompanionRank> ranks;
  ranks.reserve(all.size());
  for (const Entry& entry : all)
    ranks.push_back(CompanionRank{entry.node, entry.pid, entry.start_time});
  return ranks;
}

void SetUpProtocol(std::uint64_t interval) {
  engine::PrepareNodeMap();
  logging::ProtocolConfiguration& p = g.protocol_configuration;
  p.mode = g.configuration.mode;
  p.rank = g.rank;
  p.size = g.size;
  p.causal_f = g.configuration.causal_f;
  p.interval = interval;
  p.unit.resize(static_cast<std::size_t>(g.size));
  for (int rank = 0; rank < g.size; ++rank) {
    p.unit[static_cast<std::size_t>(rank)] =
        g.configuration.failure_unit == FailureUnit::kNode ? engine::NodeLeader(rank) : rank;
  }
  g.several_units =
      std::any_of(p.unit.begin(), p.unit.end(), [&p](int unit) { return unit != p.unit[0]; });
  g.protocol = logging::MakeProtocol(p, &g_host);
}

void RemoveLeftOvers(const std::string& directory) {
  const std::string prefix = "rank-" + std::to_string(g.rank) + ".payload-";
  for (const std::string& name : Environment::Posix()->List(directory)) {
    if (name.starts_with(prefix)) Environment::Posix()->Remove(logging::JoinPath(directory, name));
  }
}

// By the checkpoint that the rank starts from.
checkpoint::CutRecord CutOfStart() {
  std::optional<checkpoint::CutRecord> cut =
      checkpoint::DecodeCut(restart::FindBlob(checkpoint_datasets::kCut), g.size);
  if (!cut) Fatal("the checkpoint's cut record is damaged; use another checkpoint");
  return *std::move(cut);
}

// What lies in front of a log that begins now.
logging::ChannelCounts SentBeforeStart() {
  logging::ChannelCounts sent;
  if (g.configuration.state != SavedState::kImage || restart::Csn() == 0) return sent;
  for (const checkpoint::ChannelCut& channel : CutOfStart().channels) {
    if (channel.sent > 0) sent[channel.rank] = channel.sent;
  }
  return sent;
}

void OpenLogs(const JobFacts& facts, const logging::ReplayLog* replay) {
  Environment* environment = Environment::Posix();
  const std::string local = facts.local_directory;
  MakeDirectory(local, false, "FT_LOCAL");
  logging::RankStatusIdentity identity;
  identity.job = facts.job;
  identity.rank = g.rank;
  identity.epoch = g.epoch;
  identity.pid = getpid();
  identity.pid_start_time = OwnStartTime();
  // Never unmapped: the exit handler writes the last word into it.
  static logging::RankStatusPage* page = nullptr;
  page = logging::RankStatusPage::Create(
             environment, logging::JoinPath(local, logging::RankStatusFileName(g.rank)), identity,
             replay != nullptr ? replay->stdout_released : 0,
             replay != nullptr ? replay->stderr_released : 0)
             .release();
  g.status = page->status();
  if (g.configuration.mode == logging::Mode::kCoordinated) return;

  logging::PayloadLogOptions options;
  options.directory = local;
  options.rank = g.rank;
  options.job = facts.job;
  options.memory = g.configuration.log_memory;
  const char* temporary = std::getenv("TMPDIR");
  const std::string spill_base = !g.configuration.spill_directory.empty()
                                     ? g.configuration.spill_directory
                                 : temporary != nullptr ? temporary
                                                        : "/tmp";
  // Spilled segments carry the job's id in their names. Whoever cleans up finds them by the link.
  options.spill_directory = Absolute(spill_base);
  MakeDirectory(options.spill_directory, false, "FT_SPILL_DIR");
  if (access(options.spill_directory.c_str(), W_OK | X_OK) != 0) {
    Fatal("the directory %s (FT_SPILL_DIR) can't be written: %s. Set FT_SPILL_DIR to another one",
          options.spill_directory.c_str(), strerror(errno));
  }
  const std::string link = logging::JoinPath(local, logging::kSpillLink);
  if (symlink(options.spill_directory.c_str(), link.c_str()) != 0 && errno != EEXIST) {
    Fatal("%s can't be made: %s. Set FT_LOCAL to a directory that can be written", link.c_str(),
          strerror(errno));
  }
  options.segment_size = std::min<std::uint64_t>(options.segment_size, options.memory / 4);
  if (replay != nullptr && replay->payload_log_survives) {
    g.payload_log = logging::PayloadLog::Recover(environment, options, replay->recovered_interval);
  } else {
    if (replay != nullptr) RemoveLeftOvers(local);
    g.payload_log = logging::PayloadLog::Create(environment, options, SentBeforeStart());
  }

  // Fresh memory costs page faults: better here than at the first messages.
  g.payload_log->Prepare(std::min(g.configuration.log_prepare, g.configuration.log_memory));

  logging::EventLogOptions events;
  events.directory = local;
  events.rank = g.rank;
  events.job = facts.job;
  events.epoch = g.epoch;
  events.base_interval = replay != nullptr ? replay->recovered_interval : 0;
  const std::string path = logging::JoinPath(local, logging::EventLog::FileName(g.rank, g.epoch));
  if (replay != nullptr && environment->Exists(path)) environment->Remove(path);
  g.event_log = logging::EventLog::Create(environment, events);
}

void Attach(const JobFacts& facts, const std::string& node) {
  CompanionAttach attach;
  attach.job = facts.job;
  attach.job_name = facts.name;
  attach.job_directory = facts.job_directory;
  attach.local_directory = facts.local_directory;
  attach.rank = g.rank;
  attach.np = g.size;
  attach.node = node;
  attach.epoch = g.epoch;
  attach.mode = ModeName(g.configuration.mode);
  attach.failure_unit = g.configuration.failure_unit == FailureUnit::kNode ? "node" : "rank";
  attach.causal_f = g.configuration.causal_f;
  attach.flush_events = g.flushing;
  attach.keep = g.configuration.keep;
  attach.own_checkpoints = uncoordinated::g_on;
  attach.mpi_version = checkpoint_sink::MpiLibraryVersion();
  attach.ftmpi_version = FTMPI_VERSION;
  attach.status_path =
      logging::JoinPath(facts.local_directory, logging::RankStatusFileName(g.rank));
  attach.status = g.status;
  attach.ranks = GatherRanks(node);
  std::string error;
  if (!AttachCompanion(attach, &error)) Fatal("%s", error.c_str());
}

// What a rank that starts from a checkpoint needs once its image is there.
std::unique_ptr<logging::ReplayLog> g_restart_log;

// Of the messages that this rank has saved in transit, those whose senders have no log any more.
std::vector<checkpoint::TransitMessage> SavedMessages(const checkpoint::CutRecord& cut,
                                                      const std::vector<char>& has_log) {
  std::vector<checkpoint::TransitMessage> saved;
  if (std::find(has_log.begin(), has_log.end(), 0) == has_log.end()) return saved;
  try {
    saved = in_transit::Load(g_restart_log->job, std::getenv("FTMPI_JOBDIR"), cut);
  } catch (const LogError& error) {
    Fatal("%s; use another checkpoint", error.what());
  }
  std::erase_if(saved, [&has_log](const checkpoint::TransitMessage& message) {
    return message.source < 0 || message.source >= g.size ||
           has_log[static_cast<std::size_t>(message.source)] != 0;
  });
  return saved;
}

// The other ends' counts: what each other rank has for this one.
std::vector<std::uint64_t> Exchange(const std::vector<std::uint64_t>& mine) {
  std::vector<std::uint64_t> theirs(mine.size(), 0);
  PMPI_Alltoall(mine.data(), 1, MPI_UINT64_T, theirs.data(), 1, MPI_UINT64_T, MPI_COMM_WORLD);
  return theirs;
}

// Prepares the replay of what this rank has sent: from its cut (an empty one: its initial state),
// the others from theirs. Collective. `have`: what this rank has of each other's messages.
void IndexReplay(const checkpoint::CutRecord& cut, const std::vector<std::uint64_t>& have) {
  const std::vector<std::uint64_t> theirs = Exchange(have);
  engine::IndexPayloadLog([&](int to) { return theirs[static_cast<std::size_t>(to)]; },
                          [&](int to) { return cut.Channel(to).sent; });
  if (uncoordinated::g_on) engine::ExchangeUnmatched();
}

// MPI is up, the configuration is read: brings the engine up. With `restart` only what is the
// process's own; restart::GoOn does the rest.
void StartEngine(bool restart) {
  PMPI_Comm_rank(MPI_COMM_WORLD, &g.rank);
  PMPI_Comm_size(MPI_COMM_WORLD, &g.size);
  const std::string node = NodeName();
  SetMessageIdentity(g.rank, node.c_str());
  bool images = g.configuration.state == SavedState::kImage && image::CanCapture();
  if (const char* reason = nullptr; images && !restart && !state_heap::Create(&reason)) {
    image_obstacle::NoteAtStart(reason);
    images = false;
  }
  if (const char* reason = nullptr;
      (images || restart) && !engine::g_threaded && !objects::Start(&reason)) {
    if (restart) Fatal("%s", reason);
    image_obstacle::NoteAtStart(reason);
    images = false;
  }
  g.peers.assign(static_cast<std::size_t>(g.size), nullptr);
  std::string wrong;
  if (!ReadCollectiveSelection(&wrong)) Fatal("%s", wrong.c_str());
  AgreeOnConfiguration(AgreedValues(g.configuration) + " " + ForcedCollectives());

  std::unique_ptr<logging::ReplayLog> replay;
  JobFacts facts;
  try {
    if (const char* epoch = std::getenv("FTMPI_RECOVER_EPOCH")) {
      const char* directory = std::getenv("FTMPI_JOBDIR");
      if (directory == nullptr)
        Fatal("FTMPI_JOBDIR is not set: a recovery is started by mpi-ft-recover");
      g.epoch = static_cast<std::uint16_t>(std::strtoul(epoch, nullptr, 10));
      const std::string path =
          std::string(directory) + "/epoch-" + epoch + "/" + logging::ReplayLogFileName(g.rank);
      replay =
          std::make_unique<logging::ReplayLog>(logging::ReadReplayLog(Environment::Posix(), path));
      facts = RecoveredJob(*replay, directory);
    } else {
      facts = NewJob();
    }
    std::string error;
    if (!inject::Arm(g.configuration.inject, g.rank, g.size, g.epoch, &error))
      Fatal("%s", error.c_str());
    EngineLock::watched = engine::g_threaded || inject::g_armed;
    // All ranks or none. (FT_STATE is the same at all.)
    const bool checkpoints = g.configuration.state == SavedState::kImage &&
                             image_obstacle::AgreeOnImages(images || restart);
    g.interval = replay ? replay->recovered_interval : 0;
    // The last permanent checkpoint (logging/coordinated.h).
    if (g.configuration.mode == logging::Mode::kCoordinated) g.interval = restart::Csn();
    OpenLogs(facts, replay.get());
    SetUpProtocol(g.interval);
    g.status->interval.store(g.interval);
    g.flushing = g.configuration.mode == logging::Mode::kOptimistic || g.configuration.flush_events;
    engine::StartWire();
    if (checkpoints) {
      checkpointing::Start({facts.job, facts.job_directory, facts.local_directory}, restart::Csn());
    } else {
      checkpoint_triggers::Start(g.configuration.checkpoints, g.status, nullptr);
    }
    if (g.configuration.state == SavedState::kRegistered) {
      registered::Start({facts.job, facts.job_directory, facts.local_directory}, restart::Csn());
    }
    if (replay && !restart && !restart::EachFromItsOwn()) {
      const auto nothing = [](int /*destination*/) { return std::uint64_t{0}; };
      if (replay->payload_log_survives) engine::IndexPayloadLog(nothing, nothing);
      events::StartReplay(*replay, 0);
    }
    events::PublishCommittable();
    Attach(facts, node);
    // Others may start from checkpoints of theirs: as restart::GoOn does.
    if (!restart && restart::EachFromItsOwn()) {
      IndexReplay(checkpoint::CutRecord(), std::vector<std::uint64_t>(g.peers.size(), 0));
      events::StartReplay(*replay, 0);
    }
  } catch (const LogError& error) {
    Fatal("%s", error.what());
  }
  g.has_events = g.several_units || g.flushing;
  if (restart) {
    g_restart_log = std::move(replay);
    return;
  }
  CreatePredefinedCommunicators(g.rank, g.size);
  // Nobody sends before everybody can receive.
  PMPI_Barrier(MPI_COMM_WORLD);
  g.status->phase.store(logging::RankPhase::kRunning);
  g_active = true;
}

void StopEngine() {
  checkpointing::Stop();
  registered::Stop();
  DestroyPredefinedCommunicators();
  engine::FinalBarrier();
  g_active = false;
  engine::StopWire();
  engine::DestroyMatchQueues();
  g.protocol.reset();
}

// What is opened and loaded meanwhile is the library's.
class LibraryOpening {
 public:
  LibraryOpening() { image::LibraryOpens(); }
  ~LibraryOpening() {
    image::LibraryOpened();
    image::NoteLibraryModules();
  }
  LibraryOpening(const LibraryOpening&) = delete;
  LibraryOpening& operator=(const LibraryOpening&) = delete;
};

// Reads the environment; true if this rank is to be protected. Wrong values end the process before
// MPI is up, with a message from one rank.
bool WantsProtection() {
  std::string error;
  const logging::Mode mode = ModeFromEnvironment(&error);
  if (error.empty() && mode == logging::Mode::kOff) return false;
  if (error.empty()) ReadConfiguration(&g.configuration, &error);
  if (!error.empty()) {
    if (LauncherSaysRankZero()) Message("%s", error.c_str());
    std::_Exit(2);
  }
  if (!StartCompanion(&error)) {
    Message("%s", error.c_str());
    std::_Exit(2);
  }
  return true;
}

// Open MPI's clock starts anew with each incarnation; the program's goes on where the replayed
// values ended.
double NeverBack(double time) {
  FTMPI_SAVED static double latest = 0;
  FTMPI_SAVED static double offset = 0;
  FTMPI_SAVED static double last_returned = 0;
  if (time == last_returned) return time;  // the value that was just made
  if (time + offset < latest) offset = latest - time;
  latest = time + offset;
  last_returned = latest;
  return latest;
}

}  // namespace
}  // namespace ftmpi

namespace ftmpi::restart {

namespace {

// As this rank's replay log says.
std::uint32_t OwnCsn() {
  const char* directory = std::getenv("FTMPI_JOBDIR");
  const char* epoch = std::getenv("FTMPI_RECOVER_EPOCH");
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  if (directory == nullptr || epoch == nullptr || rank == nullptr)
    Fatal(
        "FTMPI_JOBDIR or FTMPI_RECOVER_EPOCH is not set: a recovery is started by mpi-ft-recover");
  try {
    return logging::ReadReplayLog(Environment::Posix(),
                                  std::string(directory) + "/epoch-" + epoch + "/" +
                                      logging::ReplayLogFileName(std::atoi(rank)))
        .checkpoint_csn;
  } catch (const LogError& error) {
    Fatal("%s", error.what());
  }
}

}  // namespace

bool EachFromItsOwn() {
  const char* value = std::getenv("FTMPI_RESTART_CSN");
  return value != nullptr && std::strcmp(value, "own") == 0;
}

std::uint32_t Csn() {
  if (EachFromItsOwn()) {
    static const std::uint32_t csn = OwnCsn();
    return csn;
  }
  const char* value = std::getenv("FTMPI_RESTART_CSN");
  return value == nullptr ? 0 : static_cast<std::uint32_t>(std::strtoul(value, nullptr, 10));
}

void BringUp(int* argc, char*** argv) {
  const LibraryOpening opening;
  FTMPI_CHECK(WantsProtection());
  CompanionWatchExit();
  int provided = MPI_THREAD_SINGLE;
  if (PMPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
    Fatal("MPI can't be started");
  StartEngine(true);
}

namespace {

// Coordinated mode: the copies of messages in transit are all that there is beside the image.
// `have`: what this rank has of each other's messages, with the copies.
void CheckAllSaved(const checkpoint::CutRecord& cut, const std::vector<std::uint64_t>& have) {
  std::vector<std::uint64_t> sent(have.size(), 0);
  for (const checkpoint::ChannelCut& channel : cut.channels)
    sent[static_cast<std::size_t>(channel.rank)] = channel.sent;
  const std::vector<std::uint64_t> expected = Exchange(sent);
  for (std::size_t rank = 0; rank < have.size(); ++rank) {
    if (have[rank] == expected[rank]) continue;
    Fatal(
        "of %lu messages that rank %zu had sent at checkpoint %lu, this rank has %lu; use another "
        "checkpoint",
        static_cast<unsigned long>(expected[rank]), rank, static_cast<unsigned long>(cut.csn),
        static_cast<unsigned long>(have[rank]));
  }
}

}  // namespace

void GoOn() {
  state_heap::Adopt();
  saved_state::Load();
  objects::Restore();
  const logging::ReplayLog& log = *g_restart_log;
  const checkpoint::CutRecord cut = CutOfStart();
  const bool coordinated = g.configuration.mode == logging::Mode::kCoordinated;
  g.interval = coordinated ? log.checkpoint_csn : log.recovered_interval;
  engine::RenewPeers();
  // Messages in transit come from their senders' logs; where a log is lost, and in coordinated
  // mode, which has none, from their receivers.
  // (Without a coordinator receivers save nothing.)
  std::vector<char> has_log(static_cast<std::size_t>(g.size), uncoordinated::g_on ? 1 : 0);
  const char survives = !coordinated && log.payload_log_survives ? 1 : 0;
  if (!uncoordinated::g_on)
    PMPI_Allgather(&survives, 1, MPI_CHAR, has_log.data(), 1, MPI_CHAR, MPI_COMM_WORLD);
  const std::vector<checkpoint::TransitMessage> saved = SavedMessages(cut, has_log);
  std::vector<checkpoint::ChannelCut> saved_counts;
  std::vector<std::uint64_t> have(static_cast<std::size_t>(g.size), 0);
  for (const checkpoint::ChannelCut& channel : cut.channels)
    have[static_cast<std::size_t>(channel.rank)] = channel.received;
  for (const checkpoint::TransitMessage& message : saved) {
    saved_counts.push_back({message.source, 0, 1});
    ++have[static_cast<std::size_t>(message.source)];
  }
  if (coordinated) CheckAllSaved(cut, have);
  checkpointing::Restore(cut, log.checkpoint_interval, saved_counts);
  if (uncoordinated::g_on) {
    // Each rank comes to its end anew: no cut is made behind that of any rank.
    g.finalize_received = 0;
  }
  if (!coordinated) {
    IndexReplay(cut, have);
    events::StartReplay(log, log.checkpoint_interval);
  }
  for (Request* request : g.sends_under_way) engine::CompleteRequest(request);
  g.sends_under_way.clear();
  events::PublishCommittable();
  PMPI_Barrier(MPI_COMM_WORLD);
  for (const checkpoint::TransitMessage& message : saved)
    engine::TakeInSaved(engine::PeerOf(message.source), message.header, message.payload.data());
  g.status->phase.store(logging::RankPhase::kRunning);
  g_active = true;
}

}  // namespace ftmpi::restart

using namespace ftmpi;  // NOLINT(google-build-using-namespace)

FTMPI_EXPORT int MPI_Init(int* argc, char*** argv) {
  if (!WantsProtection()) return PMPI_Init(argc, argv);
  const image::LibraryScope scope;
  const LibraryOpening opening;
  const int result = PMPI_Init(argc, argv);
  if (result == MPI_SUCCESS) StartEngine(false);
  return result;
}

FTMPI_EXPORT int MPI_Init_thread(int* argc, char*** argv, int required, int* provided) {
  if (!WantsProtection()) return PMPI_Init_thread(argc, argv, required, provided);
  const image::LibraryScope scope;
  const LibraryOpening opening;
  const int result = PMPI_Init_thread(argc, argv, required, provided);
  if (result != MPI_SUCCESS) return result;
  engine::g_threaded = *provided == MPI_THREAD_MULTIPLE;
  if (engine::g_threaded) image_obstacle::Note("the program may call MPI from several threads");
  StartEngine(false);
  return result;
}

FTMPI_EXPORT int MPI_Finalize(void) {
  FTMPI_PASS_THROUGH(PMPI_Finalize());
  {
    EngineLock lock;
    StopEngine();
  }
  const int result = PMPI_Finalize();
  CompanionFinalized();
  return result;
}

FTMPI_EXPORT int MPI_Abort(MPI_Comm comm, int errorcode) {
  FTMPI_PASS_THROUGH(PMPI_Abort(comm, errorcode));
  CompanionAborted(errorcode);
  return PMPI_Abort(MPI_COMM_WORLD, errorcode);
}

FTMPI_EXPORT double MPI_Wtime(void) {
  FTMPI_PASS_THROUGH(PMPI_Wtime());
  EngineLock lock;
  if (!g.configuration.log_time) return PMPI_Wtime();
  const std::uint64_t bits = events::LogValue([] {
    const double time = NeverBack(PMPI_Wtime());
    std::uint64_t value = 0;
    std::memcpy(&value, &time, sizeof value);
    return value;
  });
  double time = 0;
  std::memcpy(&time, &bits, sizeof time);
  return NeverBack(time);
}
