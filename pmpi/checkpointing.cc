#include "pmpi/checkpointing.h"

#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/coordination.h"
#include "checkpoint/coordinator.h"
#include "checkpoint/image/capture.h"
#include "checkpoint/image/image_error.h"
#include "checkpoint/server_client.h"
#include "checkpoint/server_start.h"
#include "logging/environment.h"
#include "pmpi/checkpoint_levels.h"
#include "pmpi/checkpoint_sink.h"
#include "pmpi/checkpoint_triggers.h"
#include "pmpi/communicator.h"
#include "pmpi/companion_link.h"
#include "pmpi/engine.h"
#include "pmpi/engine_state.h"
#include "pmpi/events.h"
#include "pmpi/image_obstacle.h"
#include "pmpi/in_transit.h"
#include "pmpi/incremental.h"
#include "pmpi/internal_collectives.h"
#include "pmpi/log_trimming.h"
#include "pmpi/message.h"
#include "pmpi/object_table.h"
#include "pmpi/replay.h"
#include "pmpi/restart.h"
#include "pmpi/saved_state.h"
#include "pmpi/uncoordinated.h"

namespace ftmpi::checkpointing {

bool g_on = false;
bool g_wanted = false;
int g_no_cut = 0;

namespace {

using checkpoint::Action;
using checkpoint::CheckpointOutcome;
using checkpoint::Csn;
using engine::g;
using engine::Peer;
using logging::MessageKind;
using logging::WireHeader;

// A message from a rank that has made its cut already, kept back until ours is made.
struct KeptMessage {
  Peer* peer;
  std::vector<std::byte> bytes;  // header and payload
};

// What belongs to the process; nothing of it is saved.
struct Checkpoints {
  JobNames names;
  std::unique_ptr<checkpoint::Participant> participant;
  std::deque<KeptMessage> kept;
  pid_t writer = 0;  // writes the image of `writing`; 0: none
  Csn writing = 0;
  bool discarded = false;  // ... which nobody wants any more
  Csn given_up = 0;        // rank 0: its files are still there
  bool stopped = false;
  bool obstacle_said = false;
  std::uint64_t output_asked = 0;  // ns; when a checkpoint was last asked for output's sake
  std::uint64_t cut_made = 0;      // ns; the last one
  std::uint64_t commit_took = 0;   // ns; from a cut to its commit
};
Checkpoints* g_checkpoints = nullptr;

// To the node's checkpoint server.
bool Connect(checkpoint::ServerConnection* server) {
  const std::string path =
      checkpoint::ServerSocketPath(g_checkpoints->names.local_directory, g.epoch);
  return server->Connect(path.c_str());
}

// Rank 0: what ranks have written of a checkpoint that was given up would be in the way where
// storage is short. By now it is not being written any more; if it is, it goes with the next
// commit.
void RemoveGivenUp() {
  const Csn csn = std::exchange(g_checkpoints->given_up, 0);
  if (csn == 0) return;
  if (!checkpoint_levels::IsShared(csn)) {
    checkpoint_levels::RemoveGivenUp(csn);
    return;
  }
  checkpoint::ServerConnection server;
  if (!Connect(&server) ||
      !server.Abort(g_checkpoints->names.job, csn, g.size, checkpoint::Level::kShared)) {
    Message("files of checkpoint %u, which was given up, can't be removed: %s", csn,
            server.error());
  }
}

// No logs: receivers keep what is in transit, and output waits for checkpoints.
bool Coordinated() { return g.configuration.mode == logging::Mode::kCoordinated; }

class EngineHost : public checkpoint::CoordinationHost {
 public:
  void SendControl(int destination, std::span<const std::byte> message) override {
    WireHeader header{};
    header.version = logging::kWireVersion;
    header.kind = MessageKind::kCheckpoint;
    header.interval = g.interval;
    header.payload_length = message.size();
    engine::TransmitCopy(engine::PeerOf(destination), header, message.data(), message.size());
  }
  void TakeTentative(Csn csn) override {
    RemoveGivenUp();
    if (g_checkpoints->stopped || !WantCut())
      g_checkpoints->participant->OnTentativeTaken(csn, false);
  }
  void MakePermanent(Csn csn) override {
    if (!Coordinated()) {
      // What the logs are trimmed by must survive the nodes.
      if (checkpoint_levels::IsShared(csn)) {
        log_trimming::OnPermanent(csn);
      } else {
        checkpoint_levels::OnPermanent(csn);
      }
      return;
    }
    g_checkpoints->commit_took =
        logging::Environment::Posix()->MonotonicNanoseconds() - g_checkpoints->cut_made;
    g.protocol->OnStable(csn);
    events::PublishCommittable();
  }
  void Discard(Csn csn) override {
    if (g_checkpoints->writer != 0 && g_checkpoints->writing == csn)
      g_checkpoints->discarded = true;
    // What was kept back for its cut is taken in by TryCut, not from within the participant.
    g_wanted = !g_checkpoints->kept.empty() || (g_wanted && g_checkpoints->participant->due() != 0);
  }
  void FlushInTransit(Csn /*csn*/) override {
    in_transit::WantWriting(g_checkpoints->names.job, g_checkpoints->names.job_directory);
  }
  // Done by position, for all destinations at once: pmpi/log_trimming.h.
  void Trim(int /*destination*/, std::uint64_t /*count*/) override {}
  void RecordCommit(Csn csn) override {
    if (!checkpoint_levels::IsShared(csn)) {
      g_checkpoints->participant->OnCommitRecorded(csn, checkpoint_levels::RecordCommit(csn));
      return;
    }
    checkpoint::ServerConnection server;
    const bool done = Connect(&server) && server.MakePermanent(g_checkpoints->names.job, csn,
                                                               g.size, checkpoint::Level::kShared,
                                                               0, g.configuration.checkpoint_keep);
    if (!done) Message("checkpoint %u could not be made permanent: %s", csn, server.error());
    g_checkpoints->participant->OnCommitRecorded(csn, done);
  }
  void Finished(const CheckpointOutcome& outcome) override {
    checkpoint_triggers::Finished(outcome);
    if (outcome.committed) return;
    g_checkpoints->given_up = outcome.csn;
    if (g_checkpoints->stopped || g_checkpoints->obstacle_said) return;
    Message("checkpoint %u was given up: %s; the job goes on", outcome.csn, outcome.why.c_str());
  }
  void RollBack(std::uint32_t epoch, Csn /*csn*/) override {
    Fatal("a rollback to epoch %u inside a running job is not possible", epoch);
  }
  void RollbackFinished(std::uint32_t /*epoch*/, const std::vector<int>& /*missing*/) override {}
};
EngineHost g_host;

// What the kinds of checkpoints (FT_CKPT) do each in its own way.
checkpoint::Channel* ChannelOf(Peer* peer) {
  if (__builtin_expect(peer->channel == nullptr, 0)) {
    peer->channel = uncoordinated::g_on ? uncoordinated::ChannelOf(peer->world_rank)
                                        : g_checkpoints->participant->ChannelOf(peer->world_rank);
  }
  return peer->channel;
}
Csn Due() { return uncoordinated::g_on ? uncoordinated::Due() : g_checkpoints->participant->due(); }
void Taken(Csn csn, bool ok) {
  if (uncoordinated::g_on) {
    uncoordinated::Taken(csn, ok);
  } else {
    g_checkpoints->participant->OnTentativeTaken(csn, ok);
  }
}
Action ActionFor(Peer* peer, std::uint32_t word) {
  return uncoordinated::g_on ? uncoordinated::OnMessage(ChannelOf(peer), word)
                             : g_checkpoints->participant->OnMessage(ChannelOf(peer), word);
}
// The cut of `csn` is here.
checkpoint::CutRecord MakeCut(Csn csn) {
  if (uncoordinated::g_on) return uncoordinated::Cut();
  checkpoint::CutRecord cut = g_checkpoints->participant->Cut();
  if (!Coordinated()) log_trimming::NoteCut(cut);
  in_transit::Begin(csn);
  return cut;
}
// The checkpoint that the next one may build on; 0: none.
Csn Newest() {
  return uncoordinated::g_on ? uncoordinated::Newest() : g_checkpoints->participant->permanent();
}

// Takes in what was kept back.
void ReleaseKept() {
  std::deque<KeptMessage> kept = std::move(g_checkpoints->kept);
  g_checkpoints->kept.clear();
  for (KeptMessage& message : kept) {
    engine::TakeIn(message.peer, *reinterpret_cast<const WireHeader*>(message.bytes.data()));
  }
}

// Is there anything that an image can't hold and that ends with an answer from another rank?
bool MustWait() {
  if (!g.held_peers.empty() || in_transit::Fetching()) return true;
  return std::any_of(g.known_peers.begin(), g.known_peers.end(), [](const Peer* peer) {
    return !peer->synchronous.empty() || !peer->matched_early.empty();
  });
}

void GiveUp(Csn csn) {
  g_wanted = false;
  Taken(csn, false);
  ReleaseKept();
}

void LookAfterWriter() {
  if (g_checkpoints->writer == 0) return;
  bool success = false;
  if (!image::WriterEnded(g_checkpoints->writer, &success)) return;
  g_checkpoints->writer = 0;
  const Csn csn = g_checkpoints->writing;
  if (!success) incremental::Failed();
  if (g_checkpoints->discarded) return;
  if (!success) Message("checkpoint %u of this rank could not be written", csn);
  Taken(csn, success);
}

// Output waits for a checkpoint: it is asked for, but not all the time.
void AskForOutput() {
  if (g.status->output_waiting.load(std::memory_order_relaxed) == 0) return;
  const checkpoint::Participant& participant = *g_checkpoints->participant;
  if (participant.due() != 0 || g_checkpoints->writer != 0 || g_checkpoints->obstacle_said ||
      participant.permanent() >= g.interval) {
    return;
  }
  constexpr std::uint64_t kLeast = 1'000'000'000;
  constexpr std::uint64_t kShare = 4;  // of the time for work, one for checkpoints
  const std::uint64_t now = logging::Environment::Posix()->MonotonicNanoseconds();
  const std::uint64_t pause = std::max(kLeast, kShare * g_checkpoints->commit_took);
  if (now - g_checkpoints->output_asked < pause) return;
  g_checkpoints->output_asked = now;
  g_checkpoints->participant->Request(checkpoint::Reason::kOutput);
}

// The program ends. What it has written, and writes on exit, may depend on events that no permanent
// checkpoint holds: one is taken, so that a rank that is lost from here on does not take another
// course than what the others have shown.
void CommitOutput() {
  const auto committed = [] { return g_checkpoints->participant->permanent() >= g.interval; };
  const auto hopeless = [](Csn before) {
    const checkpoint::Participant& participant = *g_checkpoints->participant;
    return image_obstacle::Found() != nullptr ||
           (participant.aborted() && participant.csn() > before);
  };
  if (!committed()) {
    const Csn before = g_checkpoints->participant->csn();
    g_checkpoints->participant->Request(checkpoint::Reason::kOutput);
    engine::WaitUntil([&] { return committed() || hopeless(before); });
  }
  // Ordinary messages, so that a checkpoint may fall in between. They bring what others depend on,
  // which is committed, or can't be; the commit's announcement may still be on its way.
  Party(g_world).Barrier();
  engine::WaitUntil([&] { return committed() || hopeless(0); });
}

// The state is as an image may hold it: nothing is under way that Open MPI knows of and we do not
// have in the log. `csn` is being cut. After a restart this returns in another process.
void Record(Csn csn) {
  static checkpoint_sink::ServerSink* sink = nullptr;  // nothing of the process on the stack
  static pid_t writer = 0;
  static incremental::Basis basis;
  {
    // Answers that said no are an event of their own now: the restored rank's next ones are counted
    // from here.
    events::FlushPollFailures();
    std::fflush(nullptr);
    if (!SyncOutput() && (Coordinated() || uncoordinated::g_on)) {
      // What the companion holds back would be lost with it.
      Message("checkpoint %u can't be taken: the companion can't keep the output held back", csn);
      GiveUp(csn);
      return;
    }
    const checkpoint::CutRecord cut = MakeCut(csn);
    g_checkpoints->cut_made = logging::Environment::Posix()->MonotonicNanoseconds();
    basis = incremental::Next(csn, Newest());
    delete sink;
    sink = checkpoint_sink::Make(g_checkpoints->names.job, g_checkpoints->names.local_directory,
                                 csn, basis.base_csn, checkpoint::EncodeCut(cut));
  }
  engine::NoteSendsUnderWay();
  saved_state::Store();
  try {
    if (image::Capture(*sink, &writer, basis.tracker) == image::Outcome::kRestored) {
      restart::GoOn();
      return;
    }
  } catch (const image::ImageError& error) {
    Message("checkpoint %u can't be taken: %s; the job goes on", csn, error.what());
    incremental::Failed();
    Taken(csn, false);
    return;
  }
  g_checkpoints->writer = writer;
  g_checkpoints->writing = csn;
  g_checkpoints->discarded = false;
}

}  // namespace

void StartNodeServer(const JobNames& names) {
  if (engine::NodeLeader(g.rank) != g.rank) return;
  std::string error;
  if (!checkpoint_levels::StartServer(names, g.epoch, &error)) Fatal("%s", error.c_str());
}

void Start(const JobNames& names, std::uint32_t csn) {
  g_checkpoints = new Checkpoints;
  g_checkpoints->names = names;
  // The others wait in the barrier behind MPI_Init. Where a rank may start from a checkpoint the
  // server runs already.
  if (csn == 0 && !restart::EachFromItsOwn()) {
    checkpoint_levels::ShareSecret(names);
    StartNodeServer(names);
  }
  checkpoint_levels::MeetPartners(names);
  checkpoint::CoordinationConfiguration configuration;
  configuration.rank = g.rank;
  configuration.size = g.size;
  configuration.keeper = checkpoint::Keeper::kReceiver;
  const CheckpointSettings& settings = g.configuration.checkpoints;
  configuration.transit = settings.transit;
  configuration.strategy = settings.strategy;
  configuration.interval = settings.interval;
  configuration.every = settings.every;
  configuration.timeout = settings.timeout;
  configuration.epoch = g.epoch;
  configuration.csn = csn;
  configuration.announce_commit = true;
  configuration.maximum_control = engine::kMaximumInline;
  if (settings.kind == checkpoint::CheckpointKind::kCoordinated) {
    g_checkpoints->participant = std::make_unique<checkpoint::Participant>(configuration, &g_host);
  } else {
    uncoordinated::Start(names);
  }
  incremental::Start(g.configuration.incremental, g.configuration.full_every);
  checkpoint_triggers::Start(settings, g.status, g_checkpoints->participant.get());
  g_on = true;
  EngineLock::watched = true;
}

bool WantCut() {
  if (const char* reason = image_obstacle::Found()) {
    if (!g_checkpoints->obstacle_said) {
      Message(
          "no checkpoint can be taken: %s; the job goes on, and is recovered from its last "
          "checkpoint or from its beginning",
          reason);
    }
    g_checkpoints->obstacle_said = true;
    return false;
  }
  g_wanted = true;
  return true;
}

void Restore(const checkpoint::CutRecord& cut, std::uint64_t interval,
             std::span<const checkpoint::ChannelCut> saved) {
  if (uncoordinated::g_on) {
    uncoordinated::Restore(cut, interval);
  } else {
    g_checkpoints->participant->Restore(cut, saved);
  }
  checkpoint_triggers::Restored();
}

void Stop() {
  if (!g_on) return;
  if (Coordinated()) CommitOutput();
  g_checkpoints->stopped = true;
  if (uncoordinated::g_on) uncoordinated::Stop();
  if (g_wanted) {
    g_wanted = false;
    Taken(Due(), false);
  }
  engine::WaitUntil([] {
    in_transit::TakeFetched();
    return !in_transit::Fetching();
  });
  ReleaseKept();
  if (g_checkpoints->writer != 0) {
    engine::WaitUntil([] {
      LookAfterWriter();
      return g_checkpoints->writer == 0;
    });
  }
}

std::uint32_t WordFor(Peer* peer) {
  checkpoint::Channel* const channel = ChannelOf(peer);
  return __builtin_expect(uncoordinated::g_on, 0) ? uncoordinated::BeforeSend(channel)
                                                  : g_checkpoints->participant->BeforeSend(channel);
}

std::uint32_t ResendWord(Peer* peer, std::uint64_t number) {
  if (uncoordinated::g_on) return 0;
  return g_checkpoints->participant->ResendWord(ChannelOf(peer), number);
}

bool OnMessage(Peer* peer, const WireHeader& header, const std::byte* payload) {
  const bool behind = in_transit::Fetching(peer) ||
                      std::any_of(g_checkpoints->kept.begin(), g_checkpoints->kept.end(),
                                  [peer](const KeptMessage& kept) { return kept.peer == peer; });
  const Action action = behind ? Action::kCheckpointFirst : ActionFor(peer, header.csn);
  switch (action) {
    case Action::kDeliver:
      return false;
    case Action::kSave:
      if (header.kind == MessageKind::kRendezvous) {
        in_transit::Fetch(peer, ChannelOf(peer)->received, header);
        return true;
      }
      in_transit::Save(peer->world_rank, ChannelOf(peer)->received, header, payload);
      return false;
    case Action::kCheckpointFirst: {
      const std::size_t bytes = header.kind == MessageKind::kRendezvous ? 0 : header.payload_length;
      KeptMessage message{peer, std::vector<std::byte>(sizeof header + bytes)};
      std::memcpy(message.bytes.data(), &header, sizeof header);
      if (bytes > 0) std::memcpy(message.bytes.data() + sizeof header, payload, bytes);
      g_checkpoints->kept.push_back(std::move(message));
      return true;
    }
    case Action::kRefuse:
      break;
  }
  Fatal("a message of rank %d does not fit the checkpoints: %s", peer->world_rank,
        g_checkpoints->participant->refusal().c_str());
}

void OnControl(int source, std::span<const std::byte> message) {
  if (uncoordinated::g_on) {
    if (!uncoordinated::OnControl(source, message))
      Fatal("a checkpoint message of rank %d can't be understood", source);
    return;
  }
  if (!g_checkpoints->participant->OnControl(source, message)) {
    Fatal("a checkpoint message of rank %d can't be understood: %s", source,
          g_checkpoints->participant->refusal().c_str());
  }
}

std::uint64_t NextCsn() { return g_on ? g_checkpoints->participant->csn() + std::uint64_t{1} : 1; }

void Tick() {
  LookAfterWriter();
  if (uncoordinated::g_on) {
    checkpoint_triggers::Poll();
    uncoordinated::Tick(logging::Environment::Posix()->MonotonicNanoseconds());
    return;
  }
  // What had to wait behind a large message; while a cut is due it waits on.
  if (in_transit::Fetching() && in_transit::TakeFetched() &&
      g_checkpoints->participant->due() == 0) {
    ReleaseKept();
  }
  in_transit::TryWriting();
  std::uint64_t saved = 0;
  bool success = false;
  if (in_transit::WritingEnded(&saved, &success))
    g_checkpoints->participant->OnInTransitStable(g_checkpoints->participant->csn(), saved,
                                                  success);
  checkpoint_triggers::Poll();
  if (Coordinated()) AskForOutput();
  g_checkpoints->participant->OnTick(logging::Environment::Posix()->MonotonicNanoseconds());
}

void TryCut() {
  if (g_no_cut != 0) return;
  const Csn csn = Due();
  if (csn == 0) {
    // Given up by others.
    g_wanted = false;
    ReleaseKept();
    return;
  }
  // Its end may be far off.
  if (engine::ReplayUnderWay()) {
    GiveUp(csn);
    return;
  }
  // A second image waits for the first one's end.
  const auto blocked = [] {
    return MustWait() || g_checkpoints->writer != 0 || in_transit::Writing();
  };
  bool wait = blocked();
  if (!wait) {
    g_wanted = false;
    engine::PullUnexpected();
    if (Due() != csn) {  // given up meanwhile
      g_wanted = Due() != 0;
      ReleaseKept();
      return;
    }
    g_wanted = true;
    wait = blocked();
  }
  if (wait) {
    // The answer that is waited for may come behind what is kept back.
    if (!g_checkpoints->kept.empty()) GiveUp(csn);
    return;
  }
  // Since the checkpoint was asked for the program may have met an obstacle.
  if (image_obstacle::Found() != nullptr || !objects::Describe()) {
    GiveUp(csn);
    return;
  }
  g_wanted = false;
  auto* const environment = logging::Environment::Posix();
  const std::uint64_t begun = environment->MonotonicNanoseconds();
  const std::uint16_t epoch = g.epoch;
  Record(csn);
  if (g.epoch == epoch)
    checkpoint_triggers::NoteBlocked(environment->MonotonicNanoseconds() - begun);
  ReleaseKept();
}

}  // namespace ftmpi::checkpointing
