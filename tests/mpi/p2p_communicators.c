// np: 4
// Messages keep to their communicator, ranks are those of the communicator, also between the two
// groups of an intercommunicator.
#include "p2p_check.h"

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 4);
  MPI_Status status;
  int flag;

  /* Same tag and source on two communicators. */
  MPI_Comm dup;
  MPI_Comm_dup(MPI_COMM_WORLD, &dup);
  if (check_rank == 0) {
    int a = 1;
    int b = 2;
    MPI_Send(&a, 1, MPI_INT, 1, 5, MPI_COMM_WORLD);
    MPI_Send(&b, 1, MPI_INT, 1, 5, dup);
  } else if (check_rank == 1) {
    int value = 0;
    MPI_Recv(&value, 1, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, dup, &status);
    CHECK_EQUAL(value, 2);
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, dup, &flag, &status);
    CHECK_EQUAL(flag, 0);
    MPI_Recv(&value, 1, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
    CHECK_EQUAL(value, 1);
  }

  /* Ranks of a part, in reverse order. */
  MPI_Comm half;
  MPI_Comm_split(MPI_COMM_WORLD, check_rank % 2, -check_rank, &half);
  int rank = -1;
  int size = 0;
  MPI_Comm_rank(half, &rank);
  MPI_Comm_size(half, &size);
  int next = (rank + 1) % size;
  int previous = (rank + size - 1) % size;
  int world = check_rank;
  int got = -1;
  MPI_Sendrecv(&world, 1, MPI_INT, next, 1, &got, 1, MPI_INT, MPI_ANY_SOURCE, 1, half, &status);
  CHECK_EQUAL(status.MPI_SOURCE, previous);
  MPI_Group half_group;
  MPI_Group world_group;
  MPI_Comm_group(half, &half_group);
  MPI_Comm_group(MPI_COMM_WORLD, &world_group);
  int translated = -1;
  MPI_Group_translate_ranks(half_group, 1, &previous, world_group, &translated);
  CHECK_EQUAL(got, translated);
  CHECK_EQUAL(got % 2, check_rank % 2);
  MPI_Group_free(&half_group);
  MPI_Group_free(&world_group);

  /* Between the groups: ranks are those of the other side. */
  MPI_Comm inter;
  int leader = check_rank % 2 == 0 ? (check_size - 1) / 2 * 2 + 1 : (check_size - 1) / 2 * 2;
  if (leader >= check_size) leader -= 2;
  MPI_Comm_test_inter(half, &flag);
  CHECK_EQUAL(flag, 0);
  MPI_Intercomm_create(half, 0, MPI_COMM_WORLD, leader, 77, &inter);
  MPI_Comm_test_inter(inter, &flag);
  CHECK_EQUAL(flag, 1);
  int remote = 0;
  MPI_Comm_remote_size(inter, &remote);
  for (int r = 0; r < remote; ++r) {
    int data[2] = {check_rank, r};
    MPI_Send(data, 2, MPI_INT, r, 3, inter);
  }
  for (int r = 0; r < remote; ++r) {
    int data[2] = {-1, -1};
    int source = r % 2 ? MPI_ANY_SOURCE : r;
    if (r % 2 == 0) {
      MPI_Probe(r, 3, inter, &status);
      CHECK_STATUS(status, r, 3, 2 * sizeof(int));
    }
    MPI_Recv(data, 2, MPI_INT, source, 3, inter, &status);
    CHECK(status.MPI_SOURCE >= 0 && status.MPI_SOURCE < remote);
    CHECK_EQUAL(data[1], rank);
    CHECK_EQUAL(data[0] % 2, 1 - check_rank % 2);
  }
  MPI_Comm_free(&inter);

  /* A communicator freed while a receive on it is pending. */
  MPI_Request request;
  got = -1;
  MPI_Irecv(&got, 1, MPI_INT, previous, 9, half, &request);
  MPI_Comm copy = half;
  MPI_Send(&world, 1, MPI_INT, next, 9, copy);
  MPI_Comm_free(&half);
  MPI_Wait(&request, &status);
  CHECK_EQUAL(got, translated);
  CHECK_EQUAL(status.MPI_SOURCE, previous);
  MPI_Comm_free(&dup);
  return check_end();
}
