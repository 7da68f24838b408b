// np: 3
// Persistent requests: started again and again, with Startall, inactive ones in completion calls,
// freed while active.
#include "p2p_check.h"

enum { kRounds = 200, kSlots = 6 };

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 3);
  int next = (check_rank + 1) % check_size;
  int previous = (check_rank + check_size - 1) % check_size;
  static const int bytes[kSlots] = {0, 1, 100, 4070, 9000, 120000};
  unsigned char* out[kSlots];
  unsigned char* in[kSlots];
  MPI_Request requests[2 * kSlots];
  MPI_Status statuses[2 * kSlots];
  for (int s = 0; s < kSlots; ++s) {
    out[s] = malloc((size_t)bytes[s] + 1);
    in[s] = malloc((size_t)bytes[s] + 1);
    MPI_Recv_init(in[s], bytes[s], MPI_BYTE, s % 2 ? previous : MPI_ANY_SOURCE, s, MPI_COMM_WORLD,
                  &requests[s]);
    if (s % 2) {
      MPI_Ssend_init(out[s], bytes[s], MPI_BYTE, next, s, MPI_COMM_WORLD, &requests[kSlots + s]);
    } else {
      MPI_Send_init(out[s], bytes[s], MPI_BYTE, next, s, MPI_COMM_WORLD, &requests[kSlots + s]);
    }
  }
  /* Inactive persistent requests complete at once, with an empty status, and stay. */
  MPI_Status status;
  int flag = 0;
  int index = 0;
  memset(&status, 0x77, sizeof status);
  MPI_Wait(&requests[0], &status);
  CHECK_EMPTY(status);
  CHECK(requests[0] != MPI_REQUEST_NULL);
  MPI_Test(&requests[0], &flag, &status);
  CHECK_EQUAL(flag, 1);
  CHECK_EMPTY(status);
  MPI_Waitall(2 * kSlots, requests, statuses);
  for (int s = 0; s < 2 * kSlots; ++s) CHECK_EMPTY(statuses[s]);
  MPI_Waitany(2 * kSlots, requests, &index, &status);
  CHECK_EQUAL(index, MPI_UNDEFINED);
  CHECK_EMPTY(status);
  int completed = 0;
  int indices[2 * kSlots];
  MPI_Testsome(2 * kSlots, requests, &completed, indices, statuses);
  CHECK_EQUAL(completed, MPI_UNDEFINED);

  for (int round = 0; round < kRounds; ++round) {
    for (int s = 0; s < kSlots; ++s) {
      fill(out[s], (size_t)bytes[s], (uint64_t)(check_rank * 1000 + round * 10 + s));
      memset(in[s], 0, (size_t)bytes[s]);
    }
    if (round % 2) {
      MPI_Startall(2 * kSlots, requests);
    } else {
      for (int s = 2 * kSlots - 1; s >= 0; --s) MPI_Start(&requests[s]);
    }
    if (round % 3 == 0) {
      MPI_Waitall(2 * kSlots, requests, statuses);
      for (int s = 0; s < kSlots; ++s) CHECK_STATUS(statuses[s], previous, s, bytes[s]);
    } else if (round % 3 == 1) {
      for (int left = 2 * kSlots; left > 0;) {
        MPI_Waitsome(2 * kSlots, requests, &completed, indices, statuses);
        CHECK(completed > 0);
        for (int k = 0; k < completed; ++k) {
          if (indices[k] < kSlots) {
            CHECK_STATUS(statuses[k], previous, indices[k], bytes[indices[k]]);
          }
        }
        left -= completed;
      }
    } else {
      for (int left = 2 * kSlots; left > 0; --left) {
        MPI_Waitany(2 * kSlots, requests, &index, &status);
        CHECK(index >= 0 && index < 2 * kSlots);
        if (index < kSlots) CHECK_STATUS(status, previous, index, bytes[index]);
      }
      MPI_Waitany(2 * kSlots, requests, &index, &status);
      CHECK_EQUAL(index, MPI_UNDEFINED);
    }
    for (int s = 0; s < kSlots; ++s) {
      CHECK_PATTERN(in[s], (size_t)bytes[s], previous * 1000 + round * 10 + s);
    }
  }
  /* Freed while active: the communication still takes place. */
  fill(out[5], (size_t)bytes[5], (uint64_t)check_rank);
  MPI_Start(&requests[kSlots + 5]);
  MPI_Request_free(&requests[kSlots + 5]);
  CHECK(requests[kSlots + 5] == MPI_REQUEST_NULL);
  MPI_Start(&requests[5]);
  MPI_Wait(&requests[5], &status);
  CHECK_STATUS(status, previous, 5, bytes[5]);
  CHECK_PATTERN(in[5], (size_t)bytes[5], previous);
  for (int s = 0; s < 2 * kSlots; ++s) {
    if (requests[s] != MPI_REQUEST_NULL) MPI_Request_free(&requests[s]);
  }
  MPI_Barrier(MPI_COMM_WORLD); /* the freed send has its buffer until the neighbour has received */
  for (int s = 0; s < kSlots; ++s) {
    free(out[s]);
    free(in[s]);
  }
  return check_end();
}
