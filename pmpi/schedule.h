// A collective as a schedule: rounds of messages with local work between them.
//
// An algorithm is written once, against Schedule, as a fixed sequence of steps that depends only on
// its arguments (never on data or on what has arrived). The blocking call runs each step as it is
// written (InlineSchedule); the non-blocking call records the steps (DeferredSchedule) and the
// engine's progress runs them. Both send the same messages in the same order, so a schedule's
// receives are named and deterministic: no events, and replay needs nothing but the payload.
//
// All functions expect the engine's lock.
#pragma once

#include <mpi.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "pmpi/communicator.h"
#include "pmpi/datatype.h"
#include "pmpi/engine.h"
#include "pmpi/request.h"

namespace ftmpi {

// `count` elements of the program's memory.
struct Data {
  void* address = nullptr;
  int count = 0;
  MPI_Datatype datatype = MPI_BYTE;
  DatatypeLayout layout{1, 1, 0, 1, true, true};

  [[nodiscard]] std::uint64_t bytes() const {
    return static_cast<std::uint64_t>(count) * layout.size;
  }
  // The bytes themselves; only if layout.contiguous.
  [[nodiscard]] std::byte* begin() const {
    return static_cast<std::byte*>(address) + layout.true_lower;
  }
};

// An operation with the datatype it is applied to.
struct Reduction {
  MPI_Op op = MPI_OP_NULL;
  MPI_Datatype datatype = MPI_DATATYPE_NULL;
  DatatypeLayout layout{};
  bool commutative = true;

  // Address of element `index` of a vector that starts at `address`.
  template <typename Pointer>
  [[nodiscard]] Pointer* At(Pointer* address, std::uint64_t index) const {
    using Byte = std::conditional_t<std::is_const_v<Pointer>, const std::byte, std::byte>;
    return static_cast<Byte*>(address) + static_cast<std::int64_t>(index) * layout.extent;
  }
};

class Schedule {
 public:
  // Takes the next collective sequence number of `communicator` (and of its local communicator, if
  // it is an intercommunicator): one Schedule per collective call.
  Schedule(Communicator* communicator, Lane lane);
  virtual ~Schedule();
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;

  // Rank and size in the local group; for an intercommunicator also of the local communicator.
  [[nodiscard]] int rank() const { return communicator_->rank; }
  [[nodiscard]] int size() const { return communicator_->size; }
  [[nodiscard]] int remote_size() const { return communicator_->remote_size(); }
  [[nodiscard]] bool inter() const { return communicator_->inter; }

  // Peers of the following messages are ranks of the local group of an intercommunicator
  // (EnterLocal), or of the communicator's remote group again (LeaveLocal).
  void EnterLocal();
  void LeaveLocal();

  // --- Steps ------------------------------------------------------------------------------------
  // Messages start where they are written and are complete after the next EndRound. Between a pair
  // of ranks they match in the order in which they are written. A peer is never this rank itself.
  virtual void Send(const void* buffer, int count, MPI_Datatype datatype, int peer) = 0;
  virtual void Receive(void* buffer, int count, MPI_Datatype datatype, int peer) = 0;
  virtual void EndRound() = 0;
  // inout = in op inout, element by element: `in` is the left operand.
  virtual void Combine(const void* in, void* inout, int count, MPI_Datatype datatype,
                       MPI_Op op) = 0;
  virtual void CopyBytes(const void* from, void* to, std::uint64_t bytes) = 0;
  virtual void Pack(const Data& from, void* packed) = 0;
  virtual void Unpack(const void* packed, const Data& to) = 0;

  // --- Made of steps ----------------------------------------------------------------------------
  // Any number of bytes: more than kPieceBytes travel as several messages, alike at both ends.
  void SendBytes(const void* bytes, std::uint64_t length, int peer);
  void ReceiveBytes(void* bytes, std::uint64_t length, int peer);
  void SendData(const Data& data, int peer) { Send(data.address, data.count, data.datatype, peer); }
  void ReceiveData(const Data& data, int peer) {
    Receive(data.address, data.count, data.datatype, peer);
  }
  // A vector of `count` elements of a reduction; more than an int can count in several steps.
  void SendElements(const void* vector, std::uint64_t count, const Reduction& r, int peer);
  void ReceiveElements(void* vector, std::uint64_t count, const Reduction& r, int peer);
  void CombineElements(const void* in, void* inout, std::uint64_t count, const Reduction& r);
  void CopyElements(const void* from, void* to, std::uint64_t count, const Reduction& r);
  // Copies between two descriptions with the same number of bytes.
  void CopyData(const Data& from, const Data& to);

  // --- Memory -----------------------------------------------------------------------------------
  // Memory that lives until the schedule has ended. Throws std::bad_alloc; algorithms allocate
  // before their first message, so that nobody is left waiting.
  std::byte* Temporary(std::uint64_t bytes);
  // Room for a vector of a reduction; the address is what an MPI buffer argument would be.
  void* TemporaryElements(std::uint64_t count, const Reduction& r);
  // The data's bytes in a row: where they are, or packed into a temporary.
  std::byte* Packed(const Data& data);

  // First error of any step, or MPI_SUCCESS.
  [[nodiscard]] int error() const { return error_; }

  static constexpr std::uint64_t kPieceBytes = std::uint64_t{1} << 30;

 protected:
  void NoteError(int error) {
    if (__builtin_expect(error != MPI_SUCCESS, 0) && error_ == MPI_SUCCESS) error_ = error;
  }
  void FreeTemporaries();

  Communicator* communicator_;
  Communicator* current_;  // whose ranks the following messages count in
  int current_tag_;
  Lane lane_;

 private:
  static constexpr std::size_t kSmallBytes = 1024;
  int tag_ = 0;
  int local_tag_ = 0;
  int error_ = MPI_SUCCESS;
  std::size_t small_used_ = 0;
  std::vector<void*> temporaries_;
  alignas(64) std::array<std::byte, kSmallBytes> small_;
};

// Runs each step as it is written; EndRound waits.
class InlineSchedule final : public Schedule {
 public:
  explicit InlineSchedule(Communicator* communicator) : Schedule(communicator, Lane::kProgram) {}
  ~InlineSchedule() override;

  void Send(const void* buffer, int count, MPI_Datatype datatype, int peer) override;
  void Receive(void* buffer, int count, MPI_Datatype datatype, int peer) override;
  void EndRound() override;
  void Combine(const void* in, void* inout, int count, MPI_Datatype datatype, MPI_Op op) override;
  void CopyBytes(const void* from, void* to, std::uint64_t bytes) override;
  void Pack(const Data& from, void* packed) override;
  void Unpack(const void* packed, const Data& to) override;

 private:
  void Track(Request* request);
  void Finish(Request* request);

  static constexpr std::size_t kFew = 16;
  std::array<Request*, kFew> few_;
  std::size_t few_used_ = 0;
  std::vector<Request*> more_;
};

// Records the steps; Start and then the engine's progress run them.
class DeferredSchedule final : public Schedule, public ScheduleOwner {
 public:
  // Keeps a reference to the communicator until it is destroyed.
  explicit DeferredSchedule(Communicator* communicator);
  ~DeferredSchedule() override;

  void Send(const void* buffer, int count, MPI_Datatype datatype, int peer) override;
  void Receive(void* buffer, int count, MPI_Datatype datatype, int peer) override;
  void EndRound() override;
  void Combine(const void* in, void* inout, int count, MPI_Datatype datatype, MPI_Op op) override;
  void CopyBytes(const void* from, void* to, std::uint64_t bytes) override;
  void Pack(const Data& from, void* packed) override;
  void Unpack(const void* packed, const Data& to) override;

  // Makes the request that stands for this schedule, and owns it, and runs the first round.
  Request* Start();
  void Advance() override;

 private:
  enum class Kind : std::uint8_t { kSend, kReceive, kEndRound, kCombine, kCopy, kPack, kUnpack };
  struct Step {
    Kind kind;
    const void* from;
    void* to;
    std::uint64_t bytes;
    int count;
    int peer;
    int tag;
    MPI_Datatype datatype;
    MPI_Op op;
    Communicator* communicator;
  };

  void Run(const Step& step);
  // The program may free a datatype or an operation while the schedule still needs it.
  void Hold(MPI_Datatype datatype);
  void Hold(MPI_Op op);

  std::vector<Step> steps_;
  std::size_t next_ = 0;
  std::vector<Request*> round_;
  Request* request_ = nullptr;
  std::vector<std::pair<MPI_Datatype, MPI_Datatype>> held_datatypes_;  // the holder, the datatype
  std::vector<MPI_Op> held_ops_;
};

// Runs a blocking collective: `build(schedule)` writes the steps and may throw std::bad_alloc.
// Raises errors on the communicator as `function`'s; the code for the caller to return.
template <typename Build>
int RunBlocking(Communicator* communicator, const char* function, const Build& build) {
  int error = MPI_SUCCESS;
  try {
    InlineSchedule schedule(communicator);
    build(schedule);
    schedule.EndRound();
    error = schedule.error();
  } catch (const std::bad_alloc&) {
    error = MPI_ERR_NO_MEM;
  }
  if (__builtin_expect(error != MPI_SUCCESS, 0)) return RaiseError(communicator, error, function);
  return MPI_SUCCESS;
}

// Starts a non-blocking collective; errors met later are the request's.
template <typename Build>
int StartNonBlocking(Communicator* communicator, const char* function, MPI_Request* request,
                     const Build& build) {
  DeferredSchedule* schedule = nullptr;
  try {
    schedule = new DeferredSchedule(communicator);
    build(*schedule);
    schedule->EndRound();
  } catch (const std::bad_alloc&) {
    delete schedule;
    return RaiseError(communicator, MPI_ERR_NO_MEM, function);
  }
  *request = schedule->Start()->handle();
  return MPI_SUCCESS;
}

}  // namespace ftmpi
