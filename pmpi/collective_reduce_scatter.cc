// MPI_Reduce_scatter, MPI_Reduce_scatter_block and their non-blocking forms.
#include <algorithm>
#include <bit>

#include "pmpi/collective.h"
#include "pmpi/collective_selection.h"

namespace ftmpi {
namespace {

// The vector's blocks, one per rank.
struct Vector {
  const int* counts;  // null: all `uniform`
  int uniform;
  const std::uint64_t* offsets;  // size + 1; null if uniform

  [[nodiscard]] std::uint64_t Count(int block) const {
    return static_cast<std::uint64_t>(counts != nullptr ? counts[block] : uniform);
  }
  [[nodiscard]] std::uint64_t Offset(int block) const {
    if (offsets != nullptr) return offsets[block];
    return static_cast<std::uint64_t>(uniform) * static_cast<std::uint64_t>(block);
  }
};

// Every rank sends each other its block and combines what it gets for its own.
void Pairwise(Schedule& schedule, const Reduction& reduction, const void* value, void* result,
              const Vector& vector, bool in_place) {
  const int size = schedule.size();
  const int rank = schedule.rank();
  const std::uint64_t own = vector.Count(rank);
  // In place the result's room is part of the vector that is still to be sent.
  void* first = in_place ? schedule.TemporaryElements(own, reduction) : result;
  void* second = schedule.TemporaryElements(own, reduction);
  Accumulator accumulator(schedule, reduction, reduction.At(value, vector.Offset(rank)), first,
                          second, true);
  accumulator.SetRange(0, own);
  for (int step = 1; step < size; ++step) {
    const int to = (rank + step) % size;
    const int from = (rank - step + size) % size;
    if (own > 0) {
      schedule.ReceiveElements(accumulator.OperandAt(false), own, reduction, from);
    }
    if (vector.Count(to) > 0) {
      schedule.SendElements(reduction.At(value, vector.Offset(to)), vector.Count(to), reduction,
                            to);
    }
    schedule.EndRound();
    accumulator.Combine(false);
  }
  accumulator.StoreTo(result);
}

// Halves the group and the vector with it: in each step a rank keeps the half with its own block.
// Ranks beyond a power of two are paired with a neighbour, whose part has the blocks of both.
void RecursiveHalving(Schedule& schedule, const Reduction& reduction, const void* value,
                      void* result, const Vector& vector) {
  const int size = schedule.size();
  const int rank = schedule.rank();
  const int power = static_cast<int>(std::bit_floor(static_cast<unsigned>(size)));
  const int pairs = size - power;
  const std::uint64_t total = vector.Offset(size);
  const std::uint64_t own = vector.Count(rank);
  if (rank < 2 * pairs && rank % 2 == 1) {
    schedule.SendElements(value, total, reduction, rank - 1);
    schedule.EndRound();
    if (own > 0) schedule.ReceiveElements(result, own, reduction, rank - 1);
    schedule.EndRound();
    return;
  }
  void* first = schedule.TemporaryElements(total, reduction);
  void* second = schedule.TemporaryElements(total, reduction);
  Accumulator accumulator(schedule, reduction, value, first, second, true);
  if (rank < 2 * pairs) {
    accumulator.SetRange(0, total);
    schedule.ReceiveElements(accumulator.OperandAt(false), total, reduction, rank + 1);
    schedule.EndRound();
    accumulator.Combine(false);
  }
  const int place = rank < 2 * pairs ? rank / 2 : rank - pairs;
  const auto rank_at = [pairs](int at) { return at < pairs ? 2 * at : at + pairs; };
  // The blocks of places [low, high) are neighbours in the vector.
  const auto offset = [&](int at) { return vector.Offset(at == power ? size : rank_at(at)); };
  int low = 0;
  int high = power;
  for (int mask = power / 2; mask > 0; mask /= 2) {
    const int partner = place ^ mask;
    const int middle = low + mask;
    const bool upper = place >= middle;
    const std::uint64_t keep_begin = offset(upper ? middle : low);
    const std::uint64_t keep_end = offset(upper ? high : middle);
    const std::uint64_t give_begin = offset(upper ? low : middle);
    const std::uint64_t give_end = offset(upper ? middle : high);
    accumulator.SetRange(keep_begin, keep_end);
    if (keep_end > keep_begin) {
      schedule.ReceiveElements(accumulator.OperandAt(false), keep_end - keep_begin, reduction,
                               rank_at(partner));
    }
    if (give_end > give_begin) {
      schedule.SendElements(accumulator.At(give_begin), give_end - give_begin, reduction,
                            rank_at(partner));
    }
    schedule.EndRound();
    if (keep_end > keep_begin) accumulator.Combine(false);
    (upper ? low : high) = middle;
  }
  if (rank < 2 * pairs && vector.Count(rank + 1) > 0) {
    schedule.SendElements(accumulator.At(vector.Offset(rank + 1)), vector.Count(rank + 1),
                          reduction, rank + 1);
    schedule.EndRound();
  }
  schedule.CopyElements(accumulator.At(vector.Offset(rank)), result, own, reduction);
}

struct ReduceScatterCall {
  const void* sendbuf;
  void* recvbuf;
  const int* recvcounts;  // null: the block form
  int recvcount;
  MPI_Datatype datatype;
  MPI_Op op;
  Reduction reduction = {};
  bool in_place = false;

  int Check(const Communicator& communicator) {
    const int op_error = PrepareReduction(op, datatype, &reduction);
    if (op_error != MPI_SUCCESS) return op_error;
    if (recvcounts != nullptr) {
      for (int i = 0; i < communicator.size; ++i) {
        if (recvcounts[i] < 0) return MPI_ERR_COUNT;
      }
    } else if (recvcount < 0) {
      return MPI_ERR_COUNT;
    }
    if (recvbuf == MPI_IN_PLACE) return MPI_ERR_ARG;
    in_place = sendbuf == MPI_IN_PLACE;
    if (in_place && communicator.inter) return MPI_ERR_ARG;
    return MPI_SUCCESS;
  }

  void Build(Schedule& schedule) const {
    const int size = schedule.size();
    Vector vector{recvcounts, recvcount, nullptr};
    if (recvcounts != nullptr) {
      auto* offsets = reinterpret_cast<std::uint64_t*>(
          schedule.Temporary((static_cast<std::uint64_t>(size) + 1) * sizeof(std::uint64_t)));
      offsets[0] = 0;
      for (int i = 0; i < size; ++i) offsets[i + 1] = offsets[i] + vector.Count(i);
      vector.offsets = offsets;
    }
    const std::uint64_t total = vector.Offset(size);
    if (total == 0) return;
    const void* value = in_place ? recvbuf : sendbuf;
    if (schedule.inter()) {
      BuildInter(schedule, total);
      return;
    }
    if (size == 1) {
      schedule.CopyElements(value, recvbuf, total, reduction);
      return;
    }
    switch (SelectReduceScatter(size, total * reduction.layout.size, reduction.commutative)) {
      case Algorithm::kPairwise:
        Pairwise(schedule, reduction, value, recvbuf, vector, in_place);
        break;
      case Algorithm::kRecursiveHalving:
        RecursiveHalving(schedule, reduction, value, recvbuf, vector);
        break;
      default: {
        void* all = schedule.rank() == 0 ? schedule.TemporaryElements(total, reduction) : nullptr;
        BuildReduce(schedule, reduction, value, all, total, 0);
        BuildScatterElements(schedule, reduction, all, recvcounts, recvcount, recvbuf, 0);
      }
    }
  }

  // Each group's total goes to the other group, whose leader scatters it.
  void BuildInter(Schedule& schedule, std::uint64_t total) const {
    const bool leader = schedule.rank() == 0;
    void* own = leader ? schedule.TemporaryElements(total, reduction) : nullptr;
    void* theirs = leader ? schedule.TemporaryElements(total, reduction) : nullptr;
    schedule.EnterLocal();
    BuildReduce(schedule, reduction, sendbuf, own, total, 0);
    schedule.LeaveLocal();
    if (leader) {
      schedule.ReceiveElements(theirs, total, reduction, 0);
      schedule.SendElements(own, total, reduction, 0);
      schedule.EndRound();
    }
    schedule.EnterLocal();
    BuildScatterElements(schedule, reduction, theirs, recvcounts, recvcount, recvbuf, 0);
    schedule.LeaveLocal();
  }
};

}  // namespace
}  // namespace ftmpi

using ftmpi::ReduceScatterCall;

FTMPI_EXPORT int MPI_Reduce_scatter(const void* sendbuf, void* recvbuf, const int recvcounts[],
                                    MPI_Datatype datatype, MPI_Op op, MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Reduce_scatter(sendbuf, recvbuf, recvcounts, datatype, op, comm));
  static const int kNoCounts[1] = {-1};  // a null array is an error, not the block form
  return ftmpi::RunCollective(
      comm, "MPI_Reduce_scatter",
      ReduceScatterCall{sendbuf, recvbuf, recvcounts != nullptr ? recvcounts : kNoCounts, 0,
                        datatype, op},
      [&](MPI_Comm foreign) {
        return PMPI_Reduce_scatter(sendbuf, recvbuf, recvcounts, datatype, op, foreign);
      });
}

FTMPI_EXPORT int MPI_Ireduce_scatter(const void* sendbuf, void* recvbuf, const int recvcounts[],
                                     MPI_Datatype datatype, MPI_Op op, MPI_Comm comm,
                                     MPI_Request* request) {
  FTMPI_PASS_THROUGH(
      PMPI_Ireduce_scatter(sendbuf, recvbuf, recvcounts, datatype, op, comm, request));
  static const int kNoCounts[1] = {-1};
  return ftmpi::StartCollective(
      comm, "MPI_Ireduce_scatter", request,
      ReduceScatterCall{sendbuf, recvbuf, recvcounts != nullptr ? recvcounts : kNoCounts, 0,
                        datatype, op},
      [&](MPI_Comm foreign, MPI_Request* started) {
        return PMPI_Ireduce_scatter(sendbuf, recvbuf, recvcounts, datatype, op, foreign, started);
      });
}

FTMPI_EXPORT int MPI_Reduce_scatter_block(const void* sendbuf, void* recvbuf, int recvcount,
                                          MPI_Datatype datatype, MPI_Op op, MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Reduce_scatter_block(sendbuf, recvbuf, recvcount, datatype, op, comm));
  return ftmpi::RunCollective(
      comm, "MPI_Reduce_scatter_block",
      ReduceScatterCall{sendbuf, recvbuf, nullptr, recvcount, datatype, op}, [&](MPI_Comm foreign) {
        return PMPI_Reduce_scatter_block(sendbuf, recvbuf, recvcount, datatype, op, foreign);
      });
}

FTMPI_EXPORT int MPI_Ireduce_scatter_block(const void* sendbuf, void* recvbuf, int recvcount,
                                           MPI_Datatype datatype, MPI_Op op, MPI_Comm comm,
                                           MPI_Request* request) {
  FTMPI_PASS_THROUGH(
      PMPI_Ireduce_scatter_block(sendbuf, recvbuf, recvcount, datatype, op, comm, request));
  return ftmpi::StartCollective(
      comm, "MPI_Ireduce_scatter_block", request,
      ReduceScatterCall{sendbuf, recvbuf, nullptr, recvcount, datatype, op},
      [&](MPI_Comm foreign, MPI_Request* started) {
        return PMPI_Ireduce_scatter_block(sendbuf, recvbuf, recvcount, datatype, op, foreign,
                                          started);
      });
}
