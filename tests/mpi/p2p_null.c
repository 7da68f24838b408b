// np: 2
// MPI_PROC_NULL, zero-length messages, status fields, Sendrecv and Sendrecv_replace.
#include "p2p_check.h"

static void null_process(void) {
  int value = 5;
  MPI_Status status;
  MPI_Request requests[4];
  int flag;
  MPI_Send(&value, 1, MPI_INT, MPI_PROC_NULL, 1, MPI_COMM_WORLD);
  MPI_Ssend(&value, 1, MPI_INT, MPI_PROC_NULL, 1, MPI_COMM_WORLD);
  MPI_Rsend(&value, 1, MPI_INT, MPI_PROC_NULL, 1, MPI_COMM_WORLD);
  MPI_Bsend(&value, 1, MPI_INT, MPI_PROC_NULL, 1, MPI_COMM_WORLD);
  memset(&status, 0x77, sizeof status);
  MPI_Recv(&value, 1, MPI_INT, MPI_PROC_NULL, 1, MPI_COMM_WORLD, &status);
  CHECK_STATUS(status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
  CHECK_EQUAL(value, 5);
  MPI_Irecv(&value, 1, MPI_INT, MPI_PROC_NULL, MPI_ANY_TAG, MPI_COMM_WORLD, &requests[0]);
  MPI_Isend(&value, 1, MPI_INT, MPI_PROC_NULL, 1, MPI_COMM_WORLD, &requests[1]);
  MPI_Issend(&value, 1, MPI_INT, MPI_PROC_NULL, 1, MPI_COMM_WORLD, &requests[2]);
  MPI_Test(&requests[0], &flag, &status);
  CHECK_EQUAL(flag, 1);
  CHECK_STATUS(status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
  MPI_Waitall(3, requests, MPI_STATUSES_IGNORE);
  MPI_Recv_init(&value, 1, MPI_INT, MPI_PROC_NULL, 1, MPI_COMM_WORLD, &requests[0]);
  MPI_Send_init(&value, 1, MPI_INT, MPI_PROC_NULL, 1, MPI_COMM_WORLD, &requests[1]);
  for (int i = 0; i < 3; ++i) {
    MPI_Startall(2, requests);
    MPI_Wait(&requests[0], &status);
    CHECK_STATUS(status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
    MPI_Wait(&requests[1], MPI_STATUS_IGNORE);
  }
  MPI_Request_free(&requests[0]);
  MPI_Request_free(&requests[1]);
  MPI_Sendrecv(&value, 1, MPI_INT, MPI_PROC_NULL, 1, &value, 0, MPI_INT, MPI_PROC_NULL, 1,
               MPI_COMM_WORLD, &status);
  CHECK_STATUS(status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
  MPI_Sendrecv_replace(&value, 1, MPI_INT, MPI_PROC_NULL, 1, MPI_PROC_NULL, 1, MPI_COMM_WORLD,
                       &status);
  CHECK_EQUAL(value, 5);
  /* A shift in a line: one end sends to nobody, the other receives from nobody. */
  int left = check_rank == 0 ? MPI_PROC_NULL : check_rank - 1;
  int right = check_rank == check_size - 1 ? MPI_PROC_NULL : check_rank + 1;
  int got = -1;
  MPI_Sendrecv(&check_rank, 1, MPI_INT, right, 2, &got, 1, MPI_INT, left, 2, MPI_COMM_WORLD,
               &status);
  CHECK_EQUAL(got, check_rank == 0 ? -1 : check_rank - 1);
  CHECK_EQUAL(status.MPI_SOURCE, left);
}

static void zero_length(void) {
  MPI_Status status;
  int count = -1;
  char guard = 'g';
  int peer = check_rank ^ 1;
  if (peer >= check_size) return;
  for (int i = 0; i < 100; ++i) {
    if (check_rank % 2 == 0) {
      MPI_Send(i % 2 ? NULL : &guard, 0, MPI_DOUBLE, peer, i, MPI_COMM_WORLD);
      MPI_Ssend(NULL, 0, MPI_DOUBLE, peer, i, MPI_COMM_WORLD);
    } else {
      MPI_Recv(i % 2 ? NULL : &guard, 0, MPI_DOUBLE, peer, i, MPI_COMM_WORLD, &status);
      CHECK_STATUS(status, peer, i, 0);
      double big[4] = {1, 2, 3, 4};
      MPI_Recv(big, 4, MPI_DOUBLE, peer, i, MPI_COMM_WORLD, &status);
      MPI_Get_count(&status, MPI_DOUBLE, &count);
      CHECK_EQUAL(count, 0);
      CHECK(big[0] == 1 && big[3] == 4);
      CHECK_EQUAL(guard, 'g');
    }
  }
  /* A datatype without data. */
  MPI_Datatype nothing;
  MPI_Type_contiguous(0, MPI_INT, &nothing);
  MPI_Type_commit(&nothing);
  MPI_Sendrecv(&guard, 5, nothing, peer, 3, &guard, 5, nothing, peer, 3, MPI_COMM_WORLD, &status);
  CHECK_EQUAL(status.MPI_SOURCE, peer);
  MPI_Type_free(&nothing);
}

static void status_fields(void) {
  int peer = check_rank ^ 1;
  if (peer >= check_size) return;
  MPI_Status status;
  int count;
  short data[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  short in[20];
  memset(&status, 0x77, sizeof status);
  status.MPI_ERROR = 4711;
  MPI_Sendrecv(data, 9, MPI_SHORT, peer, 32767, in, 20, MPI_SHORT, MPI_ANY_SOURCE, MPI_ANY_TAG,
               MPI_COMM_WORLD, &status);
  CHECK_STATUS(status, peer, 32767, 18);
  MPI_Get_count(&status, MPI_SHORT, &count);
  CHECK_EQUAL(count, 9);
  MPI_Get_count(&status, MPI_INT, &count); /* 18 bytes are no whole number of ints */
  CHECK_EQUAL(count, MPI_UNDEFINED);
  MPI_Count elements = -1;
  MPI_Get_elements_x(&status, MPI_SHORT, &elements);
  CHECK_EQUAL(elements, 9);
  /* The largest tag. */
  int* upper = NULL;
  int flag = 0;
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &upper, &flag);
  CHECK(flag && *upper >= 32767, "MPI_TAG_UB");
  MPI_Sendrecv(data, 1, MPI_SHORT, peer, *upper, in, 1, MPI_SHORT, peer, *upper, MPI_COMM_WORLD,
               &status);
  CHECK_STATUS(status, peer, *upper, 2);
}

static void replace(size_t bytes) {
  int next = (check_rank + 1) % check_size;
  int previous = (check_rank + check_size - 1) % check_size;
  unsigned char* buffer = malloc(bytes + 1);
  MPI_Status status;
  fill(buffer, bytes, (uint64_t)check_rank);
  for (int step = 1; step <= check_size; ++step) {
    MPI_Sendrecv_replace(buffer, (int)bytes, MPI_BYTE, next, step, previous, MPI_ANY_TAG,
                         MPI_COMM_WORLD, &status);
    CHECK_STATUS(status, previous, step, bytes);
    CHECK_PATTERN(buffer, bytes, (check_rank + check_size * 8 - step) % check_size);
  }
  free(buffer);
}

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 1);
  null_process();
  zero_length();
  status_fields();
  replace(0);
  replace(10);
  replace(4096);
  replace(1000000);
  return check_end();
}
