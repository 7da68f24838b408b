// np: 4
// output: varies
// Waitany, Waitsome, Testany, Testsome, Testall and Test over receives from all workers; the number
// of tests that said no is printed: polling outcomes are events like any other.
#include "event_trace.h"

enum { kWays = 6 };

static long take(int index, const MPI_Status* status, long* values, MPI_Request* requests,
                 long* next) {
  int worker = index + 1;
  CHECK_EQUAL(status->MPI_SOURCE, worker);
  CHECK_EQUAL(values[index], next[index]);
  ++next[index];
  long value = values[index];
  if (next[index] < rounds) {
    MPI_Irecv(&values[index], 1, MPI_LONG, worker, 1, MPI_COMM_WORLD, &requests[index]);
  }
  return value;
}

static void master(uint64_t* sum) {
  int workers = check_size - 1;
  long* values = calloc((size_t)workers, sizeof *values);
  long* next = calloc((size_t)workers, sizeof *next);
  int* indices = calloc((size_t)workers, sizeof *indices);
  MPI_Request* requests = calloc((size_t)workers, sizeof(MPI_Request));
  MPI_Status* statuses = calloc((size_t)workers, sizeof(MPI_Status));
  for (int w = 0; w < workers; ++w) {
    MPI_Irecv(&values[w], 1, MPI_LONG, w + 1, 1, MPI_COMM_WORLD, &requests[w]);
  }
  long left = (long)workers * rounds;
  long failed = 0;
  uint64_t way = 0;
  while (left > 0) {
    int completed = 0;
    int index = 0;
    int flag = 0;
    way = (way + 1) % kWays;
    switch (way) {
      case 0:
        MPI_Waitany(workers, requests, &index, statuses);
        indices[0] = index;
        completed = 1;
        break;
      case 1:
        MPI_Waitsome(workers, requests, &completed, indices, statuses);
        break;
      case 2:
        for (flag = 0; !flag; failed += !flag)
          MPI_Testany(workers, requests, &index, &flag, statuses);
        indices[0] = index;
        completed = 1;
        break;
      case 3:
        for (;;) {
          MPI_Testsome(workers, requests, &completed, indices, statuses);
          if (completed > 0) break;
          ++failed;
        }
        break;
      case 4:
        /* Each in turn. */
        for (int tries = 0; tries < 50 && completed == 0; ++tries) {
          for (index = 0; index < workers && completed == 0; ++index) {
            if (requests[index] == MPI_REQUEST_NULL) continue;
            MPI_Test(&requests[index], &flag, &statuses[0]);
            failed += !flag;
            if (flag) indices[completed++] = index;
          }
        }
        break;
      default:
        for (int tries = 0; tries < 20; ++tries) {
          int all = 0;
          for (index = 0; index < workers; ++index) all += requests[index] != MPI_REQUEST_NULL;
          if (all < workers) break;
          MPI_Testall(workers, requests, &flag, statuses);
          failed += !flag;
          if (!flag) continue;
          for (index = 0; index < workers; ++index) indices[completed++] = index;
          break;
        }
        break;
    }
    for (int k = 0; k < completed; ++k) {
      long value = take(indices[k], &statuses[k], values, requests, next);
      say("way %d: rank %d, %ld (%ld tests failed)\n", (int)way, indices[k] + 1, value, failed);
      /* The worker hears how often we looked. */
      MPI_Send(&failed, 1, MPI_LONG, indices[k] + 1, 2, MPI_COMM_WORLD);
      *sum += (uint64_t)value * (uint64_t)(indices[k] + 1);
      --left;
    }
  }
  free(values);
  free(next);
  free(indices);
  free(requests);
  free(statuses);
}

int main(int argc, char** argv) {
  event_begin(&argc, &argv, 2, 200);
  uint64_t sum = 0;
  if (check_rank == 0) {
    master(&sum);
    uint64_t expected = 0;
    for (int r = 1; r < check_size; ++r) {
      expected += (uint64_t)r * (uint64_t)rounds * (uint64_t)(rounds - 1) / 2;
    }
    CHECK_EQUAL(sum, expected);
  } else {
    uint64_t seed = (uint64_t)check_rank;
    long last = -1;
    for (long i = 0; i < rounds; ++i) {
      long failed = 0;
      compute(next_random(&seed));
      MPI_Send(&i, 1, MPI_LONG, 0, 1, MPI_COMM_WORLD);
      MPI_Recv(&failed, 1, MPI_LONG, 0, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      CHECK(failed >= last, "%ld after %ld", failed, last);
      last = failed;
      seed ^= (uint64_t)failed;
    }
  }
  return event_end(sum);
}
