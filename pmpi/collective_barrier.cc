// MPI_Barrier and MPI_Ibarrier.
//
// Dissemination: Hensgen, Finkel and Manber, "Two Algorithms for Barrier Synchronization" (1988).
#include <bit>

#include "pmpi/collective.h"
#include "pmpi/collective_selection.h"

namespace ftmpi {
namespace {

void Dissemination(Schedule& schedule) {
  const int rank = schedule.rank();
  const int size = schedule.size();
  for (int distance = 1; distance < size; distance *= 2) {
    schedule.ReceiveBytes(nullptr, 0, (rank - distance + size) % size);
    schedule.SendBytes(nullptr, 0, (rank + distance) % size);
    schedule.EndRound();
  }
}

void RecursiveDoubling(Schedule& schedule) {
  const int rank = schedule.rank();
  const int size = schedule.size();
  const int power = static_cast<int>(std::bit_floor(static_cast<unsigned>(size)));
  if (rank >= power) {  // stands outside: reports to a rank inside, and waits to be told
    schedule.SendBytes(nullptr, 0, rank - power);
    schedule.ReceiveBytes(nullptr, 0, rank - power);
    schedule.EndRound();
    return;
  }
  const bool has_outsider = rank + power < size;
  if (has_outsider) {
    schedule.ReceiveBytes(nullptr, 0, rank + power);
    schedule.EndRound();
  }
  for (int mask = 1; mask < power; mask *= 2) {
    schedule.ReceiveBytes(nullptr, 0, rank ^ mask);
    schedule.SendBytes(nullptr, 0, rank ^ mask);
    schedule.EndRound();
  }
  if (has_outsider) {
    schedule.SendBytes(nullptr, 0, rank + power);
    schedule.EndRound();
  }
}

struct BarrierCall {
  static int Check(const Communicator& /*communicator*/) { return MPI_SUCCESS; }
  static void Build(Schedule& schedule) {
    if (!schedule.inter()) {
      BuildBarrier(schedule);
      return;
    }
    // When the leaders have met, everybody of both groups has come.
    schedule.EnterLocal();
    BuildBarrier(schedule);
    schedule.LeaveLocal();
    if (schedule.rank() == 0) {
      schedule.ReceiveBytes(nullptr, 0, 0);
      schedule.SendBytes(nullptr, 0, 0);
      schedule.EndRound();
    }
    schedule.EnterLocal();
    BuildBcast(schedule, nullptr, 0, 0);
    schedule.LeaveLocal();
  }
};

int Foreign(MPI_Comm comm, MPI_Request* request) { return PMPI_Ibarrier(comm, request); }

}  // namespace

void BuildBarrier(Schedule& schedule) {
  if (SelectBarrier(schedule.size()) == Algorithm::kDissemination) {
    Dissemination(schedule);
  } else {
    RecursiveDoubling(schedule);
  }
}

}  // namespace ftmpi

FTMPI_EXPORT int MPI_Barrier(MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Barrier(comm));
  return ftmpi::RunCollective(comm, "MPI_Barrier", ftmpi::BarrierCall{},
                              [](MPI_Comm foreign) { return PMPI_Barrier(foreign); });
}

FTMPI_EXPORT int MPI_Ibarrier(MPI_Comm comm, MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Ibarrier(comm, request));
  return ftmpi::StartCollective(comm, "MPI_Ibarrier", request, ftmpi::BarrierCall{},
                                ftmpi::Foreign);
}
