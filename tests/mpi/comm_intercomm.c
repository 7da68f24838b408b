// np: 4
// Intercommunicators: made, asked, used, duplicated, split, merged.
#include "comm_check.h"

// World ranks {1, 0} (side 0, in this order) and {2, 3} (side 1).
static const int kSides[2][2] = {{1, 0}, {2, 3}};
static int side;
static MPI_Comm local;
static MPI_Comm inter;

static void CheckInter(MPI_Comm communicator, int local_size, int remote_size,
                       const int* remote_members) {
  int flag = 0;
  MPI_Comm_test_inter(communicator, &flag);
  CHECK_EQUAL(flag, 1);
  CHECK_EQUAL(SizeOf(communicator), local_size);
  int size = -1;
  MPI_Comm_remote_size(communicator, &size);
  CHECK_EQUAL(size, remote_size);
  MPI_Group remote;
  MPI_Group world;
  MPI_Comm_remote_group(communicator, &remote);
  MPI_Comm_group(MPI_COMM_WORLD, &world);
  for (int i = 0; i < remote_size; ++i) {
    int translated = -1;
    MPI_Group_translate_ranks(remote, 1, &i, world, &translated);
    CHECK_EQUAL(translated, remote_members[i]);
  }
  MPI_Group_free(&remote);
  MPI_Group_free(&world);
  // Everyone sends to every remote rank and hears from each.
  MPI_Request requests[8];
  int received[8];
  int count = 0;
  for (int i = 0; i < remote_size; ++i) {
    MPI_Irecv(&received[i], 1, MPI_INT, i, 9, communicator, &requests[count++]);
  }
  for (int i = 0; i < remote_size; ++i) {
    MPI_Isend(&world_rank, 1, MPI_INT, i, 9, communicator, &requests[count++]);
  }
  MPI_Waitall(count, requests, MPI_STATUSES_IGNORE);
  for (int i = 0; i < remote_size; ++i) CHECK_EQUAL(received[i], remote_members[i]);
  // A collective over both: each side gets the sum of the other.
  int sum = -1;
  int expected = 0;
  for (int i = 0; i < remote_size; ++i) expected += remote_members[i];
  MPI_Allreduce(&world_rank, &sum, 1, MPI_INT, MPI_SUM, communicator);
  CHECK_EQUAL(sum, expected);
}

static void Make(void) {
  side = world_rank / 2;
  MPI_Comm_split(MPI_COMM_WORLD, side, side == 0 ? -world_rank : world_rank, &local);
  // The leaders are local rank 1 of side 0 (world rank 0) and local rank 0 of side 1 (world rank
  // 2).
  MPI_Intercomm_create(local, side == 0 ? 1 : 0, MPI_COMM_WORLD, side == 0 ? 2 : 0, 12, &inter);
  CheckInter(inter, 2, 2, kSides[1 - side]);
  int flag = -1;
  MPI_Comm_test_inter(local, &flag);
  CHECK_EQUAL(flag, 0);
  CHECK_EQUAL(Compare(inter, local), MPI_UNEQUAL);
}

// Program messages on the bridge do not disturb the creation. (With the same tag they would, on
// Open MPI.)
static void BridgeTraffic(void) {
  int value = -1;
  MPI_Request request;
  if (world_rank == 0) MPI_Isend(&world_rank, 1, MPI_INT, 2, 13, MPI_COMM_WORLD, &request);
  MPI_Comm other;
  MPI_Intercomm_create(local, side == 0 ? 1 : 0, MPI_COMM_WORLD, side == 0 ? 2 : 0, 12, &other);
  if (world_rank == 0) MPI_Wait(&request, MPI_STATUS_IGNORE);
  if (world_rank == 2) {
    MPI_Recv(&value, 1, MPI_INT, 0, 13, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    CHECK_EQUAL(value, 0);
  }
  CheckInter(other, 2, 2, kSides[1 - side]);
  CHECK_EQUAL(Compare(inter, other), MPI_CONGRUENT);
  MPI_Comm_free(&other);
}

static void Duplicate(void) {
  MPI_Comm copy;
  MPI_Comm_dup(inter, &copy);
  CheckInter(copy, 2, 2, kSides[1 - side]);
  CHECK_EQUAL(Compare(copy, inter), MPI_CONGRUENT);
  MPI_Comm_free(&copy);
}

static void Merge(void) {
  MPI_Comm merged;
  MPI_Intercomm_merge(inter, side == 0, &merged);
  const int high_first[4] = {2, 3, 1, 0};
  CheckMembers(merged, 4, high_first);
  int flag = -1;
  MPI_Comm_test_inter(merged, &flag);
  CHECK_EQUAL(flag, 0);
  MPI_Comm_free(&merged);
  MPI_Intercomm_merge(inter, side == 1, &merged);
  const int low_first[4] = {1, 0, 2, 3};
  CheckMembers(merged, 4, low_first);
  MPI_Comm_free(&merged);
  // Both the same: either order, but one.
  MPI_Intercomm_merge(inter, 1, &merged);
  int all[4];
  MPI_Allgather(&world_rank, 1, MPI_INT, all, 1, MPI_INT, merged);
  CHECK(all[0] == 1 || all[0] == 2);
  CheckMembers(merged, 4, all[0] == 1 ? low_first : high_first);
  MPI_Comm_free(&merged);
}

static void SplitInter(void) {
  // Colours across the sides: {1 | 3} and {0 | 2}.
  MPI_Comm part;
  MPI_Comm_split(inter, world_rank % 2, 0, &part);
  const int partner = world_rank ^ 2;
  CheckInter(part, 1, 1, &partner);
  MPI_Comm_free(&part);
  // Reversed keys on both sides.
  MPI_Comm_split(inter, 4, -RankIn(inter), &part);
  const int remote[2][2] = {{3, 2}, {0, 1}};
  CheckInter(part, 2, 2, remote[side]);
  MPI_Comm_free(&part);
  // A colour that only one side has.
  MPI_Comm_split(inter, side, 0, &part);
  CHECK(part == MPI_COMM_NULL);
}

static void CreateInter(void) {
  // Side 0 with world rank 0 alone (its local rank 1), side 1 whole.
  MPI_Group group;
  MPI_Group chosen;
  MPI_Comm_group(inter, &group);
  const int one[1] = {1};
  const int both[2] = {0, 1};
  MPI_Group_incl(group, side == 0 ? 1 : 2, side == 0 ? one : both, &chosen);
  MPI_Comm part;
  MPI_Comm_create(inter, chosen, &part);
  const int zero = 0;
  if (world_rank == 1) {
    CHECK(part == MPI_COMM_NULL);
  } else {
    CheckInter(part, side == 0 ? 1 : 2, side == 0 ? 2 : 1, side == 0 ? kSides[1] : &zero);
    MPI_Comm_free(&part);
  }
  MPI_Group_free(&group);
  MPI_Group_free(&chosen);
}

// Sides of different size; messages come from any remote rank.
static void Lopsided(void) {
  const int alone = world_rank == 3;
  MPI_Comm mine;
  MPI_Comm_split(MPI_COMM_WORLD, alone, 0, &mine);
  MPI_Comm communicator;
  MPI_Intercomm_create(mine, 0, MPI_COMM_WORLD, alone ? 0 : 3, 1, &communicator);
  const int three[3] = {0, 1, 2};
  const int single[1] = {3};
  CheckInter(communicator, alone ? 1 : 3, alone ? 3 : 1, alone ? three : single);
  if (alone) {
    int seen = 0;
    for (int i = 0; i < 3; ++i) {
      int value = -1;
      MPI_Status status;
      MPI_Recv(&value, 1, MPI_INT, MPI_ANY_SOURCE, 2, communicator, &status);
      CHECK_EQUAL(value, 10 * status.MPI_SOURCE);
      seen |= 1 << status.MPI_SOURCE;
    }
    CHECK_EQUAL(seen, 7);
  } else {
    const int value = 10 * world_rank;
    MPI_Send(&value, 1, MPI_INT, 0, 2, communicator);
  }
  MPI_Comm_free(&communicator);
  MPI_Comm_free(&mine);
}

int main(int argc, char** argv) {
  Begin(&argc, &argv);
  Make();
  BridgeTraffic();
  Duplicate();
  Merge();
  SplitInter();
  CreateInter();
  Lopsided();
  MPI_Comm_free(&inter);
  MPI_Comm_free(&local);
  return End("comm_intercomm");
}
