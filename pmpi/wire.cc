// The wire: one private communicator that carries every message's header (and payload, if small),
// in order per pair of ranks, into a ring of pre-posted receives; and a second one for large
// payloads.
#include <mpi.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "pmpi/engine.h"
#include "pmpi/engine_state.h"
#include "pmpi/message.h"

namespace ftmpi::engine {
namespace {

using logging::LogRecord;
using logging::WireHeader;

constexpr int kRingSlots = 32;
constexpr std::size_t kSlotBytes = sizeof(WireHeader) + kSlotPayload;
// Slots that have been read are posted again when the wire is idle, or when so many are due.
constexpr int kRepostBatch = 8;

struct Slot {
  MPI_Request request = MPI_REQUEST_NULL;
  std::byte* data = nullptr;
};

// A short message is built here, and copied to its place in the log later.
struct BuiltMessage {
  alignas(64) WireHeader header;
  std::byte payload[kBuiltBytes];
  BuiltMessage* next;  // in the free list
  std::size_t behind;  // bytes behind the header
  int destination;     // world rank
  // What it is still needed for.
  bool sending;
  bool unlogged;
};
static_assert(offsetof(BuiltMessage, payload) == sizeof(WireHeader));

// A send of ours that Open MPI has not finished.
struct PendingSend {
  MPI_Request request;
  LogRecord* record;    // unpinned when done
  void* block;          // freed when done
  BuiltMessage* built;  // reused when done
};

struct PendingPayload {
  MPI_Request request;
  Request* owner;
  LogRecord* record;
  void* block;  // freed when done
  bool receive;
};

MPI_Comm g_wire = MPI_COMM_NULL;
MPI_Comm g_payload = MPI_COMM_NULL;
Slot g_ring[kRingSlots];
std::byte* g_ring_memory = nullptr;
int g_head = 0;  // the slot that the next message arrives in
int g_due = 0;   // slots before it that have been read and not been posted again
std::vector<PendingSend> g_pending_sends;
std::vector<PendingPayload> g_pending_payloads;
// So many built messages may be under way; later ones are sent from the log.
constexpr int kMaximumBuilt = 64;
BuiltMessage* g_free_built = nullptr;  // its first is the one that is built in
int g_built_under_way = 0;
// In the order in which they were sent.
BuiltMessage* g_unlogged[kMaximumUnlogged];
unsigned g_first_unlogged = 0;
unsigned g_unlogged_count = 0;
std::uint32_t g_same_node_inline = 0;
std::uint32_t g_other_node_inline = 0;
// The handle that Open MPI gives for a send that is complete already: one for all of them. It stays
// ours, so no other send can have it.
MPI_Request g_complete_send = MPI_REQUEST_NULL;
std::vector<int> g_node_of;  // lowest world rank on the same node, by world rank

// An eager limit as mpirun hands it to the ranks (--mca, or the user's environment). 0: not set
// there. MPI's tool interface would know those of configuration files too, but its start opens all
// of Open MPI's components anew, which takes longer than MPI_Init; a wrong limit costs speed and no
// more.
std::uint64_t EagerLimit(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

std::uint32_t InlineLimit(std::uint64_t eager_limit, std::uint64_t otherwise) {
  // Open MPI's own header and ours come out of the eager fragment.
  constexpr std::uint64_t kHeaders = 64 + sizeof(WireHeader);
  if (eager_limit == 0) eager_limit = otherwise;
  if (eager_limit <= kHeaders) return 0;
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(eager_limit - kHeaders, kMaximumInline));
}

void MakeNodeMap() {
  MPI_Comm node = MPI_COMM_NULL;
  PMPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, g.rank, MPI_INFO_NULL, &node);
  int leader = g.rank;
  PMPI_Bcast(&leader, 1, MPI_INT, 0, node);
  PMPI_Comm_free(&node);
  g_node_of.resize(static_cast<std::size_t>(g.size));
  PMPI_Allgather(&leader, 1, MPI_INT, g_node_of.data(), 1, MPI_INT, MPI_COMM_WORLD);
}

// Datatype and count for `bytes` bytes; a made datatype is to be freed after use.
struct ByteCount {
  MPI_Datatype datatype = MPI_BYTE;
  int count = 0;
  explicit ByteCount(std::uint64_t bytes) {
    if (bytes <= INT_MAX) {
      count = static_cast<int>(bytes);
      return;
    }
    constexpr std::uint64_t kBlock = std::uint64_t{1} << 20;
    MPI_Datatype block = MPI_DATATYPE_NULL;
    PMPI_Type_contiguous(static_cast<int>(kBlock), MPI_BYTE, &block);
    int lengths[2] = {static_cast<int>(bytes / kBlock), static_cast<int>(bytes % kBlock)};
    MPI_Aint displacements[2] = {0, static_cast<MPI_Aint>(bytes / kBlock * kBlock)};
    MPI_Datatype types[2] = {block, MPI_BYTE};
    PMPI_Type_create_struct(2, lengths, displacements, types, &datatype);
    PMPI_Type_commit(&datatype);
    PMPI_Type_free(&block);
    count = 1;
  }
  ~ByteCount() {
    if (datatype != MPI_BYTE) PMPI_Type_free(&datatype);
  }
  ByteCount(const ByteCount&) = delete;
  ByteCount& operator=(const ByteCount&) = delete;
};

// A look whether a send of ours is done. MPI_Test begins with a memory barrier, which waits for the
// message's own stores to reach the other rank's processor.
bool SendDone(MPI_Request* request) {
  if (__builtin_expect(*request == g_complete_send, 1)) return true;
  int done = 0;
  PMPI_Test(request, &done, MPI_STATUS_IGNORE);
  return done != 0;
}

void FreeBuilt(BuiltMessage* built) {
  if (built->sending || built->unlogged) return;
  built->next = g_free_built;
  g_free_built = built;
  --g_built_under_way;
}

void FinishSend(const PendingSend& send) {
  if (send.record != nullptr) g.payload_log->Unpin(send.record);
  std::free(send.block);
  if (send.built != nullptr) {
    send.built->sending = false;
    FreeBuilt(send.built);
  }
}

// memcpy for lengths that are not known: compiled in place it becomes a string instruction, which
// is slow to start.
void CopyLogged(std::byte* to, const std::byte* from, std::size_t bytes) {
  void* (*volatile const copy)(void*, const void*, std::size_t) = std::memcpy;
  copy(to, from, bytes);
}

void FinishPayload(const PendingPayload& payload, int error) {
  if (payload.record != nullptr) g.payload_log->Unpin(payload.record);
  std::free(payload.block);
  if (payload.owner == nullptr) return;
  if (payload.receive) {
    OnPayloadReceived(payload.owner, error);
  } else {
    CompleteRequest(payload.owner);
  }
}

bool PollPending() {
  bool did = false;
  for (std::size_t n = 0; n < g_pending_sends.size();) {
    int done = 0;
    PMPI_Test(&g_pending_sends[n].request, &done, MPI_STATUS_IGNORE);
    if (done == 0) {
      ++n;
      continue;
    }
    const PendingSend send = g_pending_sends[n];
    g_pending_sends[n] = g_pending_sends.back();
    g_pending_sends.pop_back();
    FinishSend(send);
    did = true;
  }
  for (std::size_t n = 0; n < g_pending_payloads.size();) {
    int done = 0;
    const int error = PMPI_Test(&g_pending_payloads[n].request, &done, MPI_STATUS_IGNORE);
    if (done == 0 && error == MPI_SUCCESS) {
      ++n;
      continue;
    }
    const PendingPayload payload = g_pending_payloads[n];
    g_pending_payloads[n] = g_pending_payloads.back();
    g_pending_payloads.pop_back();
    FinishPayload(payload, error);
    did = true;
  }
  return did;
}

void Repost() {
  while (g_due > 0) {
    const int slot = (g_head - g_due + kRingSlots) % kRingSlots;
    const int error = PMPI_Start(&g_ring[slot].request);
    FTMPI_CHECK(error == MPI_SUCCESS);
    --g_due;
  }
}

}  // namespace

int NodeLeader(int world_rank) { return g_node_of[static_cast<std::size_t>(world_rank)]; }

void PrepareNodeMap() {
  if (g_node_of.empty()) MakeNodeMap();
}

void StartWire() {
  PMPI_Comm_dup(MPI_COMM_WORLD, &g_wire);
  PMPI_Comm_dup(MPI_COMM_WORLD, &g_payload);
  PMPI_Comm_set_errhandler(g_wire, MPI_ERRORS_RETURN);
  PMPI_Comm_set_errhandler(g_payload, MPI_ERRORS_RETURN);
  PrepareNodeMap();
  const char* btl = std::getenv("OMPI_MCA_btl");
  const bool shared_memory =
      btl == nullptr || std::strstr(btl, "vader") != nullptr || btl[0] == '^';
  const std::uint32_t tcp = InlineLimit(EagerLimit("OMPI_MCA_btl_tcp_eager_limit"), 65536);
  const std::uint32_t vader = InlineLimit(EagerLimit("OMPI_MCA_btl_vader_eager_limit"), 4096);
  g_same_node_inline = shared_memory ? vader : tcp;
  g_other_node_inline = tcp;

  PMPI_Isend(nullptr, 0, MPI_BYTE, MPI_PROC_NULL, 0, g_wire, &g_complete_send);
  g_ring_memory =
      static_cast<std::byte*>(std::aligned_alloc(64, kRingSlots * ((kSlotBytes + 63) / 64 * 64)));
  if (g_ring_memory == nullptr) Fatal("no memory for the receive ring");
  for (int n = 0; n < kRingSlots; ++n) {
    g_ring[n].data = g_ring_memory + static_cast<std::size_t>(n) * ((kSlotBytes + 63) / 64 * 64);
    PMPI_Recv_init(g_ring[n].data, static_cast<int>(kSlotBytes), MPI_BYTE, MPI_ANY_SOURCE, 0,
                   g_wire, &g_ring[n].request);
    PMPI_Start(&g_ring[n].request);
  }
  g_head = 0;
  g_due = 0;
}

void StopWire() {
  Repost();
  for (Slot& slot : g_ring) {
    PMPI_Cancel(&slot.request);
    PMPI_Wait(&slot.request, MPI_STATUS_IGNORE);
    PMPI_Request_free(&slot.request);
  }
  std::free(g_ring_memory);
  g_ring_memory = nullptr;
  PMPI_Wait(&g_complete_send, MPI_STATUS_IGNORE);
  PMPI_Comm_free(&g_payload);
  PMPI_Comm_free(&g_wire);
  while (g_free_built != nullptr) {
    BuiltMessage* next = g_free_built->next;
    delete g_free_built;
    g_free_built = next;
  }
  for (Peer* peer : g.known_peers) delete peer;
  g.known_peers.clear();
  g.peers.clear();
}

void RenewPeers() {
  for (Peer* peer : g.known_peers) {
    peer->inline_limit = NodeLeader(peer->world_rank) == NodeLeader(g.rank) ? g_same_node_inline
                                                                            : g_other_node_inline;
    peer->replayed_delivered = 0;
    peer->channel = nullptr;
  }
}

Peer* MakePeer(int world_rank) {
  FTMPI_CHECK(world_rank >= 0 && world_rank < g.size);
  auto* peer = new Peer;
  peer->world_rank = world_rank;
  peer->inline_limit =
      NodeLeader(world_rank) == NodeLeader(g.rank) ? g_same_node_inline : g_other_node_inline;
  g.peers[static_cast<std::size_t>(world_rank)] = peer;
  g.known_peers.push_back(peer);
  return peer;
}

void TransmitInline(Peer* peer, LogRecord* record, std::uint64_t piggyback) {
  record->header.epoch = g.epoch;
  record->header.piggyback_length = static_cast<std::uint16_t>(piggyback);
  const std::uint64_t payload =
      record->header.kind == logging::MessageKind::kRendezvous ? 0 : record->header.payload_length;
  MPI_Request request = MPI_REQUEST_NULL;
  PMPI_Isend(&record->header, static_cast<int>(sizeof(WireHeader) + payload + piggyback), MPI_BYTE,
             peer->world_rank, 0, g_wire, &request);
  if (__builtin_expect(!SendDone(&request), 0)) {
    g.payload_log->Pin(record);
    g_pending_sends.push_back(PendingSend{request, record, nullptr, nullptr});
  }
}

WireHeader* BuildingBuffer() {
  if (__builtin_expect(g_free_built == nullptr, 0)) {
    if (g_built_under_way >= kMaximumBuilt || g.log_first) return nullptr;
    g_free_built = new BuiltMessage;
    g_free_built->next = nullptr;
  }
  return &g_free_built->header;
}

void TransmitBuilt(Peer* peer, std::size_t bytes, bool blocking) {
  BuiltMessage* built = g_free_built;
  bool sent = true;
  if (blocking) {
    PMPI_Send(built, static_cast<int>(sizeof(WireHeader) + bytes), MPI_BYTE, peer->world_rank, 0,
              g_wire);
  } else {
    MPI_Request request = MPI_REQUEST_NULL;
    PMPI_Isend(built, static_cast<int>(sizeof(WireHeader) + bytes), MPI_BYTE, peer->world_rank, 0,
               g_wire, &request);
    sent = SendDone(&request);
    if (__builtin_expect(!sent, 0))
      g_pending_sends.push_back(PendingSend{request, nullptr, nullptr, built});
  }
  const bool logged = !g.payload_log;
  if (logged && sent) return;
  g_free_built = built->next;
  ++g_built_under_way;
  built->sending = !sent;
  built->unlogged = !logged;
  if (logged) return;
  built->behind = bytes;
  built->destination = peer->world_rank;
  if (__builtin_expect(g_unlogged_count == kMaximumUnlogged, 0)) LogBuilt();
  g_unlogged[(g_first_unlogged + g_unlogged_count++) % kMaximumUnlogged] = built;
}

bool LogBuilt() {
  if (g_unlogged_count == 0) return false;
  BuiltMessage* const built = g_unlogged[g_first_unlogged];
  g_first_unlogged = (g_first_unlogged + 1) % kMaximumUnlogged;
  --g_unlogged_count;
  logging::HeaderWords header;
  std::memcpy(header.words, &built->header, sizeof header.words);
  OrFatal([&] {
    g.payload_log->Append(header, built->behind, built->destination, [built](std::byte* payload) {
      CopyLogged(payload, built->payload, built->behind);
    });
  });
  built->unlogged = false;
  FreeBuilt(built);
  return true;
}

void LogAllBuilt() {
  while (LogBuilt()) {
  }
}

void TransmitCopy(Peer* peer, const WireHeader& header, const void* payload, std::size_t bytes) {
  FTMPI_CHECK(bytes <= kSlotBytes - sizeof(WireHeader));
  void* block = std::malloc(sizeof(WireHeader) + bytes);
  if (block == nullptr) Fatal("no memory for a control message of %zu bytes", bytes);
  std::memcpy(block, &header, sizeof header);
  if (bytes > 0) std::memcpy(static_cast<std::byte*>(block) + sizeof header, payload, bytes);
  static_cast<WireHeader*>(block)->epoch = g.epoch;
  MPI_Request request = MPI_REQUEST_NULL;
  PMPI_Isend(block, static_cast<int>(sizeof(WireHeader) + bytes), MPI_BYTE, peer->world_rank, 0,
             g_wire, &request);
  if (SendDone(&request)) {
    std::free(block);
  } else {
    g_pending_sends.push_back(PendingSend{request, nullptr, block, nullptr});
  }
}

void SendPayload(Peer* peer, std::uint32_t transfer, const void* data, std::uint64_t bytes,
                 Request* request, LogRecord* record, void* block) {
  const ByteCount count(bytes);
  MPI_Request started = MPI_REQUEST_NULL;
  PMPI_Isend(data, count.count, count.datatype, peer->world_rank, static_cast<int>(transfer),
             g_payload, &started);
  if (record != nullptr) g.payload_log->Pin(record);
  g_pending_payloads.push_back(PendingPayload{started, request, record, block, false});
}

void ReceivePayload(Peer* peer, std::uint32_t transfer, void* data, std::uint64_t bytes,
                    Request* request) {
  const ByteCount count(bytes);
  MPI_Request started = MPI_REQUEST_NULL;
  PMPI_Irecv(data, count.count, count.datatype, peer->world_rank, static_cast<int>(transfer),
             g_payload, &started);
  g_pending_payloads.push_back(PendingPayload{started, request, nullptr, nullptr, true});
}

bool PollWire() {
  int arrived = 0;
  MPI_Status status;
  const int error = PMPI_Test(&g_ring[g_head].request, &arrived, &status);
  FTMPI_CHECK(error == MPI_SUCCESS);
  if (arrived != 0) {
    const Slot& slot = g_ring[g_head];
    g_head = (g_head + 1) % kRingSlots;
    if (++g_due >= kRepostBatch) {
      // This message's slot is the last that may be posted again, and only after it was read.
      --g_due;
      g_head = (g_head + kRingSlots - 1) % kRingSlots;
      Repost();
      g_head = (g_head + 1) % kRingSlots;
      g_due = 1;
    }
    OnArrival(status.MPI_SOURCE, *reinterpret_cast<const WireHeader*>(slot.data));
    if (__builtin_expect(!g_pending_sends.empty() || !g_pending_payloads.empty(), 0)) PollPending();
    return true;
  }
  if (g_due > 0) Repost();
  if (!g_pending_sends.empty() || !g_pending_payloads.empty()) return PollPending();
  return false;
}

bool ReceivesUnderWay() {
  return std::any_of(g_pending_payloads.begin(), g_pending_payloads.end(),
                     [](const PendingPayload& payload) { return payload.receive; });
}

void NoteSendsUnderWay() {
  g.sends_under_way.clear();
  for (const PendingPayload& payload : g_pending_payloads) {
    if (!payload.receive && payload.owner != nullptr) g.sends_under_way.push_back(payload.owner);
  }
}

bool WireBusy() { return !g_pending_sends.empty() || !g_pending_payloads.empty(); }

}  // namespace ftmpi::engine
