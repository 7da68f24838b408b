// The message engine: all point-to-point traffic of the rank, with its own matching, over one wire.
//
// Every function expects the engine's lock (EngineLock at each MPI entry point; a no-op unless the
// program runs with MPI_THREAD_MULTIPLE).
#pragma once

#include <mpi.h>

#include <cstdint>

#include "pmpi/capture.h"
#include "pmpi/communicator.h"
#include "pmpi/request.h"

namespace ftmpi {

// Held during each MPI call of the program. Wait loops release it between two polls. `function` is
// the MPI function's name (for FT_INJECT).
class EngineLock {
 public:
  explicit EngineLock(const char* function = __builtin_FUNCTION()) {
    if (__builtin_expect(watched, 0)) Enter(function);
  }
  ~EngineLock() {
    if (__builtin_expect(watched, 0)) Leave();
  }
  EngineLock(const EngineLock&) = delete;
  EngineLock& operator=(const EngineLock&) = delete;

  // There is something to do at entry: a lock to take, or calls to count. Set in MPI_Init.
  static bool watched;

 private:
  static void Enter(const char* function);
  static void Leave();
};

// Where a send belongs in the channel's numbering: program order (SSN), or a schedule, whose sends
// happen when progress is made and are numbered within (communicator, tag) instead.
enum class Lane : std::uint8_t { kProgram, kSchedule };

namespace engine {

// World rank and size of this process.
int Rank();
int Size();
// Recovery epoch; changes within a wait when the process is restored from an image in it.
std::uint16_t Epoch();
// Lowest world rank on the same node as a rank. From MPI_Init on.
int NodeLeader(int world_rank);

// --- Requests ---------------------------------------------------------------------------------
// A request object from the free list; not linked anywhere.
Request* NewRequest(RequestKind kind, Communicator* communicator);
// Gives a request object back (but a shared one). It must be inactive.
void DeleteRequest(Request* request);
// Marks a request complete (schedules, generalised requests), wakes its owner if it has one.
void CompleteRequest(Request* request);

// --- Starting ---------------------------------------------------------------------------------
// Starts what `request` (kSend or kReceive, filled in) describes. Never blocks. A send in kSchedule
// lane or context sets request->schedule_lane / context before.
void StartSend(Request* request);
// A standard send of `bytes` contiguous bytes at once, if nothing stands in its way. The buffer may
// be used again on return. False: nothing was done, it must go by StartSend. `destination` is a
// rank of the communicator. `blocking`: it may wait where Open MPI's own blocking send would.
bool SendShort(Communicator* communicator, const void* buffer, std::uint64_t bytes, int destination,
               int tag, bool blocking);
// The request of a non-blocking send that was done by SendShort: complete, one for all of them.
Request* CompleteSend();
void StartReceive(Request* request);

// Convenience for collectives: makes and starts a request in the collective context of
// `communicator`. `peer` is a rank in its remote group, `tag` the collective's sequence number.
// `owner` may be null. Buffers are read or written until completion.
Request* CollectiveSend(const void* buffer, int count, MPI_Datatype datatype, int peer, int tag,
                        Communicator* communicator, Lane lane, ScheduleOwner* owner);
Request* CollectiveReceive(void* buffer, int count, MPI_Datatype datatype, int peer, int tag,
                           Communicator* communicator, ScheduleOwner* owner);

// --- Completing -------------------------------------------------------------------------------
// One poll of the wire; moves everything that can be moved. True: something was done.
bool Progress();
// Polls until request->complete; yields as Open MPI yields. Does not delete the request.
void Wait(Request* request);
// Polls until the protocol has let go what was sent to the request's destination (a blocking send
// must not return while its message waits for the program's next MPI call).
void WaitSent(Request* request);
// Calls Progress until `done()`; for other waits.
template <typename Done>
void WaitUntil(Done done);
// One round of a wait loop: progress, and between polls yield and let other threads in.
void WaitStep(std::uint32_t* idle);

// Queues a schedule for its first Advance() at the next Progress (or to try again).
void QueueSchedule(ScheduleOwner* schedule);

template <typename Done>
void WaitUntil(Done done) {
  std::uint32_t idle = 0;
  while (!done()) WaitStep(&idle);
}

// --- Notices ----------------------------------------------------------------------------------
// Says once per `what` and job, on rank 0's stderr (or each rank's own with `everywhere`), that
// recovery can't cross this point. `what` is the MPI function's or feature's name.
void NoticeUnrecoverable(const char* what);

}  // namespace engine
}  // namespace ftmpi
