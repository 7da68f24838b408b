// np: 2
// MPI_Cancel on receives: a cancelled receive takes no message, one that was too late is complete.
#include "p2p_check.h"

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 2);
  MPI_Request request;
  MPI_Status status;
  int flag;
  int value = -1;
  int peer = 1 - check_rank;

  /* Nothing was sent: the cancel succeeds, for named and wildcard receives. */
  for (int i = 0; i < 200; ++i) {
    MPI_Irecv(&value, 1, MPI_INT, i % 2 ? peer : MPI_ANY_SOURCE, i % 3 ? 5 : MPI_ANY_TAG,
              MPI_COMM_WORLD, &request);
    MPI_Cancel(&request);
    CHECK(request != MPI_REQUEST_NULL);
    if (i % 5 == 0) {
      for (flag = 0; !flag;) MPI_Test(&request, &flag, &status);
    } else {
      MPI_Wait(&request, &status);
    }
    MPI_Test_cancelled(&status, &flag);
    CHECK_EQUAL(flag, 1);
    CHECK(request == MPI_REQUEST_NULL);
    CHECK_EQUAL(value, -1);
  }
  MPI_Barrier(MPI_COMM_WORLD);

  /* The cancelled receive was first in line: the message goes to the next one. */
  if (check_rank == 0) {
    int second = -1;
    MPI_Request other;
    MPI_Irecv(&value, 1, MPI_INT, 1, 6, MPI_COMM_WORLD, &request);
    MPI_Irecv(&second, 1, MPI_INT, 1, 6, MPI_COMM_WORLD, &other);
    MPI_Cancel(&request);
    MPI_Wait(&request, &status);
    MPI_Test_cancelled(&status, &flag);
    CHECK_EQUAL(flag, 1);
    MPI_Send(NULL, 0, MPI_BYTE, 1, 1, MPI_COMM_WORLD);
    MPI_Wait(&other, &status);
    CHECK_EQUAL(second, 77);
    CHECK_EQUAL(value, -1);
  } else {
    int sent = 77;
    MPI_Recv(NULL, 0, MPI_BYTE, 0, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Send(&sent, 1, MPI_INT, 0, 6, MPI_COMM_WORLD);
  }

  /* Too late: the message was there and matched. Neither is lost. */
  if (check_rank == 0) {
    for (int i = 0; i < 100; ++i) {
      MPI_Irecv(&value, 1, MPI_INT, 1, 7, MPI_COMM_WORLD, &request);
      MPI_Send(NULL, 0, MPI_BYTE, 1, 1, MPI_COMM_WORLD);
      /* Whoever receives the later message has the earlier one too. */
      MPI_Recv(NULL, 0, MPI_BYTE, 1, 8, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      MPI_Cancel(&request);
      MPI_Wait(&request, &status);
      MPI_Test_cancelled(&status, &flag);
      CHECK_EQUAL(flag, 0);
      CHECK_STATUS(status, 1, 7, sizeof(int));
      CHECK_EQUAL(value, i);
    }
  } else {
    for (int i = 0; i < 100; ++i) {
      MPI_Recv(NULL, 0, MPI_BYTE, 0, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      MPI_Send(&i, 1, MPI_INT, 0, 7, MPI_COMM_WORLD);
      MPI_Send(NULL, 0, MPI_BYTE, 0, 8, MPI_COMM_WORLD);
    }
  }

  /* A race: cancelled or received, but never both and never neither. */
  if (check_rank == 0) {
    int received = 0;
    for (int i = 0; i < 2000; ++i) {
      value = -1;
      MPI_Irecv(&value, 1, MPI_INT, MPI_ANY_SOURCE, 9, MPI_COMM_WORLD, &request);
      for (int spin = i % 7; spin > 0; --spin)
        MPI_Iprobe(1, 99, MPI_COMM_WORLD, &flag, MPI_STATUS_IGNORE);
      MPI_Cancel(&request);
      MPI_Wait(&request, &status);
      MPI_Test_cancelled(&status, &flag);
      if (flag) {
        CHECK_EQUAL(value, -1);
      } else {
        CHECK_EQUAL(value, received);
        ++received;
      }
    }
    for (; received < 1000; ++received) {
      MPI_Recv(&value, 1, MPI_INT, 1, 9, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      CHECK_EQUAL(value, received);
    }
  } else {
    for (int i = 0; i < 1000; ++i) MPI_Send(&i, 1, MPI_INT, 0, 9, MPI_COMM_WORLD);
  }

  /* A persistent receive can be cancelled and started again. */
  MPI_Recv_init(&value, 1, MPI_INT, peer, 11, MPI_COMM_WORLD, &request);
  for (int i = 0; i < 10; ++i) {
    MPI_Start(&request);
    MPI_Cancel(&request);
    MPI_Wait(&request, &status);
    MPI_Test_cancelled(&status, &flag);
    CHECK_EQUAL(flag, 1);
    CHECK(request != MPI_REQUEST_NULL);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  MPI_Start(&request);
  int sent = 5 + check_rank;
  MPI_Send(&sent, 1, MPI_INT, peer, 11, MPI_COMM_WORLD);
  MPI_Wait(&request, &status);
  MPI_Test_cancelled(&status, &flag);
  CHECK_EQUAL(flag, 0);
  CHECK_EQUAL(value, 5 + peer);
  MPI_Request_free(&request);

  /* Cancelled and freed. */
  MPI_Irecv(&value, 1, MPI_INT, peer, 12, MPI_COMM_WORLD, &request);
  MPI_Cancel(&request);
  MPI_Request_free(&request);
  return check_end();
}
