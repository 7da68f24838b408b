// Senders that do not look at what comes in while they send, and a receiver that waits: it makes
// its cut of a checkpoint at once, and small and large messages that were sent before their
// senders' cuts reach it behind its own. Rank 0 receives from the others in turn and prints a
// digest.
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { kRounds = 400, kLarge = 40000, kAhead = 8 };

static uint64_t work(uint64_t x) {
  for (int n = 0; n < 4000000; ++n) x = x * 6364136223846793005ULL + 1442695040888963407ULL;
  return x;
}

static int count_of(int round) { return round % 3 == 0 ? kLarge : 10; }

static void send_all(int rank) {
  MPI_Request requests[kAhead];
  uint64_t* buffers[kAhead];
  for (int n = 0; n < kAhead; ++n) {
    requests[n] = MPI_REQUEST_NULL;
    buffers[n] = malloc(kLarge * sizeof(uint64_t));
  }
  uint64_t sum = (uint64_t)rank;
  for (int round = 0; round < kRounds; ++round) {
    sum = work(sum);
    int slot = round % kAhead;
    MPI_Wait(&requests[slot], MPI_STATUS_IGNORE);
    for (int n = 0; n < count_of(round); ++n) buffers[slot][n] = sum + (uint64_t)n;
    MPI_Isend(buffers[slot], count_of(round), MPI_UINT64_T, 0, round, MPI_COMM_WORLD,
              &requests[slot]);
  }
  MPI_Waitall(kAhead, requests, MPI_STATUSES_IGNORE);
  for (int n = 0; n < kAhead; ++n) free(buffers[n]);
}

static void receive_all(int size) {
  uint64_t* buffer = malloc(kLarge * sizeof(uint64_t));
  uint64_t sum = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (int from = 1; from < size; ++from) {
      MPI_Recv(buffer, count_of(round), MPI_UINT64_T, from, round, MPI_COMM_WORLD,
               MPI_STATUS_IGNORE);
      for (int n = 0; n < count_of(round); ++n) sum = sum * 31 + buffer[n];
    }
    if (round % 20 == 0) {
      printf("round %d: %016llx\n", round, (unsigned long long)sum);
      fflush(stdout);
    }
  }
  printf("result: %016llx\n", (unsigned long long)sum);
  free(buffer);
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (rank == 0) {
    receive_all(size);
  } else {
    send_all(rank);
  }
  MPI_Finalize();
  return 0;
}
