// A request of the program, or one of the engine's own (a step of a collective).
//
// The handle that the program holds is the object's address. Objects come from a free list.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ftmpi {

struct Communicator;
struct Request;

enum class RequestKind : std::uint8_t {
  kSend,
  kReceive,
  kSchedule,     // non-blocking collective, or non-blocking communicator creation
  kGeneralized,  // MPI_Grequest_start
  kForeign,      // a request of Open MPI's (MPI-IO, RMA, foreign communicators)
};

enum class SendMode : std::uint8_t { kStandard, kSynchronous, kReady, kBuffered };

// What a schedule (pmpi/schedule.h) is to the requests of its current round and to its own request.
class ScheduleOwner {
 public:
  virtual ~ScheduleOwner() = default;
  // The last pending request of the round has completed; called from Engine::Progress, never from
  // inside a Start call. May start sends and receives, may complete its own request.
  virtual void Advance() = 0;
  // Requests of the current round that have not completed. Counted down by the engine; at zero the
  // engine queues the owner for Advance().
  int pending = 0;

  // Number, from 1, of the schedule's next message to a world rank (Lane::kSchedule).
  std::uint64_t NextSendNumber(int world_rank) {
    for (auto& [rank, count] : sent_) {
      if (rank == world_rank) return ++count;
    }
    sent_.emplace_back(world_rank, 1);
    return 1;
  }

 private:
  std::vector<std::pair<int, std::uint64_t>> sent_;
};

struct Request {
  static constexpr std::uint32_t kMagic = 0x51455246;

  std::uint32_t magic = kMagic;
  RequestKind kind = RequestKind::kSend;
  SendMode mode = SendMode::kStandard;
  bool persistent = false;
  bool active = false;  // started and not yet completed and returned to the program
  bool complete = false;
  bool cancelled = false;
  bool wildcard = false;  // receive from MPI_ANY_SOURCE
  bool posted = false;    // in a posted queue
  bool freed = false;     // MPI_Request_free while active
  bool cancel_requested = false;
  std::uint8_t context = 0;    // Context
  bool schedule_lane = false;  // a send in a schedule's lane (not in program order)
  bool shared = false;         // stands for many sends (engine::CompleteSend): never changed

  // What it was made with.
  void* buffer = nullptr;
  int count = 0;
  MPI_Datatype datatype = MPI_DATATYPE_NULL;
  MPI_Datatype datatype_holder = MPI_DATATYPE_NULL;  // HoldDatatype
  int peer = MPI_PROC_NULL;  // rank in the communicator, MPI_ANY_SOURCE or MPI_PROC_NULL
  int tag = 0;
  Communicator* communicator = nullptr;

  // How it ended: a receive's source (rank in the communicator), tag and bytes.
  int source = MPI_ANY_SOURCE;
  int received_tag = MPI_ANY_TAG;
  std::uint64_t bytes = 0;
  int error = MPI_SUCCESS;

  // Engine's business.
  Request* next = nullptr;
  Request* previous = nullptr;
  std::uint64_t post_order = 0;  // position among the posted receives of the rank
  std::uint64_t wildcard_ordinal = 0;
  int peer_world = -1;
  MPI_Request foreign = MPI_REQUEST_NULL;  // kForeign: Open MPI's
  void* staging = nullptr;                 // packed payload under way, from malloc
  std::uint64_t ssn = 0;
  ScheduleOwner* owner = nullptr;     // the schedule whose round it belongs to
  ScheduleOwner* schedule = nullptr;  // kSchedule: the schedule that it stands for (owned)
  void* extra = nullptr;              // kGeneralized, kForeign: their own data

  [[nodiscard]] MPI_Request handle() { return reinterpret_cast<MPI_Request>(this); }
};

inline Request* FindRequest(MPI_Request handle) {
  if (handle == MPI_REQUEST_NULL || handle == nullptr) return nullptr;
  auto* request = reinterpret_cast<Request*>(handle);
  return request->magic == Request::kMagic ? request : nullptr;
}

}  // namespace ftmpi
