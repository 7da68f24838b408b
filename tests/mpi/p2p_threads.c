// np: 2 thread: multiple
// seconds: 120
// MPI_THREAD_MULTIPLE: several threads of each rank send, receive, probe, wait and test at once.
#include <pthread.h>

#include "p2p_check.h"

enum { kThreads = 4, kRounds = 400, kMaximum = 20000 };
static MPI_Comm comms[kThreads];

/* Thread t of one rank and thread t of the other play ping-pong, told apart by the tag. */
static void* by_tag(void* argument) {
  int t = (int)(intptr_t)argument;
  int peer = 1 - check_rank;
  unsigned char* out = malloc(kMaximum);
  unsigned char* in = malloc(kMaximum);
  uint64_t state = (uint64_t)t;
  for (int i = 0; i < kRounds; ++i) {
    uint64_t r = next_random(&state); /* the same on both sides */
    int bytes = i % 20 == 0 ? (int)(r % kMaximum) : (int)(r % 300);
    MPI_Request requests[2];
    MPI_Status status;
    int flag = 0;
    fill(out, (size_t)bytes, (uint64_t)(i * 10 + t + 100000 * check_rank));
    switch (i % 4) {
      case 0:
        MPI_Sendrecv(out, bytes, MPI_BYTE, peer, t, in, kMaximum, MPI_BYTE, peer, t, MPI_COMM_WORLD,
                     &status);
        break;
      case 1:
        MPI_Irecv(in, kMaximum, MPI_BYTE, MPI_ANY_SOURCE, t, MPI_COMM_WORLD, &requests[0]);
        MPI_Isend(out, bytes, MPI_BYTE, peer, t, MPI_COMM_WORLD, &requests[1]);
        while (!flag) MPI_Test(&requests[0], &flag, &status);
        MPI_Wait(&requests[1], MPI_STATUS_IGNORE);
        break;
      case 2:
        MPI_Isend(out, bytes, MPI_BYTE, peer, t, MPI_COMM_WORLD, &requests[1]);
        MPI_Probe(peer, t, MPI_COMM_WORLD, &status);
        MPI_Recv(in, kMaximum, MPI_BYTE, peer, t, MPI_COMM_WORLD, &status);
        MPI_Wait(&requests[1], MPI_STATUS_IGNORE);
        break;
      default:
        MPI_Isend(out, bytes, MPI_BYTE, peer, t, MPI_COMM_WORLD, &requests[1]);
        MPI_Message message;
        MPI_Mprobe(MPI_ANY_SOURCE, t, MPI_COMM_WORLD, &message, &status);
        MPI_Mrecv(in, kMaximum, MPI_BYTE, &message, &status);
        MPI_Waitall(1, &requests[1], MPI_STATUSES_IGNORE);
        break;
    }
    CHECK_STATUS(status, peer, t, bytes);
    CHECK_PATTERN(in, (size_t)bytes, i * 10 + t + 100000 * peer);
  }
  free(out);
  free(in);
  return NULL;
}

/* Each thread has a communicator of its own and does collectives on it. */
static void* by_communicator(void* argument) {
  int t = (int)(intptr_t)argument;
  for (int i = 0; i < kRounds; ++i) {
    int mine = i * (check_rank + 1) + t;
    int sum = 0;
    int expected = 0;
    for (int r = 0; r < check_size; ++r) expected += i * (r + 1) + t;
    MPI_Allreduce(&mine, &sum, 1, MPI_INT, MPI_SUM, comms[t]);
    CHECK_EQUAL(sum, expected);
  }
  return NULL;
}

/* All threads take from one pool of messages with matched probes; each message once. */
static char taken[kThreads * kRounds];
static void* from_pool(void* argument) {
  int t = (int)(intptr_t)argument;
  if (check_rank == 0) {
    for (int i = 0; i < kRounds; ++i) {
      int number = t * kRounds + i;
      MPI_Send(&number, 1, MPI_INT, 1, 50, MPI_COMM_WORLD);
    }
  } else if (check_rank == 1) {
    for (int i = 0; i < kRounds; ++i) {
      MPI_Message message = MPI_MESSAGE_NULL;
      int flag = 0;
      int number = -1;
      if (i % 2) {
        while (!flag)
          MPI_Improbe(MPI_ANY_SOURCE, 50, MPI_COMM_WORLD, &flag, &message, MPI_STATUS_IGNORE);
      } else {
        MPI_Mprobe(0, 50, MPI_COMM_WORLD, &message, MPI_STATUS_IGNORE);
      }
      MPI_Mrecv(&number, 1, MPI_INT, &message, MPI_STATUS_IGNORE);
      CHECK(number >= 0 && number < kThreads * kRounds);
      CHECK(!__atomic_exchange_n(&taken[number], 1, __ATOMIC_RELAXED), "message %d came twice",
            number);
    }
  }
  return NULL;
}

static void in_threads(void* (*body)(void*)) {
  pthread_t threads[kThreads];
  for (int t = 0; t < kThreads; ++t) {
    CHECK_EQUAL(pthread_create(&threads[t], NULL, body, (void*)(intptr_t)t), 0);
  }
  for (int t = 0; t < kThreads; ++t) pthread_join(threads[t], NULL);
}

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_MULTIPLE, 2);
  for (int t = 0; t < kThreads; ++t) MPI_Comm_dup(MPI_COMM_WORLD, &comms[t]);
  if (check_rank < 2) in_threads(by_tag);
  MPI_Barrier(MPI_COMM_WORLD);
  in_threads(by_communicator);
  MPI_Barrier(MPI_COMM_WORLD);
  in_threads(from_pool);
  if (check_rank == 1) {
    for (int i = 0; i < kThreads * kRounds; ++i) CHECK(taken[i], "message %d was lost", i);
  }
  for (int t = 0; t < kThreads; ++t) MPI_Comm_free(&comms[t]);
  return check_end();
}
