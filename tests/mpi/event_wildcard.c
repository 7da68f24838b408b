// np: 4
// output: varies
// Receives from any source with any tag on every rank; what is sent depends on what was received,
// so that every rank depends on the others' events.
#include "event_trace.h"

enum { kReply = 100, kLast = 50 };

/* Rank 0 answers each message with its number in the order of arrival; the workers pass that on
 * among themselves. */
static void master(uint64_t* sum) {
  long number = 0;
  for (int open = check_size - 1; open > 0;) {
    uint64_t data[2];
    MPI_Status status;
    MPI_Recv(data, 2, MPI_UINT64_T, MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
    ++number;
    if (status.MPI_TAG == kLast) {
      say("%ld: rank %d is through\n", number, status.MPI_SOURCE);
      --open;
      continue;
    }
    say("%ld: from %d tag %d: round %llu, heard %016llx\n", number, status.MPI_SOURCE,
        status.MPI_TAG, (unsigned long long)data[0], (unsigned long long)data[1]);
    *sum += data[0] * (uint64_t)status.MPI_SOURCE;
    MPI_Send(&number, 1, MPI_LONG, status.MPI_SOURCE, kReply, MPI_COMM_WORLD);
  }
}

static void worker(void) {
  uint64_t heard = DIGEST_START;
  MPI_Comm workers;
  MPI_Comm_split(MPI_COMM_WORLD, 1, check_rank, &workers);
  int me = 0;
  int size = 1;
  MPI_Comm_rank(workers, &me);
  MPI_Comm_size(workers, &size);
  for (int i = 0; i < rounds; ++i) {
    uint64_t data[2] = {(uint64_t)i, heard};
    long number = 0;
    compute(heard);
    MPI_Send(data, 2, MPI_UINT64_T, 0, i % 7, MPI_COMM_WORLD);
    MPI_Recv(&number, 1, MPI_LONG, 0, kReply, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    heard = digest_add(heard, &number, sizeof number);
    /* One to each other worker, one from each, in the order of arrival. Only those of this round.
     */
    for (int r = 0; r < size; ++r) {
      if (r != me) MPI_Send(&number, 1, MPI_LONG, r, i, workers);
    }
    for (int r = 1; r < size; ++r) {
      MPI_Status status;
      MPI_Recv(&number, 1, MPI_LONG, MPI_ANY_SOURCE, i, workers, &status);
      heard = digest_add(heard, &number, sizeof number);
      heard = digest_add(heard, &status.MPI_SOURCE, sizeof status.MPI_SOURCE);
    }
  }
  uint64_t data[2] = {0, heard};
  MPI_Send(data, 2, MPI_UINT64_T, 0, kLast, MPI_COMM_WORLD);
  MPI_Comm_free(&workers);
}

int main(int argc, char** argv) {
  event_begin(&argc, &argv, 2, 200);
  uint64_t sum = 0;
  if (check_rank == 0) {
    MPI_Comm none;
    MPI_Comm_split(MPI_COMM_WORLD, MPI_UNDEFINED, 0, &none);
    master(&sum);
    uint64_t expected = 0;
    for (int r = 1; r < check_size; ++r) {
      expected += (uint64_t)r * (uint64_t)rounds * (uint64_t)(rounds - 1) / 2;
    }
    CHECK_EQUAL(sum, expected);
  } else {
    worker();
  }
  return event_end(sum);
}
