// Sends: the log record is built once and sent from there (inline), or logged while the payload
// travels (large). Held sends, synchronous sends, and sends that an earlier incarnation has made.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "logging/stream_copy.h"
#include "pmpi/checkpointing.h"
#include "pmpi/datatype.h"
#include "pmpi/engine.h"
#include "pmpi/engine_state.h"
#include "pmpi/events.h"
#include "pmpi/message.h"
#include "pmpi/registered.h"
#include "pmpi/replay.h"

namespace ftmpi::engine {
namespace {

using logging::HeaderWords;
using logging::LogRecord;
using logging::MessageKind;
using logging::WireHeader;

// memcpy for lengths that are not known: compiled in place it becomes a string instruction, which
// is slow to start.
inline void CopyBytes(void* to, const void* from, std::size_t bytes) {
  if (bytes <= 16) {
    auto* target = static_cast<std::byte*>(to);
    const auto* source = static_cast<const std::byte*>(from);
    if (bytes >= 8) {
      std::uint64_t head = 0;
      std::uint64_t tail = 0;
      std::memcpy(&head, source, 8);
      std::memcpy(&tail, source + bytes - 8, 8);
      std::memcpy(target, &head, 8);
      std::memcpy(target + bytes - 8, &tail, 8);
      return;
    }
    for (std::size_t n = 0; n < bytes; ++n) target[n] = source[n];
    return;
  }
  void* (*volatile const copy)(void*, const void*, std::size_t) = std::memcpy;
  copy(to, from, bytes);
}

constexpr std::uint32_t kTransferTags = 1U << 30;

[[gnu::always_inline]] inline HeaderWords MakeHeader(Peer* peer, const Communicator& communicator,
                                                     MessageKind kind, unsigned flags, int tag,
                                                     std::uint64_t ssn, std::uint64_t bytes,
                                                     std::size_t piggyback) {
  WireHeader header;
  header.version = logging::kWireVersion;
  header.kind = kind;
  header.flags = static_cast<std::uint8_t>(flags);
  header.reserved0 = 0;
  header.tag = tag;
  header.communicator = communicator.id;
  header.ssn = ssn;
  header.payload_length = bytes;
  header.interval = g.interval;
  header.source_rank = communicator.rank;
  header.piggyback_length = static_cast<std::uint16_t>(piggyback);
  header.epoch = g.epoch;
  header.transfer = 0;
  header.csn = __builtin_expect(checkpointing::g_on, 0) ? checkpointing::WordFor(peer) : 0;
  if (__builtin_expect(registered::g_on, 0)) ++registered::g_sent;
  return logging::WordsOf(header);
}

[[gnu::always_inline]] inline HeaderWords MakeHeader(Peer* peer, const Request& request,
                                                     MessageKind kind, std::uint64_t bytes,
                                                     std::size_t piggyback) {
  unsigned flags = request.schedule_lane ? logging::kFlagSchedule : 0;
  if (request.context == static_cast<std::uint8_t>(Context::kCollective))
    flags |= logging::kFlagCollective;
  if (request.mode == SendMode::kSynchronous) flags |= logging::kFlagSynchronous;
  return MakeHeader(peer, *request.communicator, kind, flags, request.tag, request.ssn, bytes,
                    piggyback);
}

std::uint64_t NextNumber(Peer* peer, Request* request) {
  if (request->schedule_lane) {
    FTMPI_CHECK(request->owner != nullptr);
    return request->owner->NextSendNumber(peer->world_rank);
  }
  return ++peer->last_ssn;
}

// The request is done but for a synchronous send's answer.
void Sent(Peer* peer, Request* request) {
  if (request->mode == SendMode::kSynchronous) {
    const auto early =
        std::find(peer->matched_early.begin(), peer->matched_early.end(), request->ssn);
    if (early == peer->matched_early.end()) {
      peer->synchronous.push_back(request);
      return;
    }
    peer->matched_early.erase(early);
  }
  CompleteRequest(request);
}

// Room in a record for what may ride on it later.
std::uint64_t PiggybackRoom() { return g.protocol_configuration.maximum_piggyback; }

void TakePiggybackInto(Peer* peer, LogRecord* record) {
  std::uint64_t piggyback = 0;
  if (g.protocol->piggyback_pending()) {
    const auto data = g.protocol->TakePiggyback(peer->world_rank);
    piggyback = data.size();
    if (piggyback > 0) {
      const std::uint64_t payload =
          record->header.kind == MessageKind::kRendezvous ? 0 : record->header.payload_length;
      FTMPI_CHECK(record->capacity >= payload + piggyback);
      if (record->header.kind == MessageKind::kRendezvous) {
        // Behind a lone header there is payload in the record: the data goes with a copy of the
        // header.
        WireHeader header = record->header;
        header.piggyback_length = static_cast<std::uint16_t>(piggyback);
        TransmitCopy(peer, header, data.data(), piggyback);
        return;
      }
      std::memcpy(record->payload() + payload, data.data(), piggyback);
    }
  }
  TransmitInline(peer, record, piggyback);
}

bool MustHold(Peer* peer) {
  if (!peer->held.empty()) return true;
  return g.protocol->sends_held() && !g.protocol->MaySend(peer->world_rank);
}

void Hold(Peer* peer, LogRecord* record) {
  if (peer->held.empty()) g.held_peers.push_back(peer);
  g.payload_log->Pin(record);
  peer->held.push_back(HeldSend{record, 0});
}

void TransmitMatched(Peer* peer, std::uint64_t ssn) {
  WireHeader header{};
  header.version = logging::kWireVersion;
  header.kind = MessageKind::kMatched;
  header.ssn = ssn;
  header.interval = g.interval;
  std::span<const std::byte> piggyback;
  if (g.protocol->piggyback_pending()) piggyback = g.protocol->TakePiggyback(peer->world_rank);
  header.piggyback_length = static_cast<std::uint16_t>(piggyback.size());
  TransmitCopy(peer, header, piggyback.data(), piggyback.size());
}

// Builds the message in a warm buffer and sends it from there.
bool SendBuilt(Peer* peer, Request* request, std::uint64_t bytes,
               std::span<const std::byte> piggyback) {
  const std::uint64_t behind = bytes + piggyback.size();
  if (behind > kBuiltBytes) return false;
  WireHeader* const built = BuildingBuffer();
  if (built == nullptr) return false;
  MakeHeader(peer, *request, MessageKind::kInline, bytes, piggyback.size()).StoreTo(built);
  auto* const payload = reinterpret_cast<std::byte*>(built + 1);
  const int error = PackData(request->buffer, request->count, request->datatype, payload, bytes);
  if (error != MPI_SUCCESS) request->error = error;
  if (!piggyback.empty()) std::memcpy(payload + bytes, piggyback.data(), piggyback.size());
  TransmitBuilt(peer, behind, false);
  return true;
}

// The request's data, packed, in memory of its own.
std::byte* PackedCopy(Request* request, std::uint64_t bytes) {
  auto* const copy = static_cast<std::byte*>(std::malloc(bytes));
  if (copy == nullptr)
    Fatal("no memory for a message of %lu bytes", static_cast<unsigned long>(bytes));
  const int error = PackData(request->buffer, request->count, request->datatype, copy, bytes);
  if (error != MPI_SUCCESS) request->error = error;
  return copy;
}

// Coordinated mode: nothing is logged, and nothing is held or rides on a message.
void SendUnlogged(Peer* peer, Request* request, std::uint64_t bytes) {
  WireHeader header;
  DatatypeLayout layout;
  FTMPI_CHECK(GetLayout(request->datatype, &layout));
  const void* data = static_cast<const std::byte*>(request->buffer) + layout.true_lower;
  if (bytes <= peer->inline_limit) {
    MakeHeader(peer, *request, MessageKind::kInline, bytes, 0).StoreTo(&header);
    std::byte* const copy = layout.contiguous ? nullptr : PackedCopy(request, bytes);
    TransmitCopy(peer, header, copy != nullptr ? copy : data, bytes);
    std::free(copy);
    Sent(peer, request);
    return;
  }
  MakeHeader(peer, *request, MessageKind::kRendezvous, bytes, 0).StoreTo(&header);
  header.transfer = peer->next_transfer++ % kTransferTags;
  TransmitCopy(peer, header, nullptr, 0);
  if (layout.contiguous && request->mode != SendMode::kBuffered &&
      request->mode != SendMode::kSynchronous) {
    SendPayload(peer, header.transfer, data, bytes, request, nullptr);
    return;
  }
  std::byte* const copy = PackedCopy(request, bytes);
  SendPayload(peer, header.transfer, copy, bytes, nullptr, nullptr, copy);
  Sent(peer, request);
}

void SendInline(Peer* peer, Request* request, std::uint64_t bytes) {
  const bool hold = MustHold(peer);
  std::span<const std::byte> piggyback;
  if (!hold && g.protocol->piggyback_pending())
    piggyback = g.protocol->TakePiggyback(peer->world_rank);
  if (!hold && SendBuilt(peer, request, bytes, piggyback)) {
    Sent(peer, request);
    return;
  }
  if (!g.payload_log) {
    SendUnlogged(peer, request, bytes);
    return;
  }
  const std::uint64_t room = hold ? PiggybackRoom() : piggyback.size();
  LogAllBuilt();
  LogRecord* record =
      OrFatal([&] { return g.payload_log->Reserve(bytes + room, peer->world_rank); });
  MakeHeader(peer, *request, MessageKind::kInline, bytes, 0).StoreTo(&record->header);
  const int error =
      PackData(request->buffer, request->count, request->datatype, record->payload(), bytes);
  if (error != MPI_SUCCESS) request->error = error;
  if (!piggyback.empty())
    std::memcpy(record->payload() + bytes, piggyback.data(), piggyback.size());
  g.payload_log->Commit(record, bytes + room);
  if (hold) {
    Hold(peer, record);
  } else {
    TransmitInline(peer, record, piggyback.size());
  }
  Sent(peer, request);
}

void SendLarge(Peer* peer, Request* request, std::uint64_t bytes) {
  if (!g.payload_log) {
    SendUnlogged(peer, request, bytes);
    return;
  }
  const bool hold = MustHold(peer);
  LogAllBuilt();
  LogRecord* record =
      OrFatal([&] { return g.payload_log->Reserve(bytes + PiggybackRoom(), peer->world_rank); });
  MakeHeader(peer, *request, MessageKind::kRendezvous, bytes, 0).StoreTo(&record->header);
  DatatypeLayout layout;
  FTMPI_CHECK(GetLayout(request->datatype, &layout));
  const bool from_user = layout.contiguous && !hold && request->mode != SendMode::kBuffered &&
                         request->mode != SendMode::kSynchronous && !g.log_first;
  if (from_user) {
    // The payload leaves from the program's buffer while we copy it into the log.
    const auto* data = static_cast<const std::byte*>(request->buffer) + layout.true_lower;
    record->header.transfer = peer->next_transfer++ % kTransferTags;
    TakePiggybackInto(peer, record);
    SendPayload(peer, record->header.transfer, data, bytes, request, nullptr);
    logging::StreamCopy(record->payload(), data, bytes);
    g.payload_log->Commit(record, bytes);
    return;
  }
  const int error =
      PackData(request->buffer, request->count, request->datatype, record->payload(), bytes);
  if (error != MPI_SUCCESS) request->error = error;
  g.payload_log->Commit(record, bytes);
  if (hold) {
    Hold(peer, record);
  } else {
    TransmitRecord(peer, record, false);
  }
  Sent(peer, request);
}

}  // namespace

void TransmitRecord(Peer* peer, LogRecord* record, bool replayed) {
  if (replayed) record->header.csn |= kReplayedBit;
  record->header.piggyback_length = 0;
  if (record->header.kind == MessageKind::kRendezvous) {
    record->header.transfer = peer->next_transfer++ % kTransferTags;
    TakePiggybackInto(peer, record);
    SendPayload(peer, record->header.transfer, record->payload(), record->header.payload_length,
                nullptr, record);
  } else if (!replayed && record->capacity >= record->header.payload_length + PiggybackRoom()) {
    TakePiggybackInto(peer, record);
  } else {
    TransmitInline(peer, record, 0);
  }
}

void ReleaseHeldSends() {
  for (std::size_t n = 0; n < g.held_peers.size();) {
    Peer* peer = g.held_peers[n];
    while (!peer->held.empty() &&
           (!g.protocol->sends_held() || g.protocol->MaySend(peer->world_rank))) {
      const HeldSend held = peer->held.front();
      peer->held.pop_front();
      if (held.record == nullptr) {
        TransmitMatched(peer, held.matched_ssn);
      } else {
        TransmitRecord(peer, held.record, false);
        g.payload_log->Unpin(held.record);
      }
    }
    if (peer->held.empty()) {
      g.held_peers[n] = g.held_peers.back();
      g.held_peers.pop_back();
    } else {
      ++n;
    }
  }
}

bool SendShort(Communicator* communicator, const void* buffer, std::uint64_t bytes, int destination,
               int tag, bool blocking) {
  Peer* peer = PeerOf(communicator->PeerWorldRank(destination));
  if (__builtin_expect(bytes > kBuiltBytes || bytes > peer->inline_limit || g.poll_failures != 0 ||
                           peer->replay != nullptr || g.protocol->piggyback_pending() ||
                           MustHold(peer),
                       0)) {
    return false;
  }
  WireHeader* const built = BuildingBuffer();
  if (__builtin_expect(built == nullptr, 0)) return false;
  MakeHeader(peer, *communicator, MessageKind::kInline, 0, tag, ++peer->last_ssn, bytes, 0)
      .StoreTo(built);
  CopyBytes(built + 1, buffer, bytes);
  TransmitBuilt(peer, bytes, blocking);
  return true;
}

void StartSend(Request* request) {
  Communicator* communicator = request->communicator;
  request->active = true;
  request->complete = false;
  request->error = MPI_SUCCESS;
  if (request->peer == MPI_PROC_NULL) {
    CompleteRequest(request);
    return;
  }
  DatatypeLayout layout;
  FTMPI_CHECK(GetLayout(request->datatype, &layout));
  const std::uint64_t bytes = layout.size * static_cast<std::uint64_t>(request->count);
  Peer* peer = PeerOf(communicator->PeerWorldRank(request->peer));
  if (__builtin_expect(g.poll_failures != 0, 0)) events::FlushPollFailures();
  request->ssn = NextNumber(peer, request);
  if (__builtin_expect(peer->replay != nullptr, 0) && ReplaySend(peer, request, bytes)) {
    Sent(peer, request);
    return;
  }
  if (bytes <= peer->inline_limit) {
    SendInline(peer, request, bytes);
  } else {
    SendLarge(peer, request, bytes);
  }
}

// The answer tells the sender that its message was matched, so the sender depends on what led to
// that, as on a message.
void SendMatched(Peer* peer, std::uint64_t ssn) {
  if (MustHold(peer)) {
    if (peer->held.empty()) g.held_peers.push_back(peer);
    peer->held.push_back(HeldSend{nullptr, ssn});
  } else {
    TransmitMatched(peer, ssn);
  }
}

void OnMatched(Peer* peer, std::uint64_t ssn) {
  const auto found = std::find_if(peer->synchronous.begin(), peer->synchronous.end(),
                                  [ssn](const Request* request) { return request->ssn == ssn; });
  if (found == peer->synchronous.end()) {
    // A receiver that went back matches it anew; this rank knows already that it was matched.
    if (ssn <= peer->last_ssn) return;
    // The message was sent again from the log, and this incarnation has not come to its send yet.
    peer->matched_early.push_back(ssn);
    return;
  }
  Request* request = *found;
  peer->synchronous.erase(found);
  CompleteRequest(request);
}

}  // namespace ftmpi::engine
