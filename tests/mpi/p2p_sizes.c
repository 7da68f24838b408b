// np: 2
// Message sizes around the limits where transports change their protocol, in both directions,
// expected and unexpected, and a large one.
#include "p2p_check.h"

static unsigned char* out;
static unsigned char* in;

static void one_size(size_t bytes, int expected) {
  int peer = 1 - check_rank;
  MPI_Request request;
  MPI_Status status;
  fill(out, bytes, bytes + (size_t)check_rank);
  memset(in, 0xab, bytes + 8);
  if (expected) {
    MPI_Irecv(in, (int)bytes, MPI_BYTE, peer, 1, MPI_COMM_WORLD, &request);
    MPI_Sendrecv(NULL, 0, MPI_BYTE, peer, 2, NULL, 0, MPI_BYTE, peer, 2, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    MPI_Send(out, (int)bytes, MPI_BYTE, peer, 1, MPI_COMM_WORLD);
    MPI_Wait(&request, &status);
  } else {
    MPI_Isend(out, (int)bytes, MPI_BYTE, peer, 1, MPI_COMM_WORLD, &request);
    MPI_Sendrecv(NULL, 0, MPI_BYTE, peer, 2, NULL, 0, MPI_BYTE, peer, 2, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    MPI_Recv(in, (int)bytes + 8, MPI_BYTE, peer, 1, MPI_COMM_WORLD, &status);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
  }
  CHECK_STATUS(status, peer, 1, bytes);
  CHECK_PATTERN(in, bytes, bytes + (size_t)peer);
  for (int i = 0; i < 8; ++i) CHECK_EQUAL(in[bytes + (size_t)i], 0xab);
}

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 2);
  const size_t largest = (size_t)16 << 20;
  out = malloc(largest + 16);
  in = malloc(largest + 16);
  if (check_rank < 2) {
    for (int expected = 0; expected < 2; ++expected) {
      for (size_t bytes = 0; bytes <= 260; ++bytes) one_size(bytes, expected);
      for (size_t bytes = 3900; bytes <= 4300; ++bytes) one_size(bytes, expected);
      for (size_t bytes = 8100; bytes <= 8300; bytes += 7) one_size(bytes, expected);
      for (size_t bytes = 32600; bytes <= 32900; bytes += 13) one_size(bytes, expected);
      for (size_t bytes = 65536 - 200; bytes <= 65536 + 40; ++bytes) one_size(bytes, expected);
      one_size(131072, expected);
      one_size(1048576 - 1, expected);
      one_size(1048576, expected);
      one_size(4194304 + 1, expected);
      one_size(largest, expected);
    }
  }
  free(out);
  free(in);
  return check_end();
}
