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
      if (outstanding >= kWindow) break;
      if (outstanding >= kLargeWindow) {
        LogRecord* record =
            OrFatal([&] { return g.payload_log->PinAt(channel.At(channel.pushed)); });
        const bool large = record->header.kind == MessageKind::kRendezvous;
        g.payload_log->Unpin(record);
        if (large) break;
      }
      PushRecord(peer, &channel);
      did = true;
    }
  }
  return did;
}

void OnCredit(Peer* peer, std::uint64_t delivered) {
  if (peer->replay) peer->replay->credited = std::max(peer->replay->credited, delivered);
}

}  // namespace ftmpi::engine
