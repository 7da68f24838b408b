// The engine's state, shared by its parts (wire, sending, receiving, events, replay). Nobody else
// includes this.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "checkpoint/channel_table.h"
#include "logging/event_log.h"
#include "logging/payload_log.h"
#include "logging/protocol.h"
#include "logging/rank_status.h"
#include "logging/replay_log.h"
#include "logging/wire_header.h"
#include "pmpi/configuration.h"
#include "pmpi/match_queue.h"
#include "pmpi/request.h"

namespace ftmpi::engine {

// A logged message that the protocol does not let go yet.
struct HeldSend {
  logging::LogRecord* record;  // pinned; null: it is the answer to a synchronous send instead
  std::uint64_t matched_ssn;   // that send's message
};

// Names a message of a schedule: Lane::kSchedule in engine.h.
struct ScheduleKey {
  std::uint64_t communicator;
  std::int32_t tag;
  std::uint64_t number;
  bool operator==(const ScheduleKey&) const = default;
};
struct ScheduleKeyHash {
  std::size_t operator()(const ScheduleKey& key) const {
    std::uint64_t hash = key.communicator * 0x9e3779b97f4a7c15ULL;
    hash ^= (static_cast<std::uint64_t>(static_cast<std::uint32_t>(key.tag)) << 20 ^ key.number) *
            0xc2b2ae3d27d4eb4fULL;
    return hash ^ hash >> 29;
  }
};

// What an earlier incarnation sent to one destination: its records are sent again from the log, and
// the re-executed sends are compared with them and go no further.
struct ReplayChannel {
  // Messages are counted from 0 since the job's start; the log may begin later (it was trimmed).
  std::size_t first = 0;                 // of these messages
  std::vector<std::uint64_t> positions;  // of all its records, in log order (which is wire order)
  std::uint64_t first_ssn = 1;           // of `program`
  std::vector<std::size_t> program;      // [ssn - first_ssn]: the message
  std::unordered_map<ScheduleKey, std::size_t, ScheduleKeyHash> schedule;  // the message
  std::size_t base = 0;        // the destination's checkpoint has the first so many
  std::size_t pushed = 0;      // the first so many have been sent
  std::uint64_t credited = 0;  // so many have been delivered at the destination
  // The windows grow while nothing is delivered: the destination may want a message behind them
  // first, and nobody executes the sends in front of this rank's own cut again.
  std::uint64_t windows = 1;
  std::uint32_t stalled = 0;             // polls since something was delivered
  std::vector<std::uint64_t> unmatched;  // SSNs of synchronous ones that wait there to be matched

  [[nodiscard]] std::size_t end() const { return first + positions.size(); }
  [[nodiscard]] std::uint64_t At(std::size_t message) const { return positions[message - first]; }
  // The first SSN that is not in the log.
  [[nodiscard]] std::uint64_t end_ssn() const { return first_ssn + program.size(); }
};

// What this rank keeps of another rank that it has talked to.
struct Peer {
  int world_rank = -1;
  checkpoint::Channel* channel = nullptr;  // with checkpoints; the process's own
  std::uint32_t inline_limit = 0;          // payload bytes that still go with the header
  std::uint64_t last_ssn = 0;              // of the program's sends to it
  std::uint64_t known_interval = 0;        // greatest state interval of it that was delivered here
  std::uint32_t next_transfer = 0;         // tag of the next payload on the payload communicator
  std::uint64_t replayed_delivered = 0;    // replayed messages from it that were delivered
  std::deque<HeldSend> held;
  std::vector<Request*> synchronous;         // sends that wait for kMatched
  std::vector<std::uint64_t> matched_early;  // kMatched that came before the re-executed send
  std::unique_ptr<ReplayChannel> replay;
};

// What the engine knows of the program's MPI calls so far: part of the program's state
// (pmpi/saved_state.h). Which events come next is counted here, so that a restored process goes on
// with the same ordinals.
struct ProgramState {
  std::vector<Peer*> peers;         // by world rank; null until talked to
  std::vector<Peer*> known_peers;   // those that are not null
  std::vector<Peer*> held_peers;    // with held sends
  std::vector<Peer*> replay_peers;  // with records to push

  std::uint64_t interval = 0;          // current state interval index
  std::uint64_t poll_failures = 0;     // polling calls that said no since the last event
  std::uint64_t last_failed_poll = 0;  // ordinal of the last of them
  std::uint64_t post_order = 0;        // receives posted
  std::uint64_t wildcard_ordinal = 0;
  std::uint64_t poll_ordinal = 0;
  std::uint64_t probe_ordinal = 0;
  std::uint64_t value_ordinal = 0;

  std::vector<ScheduleOwner*> ready_schedules;
  std::vector<Request*> finished_schedules;  // freed by the program, to be deleted
  std::uint32_t finalize_received = 0;       // bit per round of the shutdown barrier
  // At a checkpoint: large sends whose payload is under way. It is in the log, too.
  std::vector<Request*> sends_under_way;
};

// The rest is the process's own.
struct EngineState : ProgramState {
  int rank = -1;
  int size = 0;
  std::uint16_t epoch = 0;
  Configuration configuration;
  logging::ProtocolConfiguration protocol_configuration;
  bool several_units = false;

  std::unique_ptr<logging::PayloadLog> payload_log;  // null in coordinated mode
  std::unique_ptr<logging::EventLog> event_log;      // null in coordinated mode
  std::unique_ptr<logging::Protocol> protocol;
  logging::RankStatus* status = nullptr;

  // Every message is in the log before it leaves: a receiver may have it in a checkpoint of its own
  // when this process ends in between (pmpi/uncoordinated.h).
  bool log_first = false;
  bool replaying = false;         // events of the replay log are left
  std::uint32_t idle_polls = 0;   // polls in a row that found nothing
  bool has_events = false;        // the protocol has something to say when the wire is idle
  bool flushing = false;          // the companion writes event blocks to stable storage
  std::uint64_t stable_seen = 0;  // RankStatus::stable as told to the protocol
};

extern EngineState g;
extern bool g_threaded;  // MPI_THREAD_MULTIPLE

// --- wire ---------------------------------------------------------------------------------------
// Payload bytes that a message may carry beside its header, for any peer.
inline constexpr std::size_t kMaximumInline = 65536 - 256;
// What a slot of the receive ring holds behind a header.
inline constexpr std::size_t kSlotPayload = 65536;
inline constexpr std::uint32_t kReplayedBit = 1U << 30;  // in WireHeader::csn: sent from the log

void PrepareNodeMap();  // collective over MPI_COMM_WORLD, before NodeLeader is asked
void StartWire();       // collective over MPI_COMM_WORLD
void StopWire();
Peer* MakePeer(int world_rank);
// After a restart: what peers have that depends on the process.
void RenewPeers();
inline Peer* PeerOf(int world_rank) {
  Peer* peer = g.peers[static_cast<std::size_t>(world_rank)];
  return __builtin_expect(peer != nullptr, 1) ? peer : MakePeer(world_rank);
}
// Sends header, payload and piggyback of an inline record. The record stays pinned until it is out.
void TransmitInline(Peer* peer, logging::LogRecord* record, std::uint64_t piggyback);
// A short message can also be built in a buffer that the caches hold, and go into the log when it
// has left: while the rank waits, or when kMaximumUnlogged later ones have left, or when the log is
// asked for (LogAllBuilt). The log's memory, which no cache holds, is so written while the messages
// travel. (A process that ends in between has sent messages that are not in its log. They are the
// last ones on it: the process sends them again when it is recovered, as it does with everything
// after its last determinant.)
inline constexpr std::size_t kBuiltBytes = 4096;
inline constexpr int kMaximumUnlogged = 8;
// Where it is built: a header with kBuiltBytes behind it. Null: too many are under way.
logging::WireHeader* BuildingBuffer();
// Sends what was built: the header and `bytes` behind it. With `blocking` it has left on return, or
// Open MPI has it: for blocking sends, which may wait where MPI's own would.
void TransmitBuilt(Peer* peer, std::size_t bytes, bool blocking);
// Puts the oldest message that was built and is not in the log into it. False: all are.
bool LogBuilt();
// Before anything else is appended to the log, and before its end is looked at.
void LogAllBuilt();
// Sends a message without a log record: `header` and `payload` are copied.
void TransmitCopy(Peer* peer, const logging::WireHeader& header, const void* payload,
                  std::size_t bytes);
// Starts sending or receiving a large payload on the payload communicator. On completion: `request`
// (may be null) is finished, `record` (may be null) is unpinned.
// `block` (may be null) is freed.
void SendPayload(Peer* peer, std::uint32_t transfer, const void* data, std::uint64_t bytes,
                 Request* request, logging::LogRecord* record, void* block = nullptr);
void ReceivePayload(Peer* peer, std::uint32_t transfer, void* data, std::uint64_t bytes,
                    Request* request);
// One poll: handles at most one message. True: something was done.
bool PollWire();
// Is a send of ours still under way?
bool WireBusy();
// Is a large payload being received?
bool ReceivesUnderWay();

// --- sending ------------------------------------------------------------------------------------
// Transmits a committed record: inline, or header and payload from the log.
void TransmitRecord(Peer* peer, logging::LogRecord* record, bool replayed);
void ReleaseHeldSends();
void SendMatched(Peer* peer, std::uint64_t ssn);
void OnMatched(Peer* peer, std::uint64_t ssn);

// --- checkpoints ---

// Receives the payload of large messages that no receive has matched yet, and waits for those that
// are under way: then no part of a message that has arrived is outside of this process.
void PullUnexpected();
// Fills ProgramState::sends_under_way.
void NoteSendsUnderWay();
// Takes in a message that came with the checkpoint: its receiver has saved it in transit.
void TakeInSaved(Peer* peer, const logging::WireHeader& header, const std::byte* payload);
// Takes in a message that was kept back.
void TakeIn(Peer* peer, const logging::WireHeader& header);

// --- receiving ----------------------------------------------------------------------------------
// A message came off the wire: a header, with payload and piggyback behind it.
void OnArrival(int source, const logging::WireHeader& header);
// A large payload is complete.
void OnPayloadReceived(Request* request, int error);
// Gives a message to a receive that it was matched with.
void Deliver(Request* request, Peer* peer, const logging::WireHeader& header,
             const std::byte* payload);
// Takes an unexpected message out of its queue's hands and delivers it.
void DeliverUnexpected(Request* request, MatchQueue* queue, UnexpectedMessage* message);
void CompleteReceive(Request* request, int error);
// Takes a delivered message back from a receive and puts it at the head of its source's unexpected
// messages: the replay of a cancellation that came before the message then, and after it now.
void ReturnDelivered(Request* request);

// --- control ------------------------------------------------------------------------------------
void OnCredit(Peer* peer, std::uint64_t delivered);
// What the protocol and the companion are to be asked when the wire is idle.
void IdlePoll();
// The last thing before the wire is taken down: everybody has arrived, nothing is under way.
void FinalBarrier();

}  // namespace ftmpi::engine
