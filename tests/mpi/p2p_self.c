// np: 1
// Messages to oneself, on MPI_COMM_WORLD and MPI_COMM_SELF, in every way.
#include "p2p_check.h"

static void to_myself(MPI_Comm comm, size_t bytes) {
  int me = 0;
  MPI_Comm_rank(comm, &me);
  unsigned char* out = malloc(bytes + 1);
  unsigned char* in = malloc(bytes + 1);
  MPI_Request requests[2];
  MPI_Status status;
  fill(out, bytes, 1);
  memset(in, 0, bytes);
  MPI_Sendrecv(out, (int)bytes, MPI_BYTE, me, 1, in, (int)bytes, MPI_BYTE, me, 1, comm, &status);
  CHECK_STATUS(status, me, 1, bytes);
  CHECK_PATTERN(in, bytes, 1);
  /* Receive first, send first, synchronous, ready. */
  for (int way = 0; way < 4; ++way) {
    memset(in, 0, bytes);
    fill(out, bytes, (uint64_t)way);
    if (way == 1) {
      MPI_Isend(out, (int)bytes, MPI_BYTE, me, 2, comm, &requests[1]);
      MPI_Irecv(in, (int)bytes, MPI_BYTE, MPI_ANY_SOURCE, MPI_ANY_TAG, comm, &requests[0]);
    } else {
      MPI_Irecv(in, (int)bytes, MPI_BYTE, me, 2, comm, &requests[0]);
      if (way == 0) MPI_Isend(out, (int)bytes, MPI_BYTE, me, 2, comm, &requests[1]);
      if (way == 2) MPI_Issend(out, (int)bytes, MPI_BYTE, me, 2, comm, &requests[1]);
      if (way == 3) MPI_Irsend(out, (int)bytes, MPI_BYTE, me, 2, comm, &requests[1]);
    }
    MPI_Wait(&requests[0], &status);
    MPI_Wait(&requests[1], MPI_STATUS_IGNORE);
    CHECK_STATUS(status, me, 2, bytes);
    CHECK_PATTERN(in, bytes, way);
  }
  /* A blocking send with the receive posted. */
  MPI_Irecv(in, (int)bytes, MPI_BYTE, me, 3, comm, &requests[0]);
  MPI_Send(out, (int)bytes, MPI_BYTE, me, 3, comm);
  MPI_Wait(&requests[0], &status);
  CHECK_STATUS(status, me, 3, bytes);
  /* A probe finds it. */
  MPI_Isend(out, (int)bytes, MPI_BYTE, me, 4, comm, &requests[1]);
  MPI_Probe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm, &status);
  CHECK_STATUS(status, me, 4, bytes);
  MPI_Message message;
  MPI_Mprobe(me, 4, comm, &message, &status);
  MPI_Mrecv(in, (int)bytes, MPI_BYTE, &message, &status);
  MPI_Wait(&requests[1], MPI_STATUS_IGNORE);
  CHECK_PATTERN(in, bytes, 3);
  /* Many, in order. */
  for (int i = 0; i < 50; ++i) MPI_Send(&i, 1, MPI_INT, me, 5, comm);
  for (int i = 0; i < 50; ++i) {
    int value = -1;
    MPI_Recv(&value, 1, MPI_INT, me, 5, comm, MPI_STATUS_IGNORE);
    CHECK_EQUAL(value, i);
  }
  memset(in, 0, bytes);
  fill(in, bytes, 9);
  MPI_Sendrecv_replace(in, (int)bytes, MPI_BYTE, me, 6, me, 6, comm, &status);
  CHECK_PATTERN(in, bytes, 9);
  free(out);
  free(in);
}

/* Different datatypes for sending and receiving. */
static void transpose(MPI_Comm comm) {
  enum { kN = 60 };
  static int a[kN][kN];
  static int b[kN][kN];
  int me = 0;
  MPI_Comm_rank(comm, &me);
  for (int i = 0; i < kN; ++i) {
    for (int j = 0; j < kN; ++j) a[i][j] = i * kN + j;
  }
  MPI_Datatype column;
  MPI_Datatype columns;
  MPI_Type_vector(kN, 1, kN, MPI_INT, &column);
  MPI_Type_create_hvector(kN, 1, sizeof(int), column, &columns);
  MPI_Type_commit(&columns);
  MPI_Sendrecv(a, kN * kN, MPI_INT, me, 1, b, 1, columns, me, 1, comm, MPI_STATUS_IGNORE);
  for (int i = 0; i < kN; ++i) {
    for (int j = 0; j < kN; ++j) CHECK_EQUAL(b[j][i], a[i][j]);
  }
  MPI_Type_free(&column);
  MPI_Type_free(&columns);
}

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 1);
  static const size_t sizes[] = {0, 1, 100, 4000, 4096, 5000, 100000, 3000000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
    to_myself(MPI_COMM_WORLD, sizes[i]);
    to_myself(MPI_COMM_SELF, sizes[i]);
  }
  transpose(MPI_COMM_WORLD);
  transpose(MPI_COMM_SELF);
  return check_end();
}
