// np: 3
// output: varies
// MPI_Wtime decides what is done and is printed to the last bit: time is an event.
#include "event_trace.h"

int main(int argc, char** argv) {
  event_begin(&argc, &argv, 1, 100);
  uint64_t sum = 0;
  double last = 0;
  for (int i = 0; i < rounds; ++i) {
    double start = MPI_Wtime();
    CHECK(start >= last, "time went back");
    compute((uint64_t)i);
    last = MPI_Wtime();
    /* Every rank's time, and who was the slowest, goes to all. */
    struct {
      double seconds;
      int rank;
    } mine = {last - start, check_rank}, slowest;
    MPI_Allreduce(&mine, &slowest, 1, MPI_DOUBLE_INT, MPI_MAXLOC, MPI_COMM_WORLD);
    double* times = malloc(sizeof(double) * (size_t)check_size);
    MPI_Gather(&mine.seconds, 1, MPI_DOUBLE, times, 1, MPI_DOUBLE, slowest.rank, MPI_COMM_WORLD);
    double total = 0;
    if (check_rank == slowest.rank) {
      for (int r = 0; r < check_size; ++r) total += times[r];
    }
    MPI_Bcast(&total, 1, MPI_DOUBLE, slowest.rank, MPI_COMM_WORLD);
    free(times);
    /* Some polling, as long as the clock says. */
    long polls = 0;
    if (check_rank == 0) {
      double until = MPI_Wtime() + 20e-6;
      while (MPI_Wtime() < until) ++polls;
      say("round %d: slowest %d with %a s, together %a s, %ld polls\n", i, slowest.rank,
          slowest.seconds, total, polls);
    }
    CHECK(total >= slowest.seconds);
    sum += (uint64_t)i;
  }
  return event_end(sum);
}
