#include "pmpi/replay.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "pmpi/checkpointing.h"
#include "pmpi/datatype.h"
#include "pmpi/message.h"
#include "pmpi/registered.h"

namespace ftmpi::engine {
namespace {

using logging::LogRecord;
using logging::MessageKind;

// Messages that may be under way from the log and not delivered; large ones count for several.
constexpr std::uint64_t kWindow = 64;
constexpr std::uint64_t kLargeWindow = 4;
// Polls without a delivery until the windows double.
constexpr std::uint32_t kStalledPolls = 4096;
constexpr std::uint64_t kWidestWindows = std::uint64_t{1} << 32;

void PushRecord(Peer* peer, ReplayChannel* channel) {
  LogRecord* record = OrFatal([&] { return g.payload_log->PinAt(channel->At(channel->pushed)); });
  ++channel->pushed;
  record->header.csn = checkpointing::g_on ? checkpointing::ResendWord(peer, channel->pushed) : 0;
  TransmitRecord(peer, record, true);
  g.payload_log->Unpin(record);
}

[[noreturn]] void NotDeterministic(const Peer* peer, const Request* request, const char* what) {
  Fatal(
      "message %lu to rank %d (tag %d) is not the one that was sent before the failure: %s. The "
      "program is not "
      "deterministic between events (time, random numbers, threads, files?), so it can't be "
      "recovered by replay",
      static_cast<unsigned long>(request->ssn), peer->world_rank, request->tag, what);
}

void Compare(Peer* peer, Request* request, std::uint64_t bytes, LogRecord* record) {
  const logging::WireHeader& header = record->header;
  char what[160];
  if (header.communicator != request->communicator->id || header.tag != request->tag ||
      ((header.flags & logging::kFlagCollective) != 0) !=
          (request->context == static_cast<std::uint8_t>(Context::kCollective))) {
    std::snprintf(what, sizeof what, "its tag was %d, or its communicator another one", header.tag);
    NotDeterministic(peer, request, what);
  }
  if (header.payload_length != bytes) {
    std::snprintf(what, sizeof what, "it had %lu bytes, now %lu",
                  static_cast<unsigned long>(header.payload_length),
                  static_cast<unsigned long>(bytes));
    NotDeterministic(peer, request, what);
  }
  DatatypeLayout layout;
  FTMPI_CHECK(GetLayout(request->datatype, &layout));
  const std::byte* now = nullptr;
  std::unique_ptr<std::byte[]> packed;
  if (layout.contiguous) {
    now = static_cast<const std::byte*>(request->buffer) + layout.true_lower;
  } else {
    packed = std::make_unique<std::byte[]>(bytes + 1);
    PackData(request->buffer, request->count, request->datatype, packed.get(), bytes);
    now = packed.get();
  }
  if (bytes == 0 || std::memcmp(now, record->payload(), bytes) == 0) return;
  const auto different = std::mismatch(now, now + bytes, record->payload()).first - now;
  std::snprintf(
      what, sizeof what, "the first differing byte is byte %ld of %lu (0x%02x then, 0x%02x now)",
      static_cast<long>(different), static_cast<unsigned long>(bytes),
      static_cast<unsigned>(record->payload()[different]), static_cast<unsigned>(now[different]));
  NotDeterministic(peer, request, what);
}

// The answer to a synchronous send that is executed again has come before, if the destination had
// matched the message at its cut.
void NoteMatchedThen(Peer* peer, const ReplayChannel& channel, const Request& request,
                     std::size_t index) {
  if (request.mode != SendMode::kSynchronous || index >= channel.base) return;
  const auto& waiting = channel.unmatched;
  if (std::find(waiting.begin(), waiting.end(), request.ssn) == waiting.end())
    peer->matched_early.push_back(request.ssn);
}

}  // namespace

void IndexPayloadLog(const CountOf& received_at, const CountOf& sent_at) {
  const logging::ChannelCounts* before = g.payload_log->before();
  FTMPI_CHECK(before != nullptr);
  g.payload_log->ForEach([&](LogRecord& record, std::uint64_t position) {
    FTMPI_CHECK(record.destination >= 0 && record.destination < g.size);
    Peer* peer = PeerOf(record.destination);
    if (!peer->replay) {
      peer->replay = std::make_unique<ReplayChannel>();
      const auto trimmed = before->find(record.destination);
      peer->replay->first = trimmed == before->end() ? 0 : trimmed->second;
      peer->replay->base = peer->replay->pushed = received_at(record.destination);
      // The plan starts from a checkpoint only if the log reaches back to it.
      FTMPI_CHECK(peer->replay->first <= peer->replay->base);
      g.replay_peers.push_back(peer);
    }
    ReplayChannel& channel = *peer->replay;
    const std::size_t index = channel.end();
    channel.positions.push_back(position);
    if ((record.header.flags & logging::kFlagSchedule) != 0) {
      if (index >= sent_at(record.destination))
        channel.schedule[ScheduleKey{record.header.communicator, record.header.tag,
                                     record.header.ssn}] = index;
    } else {
      if (channel.program.empty()) channel.first_ssn = record.header.ssn;
      FTMPI_CHECK(record.header.ssn == channel.end_ssn());
      channel.program.push_back(index);
    }
    return true;
  });
}

void ExchangeUnmatched() {
  const auto size = static_cast<std::size_t>(g.size);
  std::vector<std::vector<std::uint64_t>> waiting(size);  // by source
  ForEachMatchQueue([&waiting](MatchQueue* queue) {
    for (const UnexpectedMessage* message = queue->arrival_head; message != nullptr;
         message = message->arrival_next) {
      if ((message->header.flags & logging::kFlagSynchronous) != 0)
        waiting[static_cast<std::size_t>(message->source)].push_back(message->header.ssn);
    }
  });
  std::vector<int> counts(size, 0);
  std::vector<int> starts(size, 0);
  std::vector<std::uint64_t> mine;
  for (std::size_t rank = 0; rank < size; ++rank) {
    counts[rank] = static_cast<int>(waiting[rank].size());
    starts[rank] = static_cast<int>(mine.size());
    mine.insert(mine.end(), waiting[rank].begin(), waiting[rank].end());
  }
  std::vector<int> their_counts(size, 0);
  std::vector<int> their_starts(size, 0);
  PMPI_Alltoall(counts.data(), 1, MPI_INT, their_counts.data(), 1, MPI_INT, MPI_COMM_WORLD);
  int total = 0;
  for (std::size_t rank = 0; rank < size; ++rank) {
    their_starts[rank] = total;
    total += their_counts[rank];
  }
  std::vector<std::uint64_t> theirs(static_cast<std::size_t>(total));
  PMPI_Alltoallv(mine.data(), counts.data(), starts.data(), MPI_UINT64_T, theirs.data(),
                 their_counts.data(), their_starts.data(), MPI_UINT64_T, MPI_COMM_WORLD);
  for (Peer* peer : g.replay_peers) {
    const auto rank = static_cast<std::size_t>(peer->world_rank);
    const auto first = theirs.begin() + their_starts[rank];
    peer->replay->unmatched.assign(first, first + their_counts[rank]);
  }
}

bool ReplaySend(Peer* peer, Request* request, std::uint64_t bytes) {
  ReplayChannel& channel = *peer->replay;
  std::size_t index = 0;
  if (request->schedule_lane) {
    const auto found =
        channel.schedule.find(ScheduleKey{request->communicator->id, request->tag, request->ssn});
    if (found == channel.schedule.end()) return false;
    index = found->second;
    channel.schedule.erase(found);
  } else {
    if (channel.program.empty() || request->ssn >= channel.end_ssn()) {
      // New in this incarnation: it goes behind all that was logged.
      while (channel.pushed < channel.end()) PushRecord(peer, &channel);
      if (channel.schedule.empty()) {
        std::erase(g.replay_peers, peer);
        peer->replay.reset();
      }
      return false;
    }
    FTMPI_CHECK(request->ssn >= channel.first_ssn);
    index = channel.program[request->ssn - channel.first_ssn];
  }
  if (checkpointing::g_on) checkpointing::WordFor(peer);
  if (registered::g_on) ++registered::g_sent;
  NoteMatchedThen(peer, channel, *request, index);
  while (channel.pushed <= index) PushRecord(peer, &channel);
  LogRecord* record = OrFatal([&] { return g.payload_log->PinAt(channel.At(index)); });
  Compare(peer, request, bytes, record);
  g.payload_log->Unpin(record);
  return true;
}

void DropFinishedReplay() {
  for (std::size_t n = 0; n < g.replay_peers.size();) {
    Peer* peer = g.replay_peers[n];
    const ReplayChannel& channel = *peer->replay;
    const bool sends_left = !channel.program.empty() && peer->last_ssn + 1 < channel.end_ssn();
    if (channel.pushed < channel.end() || sends_left || !channel.schedule.empty()) {
      ++n;
      continue;
    }
    peer->replay.reset();
    g.replay_peers.erase(g.replay_peers.begin() + static_cast<std::ptrdiff_t>(n));
  }
}

bool ReplayUnderWay() {
  DropFinishedReplay();
  return g.replaying || !g.replay_peers.empty();
}

bool PushReplay() {
  bool did = false;
  for (Peer* peer : g.replay_peers) {
    ReplayChannel& channel = *peer->replay;
    for (int n = 0; n < 8 && channel.pushed < channel.end(); ++n) {
      const std::uint64_t outstanding =
          channel.pushed - std::min<std::uint64_t>(channel.base + channel.credited, channel.pushed);
      bool closed = outstanding >= kWindow * channel.windows;
      if (!closed && outstanding >= kLargeWindow * channel.windows) {
        LogRecord* record =
            OrFatal([&] { return g.payload_log->PinAt(channel.At(channel.pushed)); });
        closed = record->header.kind == MessageKind::kRendezvous;
        g.payload_log->Unpin(record);
      }
      if (closed) {
        if (++channel.stalled >= kStalledPolls) {
          channel.stalled = 0;
          channel.windows = std::min(2 * channel.windows, kWidestWindows);
        }
        break;
      }
      PushRecord(peer, &channel);
      did = true;
    }
  }
  return did;
}

void OnCredit(Peer* peer, std::uint64_t delivered) {
  if (!peer->replay) return;
  peer->replay->credited = std::max(peer->replay->credited, delivered);
  peer->replay->stalled = 0;
}

}  // namespace ftmpi::engine
