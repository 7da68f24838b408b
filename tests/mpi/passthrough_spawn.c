// np: 2
// notice: MPI_Comm_spawn
// Starts two more copies of itself, talks with them over the intercommunicator and the merged
// intracommunicator, point-to-point and collectively, and lets them go.
#include <string.h>

#include "check.h"

static void Talk(MPI_Comm inter, int first) {
  int rank, remote, flag;
  MPI_Comm_rank(inter, &rank);
  MPI_Comm_remote_size(inter, &remote);
  MPI_Comm_test_inter(inter, &flag);
  CHECK(flag);
  CHECK_EQUAL(remote, 2);
  const int mine = (first ? 100 : 200) + rank;
  int theirs = -1;
  MPI_Status status;
  MPI_Sendrecv(&mine, 1, MPI_INT, rank, 5, &theirs, 1, MPI_INT, rank, 5, inter, &status);
  CHECK_EQUAL(theirs, (first ? 200 : 100) + rank);
  CHECK_EQUAL(status.MPI_SOURCE, rank);
  CHECK_EQUAL(status.MPI_TAG, 5);
  if (first) {
    MPI_Send(&mine, 1, MPI_INT, 1 - rank, 6, inter);
    MPI_Recv(&theirs, 1, MPI_INT, MPI_ANY_SOURCE, 7, inter, &status);
  } else {
    MPI_Probe(MPI_ANY_SOURCE, 6, inter, &status);
    int count;
    MPI_Get_count(&status, MPI_INT, &count);
    CHECK_EQUAL(count, 1);
    MPI_Recv(&theirs, 1, MPI_INT, status.MPI_SOURCE, 6, inter, MPI_STATUS_IGNORE);
    CHECK_EQUAL(theirs, 100 + 1 - rank);
    MPI_Request request;
    MPI_Isend(&mine, 1, MPI_INT, status.MPI_SOURCE, 7, inter, &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
  }

  int sum = 0;
  MPI_Allreduce(&mine, &sum, 1, MPI_INT, MPI_SUM, inter);
  CHECK_EQUAL(sum, first ? 401 : 201);
  MPI_Barrier(inter);

  MPI_Comm merged;
  MPI_Intercomm_merge(inter, !first, &merged);
  int all, me;
  MPI_Comm_size(merged, &all);
  MPI_Comm_rank(merged, &me);
  CHECK_EQUAL(all, 4);
  CHECK_EQUAL(me, first ? rank : 2 + rank);
  int gathered[4] = {-1, -1, -1, -1};
  MPI_Allgather(&mine, 1, MPI_INT, gathered, 1, MPI_INT, merged);
  CHECK(gathered[0] == 100 && gathered[1] == 101 && gathered[2] == 200 && gathered[3] == 201);
  int token = me == 0 ? 1 : 0;
  if (me > 0) MPI_Recv(&token, 1, MPI_INT, me - 1, 8, merged, MPI_STATUS_IGNORE);
  if (me < 3) {
    ++token;
    MPI_Send(&token, 1, MPI_INT, me + 1, 8, merged);
  }
  if (me == 3) CHECK_EQUAL(token, 4);
  MPI_Comm_free(&merged);
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm parent;
  MPI_Comm_get_parent(&parent);
  if (parent != MPI_COMM_NULL) {
    CHECK_EQUAL(argc, 2);
    CHECK(strcmp(argv[1], "child") == 0);
    MPI_Comm again;
    MPI_Comm_get_parent(&again);
    CHECK(again == parent);
    Talk(parent, 0);
    MPI_Comm_disconnect(&parent);
    MPI_Finalize();
    return 0;
  }
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm reversed, children;
  MPI_Comm_split(MPI_COMM_WORLD, 0, rank, &reversed);
  char argument[] = "child";
  char* arguments[] = {argument, NULL};
  int codes[2] = {-1, -1};
  MPI_Comm_spawn(argv[0], arguments, 2, MPI_INFO_NULL, 0, reversed, &children, codes);
  CHECK(codes[0] == MPI_SUCCESS && codes[1] == MPI_SUCCESS);
  MPI_Comm_free(&reversed);
  Talk(children, 1);
  MPI_Comm_disconnect(&children);
  CHECK(children == MPI_COMM_NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) printf("spawned: ok\n");
  MPI_Finalize();
  return 0;
}
