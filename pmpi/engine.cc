#include "pmpi/engine.h"

#include <cstring>
#include <mutex>
#include <new>
#include <set>
#include <string>

#include "checkpoint/image/library_scope.h"
#include "pmpi/checkpointing.h"
#include "pmpi/datatype.h"
#include "pmpi/engine_state.h"
#include "pmpi/events.h"
#include "pmpi/image_obstacle.h"
#include "pmpi/inject.h"
#include "pmpi/message.h"
#include "pmpi/replay.h"
#include "pmpi/saved_state.h"

namespace ftmpi {

bool g_active = false;

namespace {

// Only with MPI_THREAD_MULTIPLE. Recursive: callbacks of the program (attributes, error handlers,
// generalised requests) run under the lock and may call MPI.
std::recursive_mutex g_mutex;
thread_local int t_depth = 0;
// The first thread that called MPI, to notice when a second one does.
bool g_threads_seen = false;
char t_dummy_anchor;
thread_local char t_anchor;
const char* g_first_thread = &t_dummy_anchor;

}  // namespace

namespace engine {
EngineState g;
bool g_threaded = false;
}  // namespace engine

bool EngineLock::watched = false;

void EngineLock::Enter(const char* function) {
  if (__builtin_expect(engine::g_threaded, 0)) {
    g_mutex.lock();
    if (++t_depth == 1 && !g_threads_seen) {
      if (g_first_thread == &t_dummy_anchor) {
        g_first_thread = &t_anchor;
      } else if (g_first_thread != &t_anchor) {
        g_threads_seen = true;
        engine::NoticeUnrecoverable("MPI calls from several threads");
      }
    }
  }
  image::EnterLibrary();
  if (__builtin_expect(inject::g_armed, 0)) inject::Count(function);
  if (checkpointing::g_on) {
    // About a millisecond, by the processor's counter: a program that calls MPI seldom is to hear
    // of a checkpoint as well.
    constexpr std::uint64_t kTick = std::uint64_t{1} << 21;
    static std::uint64_t last = 0;
    const std::uint64_t now = __builtin_ia32_rdtsc();
    if (now - last >= kTick) {
      last = now;
      checkpointing::Tick();
    }
    if (checkpointing::g_wanted) checkpointing::TryCut();
  }
}

void EngineLock::Leave() {
  image::LeaveLibrary();
  if (__builtin_expect(engine::g_threaded, 0)) {
    --t_depth;
    g_mutex.unlock();
  }
}

namespace engine {
namespace {

FTMPI_SAVED Request* g_free_requests = nullptr;
FTMPI_SAVED Request* g_complete_send = nullptr;

Request* MakeCompleteSend() {
  g_complete_send = NewRequest(RequestKind::kSend, nullptr);
  g_complete_send->active = true;
  g_complete_send->complete = true;
  g_complete_send->shared = true;
  return g_complete_send;
}

}  // namespace

int Rank() { return g.rank; }
int Size() { return g.size; }
std::uint16_t Epoch() { return g.epoch; }

Request* NewRequest(RequestKind kind, Communicator* communicator) {
  Request* request = g_free_requests;
  if (__builtin_expect(request != nullptr, 1)) {
    g_free_requests = request->next;
    new (request) Request;
  } else {
    request = new Request;
  }
  request->kind = kind;
  request->communicator = communicator;
  if (communicator != nullptr) ++communicator->references;
  return request;
}

Request* CompleteSend() {
  return __builtin_expect(g_complete_send != nullptr, 1) ? g_complete_send : MakeCompleteSend();
}

void DeleteRequest(Request* request) {
  FTMPI_CHECK(request->magic == Request::kMagic);
  if (__builtin_expect(request->shared, 0)) return;
  request->magic = 0;
  if (request->schedule != nullptr) delete request->schedule;
  if (__builtin_expect(request->datatype_holder != MPI_DATATYPE_NULL, 0)) {
    ReleaseDatatype(request->datatype_holder, request->datatype);
  }
  if (Communicator* communicator = request->communicator) ReleaseCommunicator(communicator);
  request->next = g_free_requests;
  g_free_requests = request;
}

void CompleteRequest(Request* request) {
  request->complete = true;
  if (request->owner != nullptr) {
    if (--request->owner->pending == 0) g.ready_schedules.push_back(request->owner);
  } else if (__builtin_expect(request->freed, 0)) {
    request->active = false;
    // A schedule completes from inside its own Advance: it is deleted when that has returned.
    if (request->schedule != nullptr) {
      g.finished_schedules.push_back(request);
    } else {
      DeleteRequest(request);
    }
  }
}

Request* CollectiveSend(const void* buffer, int count, MPI_Datatype datatype, int peer, int tag,
                        Communicator* communicator, Lane lane, ScheduleOwner* owner) {
  Request* request = NewRequest(RequestKind::kSend, communicator);
  request->context = static_cast<std::uint8_t>(Context::kCollective);
  request->schedule_lane = lane == Lane::kSchedule;
  request->buffer = const_cast<void*>(buffer);
  request->count = count;
  request->datatype = datatype;
  request->peer = peer;
  request->tag = tag;
  request->owner = owner;
  StartSend(request);
  return request;
}

Request* CollectiveReceive(void* buffer, int count, MPI_Datatype datatype, int peer, int tag,
                           Communicator* communicator, ScheduleOwner* owner) {
  Request* request = NewRequest(RequestKind::kReceive, communicator);
  request->context = static_cast<std::uint8_t>(Context::kCollective);
  request->buffer = buffer;
  request->count = count;
  request->datatype = datatype;
  request->peer = peer;
  request->tag = tag;
  request->owner = owner;
  StartReceive(request);
  return request;
}

void QueueSchedule(ScheduleOwner* schedule) { g.ready_schedules.push_back(schedule); }

namespace {

// What seldom is to be done beside the wire.
bool ProgressMore() {
  bool did = false;
  while (!g.ready_schedules.empty()) {
    ScheduleOwner* schedule = g.ready_schedules.back();
    g.ready_schedules.pop_back();
    schedule->Advance();
    did = true;
  }
  while (!g.finished_schedules.empty()) {
    Request* request = g.finished_schedules.back();
    g.finished_schedules.pop_back();
    DeleteRequest(request);
  }
  if (!g.held_peers.empty()) ReleaseHeldSends();
  if (!g.replay_peers.empty()) did |= PushReplay();
  if (g.replaying) events::FinishReplayIfDone();
  return did;
}

// The wire was empty. What is not urgent waits for a longer pause.
void Idle() {
  constexpr std::uint32_t kPause = 64;
  if (g.has_events) IdlePoll();
  if (++g.idle_polls % kPause != 0) return;
  if (checkpointing::g_on) checkpointing::Tick();
  if (!g.has_events) IdlePoll();
  if (g.payload_log) OrFatal([] { g.payload_log->PrepareAhead(); });
}

}  // namespace

bool Progress() {
  bool did = PollWire();
  if (did) g.idle_polls = 0;
  if (__builtin_expect(!g.ready_schedules.empty() || !g.held_peers.empty() ||
                           !g.replay_peers.empty() || g.replaying || !g.finished_schedules.empty(),
                       0)) {
    did |= ProgressMore();
  }
  // What was sent goes into the log while we wait anyway.
  if (!did && !LogBuilt()) Idle();
  return did;
}

void IdlePoll() {
  g.protocol->Poll();
  if (g.flushing) {
    const std::uint64_t stable = g.status->stable.load(std::memory_order_acquire);
    if (stable > g.stable_seen) {
      g.stable_seen = stable;
      g.protocol->OnStable(stable);
    }
  }
  if (g.status->output_waiting.load(std::memory_order_relaxed) != 0) {
    events::FlushPollFailures();
    g.protocol->Flush();
  }
  events::PublishCommittable();
  if (!g.held_peers.empty()) ReleaseHeldSends();
}

void WaitStep(std::uint32_t* idle) {
  if (Progress()) {
    *idle = 0;
    return;
  }
  ++*idle;
  if (__builtin_expect(checkpointing::g_wanted, 0)) checkpointing::TryCut();
  if (__builtin_expect(g_threaded, 0)) {
    const int depth = t_depth;
    for (int n = 0; n < depth; ++n) g_mutex.unlock();
    for (int n = 0; n < depth; ++n) g_mutex.lock();
  }
}

void Wait(Request* request) {
  std::uint32_t idle = 0;
  while (!request->complete) WaitStep(&idle);
}

void WaitSent(Request* request) {
  if (__builtin_expect(g.held_peers.empty(), 1) || request->peer == MPI_PROC_NULL) return;
  Peer* peer = PeerOf(request->communicator->PeerWorldRank(request->peer));
  WaitUntil([peer] { return peer->held.empty(); });
}

void NoticeUnrecoverable(const char* what) {
  image_obstacle::Note("the program uses what recovery can't cross");
  static std::set<std::string> said;
  if (!said.insert(what).second) return;
  if (g.rank != 0 && std::strncmp(what, "MPI calls", 9) != 0) return;
  Message("%s: recovery can't cross this point, the run goes on without protection behind it",
          what);
}

void StartFinalize(int destination, int round) {
  logging::WireHeader header{};
  header.version = logging::kWireVersion;
  header.kind = logging::MessageKind::kFinalize;
  header.ssn = static_cast<std::uint64_t>(round);
  TransmitCopy(PeerOf(destination), header, nullptr, 0);
}

void FinalBarrier() {
  g.protocol->Flush();
  events::FlushPollFailures();
  for (const Peer* peer : g.replay_peers) {
    const ReplayChannel& channel = *peer->replay;
    if (peer->last_ssn >= channel.program.size() && channel.schedule.empty()) continue;
    Fatal(
        "the program ends after %lu messages to rank %d, but had sent %zu before the failure: it "
        "is not deterministic "
        "between events (time, random numbers, threads, files?), so it can't be recovered by "
        "replay",
        static_cast<unsigned long>(peer->last_ssn), peer->world_rank, channel.program.size());
  }
  WaitUntil([] { return g.held_peers.empty() && !WireBusy(); });
  // Dissemination: in round k hear from rank - 2^k. Everybody polls the wire until all are here, so
  // that acknowledgements and requests of slower ranks are served.
  int round = 0;
  for (int distance = 1; distance < g.size; distance *= 2, ++round) {
    StartFinalize((g.rank + distance) % g.size, round);
    WaitUntil([round] { return (g.finalize_received >> round & 1U) != 0; });
  }
  WaitUntil([] { return !WireBusy(); });
  LogAllBuilt();
}

}  // namespace engine
}  // namespace ftmpi
