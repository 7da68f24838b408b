// np: 2
// env: OMPI_MCA_osc=pt2pt,sm
// notice: MPI_Win_allocate
// Exclusive locks of another rank's window, and compare-and-swap. (With Open MPI 4.1.4's osc/rdma
// the first hang and the second crashes on shared memory, so another component is asked for.)
#include "check.h"

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank, size;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  long long* cells;
  MPI_Win win;
  MPI_Win_allocate(2 * sizeof(long long), sizeof(long long), MPI_INFO_NULL, MPI_COMM_WORLD, &cells,
                   &win);
  MPI_Win_lock(MPI_LOCK_EXCLUSIVE, rank, 0, win);
  cells[0] = cells[1] = 0;
  MPI_Win_unlock(rank, win);
  MPI_Barrier(MPI_COMM_WORLD);

  // Read, add, write under an exclusive lock.
  for (int i = 0; i < 20; ++i) {
    long long value = -1;
    MPI_Win_lock(MPI_LOCK_EXCLUSIVE, 0, 0, win);
    MPI_Get(&value, 1, MPI_LONG_LONG, 0, 0, 1, MPI_LONG_LONG, win);
    MPI_Win_flush(0, win);
    ++value;
    MPI_Put(&value, 1, MPI_LONG_LONG, 0, 0, 1, MPI_LONG_LONG, win);
    MPI_Win_unlock(0, win);
  }
  MPI_Barrier(MPI_COMM_WORLD);

  // Each rank adds by compare-and-swap until it wins.
  MPI_Win_lock_all(0, win);
  for (int i = 0; i < 10; ++i) {
    long long old = 0, found = -1;
    for (;;) {
      const long long next = old + 1;
      MPI_Compare_and_swap(&next, &old, &found, MPI_LONG_LONG, 0, 1, win);
      MPI_Win_flush(0, win);
      if (found == old) break;
      old = found;
    }
  }
  MPI_Win_unlock_all(win);
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) {
    MPI_Win_lock(MPI_LOCK_SHARED, 0, 0, win);
    CHECK_EQUAL(cells[0], 20LL * size);
    CHECK_EQUAL(cells[1], 10LL * size);
    MPI_Win_unlock(0, win);
    printf("exclusive locks, compare-and-swap: ok\n");
  }
  MPI_Win_free(&win);
  MPI_Finalize();
  return 0;
}
