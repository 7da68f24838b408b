// np: 2
// Functions that need no communication: packing, datatypes and their attributes, infos, operations,
// errors, memory, removed MPI-1 names, tool variables.
#define OMPI_OMIT_MPI1_COMPAT_DECLS 0  // removed functions that old programs still call
#include <stdlib.h>
#include <string.h>

#include "check.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static void Packing(MPI_Comm comm) {
  char buffer[256];
  int position = 0, size_i, size_d;
  const int integers[3] = {1, -2, 3};
  const double real = 0.5;
  MPI_Pack_size(3, MPI_INT, comm, &size_i);
  MPI_Pack_size(1, MPI_DOUBLE, comm, &size_d);
  CHECK(size_i >= 12 && size_d >= 8);
  MPI_Pack(integers, 3, MPI_INT, buffer, sizeof buffer, &position, comm);
  MPI_Pack(&real, 1, MPI_DOUBLE, buffer, sizeof buffer, &position, comm);
  CHECK_EQUAL(position, 20);
  int rank, size, back[3] = {0, 0, 0};
  double real_back = 0;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);
  char received[256];
  MPI_Sendrecv(buffer, position, MPI_PACKED, (rank + 1) % size, 0, received, sizeof received,
               MPI_PACKED, (rank + size - 1) % size, 0, comm, MPI_STATUS_IGNORE);
  position = 0;
  MPI_Unpack(received, sizeof received, &position, back, 3, MPI_INT, comm);
  MPI_Unpack(received, sizeof received, &position, &real_back, 1, MPI_DOUBLE, comm);
  CHECK(back[0] == 1 && back[1] == -2 && back[2] == 3 && real_back == 0.5);

  MPI_Aint external = 0, bytes;
  MPI_Pack_external_size("external32", 3, MPI_INT, &bytes);
  CHECK_EQUAL(bytes, 12);
  MPI_Pack_external("external32", integers, 3, MPI_INT, buffer, sizeof buffer, &external);
  CHECK_EQUAL(buffer[3], 1);  // big endian
  external = 0;
  memset(back, 0, sizeof back);
  MPI_Unpack_external("external32", buffer, 12, &external, back, 3, MPI_INT);
  CHECK(back[0] == 1 && back[1] == -2 && back[2] == 3);

  // Too small a buffer is an error of the communicator.
  MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
  position = 0;
  int class;
  MPI_Error_class(MPI_Pack(integers, 3, MPI_INT, buffer, 4, &position, comm), &class);
  CHECK_EQUAL(class, MPI_ERR_TRUNCATE);
  MPI_Comm_set_errhandler(comm, MPI_ERRORS_ARE_FATAL);
}

static int copies = 0;
static int CopyAttribute(MPI_Datatype type, int keyval, void* extra, void* in, void* out,
                         int* flag) {
  (void)type;
  (void)keyval;
  CHECK(extra == &copies);
  *(void**)out = in;
  *flag = 1;
  ++copies;
  return MPI_SUCCESS;
}

static void Datatypes(void) {
  struct Item {
    char tag;
    double values[2];
    int count;
  } item = {0, {0, 0}, 0};
  const int lengths[3] = {1, 2, 1};
  MPI_Aint base, displacements[3];
  MPI_Get_address(&item, &base);
  MPI_Get_address(&item.tag, &displacements[0]);
  MPI_Get_address(&item.values, &displacements[1]);
  MPI_Get_address(&item.count, &displacements[2]);
  for (int i = 0; i < 3; ++i) displacements[i] = MPI_Aint_diff(displacements[i], base);
  const MPI_Datatype types[3] = {MPI_CHAR, MPI_DOUBLE, MPI_INT};
  MPI_Datatype structure, resized, copy;
  MPI_Type_create_struct(3, lengths, displacements, types, &structure);
  MPI_Type_create_resized(structure, 0, sizeof item, &resized);
  MPI_Type_commit(&resized);
  int size, number[4], combiner;
  MPI_Aint lower, extent;
  MPI_Type_size(resized, &size);
  CHECK_EQUAL(size, 1 + 2 * sizeof(double) + sizeof(int));
  MPI_Type_get_extent(resized, &lower, &extent);
  CHECK_EQUAL(extent, sizeof item);
  MPI_Type_get_envelope(structure, &number[0], &number[1], &number[2], &combiner);
  CHECK_EQUAL(combiner, MPI_COMBINER_STRUCT);
  CHECK_EQUAL(number[0], 4);
  MPI_Type_set_name(resized, "item");
  char name[MPI_MAX_OBJECT_NAME];
  int length, keyval, flag;
  MPI_Type_get_name(resized, name, &length);
  CHECK(strcmp(name, "item") == 0);
  MPI_Type_create_keyval(CopyAttribute, MPI_TYPE_NULL_DELETE_FN, &keyval, &copies);
  MPI_Type_set_attr(resized, keyval, &item);
  MPI_Type_dup(resized, &copy);
  void* attribute = NULL;
  MPI_Type_get_attr(copy, keyval, &attribute, &flag);
  CHECK(flag && attribute == &item && copies == 1);
  MPI_Type_free_keyval(&keyval);
  MPI_Type_free(&structure);
  MPI_Type_free(&copy);

  // Freed and made anew many times, so that handles come back with other layouts.
  for (int i = 1; i < 50; ++i) {
    MPI_Datatype vector;
    MPI_Type_vector(i, 1, 2, MPI_INT, &vector);
    MPI_Type_commit(&vector);
    int out[100], in[100] = {0};
    for (int k = 0; k < 100; ++k) out[k] = k + 1;
    MPI_Sendrecv(out, 1, vector, 0, i, in, 1, vector, 0, i, MPI_COMM_SELF, MPI_STATUS_IGNORE);
    for (int k = 0; k < 100; ++k) CHECK_EQUAL(in[k], k % 2 == 0 && k < 2 * i ? k + 1 : 0);
    MPI_Type_free(&vector);
    CHECK(vector == MPI_DATATYPE_NULL);
  }
  MPI_Datatype matched;
  MPI_Type_match_size(MPI_TYPECLASS_REAL, 8, &matched);
  MPI_Type_size(matched, &size);
  CHECK_EQUAL(size, 8);
  const int sizes[2] = {4, 6}, part[2] = {2, 3}, start[2] = {1, 2};
  MPI_Datatype block;
  MPI_Type_create_subarray(2, sizes, part, start, MPI_ORDER_C, MPI_INT, &block);
  MPI_Type_commit(&block);
  int from[24], to[6], position = 0;
  for (int i = 0; i < 24; ++i) from[i] = i;
  MPI_Pack(from, 1, block, to, sizeof to, &position, MPI_COMM_SELF);
  CHECK(to[0] == 8 && to[2] == 10 && to[3] == 14 && to[5] == 16);
  MPI_Type_free(&block);
  MPI_Type_free(&resized);
}

static void Infos(void) {
  MPI_Info info, copy;
  MPI_Info_create(&info);
  MPI_Info_set(info, "key", "value");
  MPI_Info_set(info, "other", "x");
  MPI_Info_dup(info, &copy);
  MPI_Info_delete(info, "other");
  int n, flag, length;
  char value[MPI_MAX_INFO_VAL + 1], key[MPI_MAX_INFO_KEY + 1];
  MPI_Info_get_nkeys(info, &n);
  CHECK_EQUAL(n, 1);
  MPI_Info_get_nkeys(copy, &n);
  CHECK_EQUAL(n, 2);
  MPI_Info_get_nthkey(info, 0, key);
  CHECK(strcmp(key, "key") == 0);
  MPI_Info_get_valuelen(info, "key", &length, &flag);
  CHECK(flag && length == 5);
  MPI_Info_get(info, "key", MPI_MAX_INFO_VAL, value, &flag);
  CHECK(flag && strcmp(value, "value") == 0);
  MPI_Info_free(&info);
  MPI_Info_free(&copy);
  CHECK(info == MPI_INFO_NULL);
}

static void Multiply(void* in, void* inout, int* count, MPI_Datatype* type) {
  (void)type;
  for (int i = 0; i < *count; ++i) ((int*)inout)[i] *= ((int*)in)[i];
}

static int handled = MPI_SUCCESS;
static void OnError(MPI_Comm* comm, int* error, ...) {
  CHECK(*comm == MPI_COMM_WORLD);
  MPI_Error_class(*error, &handled);
}

static void Others(void) {
  MPI_Op op;
  int commutes, a[2] = {2, 3}, b[2] = {5, 7};
  MPI_Op_create(Multiply, 1, &op);
  MPI_Op_commutative(op, &commutes);
  CHECK_EQUAL(commutes, 1);
  MPI_Reduce_local(a, b, 2, MPI_INT, op);
  CHECK(b[0] == 10 && b[1] == 21);
  MPI_Op_free(&op);

  int class, code, got, length, version, subversion;
  char text[MPI_MAX_ERROR_STRING];
  MPI_Add_error_class(&class);
  MPI_Add_error_code(class, &code);
  MPI_Add_error_string(code, "an error of ours");
  MPI_Error_class(code, &got);
  CHECK_EQUAL(got, class);
  MPI_Error_string(code, text, &length);
  CHECK(strcmp(text, "an error of ours") == 0);
  MPI_Get_version(&version, &subversion);
  CHECK(version >= 3);
  void* memory;
  MPI_Alloc_mem(1 << 20, MPI_INFO_NULL, &memory);
  memset(memory, 1, 1 << 20);
  MPI_Free_mem(memory);
  int dims[2] = {0, 0};
  MPI_Dims_create(6, 2, dims);
  CHECK_EQUAL(dims[0] * dims[1], 6);
  CHECK(MPI_Wtick() > 0);

  // A function of no communicator raises its errors on MPI_COMM_WORLD.
  MPI_Errhandler handler;
  MPI_Comm_create_errhandler(OnError, &handler);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, handler);
  CHECK(MPI_Type_size(MPI_DATATYPE_NULL, &got) != MPI_SUCCESS);
  CHECK_EQUAL(handled, MPI_ERR_TYPE);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_ARE_FATAL);
  MPI_Errhandler_free(&handler);

  MPI_Status status;
  MPI_Status_set_elements(&status, MPI_INT, 9);
  MPI_Status_set_cancelled(&status, 0);
  MPI_Get_count(&status, MPI_INT, &got);
  CHECK_EQUAL(got, 9);
  MPI_Get_elements(&status, MPI_INT, &got);
  CHECK_EQUAL(got, 9);
  MPI_Test_cancelled(&status, &got);
  CHECK_EQUAL(got, 0);
  MPI_Fint fortran[sizeof(MPI_Status) / sizeof(MPI_Fint)];
  status.MPI_SOURCE = 3;
  MPI_Status_c2f(&status, fortran);
  MPI_Status back;
  MPI_Status_f2c(fortran, &back);
  CHECK_EQUAL(back.MPI_SOURCE, 3);
  CHECK(MPI_Type_f2c(MPI_Type_c2f(MPI_INT)) == MPI_INT);
  CHECK(MPI_Op_f2c(MPI_Op_c2f(MPI_SUM)) == MPI_SUM);
}

static void Removed(void) {
  MPI_Aint address, extent;
  int x = 0;
  MPI_Address(&x, &address);
  CHECK(address == (MPI_Aint)&x);
  MPI_Type_extent(MPI_DOUBLE, &extent);
  CHECK_EQUAL(extent, 8);
  int length = 1;
  MPI_Aint zero = 0;
  MPI_Datatype type = MPI_INT, made;
  MPI_Type_struct(1, &length, &zero, &type, &made);
  MPI_Type_free(&made);
  int keyval, flag, value = 6;
  MPI_Keyval_create(MPI_NULL_COPY_FN, MPI_NULL_DELETE_FN, &keyval, NULL);
  MPI_Attr_put(MPI_COMM_WORLD, keyval, &value);
  int* found = NULL;
  MPI_Attr_get(MPI_COMM_WORLD, keyval, &found, &flag);
  CHECK(flag && found == &value);
  MPI_Attr_delete(MPI_COMM_WORLD, keyval);
  MPI_Attr_get(MPI_COMM_WORLD, keyval, &found, &flag);
  CHECK(!flag);
  MPI_Keyval_free(&keyval);
  MPI_Errhandler handler, previous;
  MPI_Errhandler_create(OnError, &handler);
  MPI_Errhandler_set(MPI_COMM_SELF, handler);
  MPI_Errhandler_get(MPI_COMM_SELF, &previous);
  CHECK(previous == handler);
  MPI_Errhandler_free(&previous);
  MPI_Errhandler_free(&handler);
  MPI_Errhandler_set(MPI_COMM_SELF, MPI_ERRORS_ARE_FATAL);
}

// A matched message keeps its identity through Fortran's integer.
static void MatchedMessages(int rank) {
  CHECK(MPI_Message_f2c(MPI_Message_c2f(MPI_MESSAGE_NULL)) == MPI_MESSAGE_NULL);
  CHECK(MPI_Message_f2c(MPI_Message_c2f(MPI_MESSAGE_NO_PROC)) == MPI_MESSAGE_NO_PROC);
  for (int round = 0; round < 3; ++round) {
    MPI_Request requests[2];
    int values[2] = {10 * round + 1, 10 * round + 2}, got[2] = {0, 0};
    MPI_Isend(&values[0], 1, MPI_INT, 1 - rank, 1, MPI_COMM_WORLD, &requests[0]);
    MPI_Isend(&values[1], 1, MPI_INT, 1 - rank, 2, MPI_COMM_WORLD, &requests[1]);
    MPI_Message first, second;
    MPI_Mprobe(1 - rank, 1, MPI_COMM_WORLD, &first, MPI_STATUS_IGNORE);
    MPI_Mprobe(1 - rank, 2, MPI_COMM_WORLD, &second, MPI_STATUS_IGNORE);
    const MPI_Fint numbers[2] = {MPI_Message_c2f(first), MPI_Message_c2f(second)};
    CHECK(numbers[0] != numbers[1]);
    CHECK(MPI_Message_f2c(numbers[0]) == first);
    CHECK(MPI_Message_f2c(numbers[1]) == second);
    second = MPI_Message_f2c(numbers[1]);
    MPI_Mrecv(&got[1], 1, MPI_INT, &second, MPI_STATUS_IGNORE);
    MPI_Mrecv(&got[0], 1, MPI_INT, &first, MPI_STATUS_IGNORE);
    CHECK_EQUAL(got[0], values[0]);
    CHECK_EQUAL(got[1], values[1]);
    MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
  }
}

static void Tools(void) {
  int provided, n;
  CHECK_EQUAL(MPI_T_init_thread(MPI_THREAD_SINGLE, &provided), MPI_SUCCESS);
  CHECK_EQUAL(MPI_T_cvar_get_num(&n), MPI_SUCCESS);
  CHECK(n > 0);
  int index;
  CHECK_EQUAL(MPI_T_cvar_get_index("mpi_param_check", &index), MPI_SUCCESS);
  MPI_T_cvar_handle handle;
  int count, value = 2;
  CHECK_EQUAL(MPI_T_cvar_handle_alloc(index, NULL, &handle, &count), MPI_SUCCESS);
  CHECK_EQUAL(MPI_T_cvar_read(handle, &value), MPI_SUCCESS);
  CHECK(value == 0 || value == 1);
  MPI_T_cvar_handle_free(&handle);
  MPI_T_finalize();
}

int main(int argc, char** argv) {
  int flag;
  MPI_Initialized(&flag);
  CHECK(!flag);
  MPI_Init(&argc, &argv);
  MPI_Initialized(&flag);
  CHECK(flag);
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm copy;
  MPI_Comm_dup(MPI_COMM_WORLD, &copy);
  Packing(MPI_COMM_WORLD);
  Packing(copy);
  MPI_Comm_free(&copy);
  Datatypes();
  Infos();
  Others();
  Removed();
  MatchedMessages(rank);
  Tools();
  if (rank == 0) printf("local functions: ok\n");
  MPI_Finalize();
  MPI_Finalized(&flag);
  CHECK(flag);
  return 0;
}
