// MPI_Reduce and MPI_Ireduce.
#include <algorithm>

#include "pmpi/collective.h"
#include "pmpi/collective_halving.h"
#include "pmpi/collective_selection.h"

namespace ftmpi {
namespace {

// A child's subtree covers the ranks next to the parent's own range on the right, so that the
// operands stand in the order of ranks if the tree is rooted at rank 0.
void Binomial(Schedule& schedule, const Reduction& reduction, const void* value, void* result,
              std::uint64_t count, int root) {
  const int size = schedule.size();
  const int rank = schedule.rank();
  const int center = reduction.commutative ? root : 0;
  const int relative = (rank - center + size) % size;
  int children = 0;
  for (int mask = 1; relative + mask < size && (relative & mask) == 0; mask *= 2) ++children;

  // The program's receive buffer only where it is significant.
  void* first = rank == root ? result : nullptr;
  void* second = nullptr;
  if (children > 0) {
    if (first == nullptr) first = schedule.TemporaryElements(count, reduction);
    if (children > 1 || value == first) second = schedule.TemporaryElements(count, reduction);
  }
  Accumulator accumulator(schedule, reduction, value, first, second, reduction.commutative);
  accumulator.SetRange(0, count);
  for (int mask = 1; mask < size; mask *= 2) {
    if ((relative & mask) != 0) {
      schedule.SendElements(accumulator.At(0), count, reduction, (relative - mask + center) % size);
      schedule.EndRound();
      break;
    }
    if (relative + mask >= size) continue;
    schedule.ReceiveElements(accumulator.OperandAt(false), count, reduction,
                             (relative + mask + center) % size);
    schedule.EndRound();
    accumulator.Combine(false);
  }
  if (rank == center && rank != root) {
    schedule.SendElements(accumulator.At(0), count, reduction, root);
    schedule.EndRound();
  } else if (rank == root && rank != center) {
    schedule.ReceiveElements(result, count, reduction, center);
    schedule.EndRound();
  } else if (rank == root) {
    accumulator.StoreTo(result);
  }
}

void Rabenseifner(Schedule& schedule, const Reduction& reduction, const void* value, void* result,
                  std::uint64_t count, int root) {
  const int rank = schedule.rank();
  HalvingReduction halving(schedule, reduction, count);
  // A root that stands aside gets the whole result from its partner at the end.
  const int collector = halving.RankAt(halving.PlaceOf(root));
  void* first = nullptr;
  void* second = nullptr;
  if (!halving.aside()) {
    first = rank == root ? result : schedule.TemporaryElements(count, reduction);
    second = schedule.TemporaryElements(count, reduction);
  }
  Accumulator accumulator(schedule, reduction, value, first, second, reduction.commutative);
  halving.Fold(accumulator);
  if (!halving.aside()) {
    halving.Halve(accumulator);
    accumulator.StoreTo(first);
    halving.GatherBack(first, halving.PlaceOf(root));
  }
  if (collector == root) return;
  if (rank == collector) {
    schedule.SendElements(first, count, reduction, root);
    schedule.EndRound();
  } else if (rank == root) {
    schedule.ReceiveElements(result, count, reduction, collector);
    schedule.EndRound();
  }
}

struct ReduceCall {
  const void* sendbuf;
  void* recvbuf;
  int count;
  MPI_Datatype datatype;
  MPI_Op op;
  int root;
  Reduction reduction = {};

  int Check(const Communicator& communicator) {
    const int op_error = PrepareReduction(op, datatype, &reduction);
    if (op_error != MPI_SUCCESS) return op_error;
    if (count < 0) return MPI_ERR_COUNT;
    const int root_error = CheckRoot(communicator, root);
    if (root_error != MPI_SUCCESS) return root_error;
    const RootRole role = RoleOf(communicator, root);
    if (communicator.inter) {
      const bool bad =
          role.is_root ? recvbuf == MPI_IN_PLACE : role.takes_part && sendbuf == MPI_IN_PLACE;
      return bad ? MPI_ERR_ARG : MPI_SUCCESS;
    }
    if (!role.is_root) return sendbuf == MPI_IN_PLACE ? MPI_ERR_ARG : MPI_SUCCESS;
    if (recvbuf == MPI_IN_PLACE || (sendbuf == recvbuf && count != 0)) return MPI_ERR_ARG;
    return MPI_SUCCESS;
  }

  void Build(Schedule& schedule) const {
    if (count == 0) return;
    const auto elements = static_cast<std::uint64_t>(count);
    if (!schedule.inter()) {
      const bool is_root = schedule.rank() == root;
      const void* value = sendbuf == MPI_IN_PLACE ? recvbuf : sendbuf;
      BuildReduce(schedule, reduction, value, is_root ? recvbuf : nullptr, elements, root);
      return;
    }
    if (root == MPI_PROC_NULL) return;
    if (root == MPI_ROOT) {
      schedule.ReceiveElements(recvbuf, elements, reduction, 0);
      schedule.EndRound();
      return;
    }
    void* total = schedule.rank() == 0 ? schedule.TemporaryElements(elements, reduction) : nullptr;
    schedule.EnterLocal();
    BuildReduce(schedule, reduction, sendbuf, total, elements, 0);
    schedule.LeaveLocal();
    if (schedule.rank() == 0) {
      schedule.SendElements(total, elements, reduction, root);
      schedule.EndRound();
    }
  }
};

}  // namespace

void BuildReduce(Schedule& schedule, const Reduction& reduction, const void* value, void* result,
                 std::uint64_t count, int root) {
  if (schedule.size() == 1) {
    schedule.CopyElements(value, result, count, reduction);
    return;
  }
  const Algorithm algorithm =
      SelectReduce(schedule.size(), count * reduction.layout.size, count, reduction.commutative);
  if (algorithm == Algorithm::kBinomial) {
    Binomial(schedule, reduction, value, result, count, root);
  } else {
    Rabenseifner(schedule, reduction, value, result, count, root);
  }
}

}  // namespace ftmpi

FTMPI_EXPORT int MPI_Reduce(const void* sendbuf, void* recvbuf, int count, MPI_Datatype datatype,
                            MPI_Op op, int root, MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Reduce(sendbuf, recvbuf, count, datatype, op, root, comm));
  return ftmpi::RunCollective(
      comm, "MPI_Reduce", ftmpi::ReduceCall{sendbuf, recvbuf, count, datatype, op, root},
      [&](MPI_Comm foreign) {
        return PMPI_Reduce(sendbuf, recvbuf, count, datatype, op, root, foreign);
      });
}

FTMPI_EXPORT int MPI_Ireduce(const void* sendbuf, void* recvbuf, int count, MPI_Datatype datatype,
                             MPI_Op op, int root, MPI_Comm comm, MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Ireduce(sendbuf, recvbuf, count, datatype, op, root, comm, request));
  return ftmpi::StartCollective(
      comm, "MPI_Ireduce", request, ftmpi::ReduceCall{sendbuf, recvbuf, count, datatype, op, root},
      [&](MPI_Comm foreign, MPI_Request* started) {
        return PMPI_Ireduce(sendbuf, recvbuf, count, datatype, op, root, foreign, started);
      });
}
