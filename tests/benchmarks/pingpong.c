// One-way time of a message between two ranks, named receives: half a round trip.
#include "timing.h"

struct Buffers {
  char* out;
  char* in;
};

static void ping_pong(long bytes, long iterations, void* argument) {
  struct Buffers* buffers = argument;
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  for (long i = 0; i < iterations; ++i) {
    if (rank == 0) {
      MPI_Send(buffers->out, (int)bytes, MPI_CHAR, 1, 1, MPI_COMM_WORLD);
      MPI_Recv(buffers->in, (int)bytes, MPI_CHAR, 1, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    } else if (rank == 1) {
      MPI_Recv(buffers->in, (int)bytes, MPI_CHAR, 0, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      MPI_Send(buffers->out, (int)bytes, MPI_CHAR, 0, 1, MPI_COMM_WORLD);
    }
  }
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  struct Options options = parse_options(argc, argv);
  struct Buffers buffers = {calloc(8 << 20, 1), calloc(8 << 20, 1)};
  measure("pingpong", &options, 2, ping_pong, &buffers);
  free(buffers.out);
  free(buffers.in);
  MPI_Finalize();
  return 0;
}
