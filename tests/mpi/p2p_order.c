// np: 4
// Non-overtaking, stressed: many tags, sizes, communicators and wildcards at once. A receive
// matches the earliest message of a sender that it can match, a message the earliest receive.
#include "p2p_check.h"

enum { kMessages = 3000, kTags = 7, kMaximumInts = 3000, kWindow = 16 };

/* Number, tag and communicator of each message of a sender are known to the receiver: the generator
 * is the same. */
struct Plan {
  int tag;
  int comm;
  int ints;
};
static struct Plan plan(int sender, int i) {
  uint64_t state = (uint64_t)sender * 100000 + (uint64_t)i;
  uint64_t r = next_random(&state);
  struct Plan p = {(int)(r % kTags), (int)(r >> 8 & 1), 2 + (int)(r >> 16 & 3)};
  if ((r >> 20 & 31) == 0) p.ints = (int)(r >> 32) % kMaximumInts;
  if (p.ints < 2 || p.ints > kMaximumInts) p.ints = kMaximumInts;
  return p;
}

/* All are under way at once: the receiver may want the last one first. */
static void send_all(MPI_Comm comms[2]) {
  static int* buffers[kMessages];
  static MPI_Request requests[kMessages];
  for (int i = 0; i < kMessages; ++i) {
    struct Plan p = plan(check_rank, i);
    buffers[i] = malloc(sizeof(int) * (size_t)p.ints);
    for (int k = 0; k < p.ints; ++k) buffers[i][k] = i;
    buffers[i][0] = check_rank;
    if (i % 13 == 0) {
      MPI_Issend(buffers[i], p.ints, MPI_INT, 0, p.tag, comms[p.comm], &requests[i]);
    } else {
      MPI_Isend(buffers[i], p.ints, MPI_INT, 0, p.tag, comms[p.comm], &requests[i]);
    }
  }
  MPI_Waitall(kMessages, requests, MPI_STATUSES_IGNORE);
  for (int i = 0; i < kMessages; ++i) free(buffers[i]);
}

/* Receives everything in a random way; per (sender, tag, communicator) the messages must come in
 * the order in which they were sent. */
static void receive_all(MPI_Comm comms[2], uint64_t seed) {
  int senders = check_size - 1;
  long left[16][2][kTags];
  int expected[16][2][kTags]; /* number of the next message of that kind */
  long total = 0;
  CHECK(senders < 16);
  memset(left, 0, sizeof left);
  memset(expected, 0, sizeof expected);
  for (int s = 1; s <= senders; ++s) {
    for (int i = kMessages - 1; i >= 0; --i) {
      struct Plan p = plan(s, i);
      ++left[s][p.comm][p.tag];
      expected[s][p.comm][p.tag] = i;
      ++total;
    }
  }
  static int buffers[kWindow][kMaximumInts];
  while (total > 0) {
    /* A batch of receives: posted ones are matched in the order of posting. */
    MPI_Request requests[kWindow];
    MPI_Status statuses[kWindow];
    int comm_of[kWindow];
    int posted = 0;
    int wild = 0;
    for (int w = 0; w < kWindow && total > 0; ++w) {
      uint64_t r = next_random(&seed);
      int s = 1 + (int)(r % (uint64_t)senders);
      int c = (int)(r >> 8 & 1);
      int t = (int)(r >> 16) % kTags;
      if (t < 0) t += kTags;
      /* Now and then for anything, as the last of the batch. */
      if ((r >> 40 & 7) == 0) {
        long of_comm = 0;
        for (int a = 1; a <= senders; ++a) {
          for (int b = 0; b < kTags; ++b) of_comm += left[a][c][b];
        }
        if (of_comm == 0) continue;
        MPI_Irecv(buffers[posted], kMaximumInts, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, comms[c],
                  &requests[posted]);
        comm_of[posted++] = c;
        wild = 1;
        break;
      }
      if (left[s][c][t] == 0) continue;
      MPI_Irecv(buffers[posted], kMaximumInts, MPI_INT, s, t, comms[c], &requests[posted]);
      comm_of[posted++] = c;
      --left[s][c][t];
      --total;
    }
    if (posted == 0) continue;
    MPI_Waitall(posted, requests, statuses);
    for (int w = 0; w < posted; ++w) {
      int s = statuses[w].MPI_SOURCE;
      int t = statuses[w].MPI_TAG;
      int c = comm_of[w];
      int number = buffers[w][1];
      CHECK_EQUAL(buffers[w][0], s);
      CHECK(number == expected[s][c][t],
            "from %d, tag %d, communicator %d: message %d instead of %d", s, t, c, number,
            expected[s][c][t]);
      struct Plan p = plan(s, number);
      int count;
      MPI_Get_count(&statuses[w], MPI_INT, &count);
      CHECK_EQUAL(count, p.ints);
      for (int k = 1; k < count; ++k) CHECK_EQUAL(buffers[w][k], number);
      /* The next one of this kind. */
      int next = number + 1;
      while (next < kMessages) {
        struct Plan q = plan(s, next);
        if (q.comm == c && q.tag == t) break;
        ++next;
      }
      expected[s][c][t] = next;
    }
    if (wild) { /* which kind it would take was not known when it was posted */
      const MPI_Status* status = &statuses[posted - 1];
      --left[status->MPI_SOURCE][comm_of[posted - 1]][status->MPI_TAG];
      --total;
    }
  }
}

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 2);
  MPI_Comm comms[2] = {MPI_COMM_WORLD, MPI_COMM_NULL};
  MPI_Comm_dup(MPI_COMM_WORLD, &comms[1]);
  if (check_rank == 0) {
    receive_all(comms, 42);
  } else {
    send_all(comms);
  }
  MPI_Comm_free(&comms[1]);
  return check_end();
}
