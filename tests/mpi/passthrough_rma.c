// np: 4
// env: OMPI_MCA_osc=pt2pt,sm
// notice: MPI_Win_create,MPI_Win_allocate,MPI_Win_allocate_shared,MPI_Win_create_dynamic
// Remote memory access on MPI_COMM_WORLD, on a split communicator and in shared memory: fence,
// lock, post/start/complete/wait, request-based and atomic operations, attributes and names of
// windows.
#include <stdlib.h>
#include <string.h>

#include "check.h"

static int rank, size;

static void Fence(MPI_Comm comm) {
  int me, n;
  MPI_Comm_rank(comm, &me);
  MPI_Comm_size(comm, &n);
  int* table = malloc(sizeof(int) * (size_t)n);
  for (int i = 0; i < n; ++i) table[i] = -1;
  MPI_Win win;
  MPI_Win_create(table, (MPI_Aint)(sizeof(int) * (size_t)n), sizeof(int), MPI_INFO_NULL, comm,
                 &win);
  MPI_Win_fence(0, win);
  const int value = 100 + me;
  for (int i = 0; i < n; ++i) MPI_Put(&value, 1, MPI_INT, i, me, 1, MPI_INT, win);
  MPI_Win_fence(0, win);
  for (int i = 0; i < n; ++i) CHECK_EQUAL(table[i], 100 + i);
  int fetched = -1;
  MPI_Get(&fetched, 1, MPI_INT, (me + 1) % n, (me + 2) % n, 1, MPI_INT, win);
  MPI_Win_fence(0, win);
  CHECK_EQUAL(fetched, 100 + (me + 2) % n);
  const int one = 1;
  for (int i = 0; i < n; ++i) MPI_Accumulate(&one, 1, MPI_INT, i, 0, 1, MPI_INT, MPI_SUM, win);
  MPI_Win_fence(0, win);
  CHECK_EQUAL(table[0], 100 + n);
  MPI_Win_free(&win);
  CHECK(win == MPI_WIN_NULL);
  free(table);
}

static void Lock(MPI_Comm comm) {
  int me, n;
  MPI_Comm_rank(comm, &me);
  MPI_Comm_size(comm, &n);
  long long* counter;
  MPI_Win win;
  MPI_Win_allocate(2 * sizeof(long long), sizeof(long long), MPI_INFO_NULL, comm, &counter, &win);
  MPI_Win_lock(MPI_LOCK_EXCLUSIVE, me, 0, win);
  counter[0] = counter[1] = 0;
  MPI_Win_unlock(me, win);
  MPI_Barrier(comm);
  const long long one = 1;
  long long before = -1;
  for (int i = 0; i < 20; ++i) {
    MPI_Win_lock(MPI_LOCK_SHARED, 0, 0, win);
    MPI_Fetch_and_op(&one, &before, MPI_LONG_LONG, 0, 0, MPI_SUM, win);
    MPI_Win_unlock(0, win);
    CHECK(before >= 0 && before < 20LL * n);
  }
  // Request-based operations, completed with other requests.
  MPI_Win_lock_all(0, win);
  long long mine = 1000 + me, got = -1;
  MPI_Request requests[2];
  MPI_Rput(&mine, 1, MPI_LONG_LONG, (me + 1) % n, 1, 1, MPI_LONG_LONG, win, &requests[0]);
  MPI_Status status;
  MPI_Wait(&requests[0], &status);
  CHECK(requests[0] == MPI_REQUEST_NULL);
  MPI_Win_flush((me + 1) % n, win);
  MPI_Barrier(comm);
  MPI_Rget(&got, 1, MPI_LONG_LONG, me, 1, 1, MPI_LONG_LONG, win, &requests[0]);
  const long long zero = 0;
  long long total = -1;
  MPI_Rget_accumulate(&zero, 1, MPI_LONG_LONG, &total, 1, MPI_LONG_LONG, 0, 0, 1, MPI_LONG_LONG,
                      MPI_NO_OP, win, &requests[1]);
  MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
  CHECK_EQUAL(got, 1000 + (me + n - 1) % n);
  CHECK_EQUAL(total, 20LL * n);
  MPI_Barrier(comm);
  const long long replacement = 7;
  MPI_Accumulate(&replacement, 1, MPI_LONG_LONG, (me + 1) % n, 1, 1, MPI_LONG_LONG, MPI_REPLACE,
                 win);
  MPI_Win_flush_all(win);
  MPI_Win_unlock_all(win);
  MPI_Barrier(comm);
  MPI_Win_lock(MPI_LOCK_SHARED, me, 0, win);
  CHECK_EQUAL(counter[1], 7);
  MPI_Win_unlock(me, win);
  MPI_Win_free(&win);
}

static void PostStart(MPI_Comm comm) {
  int me, n;
  MPI_Comm_rank(comm, &me);
  MPI_Comm_size(comm, &n);
  int slots[2] = {-1, -1};
  MPI_Win win;
  MPI_Win_create(slots, sizeof slots, sizeof(int), MPI_INFO_NULL, comm, &win);
  MPI_Group all, left, right;
  MPI_Comm_group(comm, &all);
  const int to_right = (me + 1) % n, to_left = (me + n - 1) % n;
  MPI_Group_incl(all, 1, &to_left, &left);
  MPI_Group_incl(all, 1, &to_right, &right);
  for (int round = 0; round < 5; ++round) {
    const int value = 10 * round + me;
    MPI_Win_post(left, 0, win);
    MPI_Win_start(right, 0, win);
    MPI_Put(&value, 1, MPI_INT, to_right, round % 2, 1, MPI_INT, win);
    MPI_Win_complete(win);
    MPI_Win_wait(win);
    CHECK_EQUAL(slots[round % 2], 10 * round + to_left);
  }
  MPI_Group window_group;
  int result;
  MPI_Win_get_group(win, &window_group);
  MPI_Group_compare(window_group, all, &result);
  CHECK_EQUAL(result, MPI_IDENT);
  MPI_Group_free(&window_group);
  MPI_Group_free(&all);
  MPI_Group_free(&left);
  MPI_Group_free(&right);
  MPI_Win_free(&win);
}

static int deleted = 0;
static int DeleteAttribute(MPI_Win win, int keyval, void* value, void* extra) {
  (void)win;
  (void)keyval;
  (void)extra;
  CHECK_EQUAL(*(int*)value, 42);
  ++deleted;
  return MPI_SUCCESS;
}

static int seen_error = MPI_SUCCESS;
static void OnWindowError(MPI_Win* win, int* error, ...) {
  (void)win;
  MPI_Error_class(*error, &seen_error);
}

static void Properties(MPI_Comm comm) {
  int cell = 5;
  MPI_Win win;
  MPI_Win_create(&cell, sizeof cell, 1, MPI_INFO_NULL, comm, &win);
  char name[MPI_MAX_OBJECT_NAME];
  int length, flag, keyval, value = 42;
  MPI_Win_set_name(win, "a window");
  MPI_Win_get_name(win, name, &length);
  CHECK(strcmp(name, "a window") == 0);
  void* base;
  MPI_Win_get_attr(win, MPI_WIN_BASE, &base, &flag);
  CHECK(flag && base == &cell);
  MPI_Win_create_keyval(MPI_WIN_NULL_COPY_FN, DeleteAttribute, &keyval, NULL);
  MPI_Win_set_attr(win, keyval, &value);
  int* found;
  MPI_Win_get_attr(win, keyval, &found, &flag);
  CHECK(flag && found == &value);
  MPI_Errhandler handler;
  MPI_Win_create_errhandler(OnWindowError, &handler);
  MPI_Win_set_errhandler(win, handler);
  MPI_Errhandler_free(&handler);
  MPI_Win_fence(0, win);
  CHECK(MPI_Put(&value, 1, MPI_INT, 12345, 0, 1, MPI_INT, win) != MPI_SUCCESS);
  CHECK_EQUAL(seen_error, MPI_ERR_RANK);
  MPI_Win_fence(0, win);
  MPI_Win_free(&win);
  CHECK_EQUAL(deleted, 1);
  MPI_Win_free_keyval(&keyval);

  // A window outlives the communicator that it was made on.
  MPI_Comm copy;
  MPI_Comm_dup(comm, &copy);
  MPI_Win_create(&cell, sizeof cell, 1, MPI_INFO_NULL, copy, &win);
  MPI_Comm_free(&copy);
  MPI_Win_fence(0, win);
  MPI_Win_fence(0, win);
  MPI_Win_free(&win);
}

static void Dynamic(MPI_Comm comm) {
  int me, n, cell = -1;
  MPI_Comm_rank(comm, &me);
  MPI_Comm_size(comm, &n);
  MPI_Win win;
  MPI_Win_create_dynamic(MPI_INFO_NULL, comm, &win);
  MPI_Win_attach(win, &cell, sizeof cell);
  MPI_Aint address;
  MPI_Get_address(&cell, &address);
  MPI_Aint* all = malloc(sizeof(MPI_Aint) * (size_t)n);
  MPI_Allgather(&address, 1, MPI_AINT, all, 1, MPI_AINT, comm);
  MPI_Win_fence(0, win);
  MPI_Put(&me, 1, MPI_INT, (me + 1) % n, all[(me + 1) % n], 1, MPI_INT, win);
  MPI_Win_fence(0, win);
  CHECK_EQUAL(cell, (me + n - 1) % n);
  MPI_Win_detach(win, &cell);
  MPI_Win_free(&win);
  free(all);
}

static void Shared(MPI_Comm comm) {
  MPI_Comm node;
  MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
  int me, n, *mine;
  MPI_Comm_rank(node, &me);
  MPI_Comm_size(node, &n);
  MPI_Win win;
  MPI_Win_allocate_shared(sizeof(int), sizeof(int), MPI_INFO_NULL, node, &mine, &win);
  MPI_Win_lock_all(MPI_MODE_NOCHECK, win);
  *mine = 50 + me;
  MPI_Win_sync(win);
  MPI_Barrier(node);
  MPI_Win_sync(win);
  MPI_Aint bytes;
  int unit, *other;
  MPI_Win_shared_query(win, (me + 1) % n, &bytes, &unit, &other);
  CHECK_EQUAL(*other, 50 + (me + 1) % n);
  MPI_Barrier(node);
  MPI_Win_unlock_all(win);
  MPI_Win_free(&win);
  MPI_Comm_free(&node);
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Comm half;
  MPI_Comm_split(MPI_COMM_WORLD, rank % 2, -rank, &half);
  MPI_Comm comms[] = {MPI_COMM_WORLD, half, MPI_COMM_SELF};
  for (int i = 0; i < 3; ++i) {
    Fence(comms[i]);
    Lock(comms[i]);
    Dynamic(comms[i]);
  }
  PostStart(MPI_COMM_WORLD);
  PostStart(half);
  Properties(half);
  Shared(MPI_COMM_WORLD);
  MPI_Comm_free(&half);
  if (rank == 0) printf("windows: ok\n");
  MPI_Finalize();
  return 0;
}
