// What the communicator programs share.
#pragma once

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static int world_rank = -1;
static int world_size = 0;

static inline void Begin(int* argc, char*** argv) {
  MPI_Init(argc, argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
  MPI_Comm_size(MPI_COMM_WORLD, &world_size);
  CHECK_EQUAL(world_size, 4);
}

static inline int End(const char* name) {
  MPI_Barrier(MPI_COMM_WORLD);
  if (world_rank == 0) printf("ok %s\n", name);
  MPI_Finalize();
  return 0;
}

static inline int RankIn(MPI_Comm communicator) {
  int rank = -1;
  MPI_Comm_rank(communicator, &rank);
  return rank;
}

static inline int SizeOf(MPI_Comm communicator) {
  int size = -1;
  MPI_Comm_size(communicator, &size);
  return size;
}

// A ring of messages on an intracommunicator: everyone gets the world rank of the one before.
// `members` are the world ranks that the communicator must have, in order.
static inline void CheckMembers(MPI_Comm communicator, int size, const int* members) {
  CHECK_EQUAL(SizeOf(communicator), size);
  const int rank = RankIn(communicator);
  CHECK(rank >= 0 && rank < size);
  CHECK_EQUAL(members[rank], world_rank);
  int received = -1;
  MPI_Status status;
  MPI_Sendrecv(&world_rank, 1, MPI_INT, (rank + 1) % size, 3, &received, 1, MPI_INT,
               (rank + size - 1) % size, 3, communicator, &status);
  CHECK_EQUAL(received, members[(rank + size - 1) % size]);
  CHECK_EQUAL(status.MPI_SOURCE, (rank + size - 1) % size);
  // A collective too: the sum of the members' world ranks.
  int sum = 0;
  int expected = 0;
  for (int i = 0; i < size; ++i) expected += members[i];
  MPI_Allreduce(&world_rank, &sum, 1, MPI_INT, MPI_SUM, communicator);
  CHECK_EQUAL(sum, expected);
}

static inline int Compare(MPI_Comm one, MPI_Comm other) {
  int result = -1;
  MPI_Comm_compare(one, other, &result);
  return result;
}
