// MPI_Scan, MPI_Exscan and their non-blocking forms.
#include "pmpi/collective.h"
#include "pmpi/collective_selection.h"

namespace ftmpi {
namespace {

struct ScanCall {
  const void* sendbuf;
  void* recvbuf;
  int count;
  MPI_Datatype datatype;
  MPI_Op op;
  bool exclusive;
  Reduction reduction = {};

  int Check(const Communicator& communicator) {
    if (communicator.inter) return MPI_ERR_COMM;
    const int op_error = PrepareReduction(op, datatype, &reduction);
    if (op_error != MPI_SUCCESS) return op_error;
    if (count < 0) return MPI_ERR_COUNT;
    return recvbuf == MPI_IN_PLACE ? MPI_ERR_ARG : MPI_SUCCESS;
  }

  void Build(Schedule& schedule) const {
    if (count == 0) return;
    const auto elements = static_cast<std::uint64_t>(count);
    const void* value = sendbuf;
    if (sendbuf == MPI_IN_PLACE) {
      value = recvbuf;
      if (exclusive || schedule.size() > 1) {
        void* copy = schedule.TemporaryElements(elements, reduction);
        schedule.CopyElements(recvbuf, copy, elements, reduction);
        value = copy;
      }
    } else if (!exclusive) {
      schedule.CopyElements(sendbuf, recvbuf, elements, reduction);
    }
    if (SelectScan(schedule.size()) == Algorithm::kLinear) {
      Linear(schedule, value, elements);
    } else {
      RecursiveDoubling(schedule, value, elements);
    }
  }

  // recvbuf holds this rank's value, or nothing yet if exclusive.
  void Linear(Schedule& schedule, const void* value, std::uint64_t elements) const {
    const int rank = schedule.rank();
    const bool last = rank + 1 == schedule.size();
    if (!exclusive) {
      if (rank > 0) {
        void* before = schedule.TemporaryElements(elements, reduction);
        schedule.ReceiveElements(before, elements, reduction, rank - 1);
        schedule.EndRound();
        schedule.CombineElements(before, recvbuf, elements, reduction);
      }
      if (!last) schedule.SendElements(recvbuf, elements, reduction, rank + 1);
      schedule.EndRound();
      return;
    }
    const void* through = value;
    if (rank > 0) {
      void* sum = last ? nullptr : schedule.TemporaryElements(elements, reduction);
      schedule.ReceiveElements(recvbuf, elements, reduction, rank - 1);
      schedule.EndRound();
      if (!last) {
        schedule.CopyElements(value, sum, elements, reduction);
        schedule.CombineElements(recvbuf, sum, elements, reduction);
      }
      through = sum;
    }
    if (!last) schedule.SendElements(through, elements, reduction, rank + 1);
    schedule.EndRound();
  }

  // Ranks exchange what their subcube has so far with the neighbouring subcube; what comes from
  // lower ranks also belongs to the result. A subcube that is cut short by the group's end has
  // nobody above it who would need it.
  void RecursiveDoubling(Schedule& schedule, const void* value, std::uint64_t elements) const {
    const int rank = schedule.rank();
    const int size = schedule.size();
    if (size == 1) return;
    void* first = schedule.TemporaryElements(elements, reduction);
    void* second = schedule.TemporaryElements(elements, reduction);
    Accumulator subcube(schedule, reduction, value, first, second, false);
    subcube.SetRange(0, elements);
    bool empty = exclusive;
    for (int mask = 1; mask < size; mask *= 2) {
      const int partner = rank ^ mask;
      if (partner >= size) continue;
      const bool left = partner < rank;
      void* operand = subcube.OperandAt(left);
      schedule.ReceiveElements(operand, elements, reduction, partner);
      schedule.SendElements(subcube.At(0), elements, reduction, partner);
      schedule.EndRound();
      if (left && empty) {
        schedule.CopyElements(operand, recvbuf, elements, reduction);
        empty = false;
      } else if (left) {
        schedule.CombineElements(operand, recvbuf, elements, reduction);
      }
      subcube.Combine(left);
    }
  }
};

}  // namespace
}  // namespace ftmpi

using ftmpi::ScanCall;

FTMPI_EXPORT int MPI_Scan(const void* sendbuf, void* recvbuf, int count, MPI_Datatype datatype,
                          MPI_Op op, MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Scan(sendbuf, recvbuf, count, datatype, op, comm));
  return ftmpi::RunCollective(
      comm, "MPI_Scan", ScanCall{sendbuf, recvbuf, count, datatype, op, false},
      [&](MPI_Comm foreign) { return PMPI_Scan(sendbuf, recvbuf, count, datatype, op, foreign); });
}

FTMPI_EXPORT int MPI_Iscan(const void* sendbuf, void* recvbuf, int count, MPI_Datatype datatype,
                           MPI_Op op, MPI_Comm comm, MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Iscan(sendbuf, recvbuf, count, datatype, op, comm, request));
  return ftmpi::StartCollective(
      comm, "MPI_Iscan", request, ScanCall{sendbuf, recvbuf, count, datatype, op, false},
      [&](MPI_Comm foreign, MPI_Request* started) {
        return PMPI_Iscan(sendbuf, recvbuf, count, datatype, op, foreign, started);
      });
}

FTMPI_EXPORT int MPI_Exscan(const void* sendbuf, void* recvbuf, int count, MPI_Datatype datatype,
                            MPI_Op op, MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Exscan(sendbuf, recvbuf, count, datatype, op, comm));
  return ftmpi::RunCollective(comm, "MPI_Exscan",
                              ScanCall{sendbuf, recvbuf, count, datatype, op, true},
                              [&](MPI_Comm foreign) {
                                return PMPI_Exscan(sendbuf, recvbuf, count, datatype, op, foreign);
                              });
}

FTMPI_EXPORT int MPI_Iexscan(const void* sendbuf, void* recvbuf, int count, MPI_Datatype datatype,
                             MPI_Op op, MPI_Comm comm, MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Iexscan(sendbuf, recvbuf, count, datatype, op, comm, request));
  return ftmpi::StartCollective(
      comm, "MPI_Iexscan", request, ScanCall{sendbuf, recvbuf, count, datatype, op, true},
      [&](MPI_Comm foreign, MPI_Request* started) {
        return PMPI_Iexscan(sendbuf, recvbuf, count, datatype, op, foreign, started);
      });
}
