// np: 2
// Wait and Test x one, any, some, all; null requests; Request_get_status; Request_free; ignored
// statuses; errors in statuses.
#include "p2p_check.h"

enum { kCount = 8, kGoTag = 100 };
static int values[kCount];
static MPI_Request requests[kCount];
static MPI_Status statuses[kCount];
static int indices[kCount];

static void post(void) {
  for (int i = 0; i < kCount; ++i) {
    values[i] = -1;
    MPI_Irecv(&values[i], 1, MPI_INT, 1, i, MPI_COMM_WORLD, &requests[i]);
  }
}
static void go(int which) { MPI_Send(&which, 1, MPI_INT, 1, kGoTag, MPI_COMM_WORLD); }

/* Rank 1 sends the message with tag `which` when asked, or all of them for -1; ends on -2. */
static void server(void) {
  for (;;) {
    int which;
    MPI_Recv(&which, 1, MPI_INT, 0, kGoTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (which == -2) return;
    for (int i = 0; i < kCount; ++i) {
      int value = 1000 + i;
      if (which == -1 || which == i) MPI_Send(&value, 1, MPI_INT, 0, i, MPI_COMM_WORLD);
    }
  }
}
static void check_values(void) {
  for (int i = 0; i < kCount; ++i) {
    CHECK_EQUAL(values[i], 1000 + i);
    CHECK(requests[i] == MPI_REQUEST_NULL);
  }
}

static void client(void) {
  int flag;
  int index;
  int completed;
  MPI_Status status;

  /* Nothing has come: no test says yes, no request goes away. */
  post();
  for (int k = 0; k < 100; ++k) {
    MPI_Test(&requests[k % kCount], &flag, &status);
    CHECK_EQUAL(flag, 0);
    MPI_Testall(kCount, requests, &flag, statuses);
    CHECK_EQUAL(flag, 0);
    MPI_Testany(kCount, requests, &index, &flag, &status);
    CHECK_EQUAL(flag, 0);
    CHECK_EQUAL(index, MPI_UNDEFINED);
    MPI_Testsome(kCount, requests, &completed, indices, statuses);
    CHECK_EQUAL(completed, 0);
    MPI_Request_get_status(requests[0], &flag, &status);
    CHECK_EQUAL(flag, 0);
  }
  /* One by one: Wait, Test, Waitany, Testany, Waitsome, Testsome, Request_get_status. */
  go(3);
  MPI_Wait(&requests[3], &status);
  CHECK_STATUS(status, 1, 3, sizeof(int));
  go(5);
  for (flag = 0; !flag;) MPI_Test(&requests[5], &flag, &status);
  CHECK_STATUS(status, 1, 5, sizeof(int));
  go(0);
  MPI_Waitany(kCount, requests, &index, &status);
  CHECK_EQUAL(index, 0);
  CHECK_STATUS(status, 1, 0, sizeof(int));
  go(7);
  for (flag = 0; !flag;) MPI_Testany(kCount, requests, &index, &flag, &status);
  CHECK_EQUAL(index, 7);
  CHECK_STATUS(status, 1, 7, sizeof(int));
  go(2);
  MPI_Waitsome(kCount, requests, &completed, indices, statuses);
  CHECK_EQUAL(completed, 1);
  CHECK_EQUAL(indices[0], 2);
  CHECK_STATUS(statuses[0], 1, 2, sizeof(int));
  go(6);
  for (completed = 0; completed == 0;) {
    MPI_Testsome(kCount, requests, &completed, indices, statuses);
  }
  CHECK_EQUAL(completed, 1);
  CHECK_EQUAL(indices[0], 6);
  go(1);
  for (flag = 0; !flag;) MPI_Request_get_status(requests[1], &flag, &status);
  CHECK_STATUS(status, 1, 1, sizeof(int));
  CHECK(requests[1] != MPI_REQUEST_NULL); /* it only looks */
  MPI_Request_get_status(requests[1], &flag, &status);
  CHECK_EQUAL(flag, 1);
  go(4);
  MPI_Waitall(kCount, requests, statuses);
  for (int i = 0; i < kCount; ++i) {
    if (i == 1 || i == 4) {
      CHECK_STATUS(statuses[i], 1, i, sizeof(int));
    } else {
      CHECK_EMPTY(statuses[i]);
    }
  }
  check_values();

  /* All at once. */
  post();
  go(-1);
  MPI_Waitall(kCount, requests, MPI_STATUSES_IGNORE);
  check_values();
  post();
  go(-1);
  for (flag = 0; !flag;) MPI_Testall(kCount, requests, &flag, statuses);
  for (int i = 0; i < kCount; ++i) CHECK_STATUS(statuses[i], 1, i, sizeof(int));
  check_values();
  post();
  go(-1);
  for (int left = kCount; left > 0; left -= completed) {
    MPI_Waitsome(kCount, requests, &completed, indices, MPI_STATUSES_IGNORE);
    CHECK(completed >= 1 && completed <= left);
  }
  check_values();
  post();
  go(-1);
  int seen[kCount] = {0};
  for (int left = kCount; left > 0; --left) {
    MPI_Waitany(kCount, requests, &index, MPI_STATUS_IGNORE);
    CHECK(index >= 0 && index < kCount && !seen[index]);
    seen[index] = 1;
  }
  check_values();

  /* Null requests only. */
  memset(&status, 0x77, sizeof status);
  MPI_Wait(&requests[0], &status);
  CHECK_EMPTY(status);
  MPI_Test(&requests[0], &flag, &status);
  CHECK_EQUAL(flag, 1);
  CHECK_EMPTY(status);
  MPI_Waitany(kCount, requests, &index, &status);
  CHECK_EQUAL(index, MPI_UNDEFINED);
  CHECK_EMPTY(status);
  MPI_Testany(kCount, requests, &index, &flag, &status);
  CHECK_EQUAL(index, MPI_UNDEFINED);
  CHECK_EQUAL(flag, 1);
  CHECK_EMPTY(status);
  MPI_Waitsome(kCount, requests, &completed, indices, statuses);
  CHECK_EQUAL(completed, MPI_UNDEFINED);
  MPI_Testsome(kCount, requests, &completed, indices, statuses);
  CHECK_EQUAL(completed, MPI_UNDEFINED);
  MPI_Testall(kCount, requests, &flag, statuses);
  CHECK_EQUAL(flag, 1);
  MPI_Request_get_status(MPI_REQUEST_NULL, &flag, &status);
  CHECK_EQUAL(flag, 1);
  CHECK_EMPTY(status);
  MPI_Waitall(0, NULL, MPI_STATUSES_IGNORE);
  MPI_Testall(0, NULL, &flag, MPI_STATUSES_IGNORE);
  CHECK_EQUAL(flag, 1);
  MPI_Waitany(0, NULL, &index, &status);
  CHECK_EQUAL(index, MPI_UNDEFINED);

  /* A freed receive still takes its message; later ones are not disturbed. */
  static volatile int freed = -1;
  MPI_Irecv((void*)&freed, 1, MPI_INT, 1, 4, MPI_COMM_WORLD, &requests[0]);
  MPI_Request_free(&requests[0]);
  CHECK(requests[0] == MPI_REQUEST_NULL);
  go(4);
  int value = -1;
  go(4);
  MPI_Recv(&value, 1, MPI_INT, 1, 4, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  CHECK_EQUAL(value, 1004);
  CHECK_EQUAL(freed, 1004);
  /* A freed send still sends. */
  int which = 3;
  MPI_Isend(&which, 1, MPI_INT, 1, kGoTag, MPI_COMM_WORLD, &requests[0]);
  MPI_Request_free(&requests[0]);
  MPI_Recv(&value, 1, MPI_INT, 1, 3, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  CHECK_EQUAL(value, 1003);

  /* One of several fails: MPI_ERR_IN_STATUS, the statuses say which. */
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  char tiny = 0;
  MPI_Irecv(&values[0], 1, MPI_INT, 1, 0, MPI_COMM_WORLD, &requests[0]);
  MPI_Irecv(&tiny, 1, MPI_CHAR, 1, 1, MPI_COMM_WORLD, &requests[1]);
  go(0);
  go(1);
  int code = MPI_Waitall(2, requests, statuses);
  CHECK_CLASS(code, MPI_ERR_IN_STATUS);
  CHECK_EQUAL(statuses[0].MPI_ERROR, MPI_SUCCESS);
  CHECK_CLASS(statuses[1].MPI_ERROR, MPI_ERR_TRUNCATE);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_ARE_FATAL);
  go(-2);
}

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 2);
  if (check_rank == 0) client();
  if (check_rank == 1) server();
  return check_end();
}
