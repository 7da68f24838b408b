// np: 4
// Duplicates: members, separation of messages, names, infos, non-blocking form.
#include "comm_check.h"

static const int kAll[4] = {0, 1, 2, 3};

static void Members(void) {
  MPI_Comm one;
  MPI_Comm two;
  MPI_Comm_dup(MPI_COMM_WORLD, &one);
  MPI_Comm_dup(one, &two);
  CHECK(one != MPI_COMM_WORLD && one != two);
  CheckMembers(one, 4, kAll);
  CheckMembers(two, 4, kAll);
  CHECK_EQUAL(Compare(one, two), MPI_CONGRUENT);
  CHECK_EQUAL(Compare(one, MPI_COMM_WORLD), MPI_CONGRUENT);
  CHECK_EQUAL(Compare(one, one), MPI_IDENT);
  CHECK_EQUAL(Compare(MPI_COMM_WORLD, MPI_COMM_WORLD), MPI_IDENT);
  CHECK_EQUAL(Compare(MPI_COMM_WORLD, MPI_COMM_SELF), MPI_UNEQUAL);
  MPI_Comm_free(&one);
  CHECK(one == MPI_COMM_NULL);
  CheckMembers(two, 4, kAll);
  MPI_Comm_free(&two);

  MPI_Comm self;
  MPI_Comm_dup(MPI_COMM_SELF, &self);
  CHECK_EQUAL(SizeOf(self), 1);
  CHECK_EQUAL(RankIn(self), 0);
  CHECK_EQUAL(Compare(self, MPI_COMM_SELF), MPI_CONGRUENT);
  MPI_Comm_free(&self);
}

// A message stays in its communicator, whatever the order of the receives.
static void Separation(void) {
  MPI_Comm other;
  MPI_Comm_dup(MPI_COMM_WORLD, &other);
  const int to = (world_rank + 1) % 4;
  const int from = (world_rank + 3) % 4;
  const int in_world = 100 + world_rank;
  const int in_other = 200 + world_rank;
  MPI_Request requests[2];
  MPI_Isend(&in_world, 1, MPI_INT, to, 7, MPI_COMM_WORLD, &requests[0]);
  MPI_Isend(&in_other, 1, MPI_INT, to, 7, other, &requests[1]);
  int value = -1;
  MPI_Recv(&value, 1, MPI_INT, from, 7, other, MPI_STATUS_IGNORE);
  CHECK_EQUAL(value, 200 + from);
  MPI_Recv(&value, 1, MPI_INT, from, 7, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  CHECK_EQUAL(value, 100 + from);
  MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
  MPI_Comm_free(&other);
}

// A communicator may be freed while operations on it are pending.
static void FreeWhilePending(void) {
  MPI_Comm communicator;
  MPI_Comm_dup(MPI_COMM_WORLD, &communicator);
  const int to = (world_rank + 1) % 4;
  const int from = (world_rank + 3) % 4;
  int received = -1;
  MPI_Request requests[2];
  MPI_Irecv(&received, 1, MPI_INT, from, 1, communicator, &requests[0]);
  MPI_Isend(&world_rank, 1, MPI_INT, to, 1, communicator, &requests[1]);
  MPI_Comm_free(&communicator);
  CHECK(communicator == MPI_COMM_NULL);
  MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
  CHECK_EQUAL(received, from);
}

static void Names(void) {
  char name[MPI_MAX_OBJECT_NAME];
  int length = -1;
  MPI_Comm_get_name(MPI_COMM_WORLD, name, &length);
  CHECK(strcmp(name, "MPI_COMM_WORLD") == 0 && length == 14);
  MPI_Comm_get_name(MPI_COMM_SELF, name, &length);
  CHECK(strcmp(name, "MPI_COMM_SELF") == 0 && length == 13);
  MPI_Comm first;
  MPI_Comm second;
  MPI_Comm_dup(MPI_COMM_WORLD, &first);
  MPI_Comm_get_name(first, name, &length);
  CHECK(strcmp(name, "") == 0 && length == 0);
  MPI_Comm_set_name(first, "the first");
  MPI_Comm_dup(first, &second);
  MPI_Comm_get_name(second, name, &length);
  CHECK_EQUAL(length, 0);  // a name is not copied
  MPI_Comm_get_name(first, name, &length);
  CHECK(strcmp(name, "the first") == 0 && length == 9);
  char long_name[200];
  memset(long_name, 'x', sizeof long_name);
  long_name[sizeof long_name - 1] = '\0';
  MPI_Comm_set_name(first, long_name);
  MPI_Comm_get_name(first, name, &length);
  CHECK_EQUAL(length, MPI_MAX_OBJECT_NAME - 1);
  CHECK_EQUAL(strlen(name), MPI_MAX_OBJECT_NAME - 1);
  MPI_Comm_free(&first);
  MPI_Comm_free(&second);
}

static int HasHint(MPI_Comm communicator, const char* key, const char* value) {
  MPI_Info info;
  MPI_Comm_get_info(communicator, &info);
  char found[MPI_MAX_INFO_VAL + 1] = "";
  int flag = 0;
  MPI_Info_get(info, key, MPI_MAX_INFO_VAL, found, &flag);
  MPI_Info_free(&info);
  return flag && strcmp(found, value) == 0;
}

static void Infos(void) {
  MPI_Info info;
  MPI_Info_create(&info);
  MPI_Info_set(info, "test_hint", "a value");
  MPI_Comm with;
  MPI_Comm_dup_with_info(MPI_COMM_WORLD, info, &with);
  MPI_Info_free(&info);
  CHECK(HasHint(with, "test_hint", "a value"));
  MPI_Comm copy;
  MPI_Comm_dup(with, &copy);
  MPI_Comm without;
  MPI_Comm_dup_with_info(with, MPI_INFO_NULL, &without);
  CHECK(!HasHint(without, "test_hint", "a value"));
  CheckMembers(copy, 4, kAll);
  MPI_Comm_free(&with);
  MPI_Comm_free(&copy);
  MPI_Comm_free(&without);
}

static void NonBlocking(void) {
  MPI_Comm communicators[3];
  MPI_Request requests[3];
  for (int i = 0; i < 3; ++i) MPI_Comm_idup(MPI_COMM_WORLD, &communicators[i], &requests[i]);
  // Traffic on the parent meanwhile.
  CheckMembers(MPI_COMM_WORLD, 4, kAll);
  MPI_Waitall(3, requests, MPI_STATUSES_IGNORE);
  for (int i = 0; i < 3; ++i) {
    CHECK(requests[i] == MPI_REQUEST_NULL);
    CheckMembers(communicators[i], 4, kAll);
    CHECK_EQUAL(Compare(communicators[i], MPI_COMM_WORLD), MPI_CONGRUENT);
    MPI_Comm_free(&communicators[i]);
  }
}

int main(int argc, char** argv) {
  Begin(&argc, &argv);
  Members();
  Separation();
  FreeWhilePending();
  Names();
  Infos();
  NonBlocking();
  MPI_Comm gone;
  MPI_Comm_dup(MPI_COMM_WORLD, &gone);
  MPI_Comm_disconnect(&gone);
  CHECK(gone == MPI_COMM_NULL);
  return End("comm_dup");
}
