// np: 4
// Groups: set operations, ranges, translation, handles.
#include "comm_check.h"

static MPI_Group world;

// The group must have exactly these world ranks, in this order; frees it.
static void CheckGroup(MPI_Group group, int size, const int* members) {
  int got = -1;
  MPI_Group_size(group, &got);
  CHECK_EQUAL(got, size);
  int mine = MPI_UNDEFINED;
  for (int i = 0; i < size; ++i) {
    int rank = -1;
    MPI_Group_translate_ranks(group, 1, &i, world, &rank);
    CHECK_EQUAL(rank, members[i]);
    if (members[i] == world_rank) mine = i;
  }
  int rank = -1;
  MPI_Group_rank(group, &rank);
  CHECK_EQUAL(rank, mine);
  if (group != MPI_GROUP_EMPTY) MPI_Group_free(&group);
}

static MPI_Group Pick(int count, const int* ranks) {
  MPI_Group group;
  MPI_Group_incl(world, count, ranks, &group);
  return group;
}

static int CompareGroups(MPI_Group one, MPI_Group other) {
  int result = -1;
  MPI_Group_compare(one, other, &result);
  return result;
}

int main(int argc, char** argv) {
  Begin(&argc, &argv);
  MPI_Comm_group(MPI_COMM_WORLD, &world);
  const int first[3] = {3, 0, 2};
  const int second[2] = {1, 3};
  MPI_Group a = Pick(3, first);
  MPI_Group b = Pick(2, second);
  MPI_Group result;

  MPI_Group_union(a, b, &result);
  CheckGroup(result, 4, (const int[]){3, 0, 2, 1});
  MPI_Group_union(b, a, &result);
  CheckGroup(result, 4, (const int[]){1, 3, 0, 2});
  MPI_Group_intersection(a, b, &result);
  CheckGroup(result, 1, (const int[]){3});
  MPI_Group_difference(a, b, &result);
  CheckGroup(result, 2, (const int[]){0, 2});
  MPI_Group_difference(b, a, &result);
  CheckGroup(result, 1, (const int[]){1});
  MPI_Group_difference(a, a, &result);
  CHECK(result == MPI_GROUP_EMPTY);
  MPI_Group_excl(a, 1, (const int[]){1}, &result);
  CheckGroup(result, 2, (const int[]){3, 2});
  MPI_Group_incl(a, 0, NULL, &result);
  CHECK(result == MPI_GROUP_EMPTY);
  MPI_Group_excl(world, 0, NULL, &result);
  CHECK_EQUAL(CompareGroups(result, world), MPI_IDENT);
  MPI_Group_free(&result);

  int ranges[2][3] = {{3, 1, -2}, {0, 0, 5}};
  MPI_Group_range_incl(world, 2, ranges, &result);
  CheckGroup(result, 3, (const int[]){3, 1, 0});
  MPI_Group_range_excl(world, 2, ranges, &result);
  CheckGroup(result, 1, (const int[]){2});

  MPI_Group copy = Pick(3, first);
  CHECK_EQUAL(CompareGroups(a, copy), MPI_IDENT);
  MPI_Group_free(&copy);
  copy = Pick(3, (const int[]){0, 2, 3});
  CHECK_EQUAL(CompareGroups(a, copy), MPI_SIMILAR);
  CHECK_EQUAL(CompareGroups(a, b), MPI_UNEQUAL);
  MPI_Group_free(&copy);
  CHECK(copy == MPI_GROUP_NULL);

  const int asked[4] = {2, MPI_PROC_NULL, 0, 1};
  int answers[4];
  MPI_Group_translate_ranks(a, 4, asked, b, answers);
  CHECK_EQUAL(answers[0], MPI_UNDEFINED);
  CHECK_EQUAL(answers[1], MPI_PROC_NULL);
  CHECK_EQUAL(answers[2], 1);
  CHECK_EQUAL(answers[3], MPI_UNDEFINED);

  CHECK(MPI_Group_f2c(MPI_Group_c2f(a)) == a);
  CHECK(MPI_Group_f2c(MPI_Group_c2f(MPI_GROUP_EMPTY)) == MPI_GROUP_EMPTY);
  CHECK(MPI_Group_f2c(MPI_Group_c2f(MPI_GROUP_NULL)) == MPI_GROUP_NULL);
  CHECK(MPI_Comm_f2c(MPI_Comm_c2f(MPI_COMM_WORLD)) == MPI_COMM_WORLD);
  CHECK(MPI_Comm_f2c(MPI_Comm_c2f(MPI_COMM_SELF)) == MPI_COMM_SELF);
  CHECK(MPI_Comm_f2c(MPI_Comm_c2f(MPI_COMM_NULL)) == MPI_COMM_NULL);
  MPI_Comm dup;
  MPI_Comm_dup(MPI_COMM_WORLD, &dup);
  CHECK(MPI_Comm_f2c(MPI_Comm_c2f(dup)) == dup);

  // A group outlives its communicator.
  MPI_Comm_group(dup, &result);
  MPI_Comm_free(&dup);
  CHECK_EQUAL(CompareGroups(result, world), MPI_IDENT);
  MPI_Group_free(&result);

  // Wrong ones.
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  int size = 0;
  CHECK_EQUAL(MPI_Group_size(MPI_GROUP_NULL, &size), MPI_ERR_GROUP);
  CHECK_EQUAL(MPI_Group_incl(world, 1, (const int[]){4}, &result), MPI_ERR_RANK);
  CHECK_EQUAL(MPI_Group_union(a, MPI_GROUP_NULL, &result), MPI_ERR_GROUP);

  MPI_Group_free(&a);
  MPI_Group_free(&b);
  MPI_Group_free(&world);
  return End("comm_group");
}
