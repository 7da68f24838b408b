// np: 3
// output: varies
// Receives cancelled while their message may be arriving: whether the cancel succeeded is an event.
#include "event_trace.h"

int main(int argc, char** argv) {
  event_begin(&argc, &argv, 2, 300);
  uint64_t sum = 0;
  if (check_rank == 0) {
    long received = 0;
    long cancelled = 0;
    long wanted = (long)(check_size - 1) * rounds;
    uint64_t state = 1;
    while (received < wanted) {
      long value = -1;
      MPI_Request request;
      MPI_Status status;
      int flag = 0;
      MPI_Irecv(&value, 1, MPI_LONG, MPI_ANY_SOURCE, 1, MPI_COMM_WORLD, &request);
      for (uint64_t looks = next_random(&state) % 30; looks > 0 && !flag; --looks) {
        MPI_Request_get_status(request, &flag, MPI_STATUS_IGNORE);
      }
      MPI_Cancel(&request);
      MPI_Wait(&request, &status);
      MPI_Test_cancelled(&status, &flag);
      if (flag) {
        CHECK_EQUAL(value, -1);
        ++cancelled;
        continue;
      }
      ++received;
      sum += (uint64_t)value;
      say("%ld from rank %d after %ld cancelled receives\n", value, status.MPI_SOURCE, cancelled);
      MPI_Send(&cancelled, 1, MPI_LONG, status.MPI_SOURCE, 2, MPI_COMM_WORLD);
    }
    CHECK_EQUAL(sum, (uint64_t)(check_size - 1) * (uint64_t)rounds * (uint64_t)(rounds - 1) / 2);
  } else {
    for (long i = 0; i < rounds; ++i) {
      long cancelled = 0;
      compute((uint64_t)(i + check_rank));
      MPI_Send(&i, 1, MPI_LONG, 0, 1, MPI_COMM_WORLD);
      MPI_Recv(&cancelled, 1, MPI_LONG, 0, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    }
  }
  return event_end(sum);
}
