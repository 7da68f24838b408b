// np: 4
// Parts: MPI_Comm_split, _split_type, _create, _create_group.
#include "comm_check.h"

static void Split(void) {
  MPI_Comm part;
  // Two colours, reversed order.
  MPI_Comm_split(MPI_COMM_WORLD, world_rank % 2, -world_rank, &part);
  const int even[2] = {2, 0};
  const int odd[2] = {3, 1};
  CheckMembers(part, 2, world_rank % 2 == 0 ? even : odd);
  MPI_Comm_free(&part);
  // Equal keys keep the order; large colours; one stays out.
  MPI_Comm_split(MPI_COMM_WORLD, world_rank == 2 ? MPI_UNDEFINED : 2147483647, 5, &part);
  const int three[3] = {0, 1, 3};
  if (world_rank == 2) {
    CHECK(part == MPI_COMM_NULL);
  } else {
    CheckMembers(part, 3, three);
    // A part of the part.
    MPI_Comm inner;
    MPI_Comm_split(part, RankIn(part) > 0, 0, &inner);
    const int first[1] = {0};
    const int rest[2] = {1, 3};
    if (world_rank == 0) {
      CheckMembers(inner, 1, first);
    } else {
      CheckMembers(inner, 2, rest);
    }
    MPI_Comm_free(&inner);
    MPI_Comm_free(&part);
  }
  // Everyone alone.
  MPI_Comm_split(MPI_COMM_WORLD, world_rank, 0, &part);
  CheckMembers(part, 1, &world_rank);
  CHECK_EQUAL(Compare(part, MPI_COMM_SELF), MPI_CONGRUENT);
  MPI_Comm_free(&part);
  // All, in another order: similar.
  MPI_Comm_split(MPI_COMM_WORLD, 0, (world_rank + 2) % 4, &part);
  const int turned[4] = {2, 3, 0, 1};
  CheckMembers(part, 4, turned);
  CHECK_EQUAL(Compare(part, MPI_COMM_WORLD), MPI_SIMILAR);
  MPI_Comm_free(&part);
}

// The test runs on one machine: all share memory.
static void SplitType(void) {
  const int turned[4] = {3, 2, 1, 0};
  MPI_Comm node;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, -world_rank, MPI_INFO_NULL, &node);
  CheckMembers(node, 4, turned);
  MPI_Comm_free(&node);
  MPI_Comm_split_type(MPI_COMM_WORLD, world_rank < 2 ? MPI_COMM_TYPE_SHARED : MPI_UNDEFINED, 0,
                      MPI_INFO_NULL, &node);
  const int low[2] = {0, 1};
  if (world_rank < 2) {
    CheckMembers(node, 2, low);
    MPI_Comm_free(&node);
  } else {
    CHECK(node == MPI_COMM_NULL);
  }
#ifdef OPEN_MPI
  // All ranks are in one cluster; this goes through Open MPI.
  MPI_Comm half;
  MPI_Comm_split(MPI_COMM_WORLD, world_rank / 2, 0, &half);
  MPI_Comm_split_type(half, OMPI_COMM_TYPE_CLUSTER, -world_rank, MPI_INFO_NULL, &node);
  const int pairs[2][2] = {{1, 0}, {3, 2}};
  CheckMembers(node, 2, pairs[world_rank / 2]);
  MPI_Comm_free(&node);
  MPI_Comm_free(&half);
#endif
}

static MPI_Group GroupOf(int count, const int* ranks) {
  MPI_Group world;
  MPI_Group group;
  MPI_Comm_group(MPI_COMM_WORLD, &world);
  MPI_Group_incl(world, count, ranks, &group);
  MPI_Group_free(&world);
  return group;
}

static void Create(void) {
  const int members[3] = {3, 0, 2};
  MPI_Group group = GroupOf(3, members);
  MPI_Comm part;
  MPI_Comm_create(MPI_COMM_WORLD, group, &part);
  if (world_rank == 1) {
    CHECK(part == MPI_COMM_NULL);
  } else {
    CheckMembers(part, 3, members);
    MPI_Comm_free(&part);
  }
  MPI_Group_free(&group);
  // Disjoint groups in one call.
  const int pairs[2][2] = {{1, 0}, {2, 3}};
  group = GroupOf(2, pairs[world_rank / 2]);
  MPI_Comm_create(MPI_COMM_WORLD, group, &part);
  CheckMembers(part, 2, pairs[world_rank / 2]);
  MPI_Comm_free(&part);
  MPI_Group_free(&group);
  // An empty group.
  MPI_Comm_create(MPI_COMM_WORLD, MPI_GROUP_EMPTY, &part);
  CHECK(part == MPI_COMM_NULL);
}

// Collective over the group alone: rank 1 is elsewhere, and overlapping groups are made one after
// the other with the same tag.
static void CreateGroup(void) {
  const int first[3] = {2, 0, 3};
  const int second[2] = {3, 2};
  if (world_rank != 1) {
    MPI_Group group = GroupOf(3, first);
    MPI_Comm part;
    MPI_Comm_create_group(MPI_COMM_WORLD, group, 17, &part);
    CheckMembers(part, 3, first);
    MPI_Group_free(&group);
    if (world_rank != 0) {
      group = GroupOf(2, second);
      MPI_Comm pair;
      MPI_Comm_create_group(part, group, 17, &pair);
      CheckMembers(pair, 2, second);
      MPI_Comm again;
      MPI_Comm_create_group(MPI_COMM_WORLD, group, 2147483647, &again);
      CheckMembers(again, 2, second);
      CHECK_EQUAL(Compare(pair, again), MPI_CONGRUENT);
      MPI_Comm_free(&again);
      MPI_Comm_free(&pair);
      MPI_Group_free(&group);
    }
    CheckMembers(part, 3, first);
    MPI_Comm_free(&part);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

// Many communicators alive at once, each with a message of the same source and tag under way.
static void Many(void) {
  enum { kCount = 40 };
  MPI_Comm parts[kCount];
  MPI_Request requests[kCount];
  int values[kCount];
  for (int i = 0; i < kCount; ++i) {
    MPI_Comm_split(MPI_COMM_WORLD, 0, i % 2 == 0 ? world_rank : -world_rank, &parts[i]);
    values[i] = 1000 * i + world_rank;
    MPI_Isend(&values[i], 1, MPI_INT, (RankIn(parts[i]) + 1) % 4, 0, parts[i], &requests[i]);
  }
  for (int i = kCount - 1; i >= 0; --i) {
    int value = -1;
    MPI_Recv(&value, 1, MPI_INT, (RankIn(parts[i]) + 3) % 4, 0, parts[i], MPI_STATUS_IGNORE);
    CHECK_EQUAL(value, 1000 * i + (i % 2 == 0 ? (world_rank + 3) % 4 : (world_rank + 1) % 4));
  }
  MPI_Waitall(kCount, requests, MPI_STATUSES_IGNORE);
  for (int i = 0; i < kCount; ++i) MPI_Comm_free(&parts[i]);
}

// Made and freed over and over.
static void Churn(void) {
  for (int i = 0; i < 500; ++i) {
    MPI_Comm part;
    MPI_Comm copy;
    MPI_Comm_split(MPI_COMM_WORLD, (world_rank + i) % 2, world_rank, &part);
    MPI_Comm_dup(part, &copy);
    int sum = 0;
    MPI_Allreduce(&i, &sum, 1, MPI_INT, MPI_SUM, copy);
    CHECK_EQUAL(sum, 2 * i);
    MPI_Comm_free(&copy);
    MPI_Comm_free(&part);
  }
}

int main(int argc, char** argv) {
  Begin(&argc, &argv);
  Split();
  SplitType();
  Create();
  CreateGroup();
  Many();
  Churn();
  return End("comm_split");
}
