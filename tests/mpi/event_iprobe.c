// np: 4
// output: varies
// Iprobe and Improbe loops on every rank: a token game in which who gets a token depends on who
// looks first, and everybody counts how often it looked in vain.
#include "event_trace.h"

enum { kToken = 1, kFound = 2, kStop = 3, kCounts = 4 };

struct Found {
  long token;
  long hops;
  long failed; /* looks in vain of the rank that sends it */
};

/* A token wanders between the workers until it has been seen `hops` times, then goes to rank 0. */
static void worker(void) {
  int workers = check_size - 1;
  struct Found token;
  MPI_Status status;
  long failed = 0;
  uint64_t state = (uint64_t)check_rank;
  for (long turn = 0;; ++turn) {
    int flag = 0;
    MPI_Message message;
    if (turn % 2) {
      MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &flag, &status);
      failed += !flag;
      if (!flag) continue;
      MPI_Recv(&token, sizeof token, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, MPI_COMM_WORLD,
               &status);
    } else {
      MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &flag, &message, &status);
      failed += !flag;
      if (!flag) continue;
      MPI_Mrecv(&token, sizeof token, MPI_BYTE, &message, &status);
    }
    if (status.MPI_TAG == kStop) break;
    compute(next_random(&state) + (uint64_t)failed);
    --token.hops;
    token.failed = failed;
    if (token.hops == 0) {
      MPI_Send(&token, sizeof token, MPI_BYTE, 0, kFound, MPI_COMM_WORLD);
    } else {
      /* Where to depends on what this rank has seen. */
      int next = 1 + (int)((next_random(&state) + (uint64_t)failed) % (uint64_t)workers);
      MPI_Send(&token, sizeof token, MPI_BYTE, next, kToken, MPI_COMM_WORLD);
    }
  }
  MPI_Send(&failed, 1, MPI_LONG, 0, kCounts, MPI_COMM_WORLD);
}

static void master(uint64_t* sum) {
  int workers = check_size - 1;
  struct Found token;
  long failed = 0;
  long under_way = 0;
  long started = 0;
  while (started < rounds || under_way > 0) {
    while (started < rounds && under_way < 2 * workers) {
      token.token = started;
      token.hops = 1 + started % 5;
      token.failed = 0;
      MPI_Send(&token, sizeof token, MPI_BYTE, 1 + (int)(started % workers), kToken,
               MPI_COMM_WORLD);
      ++started;
      ++under_way;
    }
    int flag = 0;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, kFound, MPI_COMM_WORLD, &flag, &status);
    if (!flag) {
      ++failed;
      continue;
    }
    MPI_Recv(&token, sizeof token, MPI_BYTE, status.MPI_SOURCE, kFound, MPI_COMM_WORLD, &status);
    --under_way;
    *sum += (uint64_t)token.token;
    say("token %ld from rank %d; in vain: %ld there, %ld here\n", token.token, status.MPI_SOURCE,
        token.failed, failed);
  }
  for (int r = 1; r < check_size; ++r) {
    MPI_Send(&token, sizeof token, MPI_BYTE, r, kStop, MPI_COMM_WORLD);
    long count = 0;
    MPI_Recv(&count, 1, MPI_LONG, r, kCounts, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    say("rank %d looked in vain %ld times\n", r, count);
  }
}

int main(int argc, char** argv) {
  event_begin(&argc, &argv, 2, 300);
  uint64_t sum = 0;
  if (check_rank == 0) {
    master(&sum);
    CHECK_EQUAL(sum, (uint64_t)rounds * (uint64_t)(rounds - 1) / 2);
  } else {
    worker();
  }
  return event_end(sum);
}
