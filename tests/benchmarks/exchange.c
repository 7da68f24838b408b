// Exchange with both neighbours in a ring: Irecv, Isend, Waitall, as a halo exchange does. Time of
// one exchange per message sent.
#include "timing.h"

struct Buffers {
  char* out[2];
  char* in[2];
};

static void exchange(long bytes, long iterations, void* argument) {
  struct Buffers* buffers = argument;
  int rank = 0;
  int size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  int neighbour[2] = {(rank + 1) % size, (rank + size - 1) % size};
  for (long i = 0; i < iterations; ++i) {
    MPI_Request requests[4];
    for (int d = 0; d < 2; ++d) {
      MPI_Irecv(buffers->in[d], (int)bytes, MPI_CHAR, neighbour[d], d, MPI_COMM_WORLD,
                &requests[d]);
    }
    for (int d = 0; d < 2; ++d) {
      MPI_Isend(buffers->out[d], (int)bytes, MPI_CHAR, neighbour[d], 1 - d, MPI_COMM_WORLD,
                &requests[2 + d]);
    }
    MPI_Waitall(4, requests, MPI_STATUSES_IGNORE);
  }
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  struct Options options = parse_options(argc, argv);
  struct Buffers buffers;
  for (int d = 0; d < 2; ++d) {
    buffers.out[d] = calloc(8 << 20, 1);
    buffers.in[d] = calloc(8 << 20, 1);
  }
  measure("exchange", &options, 2, exchange, &buffers);
  for (int d = 0; d < 2; ++d) {
    free(buffers.out[d]);
    free(buffers.in[d]);
  }
  MPI_Finalize();
  return 0;
}
