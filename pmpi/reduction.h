// Operations of reductions: checks, commutativity, lifetime, and the order in which they are
// applied.
//
// Order rule: the result of a reduction depends only on (number of elements, number of ranks,
// algorithm), never on timing. Where more than one rank computes the same element (recursive
// doubling), the operands stand in the order of the ranks at each of them, so that all get the same
// bits. Operations that are not commutative are only ever applied to neighbouring ranges of ranks,
// the lower ranks' value on the left.
#pragma once

#include <mpi.h>

#include "pmpi/schedule.h"

namespace ftmpi {

// Fills in `reduction`; MPI_ERR_OP or MPI_ERR_TYPE if they don't fit each other.
int PrepareReduction(MPI_Op op, MPI_Datatype datatype, Reduction* reduction);

// inout = in op inout. An operation of the program's works in the program's name.
int ReduceLocal(const void* in, void* inout, int count, MPI_Datatype datatype, MPI_Op op);

// Keeps a user-defined operation alive while a schedule needs it: MPI_Op_free waits until then.
// False: a predefined operation, nothing to release.
bool RetainOp(MPI_Op op);
void ReleaseOp(MPI_Op op);

// A partial result that moves between two vectors, since PMPI_Reduce_local leaves its result in the
// right operand. The vectors are as long as the whole reduction's; SetRange says which of their
// elements the following calls are about.
class Accumulator {
 public:
  // `value`: this rank's contribution: the program's, which is not written, or `first`.
  // `any_order`: the operation is commutative and no other rank computes the same elements, so that
  // operands may be swapped where this saves a copy.
  Accumulator(Schedule& schedule, const Reduction& reduction, const void* value, void* first,
              void* second, bool any_order)
      : schedule_(schedule),
        reduction_(reduction),
        value_(value),
        vectors_{first, second},
        any_order_(any_order) {}

  void SetRange(std::uint64_t begin, std::uint64_t end) {
    begin_ = begin;
    count_ = end - begin;
  }

  // Element `index` of the value.
  [[nodiscard]] const void* At(std::uint64_t index) const { return reduction_.At(value_, index); }
  // Where the operand of the range is to be received; `left`: it comes from lower ranks.
  [[nodiscard]] void* OperandAt(bool left) const {
    return reduction_.At(vectors_[OperandVector(left)], begin_);
  }
  // value = operand op value if `left`, else value op operand; over the range.
  void Combine(bool left) {
    const int operand = OperandVector(left);
    void* operand_vector = vectors_[operand];
    void* other = vectors_[1 - operand];
    if (OnTheLeft(left)) {
      if (value_ != other) {
        schedule_.CopyElements(At(begin_), reduction_.At(other, begin_), count_, reduction_);
        value_ = other;
      }
      schedule_.CombineElements(reduction_.At(operand_vector, begin_), reduction_.At(other, begin_),
                                count_, reduction_);
    } else {
      schedule_.CombineElements(At(begin_), reduction_.At(operand_vector, begin_), count_,
                                reduction_);
      value_ = operand_vector;
    }
  }
  // Copies the range to where it is wanted: the same elements of another vector.
  void StoreTo(void* vector) const {
    schedule_.CopyElements(At(begin_), reduction_.At(vector, begin_), count_, reduction_);
  }

 private:
  [[nodiscard]] bool Owned() const { return value_ == vectors_[0] || value_ == vectors_[1]; }
  [[nodiscard]] bool OnTheLeft(bool left) const { return any_order_ ? Owned() : left; }
  [[nodiscard]] int OperandVector(bool left) const {
    if (Owned()) return value_ == vectors_[0] ? 1 : 0;
    return OnTheLeft(left) ? 1 : 0;  // so that the result ends in the first
  }

  Schedule& schedule_;
  const Reduction& reduction_;
  const void* value_;
  void* vectors_[2];
  bool any_order_;
  std::uint64_t begin_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace ftmpi
