// np: 3
// Probe, Iprobe, Mprobe, Improbe, Mrecv, Imrecv: what they find, and that they take nothing or
// exactly what they say.
#include "p2p_check.h"

enum { kBig = 200000 };
static unsigned char buffer[kBig + 1];

static int size_of(int i) { return i % 5 == 4 ? kBig - i : i * 300; }

/* Rank 1 and 2: messages of known size, tag and content, all under way at once. */
static void senders(void) {
  enum { kCount = 40 };
  unsigned char* data[kCount];
  MPI_Request requests[kCount];
  for (int i = 0; i < kCount; ++i) {
    int bytes = size_of(i);
    data[i] = malloc((size_t)bytes + 1);
    fill(data[i], (size_t)bytes, (uint64_t)(check_rank * 100 + i));
    MPI_Isend(data[i], bytes, MPI_BYTE, 0, 10 + i, MPI_COMM_WORLD, &requests[i]);
  }
  MPI_Waitall(kCount, requests, MPI_STATUSES_IGNORE);
  for (int i = 0; i < kCount; ++i) free(data[i]);
}

static void receiver(void) {
  MPI_Status status;
  MPI_Status again;
  MPI_Message message;
  MPI_Request request;
  int flag;
  for (int i = 0; i < 40; ++i) {
    int bytes = size_of(i);
    /* From rank 1: with named probes, in four ways. */
    switch (i % 4) {
      case 0:
        MPI_Probe(1, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
        CHECK_STATUS(status, 1, 10 + i, bytes);
        /* A probe takes nothing: the same is found again. */
        MPI_Probe(1, 10 + i, MPI_COMM_WORLD, &again);
        CHECK_STATUS(again, 1, 10 + i, bytes);
        MPI_Recv(buffer, bytes, MPI_BYTE, 1, 10 + i, MPI_COMM_WORLD, &status);
        break;
      case 1:
        flag = 0;
        while (!flag) MPI_Iprobe(1, 10 + i, MPI_COMM_WORLD, &flag, &status);
        CHECK_STATUS(status, 1, 10 + i, bytes);
        MPI_Recv(buffer, bytes, MPI_BYTE, 1, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
        break;
      case 2:
        MPI_Mprobe(1, 10 + i, MPI_COMM_WORLD, &message, &status);
        CHECK_STATUS(status, 1, 10 + i, bytes);
        CHECK(message != MPI_MESSAGE_NULL && message != MPI_MESSAGE_NO_PROC);
        /* It is ours alone now. */
        MPI_Iprobe(1, 10 + i, MPI_COMM_WORLD, &flag, MPI_STATUS_IGNORE);
        CHECK_EQUAL(flag, 0);
        MPI_Mrecv(buffer, bytes, MPI_BYTE, &message, &status);
        CHECK(message == MPI_MESSAGE_NULL);
        break;
      default:
        flag = 0;
        while (!flag) MPI_Improbe(1, 10 + i, MPI_COMM_WORLD, &flag, &message, &status);
        CHECK_STATUS(status, 1, 10 + i, bytes);
        MPI_Imrecv(buffer, kBig, MPI_BYTE, &message, &request);
        CHECK(message == MPI_MESSAGE_NULL);
        MPI_Wait(&request, &status);
        break;
    }
    CHECK_STATUS(status, 1, 10 + i, bytes);
    CHECK_PATTERN(buffer, (size_t)bytes, 100 + i);
  }
  /* From rank 2: all taken out of the queue by matched probes first, received backwards. */
  MPI_Message messages[40];
  for (int i = 0; i < 40; ++i) {
    MPI_Mprobe(MPI_ANY_SOURCE, 10 + i, MPI_COMM_WORLD, &messages[i], &status);
    CHECK_STATUS(status, 2, 10 + i, size_of(i));
  }
  for (int i = 39; i >= 0; --i) {
    MPI_Mrecv(buffer, size_of(i), MPI_BYTE, &messages[i], &status);
    CHECK_STATUS(status, 2, 10 + i, size_of(i));
    CHECK_PATTERN(buffer, (size_t)size_of(i), 200 + i);
  }
}

/* Two messages with one tag: a matched probe takes the first, a receive the second. */
static void overtaking(void) {
  int values[2] = {0, 0};
  if (check_rank == 1) {
    for (int i = 1; i <= 2; ++i) MPI_Send(&i, 1, MPI_INT, 0, 5, MPI_COMM_WORLD);
  } else if (check_rank == 0) {
    MPI_Message message;
    MPI_Mprobe(1, 5, MPI_COMM_WORLD, &message, MPI_STATUS_IGNORE);
    MPI_Recv(&values[1], 1, MPI_INT, 1, 5, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Mrecv(&values[0], 1, MPI_INT, &message, MPI_STATUS_IGNORE);
    CHECK_EQUAL(values[0], 1);
    CHECK_EQUAL(values[1], 2);
  }
}

static void no_process(void) {
  MPI_Message message;
  MPI_Status status;
  int flag = 0;
  MPI_Probe(MPI_PROC_NULL, 3, MPI_COMM_WORLD, &status);
  CHECK_STATUS(status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
  MPI_Iprobe(MPI_PROC_NULL, 3, MPI_COMM_WORLD, &flag, &status);
  CHECK_EQUAL(flag, 1);
  CHECK_STATUS(status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
  MPI_Mprobe(MPI_PROC_NULL, 3, MPI_COMM_WORLD, &message, &status);
  CHECK(message == MPI_MESSAGE_NO_PROC);
  CHECK_STATUS(status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
  MPI_Mrecv(NULL, 0, MPI_BYTE, &message, &status);
  CHECK_STATUS(status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
  CHECK(message == MPI_MESSAGE_NULL);
  flag = 0;
  MPI_Improbe(MPI_PROC_NULL, 3, MPI_COMM_WORLD, &flag, &message, &status);
  CHECK_EQUAL(flag, 1);
  CHECK(message == MPI_MESSAGE_NO_PROC);
  MPI_Request request;
  MPI_Imrecv(NULL, 0, MPI_BYTE, &message, &request);
  MPI_Wait(&request, &status);
  CHECK_STATUS(status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
  /* Nothing is there: no flag, and it does not wait. */
  MPI_Iprobe(MPI_ANY_SOURCE, 12345, MPI_COMM_WORLD, &flag, &status);
  CHECK_EQUAL(flag, 0);
  MPI_Improbe(MPI_ANY_SOURCE, 12345, MPI_COMM_WORLD, &flag, &message, &status);
  CHECK_EQUAL(flag, 0);
}

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 3);
  if (check_rank == 0) receiver();
  if (check_rank == 1 || check_rank == 2) senders();
  overtaking();
  no_process();
  return check_end();
}
