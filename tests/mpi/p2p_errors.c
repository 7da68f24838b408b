// np: 2
// What is wrong is said with the right error class, by return code or error handler, and the
// communicator works on afterwards.
#include "p2p_check.h"

static int handled = MPI_SUCCESS;
static int calls = 0;
static void handler(MPI_Comm* comm, int* code, ...) {
  (void)comm;
  handled = check_class(*code);
  ++calls;
}

static void bad_arguments(MPI_Comm comm) {
  int value = 1;
  int size = 0;
  MPI_Request request = MPI_REQUEST_NULL;
  MPI_Status status;
  MPI_Comm_size(comm, &size);
  CHECK_CLASS(MPI_Send(&value, 1, MPI_INT, size, 1, comm), MPI_ERR_RANK);
  CHECK_CLASS(MPI_Send(&value, 1, MPI_INT, -7, 1, comm), MPI_ERR_RANK);
  CHECK_CLASS(MPI_Send(&value, 1, MPI_INT, MPI_ANY_SOURCE, 1, comm), MPI_ERR_RANK);
  CHECK_CLASS(MPI_Recv(&value, 1, MPI_INT, size, 1, comm, &status), MPI_ERR_RANK);
  CHECK_CLASS(MPI_Isend(&value, 1, MPI_INT, size + 5, 1, comm, &request), MPI_ERR_RANK);
  CHECK_CLASS(MPI_Send(&value, 1, MPI_INT, 0, -5, comm), MPI_ERR_TAG);
  CHECK_CLASS(MPI_Send(&value, 1, MPI_INT, 0, MPI_ANY_TAG, comm), MPI_ERR_TAG);
  CHECK_CLASS(MPI_Recv(&value, 1, MPI_INT, 0, -5, comm, &status), MPI_ERR_TAG);
  CHECK_CLASS(MPI_Irecv(&value, 1, MPI_INT, 0, -5, comm, &request), MPI_ERR_TAG);
  CHECK_CLASS(MPI_Send(&value, -1, MPI_INT, 0, 1, comm), MPI_ERR_COUNT);
  CHECK_CLASS(MPI_Recv(&value, -1, MPI_INT, 0, 1, comm, &status), MPI_ERR_COUNT);
  CHECK_CLASS(MPI_Send(&value, 1, MPI_DATATYPE_NULL, 0, 1, comm), MPI_ERR_TYPE);
  CHECK_CLASS(MPI_Recv(&value, 1, MPI_DATATYPE_NULL, 0, 1, comm, &status), MPI_ERR_TYPE);
  CHECK_CLASS(MPI_Probe(size, 1, comm, &status), MPI_ERR_RANK);
  int flag;
  CHECK_CLASS(MPI_Iprobe(0, -5, comm, &flag, &status), MPI_ERR_TAG);
  CHECK_CLASS(MPI_Send_init(&value, 1, MPI_INT, size, 1, comm, &request), MPI_ERR_RANK);
  CHECK_CLASS(MPI_Recv_init(&value, 1, MPI_INT, 0, -5, comm, &request), MPI_ERR_TAG);
  CHECK_CLASS(MPI_Sendrecv(&value, 1, MPI_INT, size, 1, &value, 1, MPI_INT, 0, 1, comm, &status),
              MPI_ERR_RANK);
  CHECK(request == MPI_REQUEST_NULL, "a failed call gave a request");
}

/* The message is longer than the buffer: an error at the receiver. For a short message nothing may
 * be written past the end; long ones Open MPI itself writes whole, so there is room for them here.
 */
static void truncated(MPI_Comm comm, int sent, int room) {
  unsigned char* buffer = malloc((size_t)sent + 16);
  MPI_Status status;
  MPI_Request request;
  if (check_rank == 0) {
    fill(buffer, (size_t)sent, 1);
    for (int i = 0; i < 4; ++i) MPI_Send(buffer, sent, MPI_BYTE, 1, i, comm);
    int value = 99;
    MPI_Send(&value, 1, MPI_INT, 1, 10, comm);
  } else if (check_rank == 1) {
    memset(buffer, 0xcc, (size_t)sent + 16);
    CHECK_CLASS(MPI_Recv(buffer, room, MPI_BYTE, 0, 0, comm, &status), MPI_ERR_TRUNCATE);
    for (int i = room; i < sent + 16 && sent <= 1000; ++i) {
      CHECK(buffer[i] == 0xcc, "byte %d after a receive of %d bytes into %d", i, sent, room);
    }
    MPI_Irecv(buffer, room, MPI_BYTE, 0, 1, comm, &request);
    CHECK_CLASS(MPI_Wait(&request, &status), MPI_ERR_TRUNCATE);
    CHECK(request == MPI_REQUEST_NULL);
    MPI_Irecv(buffer, room, MPI_BYTE, MPI_ANY_SOURCE, 2, comm, &request);
    int flag = 0;
    int code = MPI_SUCCESS;
    while (!flag && code == MPI_SUCCESS) code = MPI_Test(&request, &flag, &status);
    CHECK_CLASS(code, MPI_ERR_TRUNCATE);
    MPI_Message message;
    MPI_Mprobe(0, 3, comm, &message, &status);
    CHECK_CLASS(MPI_Mrecv(buffer, room, MPI_BYTE, &message, &status), MPI_ERR_TRUNCATE);
    for (int i = room; i < sent + 16 && sent <= 1000; ++i) {
      CHECK(buffer[i] == 0xcc, "byte %d after a receive of %d bytes into %d", i, sent, room);
    }
    /* It goes on. */
    int value = 0;
    MPI_Recv(&value, 1, MPI_INT, 0, 10, comm, &status);
    CHECK_EQUAL(value, 99);
  }
  free(buffer);
}

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 2);
  int value = 1;
  MPI_Comm dup;
  MPI_Comm_dup(MPI_COMM_WORLD, &dup);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_set_errhandler(dup, MPI_ERRORS_RETURN);
  bad_arguments(MPI_COMM_WORLD);
  bad_arguments(dup);
  CHECK_CLASS(MPI_Send(&value, 1, MPI_INT, 0, 1, MPI_COMM_NULL), MPI_ERR_COMM);
  CHECK_CLASS(MPI_Recv(&value, 1, MPI_INT, 0, 1, MPI_COMM_NULL, MPI_STATUS_IGNORE), MPI_ERR_COMM);
  MPI_Request null = MPI_REQUEST_NULL;
  CHECK_CLASS(MPI_Start(&null), MPI_ERR_REQUEST);
  CHECK_CLASS(MPI_Request_free(&null), MPI_ERR_REQUEST);
  CHECK_CLASS(MPI_Cancel(&null), MPI_ERR_REQUEST);

  truncated(MPI_COMM_WORLD, 100, 10);
  truncated(MPI_COMM_WORLD, 100, 0);
  truncated(dup, 5000, 4999);
  truncated(dup, 500000, 100);

  /* A handler of the program's own. */
  MPI_Errhandler own;
  MPI_Comm_create_errhandler(handler, &own);
  MPI_Comm_set_errhandler(dup, own);
  MPI_Send(&value, 1, MPI_INT, check_size, 1, dup);
  CHECK_EQUAL(handled, MPI_ERR_RANK);
  MPI_Send(&value, 1, MPI_INT, 0, -5, dup);
  CHECK_EQUAL(handled, MPI_ERR_TAG);
  CHECK_EQUAL(calls, 2);
  MPI_Comm_call_errhandler(dup, MPI_ERR_OTHER);
  CHECK_EQUAL(handled, MPI_ERR_OTHER);
  /* A duplicate inherits it. */
  MPI_Comm third;
  MPI_Comm_dup(dup, &third);
  MPI_Send(&value, -1, MPI_INT, 0, 1, third);
  CHECK_EQUAL(handled, MPI_ERR_COUNT);
  CHECK_EQUAL(calls, 4);
  MPI_Errhandler_free(&own);
  MPI_Comm_free(&third);
  MPI_Comm_free(&dup);

  /* Texts. */
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(MPI_ERR_TRUNCATE, text, &length);
  CHECK(length > 0 && strstr(text, "TRUNCATE") != NULL, "%s", text);
  return check_end();
}
