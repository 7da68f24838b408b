// np: 5
// Communicators at any number of processes (5 is no power of two; try others by hand): every way of
// making one, with members that can be worked out.
#include "comm_check.h"

enum { kMost = 64 };

// The world ranks below `size` with rank % step == offset, ascending.
static int Every(int step, int offset, int* members) {
  int count = 0;
  for (int rank = offset; rank < world_size; rank += step) members[count++] = rank;
  return count;
}

static MPI_Group GroupOf(int count, const int* ranks) {
  MPI_Group world;
  MPI_Group group;
  MPI_Comm_group(MPI_COMM_WORLD, &world);
  MPI_Group_incl(world, count, ranks, &group);
  MPI_Group_free(&world);
  return group;
}

static void Parts(void) {
  int members[kMost];
  for (int step = 1; step <= 4; ++step) {
    const int mine = world_rank % step;
    const int count = Every(step, mine, members);
    MPI_Comm part;
    MPI_Comm_split(MPI_COMM_WORLD, mine, 0, &part);
    CheckMembers(part, count, members);
    MPI_Comm copy;
    MPI_Comm_dup(part, &copy);
    CheckMembers(copy, count, members);
    MPI_Group group = GroupOf(count, members);
    MPI_Comm created;
    MPI_Comm_create_group(MPI_COMM_WORLD, group, step, &created);
    CheckMembers(created, count, members);
    CHECK_EQUAL(Compare(created, part), MPI_CONGRUENT);
    MPI_Comm again;
    MPI_Comm_create(MPI_COMM_WORLD, group, &again);
    CheckMembers(again, count, members);
    MPI_Group_free(&group);
    MPI_Comm_free(&part);
    MPI_Comm_free(&copy);
    MPI_Comm_free(&created);
    MPI_Comm_free(&again);
  }
}

static void Inter(void) {
  if (world_size < 2) return;
  int members[kMost];
  int others[kMost];
  const int side = world_rank % 2;
  const int count = Every(2, side, members);
  const int other_count = Every(2, 1 - side, others);
  MPI_Comm local;
  MPI_Comm_split(MPI_COMM_WORLD, side, 0, &local);
  // The leaders are the last of each side.
  MPI_Comm inter;
  MPI_Intercomm_create(local, count - 1, MPI_COMM_WORLD, others[other_count - 1], 3, &inter);
  CHECK_EQUAL(SizeOf(inter), count);
  int size = -1;
  MPI_Comm_remote_size(inter, &size);
  CHECK_EQUAL(size, other_count);
  MPI_Request requests[2 * kMost];
  int received[kMost];
  for (int i = 0; i < other_count; ++i) {
    MPI_Irecv(&received[i], 1, MPI_INT, i, 0, inter, &requests[2 * i]);
    MPI_Isend(&world_rank, 1, MPI_INT, i, 0, inter, &requests[2 * i + 1]);
  }
  MPI_Waitall(2 * other_count, requests, MPI_STATUSES_IGNORE);
  for (int i = 0; i < other_count; ++i) CHECK_EQUAL(received[i], others[i]);
  MPI_Comm merged;
  MPI_Intercomm_merge(inter, side == 0, &merged);
  int all[kMost];
  Every(2, 1, all);
  Every(2, 0, all + world_size / 2);
  CheckMembers(merged, world_size, all);
  MPI_Comm_free(&merged);
  MPI_Comm_free(&inter);
  MPI_Comm_free(&local);
}

// Rank r points to r + 1, ..., r + min(3, size); named by rank (r + 1) % size.
static void DistributedGraph(void) {
  const int degree = world_size < 3 ? world_size : 3;
  const int node = (world_rank + world_size - 1) % world_size;
  int targets[3];
  int weights[3];
  for (int i = 0; i < degree; ++i) {
    targets[i] = (node + 1 + i) % world_size;
    weights[i] = 100 * node + i;
  }
  MPI_Comm graph;
  MPI_Dist_graph_create(MPI_COMM_WORLD, 1, &node, &degree, targets, weights, MPI_INFO_NULL, 0,
                        &graph);
  int in = -1;
  int out = -1;
  int weighted = -1;
  MPI_Dist_graph_neighbors_count(graph, &in, &out, &weighted);
  CHECK_EQUAL(in, degree);
  CHECK_EQUAL(out, degree);
  CHECK(weighted);
  int sources[3];
  int source_weights[3];
  int destinations[3];
  int destination_weights[3];
  MPI_Dist_graph_neighbors(graph, in, sources, source_weights, out, destinations,
                           destination_weights);
  int seen = 0;
  for (int i = 0; i < degree; ++i) {
    const int step = destination_weights[i] - 100 * world_rank;
    CHECK(step >= 0 && step < degree);
    CHECK_EQUAL(destinations[i], (world_rank + 1 + step) % world_size);
    const int back = source_weights[i] - 100 * sources[i];
    CHECK(back >= 0 && back < degree);
    CHECK_EQUAL((sources[i] + 1 + back) % world_size, world_rank);
    seen |= 1 << step | 8 << back;
  }
  CHECK_EQUAL(seen, ((1 << degree) - 1) * 9);
  MPI_Comm_free(&graph);
}

static void Ring(void) {
  MPI_Comm ring;
  const int periodic = 1;
  MPI_Cart_create(MPI_COMM_WORLD, 1, &world_size, &periodic, 0, &ring);
  for (int step = -3; step <= 3; ++step) {
    int source;
    int dest;
    MPI_Cart_shift(ring, 0, step, &source, &dest);
    int received = -1;
    MPI_Sendrecv(&world_rank, 1, MPI_INT, dest, 0, &received, 1, MPI_INT, source, 0, ring,
                 MPI_STATUS_IGNORE);
    CHECK_EQUAL(received, (world_rank + 4 * world_size - step) % world_size);
  }
  MPI_Comm_free(&ring);
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
  MPI_Comm_size(MPI_COMM_WORLD, &world_size);
  CHECK(world_size <= kMost);
  Parts();
  Inter();
  DistributedGraph();
  Ring();
  return End("comm_sizes");
}
