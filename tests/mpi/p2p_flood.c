// np: 3
// 100000 small messages from each sender to a receiver that looks elsewhere first, then takes them
// in an order of its own.
#include "p2p_check.h"

enum { kMessages = 100000, kTags = 10, kBlock = 100, kLastTag = 1000 };

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 2);
  if (check_rank == 0) {
    MPI_Status status;
    for (int s = 1; s < check_size; ++s) {
      /* The last message first: all the others are unexpected. */
      int last = 0;
      MPI_Recv(&last, 1, MPI_INT, s, kLastTag, MPI_COMM_WORLD, &status);
      CHECK_EQUAL(last, kMessages);
    }
    for (int s = check_size - 1; s >= 1; --s) {
      /* In blocks, and in a block one tag after the other. */
      for (int block = 0; block < kMessages; block += kBlock) {
        for (int t = kTags - 1; t >= 0; --t) {
          for (int i = block + t; i < block + kBlock; i += kTags) {
            int data[4];
            MPI_Recv(data, 4, MPI_INT, s, t, MPI_COMM_WORLD, &status);
            CHECK_EQUAL(data[0], i);
            int count = 0;
            MPI_Get_count(&status, MPI_INT, &count);
            CHECK_EQUAL(count, 1 + i % 4);
            for (int k = 1; k < count; ++k) CHECK_EQUAL(data[k], i + k);
          }
        }
      }
    }
    int flag = 0;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &flag, &status);
    CHECK_EQUAL(flag, 0);
  } else {
    for (int i = 0; i < kMessages; ++i) {
      int data[4] = {i, i + 1, i + 2, i + 3};
      MPI_Send(data, 1 + i % 4, MPI_INT, 0, i % kTags, MPI_COMM_WORLD);
    }
    int last = kMessages;
    MPI_Send(&last, 1, MPI_INT, 0, kLastTag, MPI_COMM_WORLD);
  }
  MPI_Barrier(MPI_COMM_WORLD);

  /* From any source, many at once. */
  if (check_rank == 0) {
    int next[64] = {0};
    for (long left = (long)kMessages / 10 * (check_size - 1); left > 0; --left) {
      int number = -1;
      MPI_Status status;
      MPI_Recv(&number, 1, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
      CHECK_EQUAL(number, next[status.MPI_SOURCE]);
      CHECK_EQUAL(status.MPI_TAG, number % kTags);
      ++next[status.MPI_SOURCE];
    }
  } else {
    for (int i = 0; i < kMessages / 10; ++i) MPI_Send(&i, 1, MPI_INT, 0, i % kTags, MPI_COMM_WORLD);
  }
  return check_end();
}
