// Time of Allreduce, Bcast, Alltoall and Barrier; bytes are those that each rank puts in (Alltoall:
// for each other rank). The root of the broadcasts rotates, so that they can't pile up in a
// pipeline.
#include "timing.h"

struct Buffers {
  char* out;
  char* in;
};

static void allreduce(long bytes, long iterations, void* argument) {
  struct Buffers* buffers = argument;
  for (long i = 0; i < iterations; ++i) {
    MPI_Allreduce(buffers->out, buffers->in, (int)(bytes / 8), MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
  }
}

static void bcast(long bytes, long iterations, void* argument) {
  struct Buffers* buffers = argument;
  int size = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  for (long i = 0; i < iterations; ++i) {
    MPI_Bcast(buffers->in, (int)bytes, MPI_CHAR, (int)(i % size), MPI_COMM_WORLD);
  }
}

static void alltoall(long bytes, long iterations, void* argument) {
  struct Buffers* buffers = argument;
  for (long i = 0; i < iterations; ++i) {
    MPI_Alltoall(buffers->out, (int)bytes, MPI_CHAR, buffers->in, (int)bytes, MPI_CHAR,
                 MPI_COMM_WORLD);
  }
}

static void barrier(long bytes, long iterations, void* argument) {
  (void)bytes;
  (void)argument;
  for (long i = 0; i < iterations; ++i) MPI_Barrier(MPI_COMM_WORLD);
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  struct Options options = parse_options(argc, argv);
  int size = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  size_t room = 8;
  for (int s = 0; s < options.count; ++s) {
    size_t needed = (size_t)options.sizes[s] * (size_t)size;
    if (needed > room) room = needed;
  }
  struct Buffers buffers = {calloc(room, 1), calloc(room, 1)};
  measure("allreduce", &options, 1, allreduce, &buffers);
  measure("bcast", &options, 1, bcast, &buffers);
  measure("alltoall", &options, 1, alltoall, &buffers);
  struct Options once = options;
  once.count = 1;
  once.sizes[0] = 8;
  measure("barrier", &once, 1, barrier, &buffers);
  free(buffers.out);
  free(buffers.in);
  MPI_Finalize();
  return 0;
}
