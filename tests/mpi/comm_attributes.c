// np: 4
// Attributes: callbacks, how often and in which order they are called, and keyvals.
#include "comm_check.h"

static int copies;
static int deletes;
static int last_deleted;
static int order[16];
static int refuse_copy;
static int refuse_delete;
static int extra;

static int Copy(MPI_Comm old, int keyval, void* extra_state, void* in, void* out, int* flag) {
  (void)keyval;
  CHECK(extra_state == &extra);
  CHECK_EQUAL(SizeOf(old), 4);  // MPI may be called, with the program's handle
  ++copies;
  if (refuse_copy) return MPI_ERR_INTERN;
  *(void**)out = (char*)in + 1;
  *flag = 1;
  return MPI_SUCCESS;
}

static int CopyNot(MPI_Comm old, int keyval, void* extra_state, void* in, void* out, int* flag) {
  (void)old, (void)keyval, (void)extra_state, (void)in, (void)out;
  ++copies;
  *flag = 0;
  return MPI_SUCCESS;
}

static int Delete(MPI_Comm communicator, int keyval, void* value, void* extra_state) {
  (void)communicator, (void)keyval;
  CHECK(extra_state == &extra);
  if (refuse_delete) return MPI_ERR_INTERN;
  if (deletes < 16) order[deletes] = (int)(long)value;
  ++deletes;
  last_deleted = (int)(long)value;
  return MPI_SUCCESS;
}

static long Get(MPI_Comm communicator, int keyval) {
  void* value = NULL;
  int flag = -1;
  MPI_Comm_get_attr(communicator, keyval, &value, &flag);
  CHECK(flag == 0 || flag == 1);
  return flag ? (long)value : -1;
}

static void Basics(void) {
  int keyval = MPI_KEYVAL_INVALID;
  MPI_Comm_create_keyval(Copy, Delete, &keyval, &extra);
  CHECK(keyval != MPI_KEYVAL_INVALID);
  MPI_Comm communicator;
  MPI_Comm_dup(MPI_COMM_WORLD, &communicator);
  CHECK_EQUAL(copies, 0);
  CHECK_EQUAL(Get(communicator, keyval), -1);
  MPI_Comm_set_attr(communicator, keyval, (void*)100);
  CHECK_EQUAL(Get(communicator, keyval), 100);
  CHECK_EQUAL(Get(MPI_COMM_WORLD, keyval), -1);
  // Setting anew deletes the old value.
  MPI_Comm_set_attr(communicator, keyval, (void*)200);
  CHECK_EQUAL(deletes, 1);
  CHECK_EQUAL(last_deleted, 100);
  // Copied, and changed on the way.
  MPI_Comm copy;
  MPI_Comm_dup(communicator, &copy);
  CHECK_EQUAL(copies, 1);
  CHECK_EQUAL(Get(copy, keyval), 201);
  MPI_Request request;
  MPI_Comm second;
  MPI_Comm_idup(copy, &second, &request);
  MPI_Wait(&request, MPI_STATUS_IGNORE);
  CHECK_EQUAL(copies, 2);
  CHECK_EQUAL(Get(second, keyval), 202);
  // Not copied by what is no duplicate.
  MPI_Comm part;
  MPI_Comm_split(copy, 0, 0, &part);
  CHECK_EQUAL(Get(part, keyval), -1);
  CHECK_EQUAL(copies, 2);
  MPI_Comm_free(&part);
  CHECK_EQUAL(deletes, 1);
  // Freeing deletes.
  MPI_Comm_free(&copy);
  CHECK_EQUAL(deletes, 2);
  CHECK_EQUAL(last_deleted, 201);
  MPI_Comm_delete_attr(second, keyval);
  CHECK_EQUAL(deletes, 3);
  CHECK_EQUAL(last_deleted, 202);
  CHECK_EQUAL(Get(second, keyval), -1);
  MPI_Comm_free(&second);
  CHECK_EQUAL(deletes, 3);
  // A freed keyval goes on to work for what was set with it.
  const int old = keyval;
  MPI_Comm_free_keyval(&keyval);
  CHECK_EQUAL(keyval, MPI_KEYVAL_INVALID);
  CHECK_EQUAL(deletes, 3);
  CHECK_EQUAL(Get(communicator, old), 200);
  MPI_Comm_dup(communicator, &copy);
  CHECK_EQUAL(copies, 3);
  CHECK_EQUAL(Get(copy, old), 201);
  MPI_Comm_free(&copy);
  MPI_Comm_free(&communicator);
  CHECK_EQUAL(deletes, 5);
  CHECK_EQUAL(last_deleted, 200);
}

static void Predefined(void) {
  int* value = NULL;
  int flag = 0;
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &value, &flag);
  CHECK(flag == 1 && *value >= 32767);
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_WTIME_IS_GLOBAL, &value, &flag);
  CHECK(flag == 1 && (*value == 0 || *value == 1));
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_UNIVERSE_SIZE, &value, &flag);
  CHECK(flag == 0 || *value >= 1);
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_APPNUM, &value, &flag);
  CHECK(flag == 0 || *value == 0);
  int before = -1;
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_LASTUSEDCODE, &value, &flag);
  CHECK_EQUAL(flag, 1);
  before = *value;
  int class = 0;
  MPI_Add_error_class(&class);
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_LASTUSEDCODE, &value, &flag);
  CHECK(*value > before && class == *value);

  int keyval;
  MPI_Comm_create_keyval(MPI_COMM_DUP_FN, MPI_COMM_NULL_DELETE_FN, &keyval, NULL);
  int never;
  MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, MPI_COMM_NULL_DELETE_FN, &never, NULL);
  int no;
  copies = 0;
  MPI_Comm_create_keyval(CopyNot, MPI_COMM_NULL_DELETE_FN, &no, NULL);
  MPI_Comm one;
  MPI_Comm two;
  MPI_Comm_dup(MPI_COMM_WORLD, &one);
  MPI_Comm_set_attr(one, keyval, (void*)5);
  MPI_Comm_set_attr(one, never, (void*)6);
  MPI_Comm_set_attr(one, no, (void*)7);
  MPI_Comm_dup(one, &two);
  CHECK_EQUAL(Get(two, keyval), 5);
  CHECK_EQUAL(Get(two, never), -1);
  CHECK_EQUAL(Get(two, no), -1);
  CHECK_EQUAL(copies, 1);
  MPI_Comm_free(&one);
  MPI_Comm_free(&two);
  MPI_Comm_free_keyval(&keyval);
  MPI_Comm_free_keyval(&never);
  MPI_Comm_free_keyval(&no);
}

static void Errors(void) {
  MPI_Comm communicator;
  MPI_Comm_dup(MPI_COMM_WORLD, &communicator);
  MPI_Comm_set_errhandler(communicator, MPI_ERRORS_RETURN);
  int keyval;
  MPI_Comm_create_keyval(Copy, Delete, &keyval, &extra);
  CHECK(MPI_Comm_set_attr(communicator, MPI_TAG_UB, NULL) != MPI_SUCCESS);
  CHECK(MPI_Comm_set_attr(communicator, 123456789, NULL) != MPI_SUCCESS);
  CHECK(MPI_Comm_set_attr(communicator, MPI_KEYVAL_INVALID, NULL) != MPI_SUCCESS);
  CHECK(MPI_Comm_delete_attr(communicator, 123456789) != MPI_SUCCESS);
  MPI_Comm_set_attr(communicator, keyval, (void*)1);
  refuse_copy = 1;
  MPI_Comm copy = MPI_COMM_NULL;
  CHECK(MPI_Comm_dup(communicator, &copy) != MPI_SUCCESS);
  refuse_copy = 0;
  refuse_delete = 1;
  CHECK(MPI_Comm_delete_attr(communicator, keyval) != MPI_SUCCESS);
  CHECK_EQUAL(Get(communicator, keyval), 1);
  CHECK(MPI_Comm_set_attr(communicator, keyval, (void*)2) != MPI_SUCCESS);
  CHECK_EQUAL(Get(communicator, keyval), 1);
  refuse_delete = 0;
  MPI_Comm_free(&communicator);
  MPI_Comm_free_keyval(&keyval);
}

// Attributes of MPI_COMM_SELF are deleted first in MPI_Finalize, the last set first, while MPI
// works.
static int done;
static int AtEnd(MPI_Comm communicator, int keyval, void* value, void* extra_state) {
  (void)keyval, (void)extra_state;
  int ended = -1;
  MPI_Finalized(&ended);
  CHECK_EQUAL(ended, 0);
  CHECK(communicator == MPI_COMM_SELF);
  CHECK_EQUAL((long)value, 3 - done);
  int sent = 40 + done;
  int received = -1;
  MPI_Sendrecv(&sent, 1, MPI_INT, 0, 0, &received, 1, MPI_INT, 0, 0, communicator,
               MPI_STATUS_IGNORE);
  CHECK_EQUAL(received, 40 + done);
  ++done;
  return MPI_SUCCESS;
}

int main(int argc, char** argv) {
  Begin(&argc, &argv);
  Basics();
  Predefined();
  Errors();
  int keyvals[3];
  // The order of setting counts, not that of the keyvals.
  for (int i = 0; i < 3; ++i) {
    MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, AtEnd, &keyvals[i], NULL);
  }
  MPI_Comm_set_attr(MPI_COMM_SELF, keyvals[1], (void*)1);
  MPI_Comm_set_attr(MPI_COMM_SELF, keyvals[2], (void*)2);
  MPI_Comm_set_attr(MPI_COMM_SELF, keyvals[0], (void*)3);
  for (int i = 0; i < 3; ++i) MPI_Comm_free_keyval(&keyvals[i]);
  MPI_Barrier(MPI_COMM_WORLD);
  MPI_Finalize();
  if (done != 3) {
    fprintf(stderr, "rank %d: %d of 3 attributes of MPI_COMM_SELF deleted\n", world_rank, done);
    return 1;
  }
  if (world_rank == 0) printf("ok comm_attributes\n");
  return 0;
}
