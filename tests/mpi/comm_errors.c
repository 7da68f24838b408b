// np: 4
// Error handlers, and what wrong arguments of communicator functions give.
#include "comm_check.h"

static int calls;
static int last_code;
static MPI_Comm last_communicator;

static void Handler(MPI_Comm* communicator, int* code, ...) {
  ++calls;
  last_code = *code;
  last_communicator = *communicator;
}

static void OtherHandler(MPI_Comm* communicator, int* code, ...) {
  (void)communicator, (void)code;
  calls += 100;
}

static void Handlers(void) {
  MPI_Errhandler handler;
  MPI_Errhandler other;
  MPI_Comm_create_errhandler(Handler, &handler);
  MPI_Comm_create_errhandler(OtherHandler, &other);
  MPI_Comm communicator;
  MPI_Comm_dup(MPI_COMM_WORLD, &communicator);
  MPI_Errhandler current;
  MPI_Comm_get_errhandler(communicator, &current);
  CHECK(current == MPI_ERRORS_ARE_FATAL);
  MPI_Comm_set_errhandler(communicator, handler);
  MPI_Comm_get_errhandler(communicator, &current);
  CHECK(current == handler);
  MPI_Errhandler_free(&current);
  CHECK(current == MPI_ERRHANDLER_NULL);
  // Freed by the program, it stays with the communicator.
  MPI_Errhandler_free(&handler);
  CHECK(handler == MPI_ERRHANDLER_NULL);
  int value = 0;
  CHECK_EQUAL(MPI_Send(&value, 1, MPI_INT, 4, 0, communicator), MPI_ERR_RANK);
  CHECK_EQUAL(calls, 1);
  CHECK_EQUAL(last_code, MPI_ERR_RANK);
  CHECK(last_communicator == communicator);
  // Derived communicators inherit it.
  MPI_Comm part;
  MPI_Comm copy;
  MPI_Comm_split(communicator, 0, 0, &part);
  MPI_Comm_dup(part, &copy);
  MPI_Comm_free(&part);
  CHECK_EQUAL(MPI_Send(&value, 1, MPI_INT, 0, -5, copy), MPI_ERR_TAG);
  CHECK_EQUAL(calls, 2);
  CHECK_EQUAL(last_code, MPI_ERR_TAG);
  CHECK(last_communicator == copy);
  // Replaced.
  MPI_Comm_set_errhandler(copy, other);
  CHECK_EQUAL(MPI_Send(&value, 1, MPI_INT, 4, 0, copy), MPI_ERR_RANK);
  CHECK_EQUAL(calls, 102);
  MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN);
  CHECK_EQUAL(MPI_Send(&value, 1, MPI_INT, 4, 0, copy), MPI_ERR_RANK);
  CHECK_EQUAL(calls, 102);
  // Called by the program.
  CHECK_EQUAL(MPI_Comm_call_errhandler(communicator, MPI_ERR_TOPOLOGY), MPI_SUCCESS);
  CHECK_EQUAL(calls, 103);
  CHECK_EQUAL(last_code, MPI_ERR_TOPOLOGY);
  CHECK_EQUAL(MPI_Comm_call_errhandler(copy, MPI_ERR_TOPOLOGY), MPI_SUCCESS);
  CHECK_EQUAL(calls, 103);
  MPI_Errhandler_free(&other);
  MPI_Comm_free(&copy);
  MPI_Comm_free(&communicator);
  // An invalid communicator goes to MPI_COMM_WORLD's handler.
  MPI_Comm_create_errhandler(Handler, &handler);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, handler);
  MPI_Errhandler_free(&handler);
  calls = 0;
  CHECK_EQUAL(MPI_Comm_rank(MPI_COMM_NULL, &value), MPI_ERR_COMM);
  CHECK_EQUAL(calls, 1);
  CHECK(last_communicator == MPI_COMM_WORLD);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
}

// The calls fail on all ranks alike.
static void WrongArguments(void) {
  MPI_Comm made = MPI_COMM_NULL;
  MPI_Group group;
  int number = 0;
  int flag = 0;
  MPI_Comm world = MPI_COMM_WORLD;
  MPI_Comm null = MPI_COMM_NULL;
  CHECK_EQUAL(MPI_Comm_size(MPI_COMM_NULL, &number), MPI_ERR_COMM);
  CHECK_EQUAL(MPI_Comm_dup(MPI_COMM_NULL, &made), MPI_ERR_COMM);
  CHECK_EQUAL(MPI_Comm_free(&null), MPI_ERR_COMM);
  CHECK_EQUAL(MPI_Comm_free(&world), MPI_ERR_COMM);
  CHECK_EQUAL(MPI_Comm_compare(MPI_COMM_WORLD, MPI_COMM_NULL, &number), MPI_ERR_COMM);
  CHECK_EQUAL(MPI_Comm_split(MPI_COMM_WORLD, -7, 0, &made), MPI_ERR_ARG);
  CHECK_EQUAL(MPI_Comm_split_type(MPI_COMM_WORLD, 12345, 0, MPI_INFO_NULL, &made), MPI_ERR_ARG);
  CHECK_EQUAL(MPI_Comm_create(MPI_COMM_WORLD, MPI_GROUP_NULL, &made), MPI_ERR_GROUP);
  CHECK_EQUAL(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRHANDLER_NULL), MPI_ERR_ARG);
  CHECK_EQUAL(MPI_Comm_remote_group(MPI_COMM_WORLD, &group), MPI_ERR_COMM);
  CHECK_EQUAL(MPI_Intercomm_merge(MPI_COMM_WORLD, 0, &made), MPI_ERR_COMM);
  CHECK_EQUAL(MPI_Cartdim_get(MPI_COMM_WORLD, &number), MPI_ERR_TOPOLOGY);
  CHECK_EQUAL(MPI_Graph_neighbors_count(MPI_COMM_WORLD, 0, &number), MPI_ERR_TOPOLOGY);
  CHECK_EQUAL(MPI_Dist_graph_neighbors_count(MPI_COMM_WORLD, &number, &number, &flag),
              MPI_ERR_TOPOLOGY);
  CHECK_EQUAL(MPI_Topo_test(MPI_COMM_NULL, &number), MPI_ERR_COMM);
  const int five = 5;
  const int zero = 0;
  CHECK_EQUAL(MPI_Cart_create(MPI_COMM_WORLD, 1, &five, &zero, 0, &made), MPI_ERR_ARG);
  CHECK_EQUAL(MPI_Cart_create(MPI_COMM_WORLD, -1, &five, &zero, 0, &made), MPI_ERR_ARG);
  CHECK_EQUAL(MPI_Graph_create(MPI_COMM_WORLD, 5, (const int[]){0, 0, 0, 0, 0}, &zero, 0, &made),
              MPI_ERR_ARG);
  // A local leader out of range, seen by all.
  MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  CHECK(MPI_Intercomm_create(MPI_COMM_SELF, 1, MPI_COMM_WORLD, (world_rank + 1) % 4, 0, &made) !=
        MPI_SUCCESS);
}

int main(int argc, char** argv) {
  Begin(&argc, &argv);
  Handlers();
  WrongArguments();
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_ARE_FATAL);
  return End("comm_errors");
}
