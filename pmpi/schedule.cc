#include "pmpi/schedule.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "pmpi/reduction.h"

namespace ftmpi {
namespace {

constexpr std::uint64_t kPieceElements = std::uint64_t{1} << 30;

int NextTag(Communicator* communicator) {
  return static_cast<int>(communicator->collective_sequence++);
}

}  // namespace

// --- Schedule -----------------------------------------------------------------------------------

Schedule::Schedule(Communicator* communicator, Lane lane)
    : communicator_(communicator), current_(communicator), lane_(lane) {
  tag_ = NextTag(communicator);
  if (communicator->inter) local_tag_ = NextTag(communicator->local_communicator.get());
  current_tag_ = tag_;
}

Schedule::~Schedule() { FreeTemporaries(); }

void Schedule::FreeTemporaries() {
  for (void* temporary : temporaries_) std::free(temporary);
  temporaries_.clear();
}

void Schedule::EnterLocal() {
  if (!communicator_->inter) return;
  current_ = communicator_->local_communicator.get();
  current_tag_ = local_tag_;
}

void Schedule::LeaveLocal() {
  current_ = communicator_;
  current_tag_ = tag_;
}

void Schedule::SendBytes(const void* bytes, std::uint64_t length, int peer) {
  const auto* from = static_cast<const std::byte*>(bytes);
  do {
    const std::uint64_t piece = std::min(length, kPieceBytes);
    Send(from, static_cast<int>(piece), MPI_BYTE, peer);
    from += piece;
    length -= piece;
  } while (length > 0);
}

void Schedule::ReceiveBytes(void* bytes, std::uint64_t length, int peer) {
  auto* to = static_cast<std::byte*>(bytes);
  do {
    const std::uint64_t piece = std::min(length, kPieceBytes);
    Receive(to, static_cast<int>(piece), MPI_BYTE, peer);
    to += piece;
    length -= piece;
  } while (length > 0);
}

void Schedule::SendElements(const void* vector, std::uint64_t count, const Reduction& r, int peer) {
  do {
    const std::uint64_t piece = std::min(count, kPieceElements);
    Send(vector, static_cast<int>(piece), r.datatype, peer);
    vector = r.At(vector, piece);
    count -= piece;
  } while (count > 0);
}

void Schedule::ReceiveElements(void* vector, std::uint64_t count, const Reduction& r, int peer) {
  do {
    const std::uint64_t piece = std::min(count, kPieceElements);
    Receive(vector, static_cast<int>(piece), r.datatype, peer);
    vector = r.At(vector, piece);
    count -= piece;
  } while (count > 0);
}

void Schedule::CombineElements(const void* in, void* inout, std::uint64_t count,
                               const Reduction& r) {
  while (count > 0) {
    const std::uint64_t piece = std::min(count, kPieceElements);
    Combine(in, inout, static_cast<int>(piece), r.datatype, r.op);
    in = r.At(in, piece);
    inout = r.At(inout, piece);
    count -= piece;
  }
}

void Schedule::CopyElements(const void* from, void* to, std::uint64_t count, const Reduction& r) {
  if (from == to || count == 0) return;
  if (r.layout.contiguous) {
    CopyBytes(static_cast<const std::byte*>(from) + r.layout.true_lower,
              static_cast<std::byte*>(to) + r.layout.true_lower, count * r.layout.size);
    return;
  }
  std::byte* packed = Temporary(count * r.layout.size);
  while (count > 0) {
    const int piece = static_cast<int>(std::min(count, kPieceElements));
    Pack(Data{const_cast<void*>(from), piece, r.datatype, r.layout}, packed);
    Unpack(packed, Data{to, piece, r.datatype, r.layout});
    from = r.At(from, static_cast<std::uint64_t>(piece));
    to = r.At(to, static_cast<std::uint64_t>(piece));
    count -= static_cast<std::uint64_t>(piece);
  }
}

void Schedule::CopyData(const Data& from, const Data& to) {
  const std::uint64_t bytes = std::min(from.bytes(), to.bytes());
  if (bytes == 0) return;
  if (from.layout.contiguous && to.layout.contiguous) {
    CopyBytes(from.begin(), to.begin(), bytes);
  } else if (from.layout.contiguous) {
    Unpack(from.begin(), to);
  } else if (to.layout.contiguous) {
    Pack(from, to.begin());
  } else {
    std::byte* packed = Temporary(bytes);
    Pack(from, packed);
    Unpack(packed, to);
  }
}

std::byte* Schedule::Temporary(std::uint64_t bytes) {
  constexpr std::size_t kAlignment = 64;
  const std::size_t rounded = (bytes + kAlignment - 1) & ~(kAlignment - 1);
  if (rounded <= kSmallBytes - small_used_) {
    std::byte* small = small_.data() + small_used_;
    small_used_ += rounded;
    return small;
  }
  temporaries_.push_back(nullptr);
  void* memory = std::aligned_alloc(kAlignment, rounded);
  if (memory == nullptr) throw std::bad_alloc();
  temporaries_.back() = memory;
  return static_cast<std::byte*>(memory);
}

void* Schedule::TemporaryElements(std::uint64_t count, const Reduction& r) {
  if (count == 0) return Temporary(0);
  const std::int64_t stride = static_cast<std::int64_t>(count - 1) * r.layout.extent;
  const std::uint64_t span = static_cast<std::uint64_t>(std::abs(stride)) +
                             static_cast<std::uint64_t>(r.layout.true_extent);
  // With a negative extent the first element lies highest.
  return Temporary(span) - r.layout.true_lower - std::min<std::int64_t>(stride, 0);
}

std::byte* Schedule::Packed(const Data& data) {
  if (data.layout.contiguous) return data.begin();
  std::byte* packed = Temporary(data.bytes());
  Pack(data, packed);
  return packed;
}

// --- InlineSchedule -----------------------------------------------------------------------------

InlineSchedule::~InlineSchedule() {
  // Requests are left only when the steps' author ran out of memory after a message.
  EndRound();
}

void InlineSchedule::Finish(Request* request) {
  // A blocking call must not return while a message of it is held back by the protocol.
  if (request->kind == RequestKind::kSend) engine::WaitSent(request);
  NoteError(request->error);
  engine::DeleteRequest(request);
}

void InlineSchedule::Track(Request* request) {
  if (few_used_ < kFew) {
    few_[few_used_++] = request;
  } else {
    more_.push_back(request);
  }
}

void InlineSchedule::Send(const void* buffer, int count, MPI_Datatype datatype, int peer) {
  Track(engine::CollectiveSend(buffer, count, datatype, peer, current_tag_, current_, lane_,
                               nullptr));
}

void InlineSchedule::Receive(void* buffer, int count, MPI_Datatype datatype, int peer) {
  Track(engine::CollectiveReceive(buffer, count, datatype, peer, current_tag_, current_, nullptr));
}

void InlineSchedule::EndRound() {
  for (std::size_t i = 0; i < few_used_; ++i) {
    if (!few_[i]->complete) engine::Wait(few_[i]);
    Finish(few_[i]);
  }
  few_used_ = 0;
  for (Request* request : more_) {
    if (!request->complete) engine::Wait(request);
    Finish(request);
  }
  more_.clear();
}

void InlineSchedule::Combine(const void* in, void* inout, int count, MPI_Datatype datatype,
                             MPI_Op op) {
  if (count > 0) NoteError(ReduceLocal(in, inout, count, datatype, op));
}

void InlineSchedule::CopyBytes(const void* from, void* to, std::uint64_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

void InlineSchedule::Pack(const Data& from, void* packed) {
  NoteError(PackData(from.address, from.count, from.datatype, packed, from.bytes()));
}

void InlineSchedule::Unpack(const void* packed, const Data& to) {
  NoteError(UnpackData(packed, to.bytes(), to.address, to.count, to.datatype));
}

// --- DeferredSchedule ---------------------------------------------------------------------------

DeferredSchedule::DeferredSchedule(Communicator* communicator)
    : Schedule(communicator, Lane::kSchedule) {
  RetainCommunicator(communicator_);
}

DeferredSchedule::~DeferredSchedule() {
  for (const auto& [holder, datatype] : held_datatypes_) ReleaseDatatype(holder, datatype);
  for (MPI_Op op : held_ops_) ReleaseOp(op);
  ReleaseCommunicator(communicator_);
}

void DeferredSchedule::Hold(MPI_Datatype datatype) {
  if (datatype == MPI_BYTE) return;
  const auto held = [datatype](const auto& entry) { return entry.second == datatype; };
  if (!held_datatypes_.empty() && held(held_datatypes_.back())) return;
  if (std::any_of(held_datatypes_.begin(), held_datatypes_.end(), held)) return;
  const MPI_Datatype holder = HoldDatatype(datatype);
  if (holder != MPI_DATATYPE_NULL) held_datatypes_.emplace_back(holder, datatype);
}

void DeferredSchedule::Hold(MPI_Op op) {
  if (!held_ops_.empty()) return;  // a schedule has one operation
  if (RetainOp(op)) held_ops_.push_back(op);
}

void DeferredSchedule::Send(const void* buffer, int count, MPI_Datatype datatype, int peer) {
  Hold(datatype);
  steps_.push_back(Step{Kind::kSend, buffer, nullptr, 0, count, peer, current_tag_, datatype,
                        MPI_OP_NULL, current_});
}

void DeferredSchedule::Receive(void* buffer, int count, MPI_Datatype datatype, int peer) {
  Hold(datatype);
  steps_.push_back(Step{Kind::kReceive, nullptr, buffer, 0, count, peer, current_tag_, datatype,
                        MPI_OP_NULL, current_});
}

void DeferredSchedule::EndRound() {
  steps_.push_back(
      Step{Kind::kEndRound, nullptr, nullptr, 0, 0, 0, 0, MPI_BYTE, MPI_OP_NULL, nullptr});
}

void DeferredSchedule::Combine(const void* in, void* inout, int count, MPI_Datatype datatype,
                               MPI_Op op) {
  if (count == 0) return;
  Hold(datatype);
  Hold(op);
  steps_.push_back(Step{Kind::kCombine, in, inout, 0, count, 0, 0, datatype, op, nullptr});
}

void DeferredSchedule::CopyBytes(const void* from, void* to, std::uint64_t bytes) {
  if (bytes == 0) return;
  steps_.push_back(Step{Kind::kCopy, from, to, bytes, 0, 0, 0, MPI_BYTE, MPI_OP_NULL, nullptr});
}

void DeferredSchedule::Pack(const Data& from, void* packed) {
  Hold(from.datatype);
  steps_.push_back(Step{Kind::kPack, from.address, packed, from.bytes(), from.count, 0, 0,
                        from.datatype, MPI_OP_NULL, nullptr});
}

void DeferredSchedule::Unpack(const void* packed, const Data& to) {
  Hold(to.datatype);
  steps_.push_back(Step{Kind::kUnpack, packed, to.address, to.bytes(), to.count, 0, 0, to.datatype,
                        MPI_OP_NULL, nullptr});
}

Request* DeferredSchedule::Start() {
  request_ = engine::NewRequest(RequestKind::kSchedule, communicator_);
  request_->schedule = this;
  request_->communicator = communicator_;
  request_->active = true;
  Request* request = request_;
  Advance();
  return request;
}

void DeferredSchedule::Run(const Step& step) {
  switch (step.kind) {
    case Kind::kSend:
      ++pending;
      round_.push_back(engine::CollectiveSend(step.from, step.count, step.datatype, step.peer,
                                              step.tag, step.communicator, lane_, this));
      break;
    case Kind::kReceive:
      ++pending;
      round_.push_back(engine::CollectiveReceive(step.to, step.count, step.datatype, step.peer,
                                                 step.tag, step.communicator, this));
      break;
    case Kind::kEndRound:
      break;
    case Kind::kCombine:
      NoteError(ReduceLocal(step.from, step.to, step.count, step.datatype, step.op));
      break;
    case Kind::kCopy:
      std::memcpy(step.to, step.from, step.bytes);
      break;
    case Kind::kPack:
      NoteError(PackData(step.from, step.count, step.datatype, step.to, step.bytes));
      break;
    case Kind::kUnpack:
      NoteError(UnpackData(step.from, step.bytes, step.to, step.count, step.datatype));
      break;
  }
}

void DeferredSchedule::Advance() {
  for (;;) {
    for (Request* request : round_) {
      NoteError(request->error);
      engine::DeleteRequest(request);
    }
    round_.clear();
    if (next_ == steps_.size()) break;
    // One more than there are requests, so that those which complete at once don't have the engine
    // queue a schedule that is still starting its round.
    pending = 1;
    while (next_ < steps_.size()) {
      const Step& step = steps_[next_++];
      if (step.kind == Kind::kEndRound && !round_.empty()) break;
      Run(step);
    }
    if (--pending > 0) return;
  }
  FreeTemporaries();
  request_->error = error();
  engine::CompleteRequest(request_);
}

}  // namespace ftmpi
