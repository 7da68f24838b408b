// As pingpong, with receives from any source: each is an event for a logging library.
#include "timing.h"

static void ping_pong(long bytes, long iterations, void* argument) {
  char** buffers = argument;
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  for (long i = 0; i < iterations; ++i) {
    if (rank == 0) MPI_Send(buffers[0], (int)bytes, MPI_CHAR, 1, 1, MPI_COMM_WORLD);
    if (rank < 2) {
      MPI_Recv(buffers[1], (int)bytes, MPI_CHAR, MPI_ANY_SOURCE, 1, MPI_COMM_WORLD,
               MPI_STATUS_IGNORE);
    }
    if (rank == 1) MPI_Send(buffers[0], (int)bytes, MPI_CHAR, 0, 1, MPI_COMM_WORLD);
  }
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  struct Options options = parse_options(argc, argv);
  char* buffers[2] = {calloc(8 << 20, 1), calloc(8 << 20, 1)};
  measure("wildcard", &options, 2, ping_pong, buffers);
  free(buffers[0]);
  free(buffers[1]);
  MPI_Finalize();
  return 0;
}
