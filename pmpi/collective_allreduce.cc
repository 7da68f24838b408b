// MPI_Allreduce and MPI_Iallreduce.
//
// Whatever the algorithm, an element's result has the same bits at all ranks: in recursive doubling
// both partners apply the operation to the same operands in the order of ranks; the others compute
// each element once and send it round.
#include <algorithm>
#include <bit>

#include "pmpi/collective.h"
#include "pmpi/collective_halving.h"
#include "pmpi/collective_selection.h"

namespace ftmpi {
namespace {

void RecursiveDoubling(Schedule& schedule, const Reduction& reduction, const void* value,
                       void* result, std::uint64_t count) {
  HalvingReduction fold(schedule, reduction, count);  // for its pairs of ranks
  const int rank = schedule.rank();
  void* second = fold.aside() ? nullptr : schedule.TemporaryElements(count, reduction);
  Accumulator accumulator(schedule, reduction, value, result, second, false);
  fold.Fold(accumulator);
  if (fold.aside()) {
    schedule.ReceiveElements(result, count, reduction, rank - 1);
    schedule.EndRound();
    return;
  }
  const int power = static_cast<int>(std::bit_floor(static_cast<unsigned>(schedule.size())));
  const int place = fold.PlaceOf(rank);
  for (int mask = 1; mask < power; mask *= 2) {
    const int partner = fold.RankAt(place ^ mask);
    const bool left = partner < rank;
    schedule.ReceiveElements(accumulator.OperandAt(left), count, reduction, partner);
    schedule.SendElements(accumulator.At(0), count, reduction, partner);
    schedule.EndRound();
    accumulator.Combine(left);
  }
  accumulator.StoreTo(result);
  if (fold.has_aside()) {
    schedule.SendElements(result, count, reduction, rank + 1);
    schedule.EndRound();
  }
}

void Rabenseifner(Schedule& schedule, const Reduction& reduction, const void* value, void* result,
                  std::uint64_t count) {
  HalvingReduction halving(schedule, reduction, count);
  const int rank = schedule.rank();
  void* second = halving.aside() ? nullptr : schedule.TemporaryElements(count, reduction);
  Accumulator accumulator(schedule, reduction, value, result, second, reduction.commutative);
  halving.Fold(accumulator);
  if (halving.aside()) {
    schedule.ReceiveElements(result, count, reduction, rank - 1);
    schedule.EndRound();
    return;
  }
  halving.Halve(accumulator);
  accumulator.StoreTo(result);
  halving.AllgatherBack(result);
  if (halving.has_aside()) {
    schedule.SendElements(result, count, reduction, rank + 1);
    schedule.EndRound();
  }
}

// Blocks go round once and are combined, and once more as results. Patarasu and Yuan, "Bandwidth
// Optimal All-reduce Algorithms for Clusters of Workstations" (2009). Commutative operations only.
void Ring(Schedule& schedule, const Reduction& reduction, const void* value, void* result,
          std::uint64_t count) {
  const int size = schedule.size();
  const int rank = schedule.rank();
  const auto blocks = static_cast<std::uint64_t>(size);
  const auto offset = [count, blocks](int block) {
    const auto index = static_cast<std::uint64_t>(block);
    return count / blocks * index + std::min(index, count % blocks);
  };
  const bool in_place = value == result;
  void* operand = in_place ? schedule.TemporaryElements(count / blocks + 1, reduction) : nullptr;
  const int right = (rank + 1) % size;
  const int left = (rank - 1 + size) % size;
  for (int step = 0; step < 2 * (size - 1); ++step) {
    const bool combine = step < size - 1;
    const int outgoing = (rank - step + 2 * size) % size;
    const int incoming = (rank - step - 1 + 2 * size) % size;
    const std::uint64_t in_count = offset(incoming + 1) - offset(incoming);
    const std::uint64_t out_count = offset(outgoing + 1) - offset(outgoing);
    void* to = reduction.At(result, offset(incoming));
    const void* from = reduction.At(step == 0 ? value : result, offset(outgoing));
    schedule.ReceiveElements(combine && in_place ? operand : to, in_count, reduction, left);
    schedule.SendElements(from, out_count, reduction, right);
    schedule.EndRound();
    if (!combine) continue;
    // Out of place what has come is in the result buffer already, and our own part joins it.
    const void* other = in_place ? operand : reduction.At(value, offset(incoming));
    schedule.CombineElements(other, to, in_count, reduction);
  }
}

void BuildAllreduce(Schedule& schedule, const Reduction& reduction, const void* value, void* result,
                    std::uint64_t count) {
  if (schedule.size() == 1) {
    schedule.CopyElements(value, result, count, reduction);
    return;
  }
  switch (SelectAllreduce(schedule.size(), count * reduction.layout.size, count,
                          reduction.commutative)) {
    case Algorithm::kRing:
      Ring(schedule, reduction, value, result, count);
      break;
    case Algorithm::kRabenseifner:
      Rabenseifner(schedule, reduction, value, result, count);
      break;
    default:
      RecursiveDoubling(schedule, reduction, value, result, count);
      break;
  }
}

struct AllreduceCall {
  const void* sendbuf;
  void* recvbuf;
  int count;
  MPI_Datatype datatype;
  MPI_Op op;
  Reduction reduction = {};

  int Check(const Communicator& communicator) {
    const int op_error = PrepareReduction(op, datatype, &reduction);
    if (op_error != MPI_SUCCESS) return op_error;
    if (count < 0) return MPI_ERR_COUNT;
    if (recvbuf == MPI_IN_PLACE) return MPI_ERR_BUFFER;
    if (sendbuf == MPI_IN_PLACE) return communicator.inter ? MPI_ERR_ARG : MPI_SUCCESS;
    if (sendbuf == recvbuf && sendbuf != MPI_BOTTOM && count > 1) return MPI_ERR_BUFFER;
    return MPI_SUCCESS;
  }

  void Build(Schedule& schedule) const {
    if (count == 0) return;
    const auto elements = static_cast<std::uint64_t>(count);
    const void* value = sendbuf == MPI_IN_PLACE ? recvbuf : sendbuf;
    if (!schedule.inter()) {
      BuildAllreduce(schedule, reduction, value, recvbuf, elements);
      return;
    }
    // Each group gets the other group's total.
    const bool leader = schedule.rank() == 0;
    void* total = leader ? schedule.TemporaryElements(elements, reduction) : nullptr;
    std::byte* packed = nullptr;
    const bool contiguous = reduction.layout.contiguous;
    if (!contiguous) packed = schedule.Temporary(elements * reduction.layout.size);
    schedule.EnterLocal();
    BuildReduce(schedule, reduction, value, total, elements, 0);
    schedule.LeaveLocal();
    const Data received{recvbuf, count, datatype, reduction.layout};
    if (leader) {
      schedule.ReceiveElements(recvbuf, elements, reduction, 0);
      schedule.SendElements(total, elements, reduction, 0);
      schedule.EndRound();
      if (!contiguous) schedule.Pack(received, packed);
    }
    if (contiguous) packed = received.begin();
    schedule.EnterLocal();
    BuildBcast(schedule, packed, received.bytes(), 0);
    schedule.LeaveLocal();
    if (!leader && !contiguous) schedule.Unpack(packed, received);
  }
};

}  // namespace
}  // namespace ftmpi

FTMPI_EXPORT int MPI_Allreduce(const void* sendbuf, void* recvbuf, int count, MPI_Datatype datatype,
                               MPI_Op op, MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Allreduce(sendbuf, recvbuf, count, datatype, op, comm));
  return ftmpi::RunCollective(
      comm, "MPI_Allreduce", ftmpi::AllreduceCall{sendbuf, recvbuf, count, datatype, op},
      [&](MPI_Comm foreign) {
        return PMPI_Allreduce(sendbuf, recvbuf, count, datatype, op, foreign);
      });
}

FTMPI_EXPORT int MPI_Iallreduce(const void* sendbuf, void* recvbuf, int count,
                                MPI_Datatype datatype, MPI_Op op, MPI_Comm comm,
                                MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Iallreduce(sendbuf, recvbuf, count, datatype, op, comm, request));
  return ftmpi::StartCollective(
      comm, "MPI_Iallreduce", request, ftmpi::AllreduceCall{sendbuf, recvbuf, count, datatype, op},
      [&](MPI_Comm foreign, MPI_Request* started) {
        return PMPI_Iallreduce(sendbuf, recvbuf, count, datatype, op, foreign, started);
      });
}
