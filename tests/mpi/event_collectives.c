// np: 4
// output: varies
// Non-blocking collectives under way while messages come from any source and requests are polled.
#include "event_trace.h"

enum { kCells = 3000 };

int main(int argc, char** argv) {
  event_begin(&argc, &argv, 2, 100);
  double* field = malloc(sizeof(double) * kCells);
  double* total = malloc(sizeof(double) * kCells);
  for (int i = 0; i < kCells; ++i) field[i] = 0.001 * i + check_rank;
  uint64_t result = DIGEST_START;
  MPI_Comm dup;
  MPI_Comm_dup(MPI_COMM_WORLD, &dup);
  for (int round = 0; round < rounds; ++round) {
    int cells = round % 3 == 0 ? kCells : 10;
    long order = 0;
    long failed = 0;
    long announced = check_rank == round % check_size ? round : -1;
    MPI_Request requests[3];
    MPI_Iallreduce(field, total, cells, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD, &requests[0]);
    MPI_Ibcast(&announced, 1, MPI_LONG, round % check_size, dup, &requests[1]);
    MPI_Ibarrier(dup, &requests[2]);
    /* Meanwhile everybody sends one number to rank 0, which takes them as they come. */
    compute((uint64_t)(round + check_rank));
    if (check_rank == 0) {
      for (int r = 1; r < check_size; ++r) {
        MPI_Status status;
        long number = -1;
        MPI_Recv(&number, 1, MPI_LONG, MPI_ANY_SOURCE, round, MPI_COMM_WORLD, &status);
        CHECK_EQUAL(number, (long)round * status.MPI_SOURCE);
        order = order * 10 + status.MPI_SOURCE;
      }
    } else {
      long number = (long)round * check_rank;
      MPI_Send(&number, 1, MPI_LONG, 0, round, MPI_COMM_WORLD);
    }
    int done[3] = {0, 0, 0};
    int first = -1;
    if (round % 2) {
      for (int left = 3; left > 0; --left) {
        int index = -1;
        MPI_Waitany(3, requests, &index, MPI_STATUS_IGNORE);
        CHECK(index >= 0 && index < 3 && !done[index]);
        done[index] = 1;
        if (first < 0) first = index;
      }
    } else {
      for (int left = 3; left > 0;) {
        int completed = 0;
        int indices[3];
        MPI_Testsome(3, requests, &completed, indices, MPI_STATUSES_IGNORE);
        failed += completed == 0;
        if (completed > 0 && first < 0) first = indices[0];
        left -= completed;
      }
    }
    CHECK_EQUAL(announced, round);
    for (int i = 0; i < cells; ++i) {
      if (i % 100 == 0) result = digest_add(result, &total[i], sizeof total[i]);
      field[i] = total[i] * 0.999 + 0.001 * check_rank;
    }
    if (check_rank == 0) {
      say("round %d: order %ld, request %d first, %ld polls failed, field %a\n", round, order,
          first, failed, total[0]);
    }
  }
  free(field);
  free(total);
  MPI_Comm_free(&dup);
  return event_end(result);
}
