// np: 3
// Thousands of outstanding requests, received in reverse order; large messages in both directions
// at once; everybody to everybody.
#include "p2p_check.h"

enum { kMany = 4000 };

static void reverse(void) {
  int peer = check_rank ^ 1;
  if (check_rank > 1) return;
  static int in[kMany];
  static int out[kMany];
  static MPI_Request requests[2 * kMany];
  /* Posted by falling tags, sent by rising ones. */
  for (int i = 0; i < kMany; ++i) {
    in[i] = -1;
    MPI_Irecv(&in[kMany - 1 - i], 1, MPI_INT, peer, kMany - 1 - i, MPI_COMM_WORLD, &requests[i]);
  }
  for (int i = 0; i < kMany; ++i) {
    out[i] = i * 2 + check_rank;
    MPI_Isend(&out[i], 1, MPI_INT, peer, i, MPI_COMM_WORLD, &requests[kMany + i]);
  }
  MPI_Waitall(2 * kMany, requests, MPI_STATUSES_IGNORE);
  for (int i = 0; i < kMany; ++i) CHECK_EQUAL(in[i], i * 2 + peer);
  /* Sent first, received backwards: all unexpected. */
  for (int i = 0; i < kMany; ++i) {
    MPI_Isend(&out[i], 1, MPI_INT, peer, i, MPI_COMM_WORLD, &requests[i]);
  }
  for (int i = kMany - 1; i >= 0; --i) {
    MPI_Recv(&in[i], 1, MPI_INT, peer, i, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    CHECK_EQUAL(in[i], i * 2 + peer);
  }
  MPI_Waitall(kMany, requests, MPI_STATUSES_IGNORE);
}

static void both_ways(size_t bytes, int rounds) {
  int peer = check_rank ^ 1;
  if (check_rank > 1) return;
  enum { kSlots = 4 };
  unsigned char* out[kSlots];
  unsigned char* in[kSlots];
  MPI_Request requests[2 * kSlots];
  for (int s = 0; s < kSlots; ++s) {
    out[s] = malloc(bytes);
    in[s] = malloc(bytes);
  }
  for (int round = 0; round < rounds; ++round) {
    for (int s = 0; s < kSlots; ++s) {
      fill(out[s], bytes, (uint64_t)(round * 10 + s + 1000 * check_rank));
      /* Alternately sends first or receives first. */
      int r = (round + s) % 2 ? s : kSlots + s;
      int w = (round + s) % 2 ? kSlots + s : s;
      MPI_Irecv(in[s], (int)bytes, MPI_BYTE, peer, s, MPI_COMM_WORLD, &requests[r]);
      MPI_Isend(out[s], (int)bytes, MPI_BYTE, peer, s, MPI_COMM_WORLD, &requests[w]);
    }
    MPI_Waitall(2 * kSlots, requests, MPI_STATUSES_IGNORE);
    for (int s = 0; s < kSlots; ++s) CHECK_PATTERN(in[s], bytes, round * 10 + s + 1000 * peer);
  }
  for (int s = 0; s < kSlots; ++s) {
    free(out[s]);
    free(in[s]);
  }
}

static void everybody(size_t bytes) {
  unsigned char* out = malloc(bytes * (size_t)check_size);
  unsigned char* in = malloc(bytes * (size_t)check_size);
  MPI_Request* requests = malloc(sizeof(MPI_Request) * 2 * (size_t)check_size);
  for (int round = 0; round < 10; ++round) {
    for (int r = 0; r < check_size; ++r) {
      fill(out + bytes * (size_t)r, bytes, (uint64_t)(check_rank * 100 + r + round));
      MPI_Isend(out + bytes * (size_t)r, (int)bytes, MPI_BYTE, r, round, MPI_COMM_WORLD,
                &requests[r]);
    }
    for (int r = 0; r < check_size; ++r) {
      MPI_Irecv(in + bytes * (size_t)r, (int)bytes, MPI_BYTE, r, round, MPI_COMM_WORLD,
                &requests[check_size + r]);
    }
    MPI_Waitall(2 * check_size, requests, MPI_STATUSES_IGNORE);
    for (int r = 0; r < check_size; ++r) {
      CHECK_PATTERN(in + bytes * (size_t)r, bytes, r * 100 + check_rank + round);
    }
  }
  free(out);
  free(in);
  free(requests);
}

/* A ring in which everybody sends large messages blockingly, with the receive posted before. */
static void ring(void) {
  enum { kBytes = 700000 };
  unsigned char* out = malloc(kBytes);
  unsigned char* in = malloc(kBytes);
  int next = (check_rank + 1) % check_size;
  int previous = (check_rank + check_size - 1) % check_size;
  for (int round = 0; round < 20; ++round) {
    MPI_Request request;
    fill(out, kBytes, (uint64_t)(check_rank + round));
    MPI_Irecv(in, kBytes, MPI_BYTE, previous, round, MPI_COMM_WORLD, &request);
    MPI_Send(out, kBytes, MPI_BYTE, next, round, MPI_COMM_WORLD);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    CHECK_PATTERN(in, kBytes, previous + round);
    MPI_Sendrecv(out, kBytes, MPI_BYTE, previous, round, in, kBytes, MPI_BYTE, next, round,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    CHECK_PATTERN(in, kBytes, next + round);
  }
  free(out);
  free(in);
}

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 2);
  reverse();
  both_ways(100, 50);
  both_ways(5000, 50);
  both_ways(100000, 20);
  both_ways(4 << 20, 3);
  everybody(64);
  everybody(30000);
  ring();
  return check_end();
}
