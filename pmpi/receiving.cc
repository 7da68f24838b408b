// Receives: what arrives is matched with a posted receive or kept; what is posted looks among the
// kept first.
#include <cstdlib>
#include <cstring>

#include "pmpi/checkpointing.h"
#include "pmpi/datatype.h"
#include "pmpi/engine.h"
#include "pmpi/engine_state.h"
#include "pmpi/events.h"
#include "pmpi/message.h"
#include "pmpi/registered.h"

namespace ftmpi::engine {
namespace {

using logging::MessageKind;
using logging::WireHeader;

Context ContextOf(const WireHeader& header) {
  return (header.flags & logging::kFlagCollective) != 0 ? Context::kCollective
                                                        : Context::kPointToPoint;
}

void CreditReplayed(Peer* peer, const WireHeader& delivered) {
  ++peer->replayed_delivered;
  if (delivered.kind != MessageKind::kRendezvous && peer->replayed_delivered % 16 != 0) return;
  WireHeader header{};
  header.version = logging::kWireVersion;
  header.kind = MessageKind::kCredit;
  header.ssn = peer->replayed_delivered;
  TransmitCopy(peer, header, nullptr, 0);
}

// The receiver now depends on the sender's state interval (Johnson 2.1.1).
void NoteDependency(Peer* peer, std::uint64_t interval) {
  peer->known_interval = interval;
  if (g.several_units && g.configuration.mode == logging::Mode::kOptimistic) {
    events::RecordDependency(peer->world_rank, interval);
  }
  g.protocol->OnDelivery(peer->world_rank, interval);
  if (g.configuration.mode == logging::Mode::kCoordinated) events::RaiseInterval(interval);
  events::PublishCommittable();
}

void Arrived(Peer* peer, const WireHeader& header, const std::byte* payload) {
  MatchQueue* queue = FindMatchQueue(header.communicator, ContextOf(header));
  Request* request = __builtin_expect(g.replaying, 0)
                         ? events::ReplayMatchPosted(queue, peer->world_rank, header)
                         : queue->MatchPosted(peer->world_rank, header.tag);
  if (request != nullptr) {
    queue->Unpost(request);
    Deliver(request, peer, header, payload);
    return;
  }
  const std::size_t bytes = header.kind == MessageKind::kRendezvous ? 0 : header.payload_length;
  UnexpectedMessage* message = NewUnexpected(bytes);
  message->source = peer->world_rank;
  message->header = header;
  if (bytes > 0) std::memcpy(message->payload(), payload, bytes);
  queue->AddUnexpected(message);
}

}  // namespace

void OnArrival(int source, const WireHeader& header) {
  if (__builtin_expect(header.version != logging::kWireVersion, 0)) {
    Fatal("rank %d speaks wire version %d, this rank %d: all ranks must load the same libftmpi",
          source, header.version, logging::kWireVersion);
  }
  if (__builtin_expect(header.epoch != g.epoch, 0))
    Fatal("rank %d is in recovery epoch %d, this rank in %d", source, header.epoch, g.epoch);
  const auto* payload = reinterpret_cast<const std::byte*>(&header + 1);
  const std::uint64_t in_message =
      header.kind == MessageKind::kRendezvous ? 0 : header.payload_length;
  if (__builtin_expect(
          in_message > kSlotPayload || in_message + header.piggyback_length > kSlotPayload, 0)) {
    Fatal("a message from rank %d has %lu bytes by its header, more than fit a slot", source,
          static_cast<unsigned long>(in_message + header.piggyback_length + sizeof header));
  }
  Peer* peer = PeerOf(source);
  if (__builtin_expect(header.piggyback_length != 0, 0)) {
    if (!g.protocol->OnPiggyback(source, {payload + in_message, header.piggyback_length})) {
      Fatal("the data that rode on a message of rank %d can't be understood", source);
    }
    events::PublishCommittable();
  }
  switch (header.kind) {
    case MessageKind::kInline:
    case MessageKind::kRendezvous:
      if (__builtin_expect(checkpointing::g_on, 0) &&
          checkpointing::OnMessage(peer, header, payload)) {
        return;
      }
      if (__builtin_expect(registered::g_on, 0)) ++registered::g_arrived;
      Arrived(peer, header, payload);
      return;
    case MessageKind::kMatched:
      if (header.interval > peer->known_interval) NoteDependency(peer, header.interval);
      OnMatched(peer, header.ssn);
      return;
    case MessageKind::kCredit:
      OnCredit(peer, header.ssn);
      return;
    case MessageKind::kFinalize:
      g.finalize_received |= 1U << header.ssn;
      return;
    case MessageKind::kCheckpoint:
      if (!checkpointing::g_on) Fatal("rank %d takes checkpoints, this rank does not", source);
      checkpointing::OnControl(source, {payload, in_message});
      return;
    case MessageKind::kProtocol:
      if (!g.protocol->OnControl(source, {payload, in_message})) {
        Fatal("a protocol message of rank %d can't be understood", source);
      }
      events::PublishCommittable();
      return;
  }
  Fatal("a message from rank %d is of unknown kind %d", source, static_cast<int>(header.kind));
}

void Deliver(Request* request, Peer* peer, const WireHeader& header, const std::byte* payload) {
  // What an event depends on is recorded before the event.
  if (header.interval > peer->known_interval) NoteDependency(peer, header.interval);
  if (request->wildcard) events::WildcardMatched(request, peer->world_rank, header.ssn);
  if (__builtin_expect((header.flags & logging::kFlagSynchronous) != 0, 0))
    SendMatched(peer, header.ssn);
  if (__builtin_expect((header.csn & kReplayedBit) != 0, 0)) CreditReplayed(peer, header);
  request->source = header.source_rank;
  request->received_tag = header.tag;
  request->ssn = header.ssn;
  const DatatypeLayout* const found = FindLayout(request->datatype);
  FTMPI_CHECK(found != nullptr);
  const DatatypeLayout& layout = *found;
  const std::uint64_t capacity = layout.size * static_cast<std::uint64_t>(request->count);
  const std::uint64_t bytes = header.payload_length;
  if (header.kind == MessageKind::kInline) {
    request->bytes = bytes < capacity ? bytes : capacity;
    if (__builtin_expect(layout.contiguous && bytes <= capacity, 1)) {
      if (bytes > 0)
        std::memcpy(static_cast<std::byte*>(request->buffer) + layout.true_lower, payload, bytes);
      CompleteReceive(request, MPI_SUCCESS);
      return;
    }
    int error =
        UnpackData(payload, request->bytes, request->buffer, request->count, request->datatype);
    if (bytes > capacity) error = MPI_ERR_TRUNCATE;
    CompleteReceive(request, error);
    return;
  }
  request->bytes = bytes;
  if (layout.contiguous && bytes <= capacity) {
    request->staging = nullptr;
    ReceivePayload(peer, header.transfer,
                   static_cast<std::byte*>(request->buffer) + layout.true_lower, bytes, request);
    return;
  }
  request->staging = std::malloc(bytes);
  if (request->staging == nullptr)
    Fatal("no memory for a message of %lu bytes", static_cast<unsigned long>(bytes));
  ReceivePayload(peer, header.transfer, request->staging, bytes, request);
}

void TakeInSaved(Peer* peer, const WireHeader& header, const std::byte* payload) {
  Arrived(peer, header, payload);
}

void TakeIn(Peer* peer, const WireHeader& header) {
  const auto* payload = reinterpret_cast<const std::byte*>(&header + 1);
  if (checkpointing::OnMessage(peer, header, payload)) return;
  Arrived(peer, header, payload);
}

namespace {

// A large message with its payload, which is received after `place` has been told of it.
template <typename Place>
void Pull(UnexpectedMessage* message, Place place) {
  UnexpectedMessage* whole = NewUnexpected(message->header.payload_length);
  whole->source = message->source;
  whole->header = message->header;
  Request* request = NewRequest(RequestKind::kReceive, nullptr);
  request->active = true;
  request->bytes = message->header.payload_length;
  ReceivePayload(PeerOf(message->source), message->header.transfer, whole->payload(),
                 request->bytes, request);
  place(whole);
  // The sender needs only to be inside MPI for it: it waits for nothing of ours.
  WaitUntil([request] { return request->complete; });
  if (request->error != MPI_SUCCESS)
    Fatal("the payload of a message from rank %d could not be received", whole->source);
  whole->header.kind = MessageKind::kInline;
  whole->header.piggyback_length = 0;
  DeleteRequest(request);
}

UnexpectedMessage* FirstLarge(MatchQueue* queue) {
  UnexpectedMessage* message = queue->arrival_head;
  while (message != nullptr && message->header.kind != MessageKind::kRendezvous)
    message = message->arrival_next;
  return message;
}

}  // namespace

void PullUnexpected() {
  for (bool more = true; more;) {
    more = false;
    MatchQueue* queue = nullptr;
    UnexpectedMessage* message = nullptr;
    ForEachMatchQueue([&](MatchQueue* each) {
      if (message == nullptr && (message = FirstLarge(each)) != nullptr) queue = each;
    });
    if (message != nullptr) {
      Pull(message, [queue, message](UnexpectedMessage* whole) {
        queue->ReplaceUnexpected(message, whole);
        DeleteUnexpected(message);
      });
      more = true;
    } else if ((message = FirstLargeTaken()) != nullptr) {
      // Its handle is the address: it stays.
      Pull(message, [message](UnexpectedMessage* whole) { message->whole = whole; });
      more = true;
    } else if (ReceivesUnderWay()) {
      WaitUntil([] { return !ReceivesUnderWay(); });
      more = true;
    }
  }
}

void OnPayloadReceived(Request* request, int error) {
  if (request->staging != nullptr) {
    DatatypeLayout layout;
    FTMPI_CHECK(GetLayout(request->datatype, &layout));
    const std::uint64_t capacity = layout.size * static_cast<std::uint64_t>(request->count);
    const bool truncated = request->bytes > capacity;
    if (truncated) request->bytes = capacity;
    const int unpacked = UnpackData(request->staging, request->bytes, request->buffer,
                                    request->count, request->datatype);
    if (error == MPI_SUCCESS) error = truncated ? MPI_ERR_TRUNCATE : unpacked;
    std::free(request->staging);
    request->staging = nullptr;
  }
  CompleteReceive(request, error);
}

void CompleteReceive(Request* request, int error) {
  request->error = error;
  CompleteRequest(request);
}

void DeliverUnexpected(Request* request, MatchQueue* queue, UnexpectedMessage* message) {
  queue->RemoveUnexpected(message);
  Deliver(request, PeerOf(message->source), message->header, message->payload());
  DeleteUnexpected(message);
}

void ReturnDelivered(Request* request) {
  MatchQueue* queue = request->communicator->match[request->context];
  UnexpectedMessage* message = NewUnexpected(request->bytes);
  const int source = request->communicator->PeerWorldRank(request->source);
  message->source = source;
  WireHeader& header = message->header;
  header.version = logging::kWireVersion;
  header.kind = MessageKind::kInline;
  header.tag = request->received_tag;
  header.communicator = request->communicator->id;
  header.ssn = request->ssn;
  header.payload_length = request->bytes;
  header.source_rank = request->source;
  DatatypeLayout layout;
  FTMPI_CHECK(GetLayout(request->datatype, &layout));
  FTMPI_CHECK(layout.size > 0 || request->bytes == 0);
  const int elements = layout.size == 0 ? 0 : static_cast<int>(request->bytes / layout.size);
  FTMPI_CHECK(static_cast<std::uint64_t>(elements) * layout.size == request->bytes);
  PackData(request->buffer, elements, request->datatype, message->payload(), request->bytes);
  queue->AddUnexpectedInOrder(message);
  request->bytes = 0;
}

void StartReceive(Request* request) {
  Communicator* communicator = request->communicator;
  request->active = true;
  request->complete = false;
  request->cancelled = false;
  request->error = MPI_SUCCESS;
  request->bytes = 0;
  if (request->peer == MPI_PROC_NULL) {
    request->source = MPI_PROC_NULL;
    request->received_tag = MPI_ANY_TAG;
    CompleteRequest(request);
    return;
  }
  // A receive from anyone where there is only one: its source is determined.
  request->wildcard = request->peer == MPI_ANY_SOURCE && communicator->remote_size() > 1;
  request->post_order = ++g.post_order;
  if (request->wildcard) {
    request->wildcard_ordinal = ++g.wildcard_ordinal;
    request->peer_world = -1;
  } else {
    request->peer_world =
        communicator->PeerWorldRank(request->peer == MPI_ANY_SOURCE ? 0 : request->peer);
  }
  MatchQueue* queue = communicator->match[request->context];
  UnexpectedMessage* message = nullptr;
  if (__builtin_expect(g.replaying, 0)) {
    message = events::ReplayMatchUnexpected(queue, request);
  } else if (queue->arrival_head != nullptr) {
    message = queue->MatchUnexpected(request->peer_world, request->tag);
  }
  if (message != nullptr) {
    DeliverUnexpected(request, queue, message);
  } else {
    queue->Post(request);
  }
}

}  // namespace ftmpi::engine
