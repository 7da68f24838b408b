// np: 2
// A message of more than 2 GiB. It needs about 5 GiB of memory, and as much again for a log: set
// P2P_BIG=1 to run it.
#include "p2p_check.h"

enum { kMiB = 1 << 20 };

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 2);
  const char* wanted = getenv("P2P_BIG");
  if (wanted == NULL || strcmp(wanted, "1") != 0) {
    if (check_rank == 0) printf("skipped: set P2P_BIG=1 to run it\n");
    return check_end();
  }
  const int count = 2 * 1024 + 3;
  const size_t bytes = (size_t)count * kMiB;
  MPI_Datatype block;
  MPI_Type_contiguous(kMiB, MPI_BYTE, &block);
  MPI_Type_commit(&block);
  unsigned char* buffer = malloc(bytes);
  CHECK(buffer != NULL, "no memory");
  MPI_Status status;
  if (check_rank == 0) {
    for (size_t i = 0; i < bytes; i += 4096) memcpy(buffer + i, &i, sizeof i);
    MPI_Send(buffer, count, block, 1, 1, MPI_COMM_WORLD);
  } else if (check_rank == 1) {
    memset(buffer, 0xff, bytes);
    MPI_Recv(buffer, count, block, 0, 1, MPI_COMM_WORLD, &status);
    int got = 0;
    MPI_Get_count(&status, block, &got);
    CHECK_EQUAL(got, count);
    MPI_Count elements = 0;
    MPI_Get_elements_x(&status, block, &elements);
    CHECK_EQUAL(elements, bytes);
    for (size_t i = 0; i < bytes; i += 4096) {
      size_t at = 0;
      memcpy(&at, buffer + i, sizeof at);
      CHECK_EQUAL(at, i);
    }
  }
  free(buffer);
  MPI_Type_free(&block);
  return check_end();
}
