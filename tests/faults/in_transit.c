// A sender that is far ahead of its receivers: small and large messages are always under way, so
// that a checkpoint finds some in transit. Rank 0 sends, the others take their time; each adds up
// what it gets. The digest of all sums is printed in the end.
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { kRounds = 400, kLarge = 40000, kAhead = 8 };

static uint64_t work(uint64_t x) {
  for (int n = 0; n < 1000000; ++n) x = x * 6364136223846793005ULL + 1442695040888963407ULL;
  return x;
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  uint64_t sum = 0;
  if (rank == 0) {
    MPI_Request requests[kAhead];
    uint64_t* buffers[kAhead];
    for (int n = 0; n < kAhead; ++n) {
      requests[n] = MPI_REQUEST_NULL;
      buffers[n] = malloc(kLarge * sizeof(uint64_t));
    }
    int slot = 0;
    for (int round = 0; round < kRounds; ++round) {
      for (int to = 1; to < size; ++to) {
        MPI_Wait(&requests[slot], MPI_STATUS_IGNORE);
        int count = round % 3 == 0 ? kLarge : 10;
        for (int n = 0; n < count; ++n) buffers[slot][n] = (uint64_t)(round * 1000 + to * 7 + n);
        MPI_Isend(buffers[slot], count, MPI_UINT64_T, to, round, MPI_COMM_WORLD, &requests[slot]);
        slot = (slot + 1) % kAhead;
      }
      if (round % 20 == 0) {
        printf("round %d\n", round);
        fflush(stdout);
      }
    }
    MPI_Waitall(kAhead, requests, MPI_STATUSES_IGNORE);
    for (int n = 0; n < kAhead; ++n) free(buffers[n]);
  } else {
    uint64_t* buffer = malloc(kLarge * sizeof(uint64_t));
    for (int round = 0; round < kRounds; ++round) {
      int count = round % 3 == 0 ? kLarge : 10;
      sum = work(sum);
      MPI_Recv(buffer, count, MPI_UINT64_T, 0, round, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      for (int n = 0; n < count; ++n) sum = sum * 31 + buffer[n];
    }
    free(buffer);
  }
  uint64_t all = 0;
  MPI_Reduce(&sum, &all, 1, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
  if (rank == 0) printf("result: %016llx\n", (unsigned long long)all);
  MPI_Finalize();
  return 0;
}
