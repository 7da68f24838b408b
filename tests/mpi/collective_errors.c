// np: 2
// Wrong arguments give the error class that bare Open MPI gives, and leave the communicator usable.
#include "collective_common.h"

#define GIVES(wanted, call)                                                                     \
  do {                                                                                          \
    int gives_class = MPI_SUCCESS;                                                              \
    MPI_Error_class((call), &gives_class);                                                      \
    EXPECT(gives_class == (wanted), "%s gives class %d, not %d", #call, gives_class, (wanted)); \
  } while (0)

static int g_called = 0;
static void count_call(MPI_Comm* comm, int* code, ...) {
  (void)comm;
  (void)code;
  ++g_called;
}

int main(int argc, char** argv) {
  start(&argc, &argv);
  int a[64] = {0};
  int b[64] = {0};
  int counts[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  int negative[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
  MPI_Request request;
  MPI_Comm world;
  MPI_Comm_dup(MPI_COMM_WORLD, &world);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_set_errhandler(world, MPI_ERRORS_RETURN);
  GIVES(MPI_ERR_COMM, MPI_Barrier(MPI_COMM_NULL));
  GIVES(MPI_ERR_COMM, MPI_Bcast(a, 1, MPI_INT, 0, MPI_COMM_NULL));
  GIVES(MPI_ERR_COMM, MPI_Iallreduce(a, b, 1, MPI_INT, MPI_SUM, MPI_COMM_NULL, &request));
  GIVES(MPI_ERR_COUNT, MPI_Bcast(a, -1, MPI_INT, 0, world));
  GIVES(MPI_ERR_TYPE, MPI_Bcast(a, 1, MPI_DATATYPE_NULL, 0, world));
  GIVES(MPI_ERR_ROOT, MPI_Bcast(a, 1, MPI_INT, g_size, world));
  GIVES(MPI_ERR_ROOT, MPI_Bcast(a, 1, MPI_INT, -1, world));
  GIVES(MPI_ERR_ROOT, MPI_Ibcast(a, 1, MPI_INT, g_size, world, &request));
  GIVES(MPI_ERR_ROOT, MPI_Gather(a, 1, MPI_INT, b, 1, MPI_INT, g_size, world));
  GIVES(MPI_ERR_ROOT, MPI_Scatter(a, 1, MPI_INT, b, 1, MPI_INT, -5, world));
  GIVES(MPI_ERR_ROOT, MPI_Reduce(a, b, 1, MPI_INT, MPI_SUM, g_size, world));
  GIVES(MPI_ERR_OP, MPI_Reduce(a, b, 1, MPI_INT, MPI_OP_NULL, 0, world));
  GIVES(MPI_ERR_OP, MPI_Allreduce(a, b, 1, MPI_INT, MPI_OP_NULL, world));
  GIVES(MPI_ERR_OP, MPI_Allreduce(a, b, 1, MPI_DOUBLE, MPI_BAND, world));
  GIVES(MPI_ERR_OP, MPI_Scan(a, b, 1, MPI_FLOAT, MPI_LXOR, world));
  GIVES(MPI_ERR_COUNT, MPI_Allreduce(a, b, -1, MPI_INT, MPI_SUM, world));
  GIVES(MPI_ERR_COUNT, MPI_Allgather(a, 1, MPI_INT, b, -1, MPI_INT, world));
  GIVES(MPI_ERR_COUNT, MPI_Alltoall(a, 1, MPI_INT, b, -1, MPI_INT, world));
  GIVES(MPI_ERR_COUNT, MPI_Reduce_scatter(a, b, negative, MPI_INT, MPI_SUM, world));
  if (library()) {  // bare Open MPI 4.1 crashes
    GIVES(MPI_ERR_COUNT, MPI_Allgatherv(a, 1, MPI_INT, b, negative, counts, MPI_INT, world));
  }
  GIVES(MPI_ERR_TYPE, MPI_Allgather(a, 1, MPI_DATATYPE_NULL, b, 1, MPI_INT, world));
  GIVES(MPI_ERR_ARG, MPI_Allgather(a, 1, MPI_INT, MPI_IN_PLACE, 1, MPI_INT, world));
  GIVES(MPI_ERR_BUFFER, MPI_Allreduce(a, MPI_IN_PLACE, 1, MPI_INT, MPI_SUM, world));
  GIVES(MPI_ERR_BUFFER, MPI_Allreduce(a, a, 2, MPI_INT, MPI_SUM, world));
  if (g_rank == 0) {
    GIVES(MPI_ERR_ARG, MPI_Reduce(a, a, 1, MPI_INT, MPI_SUM, 0, world));
    GIVES(MPI_ERR_ARG, MPI_Gather(a, 1, MPI_INT, MPI_IN_PLACE, 1, MPI_INT, 0, world));
  } else {
    GIVES(MPI_ERR_ARG, MPI_Reduce(MPI_IN_PLACE, a, 1, MPI_INT, MPI_SUM, 0, world));
    GIVES(MPI_ERR_ARG, MPI_Gather(MPI_IN_PLACE, 1, MPI_INT, b, 1, MPI_INT, 0, world));
  }
  // Bare Open MPI 4.1 says MPI_ERR_INTERN.
  if (library())
    GIVES(MPI_ERR_TOPOLOGY, MPI_Neighbor_allgather(a, 1, MPI_INT, b, 1, MPI_INT, world));

  // The error handler is called, once for each error.
  MPI_Errhandler handler;
  MPI_Comm_create_errhandler(count_call, &handler);
  MPI_Comm_set_errhandler(world, handler);
  MPI_Bcast(a, -1, MPI_INT, 0, world);
  MPI_Ibcast(a, -1, MPI_INT, 0, world, &request);
  EXPECT(g_called == 2, "the error handler was called %d times, not 2", g_called);
  MPI_Errhandler_free(&handler);

  // None of this has sent anything.
  int sum = 0;
  MPI_Allreduce(&g_rank, &sum, 1, MPI_INT, MPI_SUM, world);
  EXPECT(sum == g_size * (g_size - 1) / 2, "sum %d", sum);
  MPI_Comm_free(&world);
  return finish("collective_errors");
}
