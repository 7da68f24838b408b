// np: 3
// args: 30
// Objects of every kind that a program can hold: made in the beginning, or in one round and used in
// later ones. Deterministic: whenever it is interrupted and recovered it says the same.
#include "event_trace.h"

enum { kTypes = 20, kInts = 4096, kLarge = 200000, kKinds = 2 };

static MPI_Datatype types[kTypes];
static int type_count = 0;
static MPI_Datatype hidden; /* freed, but others are made of it */
static MPI_Op sum_op, affine_op;
static MPI_Errhandler handler;
static MPI_Info info, comm_info;
static MPI_Comm comm;
static int type_key, freed_key, comm_key, win_key;
static int error_class_made, error_code_made;
static uint64_t digest = DIGEST_START;
static long handled = 0, copies = 0, deletions = 0, queried = 0, freed_requests = 0;
static uint64_t* alloc_mem;

static void note(const void* data, size_t bytes) { digest = digest_add(digest, data, bytes); }
static void note_number(long long number) { note(&number, sizeof number); }

/* --- the program's functions --- */

static void add(void* in, void* inout, int* count, MPI_Datatype* type) {
  (void)type;
  uint32_t* copy = malloc(sizeof(uint32_t) * (size_t)*count); /* memory of the program's */
  memcpy(copy, in, sizeof(uint32_t) * (size_t)*count);
  for (int i = 0; i < *count; ++i) ((uint32_t*)inout)[i] += copy[i];
  free(copy);
}

/* x -> a x + b, one after the other: does not commute. */
static void chain(void* in, void* inout, int* count, MPI_Datatype* type) {
  (void)type;
  const uint32_t* first = in;
  uint32_t* second = inout;
  for (int i = 0; i < *count; ++i, first += 2, second += 2) {
    second[1] = second[0] * first[1] + second[1];
    second[0] = second[0] * first[0];
  }
}

static void on_error(MPI_Comm* where, int* code, ...) {
  CHECK(*where == comm);
  CHECK_CLASS(*code, error_class_made);
  ++handled;
}

static int copy_type(MPI_Datatype type, int key, void* extra, void* in, void* out, int* flag) {
  (void)type, (void)key;
  CHECK(extra == &copies);
  ++copies;
  long* made = malloc(sizeof *made);
  *made = *(long*)in + 1;
  *(void**)out = made;
  *flag = 1;
  return MPI_SUCCESS;
}
static int delete_type(MPI_Datatype type, int key, void* value, void* extra) {
  (void)type, (void)key;
  CHECK(extra == &copies);
  deletions += *(long*)value;
  free(value);
  return MPI_SUCCESS;
}
static int copy_comm(MPI_Comm from, int key, void* extra, void* in, void* out, int* flag) {
  (void)from, (void)key, (void)extra;
  long* made = malloc(sizeof *made);
  *made = *(long*)in * 3;
  *(void**)out = made;
  *flag = 1;
  return MPI_SUCCESS;
}
static int delete_comm(MPI_Comm from, int key, void* value, void* extra) {
  (void)from, (void)key, (void)extra;
  deletions += *(long*)value;
  free(value);
  return MPI_SUCCESS;
}

static int query(void* state, MPI_Status* status) {
  ++queried;
  MPI_Status_set_elements(status, MPI_INT, *(int*)state);
  MPI_Status_set_cancelled(status, 0);
  status->MPI_SOURCE = 7;
  status->MPI_TAG = 8;
  return MPI_SUCCESS;
}
static int free_request(void* state) {
  ++freed_requests;
  free(state);
  return MPI_SUCCESS;
}
static int cancel_request(void* state, int complete) {
  (void)state, (void)complete;
  return MPI_SUCCESS;
}

/* --- datatypes --- */

static void keep(MPI_Datatype type) {
  CHECK(type_count < kTypes);
  MPI_Type_commit(&type);
  types[type_count++] = type;
}

static void make_types(void) {
  MPI_Datatype t, inner;
  MPI_Type_contiguous(3, MPI_INT, &t), keep(t);
  MPI_Type_vector(4, 2, 5, MPI_INT, &inner), keep(inner);
  MPI_Type_create_hvector(3, 1, 200, inner, &t), keep(t);
  const int lengths[] = {1, 3, 2}, places[] = {9, 0, 5};
  const MPI_Aint bytes[] = {64, 0, 24};
  MPI_Type_indexed(3, lengths, places, MPI_SHORT, &t), keep(t);
  MPI_Type_create_hindexed(3, lengths, bytes, MPI_INT, &t), keep(t);
  MPI_Type_create_indexed_block(3, 2, places, MPI_INT, &t), keep(t);
  MPI_Type_create_hindexed_block(3, 2, bytes, MPI_INT, &t), keep(t);
  MPI_Type_contiguous(2, MPI_SHORT, &hidden);
  const MPI_Datatype parts[] = {MPI_DOUBLE, hidden, MPI_CHAR};
  MPI_Type_create_struct(3, lengths, bytes, parts, &t), keep(t);
  MPI_Type_free(&hidden);
  const int sizes[] = {6, 7}, some[] = {3, 2}, starts[] = {2, 4};
  MPI_Type_create_subarray(2, sizes, some, starts, MPI_ORDER_C, MPI_INT, &t), keep(t);
  MPI_Type_create_subarray(2, sizes, some, starts, MPI_ORDER_FORTRAN, inner, &t), keep(t);
  const int distributions[] = {MPI_DISTRIBUTE_BLOCK, MPI_DISTRIBUTE_CYCLIC};
  const int arguments[] = {MPI_DISTRIBUTE_DFLT_DARG, 2}, processes[] = {2, 2};
  MPI_Type_create_darray(4, 1, 2, sizes, distributions, arguments, processes, MPI_ORDER_C, MPI_INT,
                         &t),
      keep(t);
  MPI_Type_create_resized(types[3], -8, 160, &t), keep(t);
  MPI_Type_dup(types[7], &t), keep(t);
  MPI_Type_create_f90_real(6, MPI_UNDEFINED, &t), types[type_count++] = t;
  MPI_Type_create_f90_integer(8, &t), types[type_count++] = t;
  MPI_Type_contiguous(2, types[13], &t), keep(t);
  MPI_Type_match_size(MPI_TYPECLASS_REAL, 8, &t), types[type_count++] = t;
  MPI_Type_set_name(types[2], "rows of a grid");

  MPI_Type_create_keyval(copy_type, delete_type, &type_key, &copies);
  MPI_Type_create_keyval(MPI_TYPE_DUP_FN, MPI_TYPE_NULL_DELETE_FN, &freed_key, NULL);
  long* value = malloc(sizeof *value);
  *value = 40 + check_rank;
  MPI_Type_set_attr(types[2], type_key, value);
  MPI_Type_set_attr(types[2], freed_key, &digest);
  MPI_Type_set_attr(types[8], freed_key, &handled);
  MPI_Type_free_keyval(&freed_key);
}

static int combiner_of(MPI_Datatype type) {
  int i, a, d, combiner;
  MPI_Type_get_envelope(type, &i, &a, &d, &combiner);
  return combiner;
}

/* What a datatype is: sizes, how it was made, and which bytes it takes. */
static void look_at(MPI_Datatype type) {
  static unsigned char memory[kInts * 4], packed[kInts * 4];
  int size = 0, combiner = 0, integers = 0, addresses = 0, datatypes = 0, length = 0, position = 0;
  MPI_Aint lower = 0, extent = 0, true_lower = 0, true_extent = 0;
  char name[MPI_MAX_OBJECT_NAME];
  MPI_Type_size(type, &size);
  MPI_Type_get_extent(type, &lower, &extent);
  MPI_Type_get_true_extent(type, &true_lower, &true_extent);
  MPI_Type_get_envelope(type, &integers, &addresses, &datatypes, &combiner);
  MPI_Type_get_name(type, name, &length);
  note_number(size), note_number(lower), note_number(extent), note_number(true_lower);
  note_number(true_extent), note_number(combiner), note(name, (size_t)length);
  if (combiner != MPI_COMBINER_NAMED) {
    int i[64];
    MPI_Aint a[64];
    MPI_Datatype d[64];
    MPI_Type_get_contents(type, integers, addresses, datatypes, i, a, d);
    note(i, sizeof *i * (size_t)integers);
    note(a, sizeof *a * (size_t)addresses);
    for (int n = 0; n < datatypes; ++n) {
      int part = 0;
      MPI_Type_size(d[n], &part);
      note_number(part), note_number(combiner_of(d[n]));
      if (combiner_of(d[n]) != MPI_COMBINER_NAMED && combiner_of(d[n]) != MPI_COMBINER_F90_REAL)
        MPI_Type_free(&d[n]);
    }
  }
  fill(memory, sizeof memory, 77);
  MPI_Pack(memory + 64, 2, type, packed, sizeof packed, &position, MPI_COMM_WORLD);
  note(packed, (size_t)position);
}

/* --- one round --- */

static void exchange(int round) {
  const int right = (check_rank + 1) % check_size;
  const int left = (check_rank + check_size - 1) % check_size;
  static unsigned char out[kInts * 4], in[kInts * 4];
  for (int n = 0; n < type_count; ++n) {
    fill(out, sizeof out, (uint64_t)(round * 100 + n + check_rank));
    memset(in, 0, sizeof in);
    MPI_Request requests[2];
    MPI_Datatype type;
    /* A datatype that is freed while it is in use. */
    MPI_Type_contiguous(1 + round % 2, types[n], &type);
    MPI_Type_commit(&type);
    MPI_Irecv(in + 64, 2, type, left, n, comm, &requests[0]);
    MPI_Isend(out + 64, 2, type, right, n, comm, &requests[1]);
    MPI_Type_free(&type);
    MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
    note(in, sizeof in);
  }
  uint32_t values[6], results[6];
  for (int i = 0; i < 6; ++i) values[i] = (uint32_t)(round * 7 + check_rank * 3 + i);
  MPI_Allreduce(values, results, 6, MPI_UINT32_T, sum_op, comm);
  note(results, sizeof results);
  MPI_Scan(values, results, 3, types[type_count - 1], affine_op, comm);
  note(results, sizeof results);
  MPI_Request request;
  MPI_Iallreduce(values, results, 3, types[type_count - 1], affine_op, comm, &request);
  MPI_Wait(&request, MPI_STATUS_IGNORE);
  note(results, sizeof results);
}

/* Takes the messages of the last round, and matches those of this one. */
static MPI_Message taken[kKinds] = {0};
static MPI_Request sends[kKinds];
static int is_taken = 0;
static void match(int round) {
  const int right = (check_rank + 1) % check_size;
  const int left = (check_rank + check_size - 1) % check_size;
  const int lengths[kKinds] = {100, kLarge};
  static unsigned char out[kKinds][kLarge], in[kLarge];
  if (is_taken) {
    for (int n = 0; n < kKinds; ++n) {
      MPI_Status status;
      MPI_Mrecv(in, lengths[n], MPI_BYTE, &taken[n], &status);
      CHECK_STATUS(status, left, 50 + n, lengths[n]);
      CHECK_PATTERN(in, (size_t)lengths[n], (uint64_t)((round - 1) * 10 + left + n));
    }
    MPI_Waitall(kKinds, sends, MPI_STATUSES_IGNORE);
  }
  for (int n = 0; n < kKinds; ++n) {
    fill(out[n], (size_t)lengths[n], (uint64_t)(round * 10 + check_rank + n));
    MPI_Isend(out[n], lengths[n], MPI_BYTE, right, 50 + n, comm, &sends[n]);
  }
  for (int n = 0; n < kKinds; ++n) {
    MPI_Status status;
    MPI_Mprobe(left, 50 + n, comm, &taken[n], &status);
    CHECK_STATUS(status, left, 50 + n, lengths[n]);
  }
  is_taken = 1;
}

static void use_objects(int round) {
  MPI_Comm_call_errhandler(comm, error_code_made);
  CHECK_EQUAL(handled, round + 1);
  char text[MPI_MAX_ERROR_STRING];
  int length = 0, flag = 0, keys = 0;
  MPI_Error_string(error_code_made, text, &length);
  note(text, (size_t)length);

  char value[MPI_MAX_INFO_VAL + 1];
  snprintf(value, sizeof value, "round %d", round);
  MPI_Info_set(info, "latest", value);
  MPI_Info_get_nkeys(info, &keys);
  for (int n = 0; n < keys; ++n) {
    char key[MPI_MAX_INFO_KEY + 1];
    MPI_Info_get_nthkey(info, n, key);
    MPI_Info_get(info, key, MPI_MAX_INFO_VAL, value, &flag);
    note(key, strlen(key)), note(value, strlen(value));
  }
  MPI_Info_get_nkeys(comm_info, &keys), note_number(keys);

  /* Attributes: a copy of the datatype has its own. */
  MPI_Datatype copy;
  long* attribute = NULL;
  MPI_Type_dup(types[2], &copy);
  MPI_Type_get_attr(copy, type_key, &attribute, &flag);
  CHECK(flag && *attribute == 41 + check_rank);
  MPI_Type_get_attr(types[2], type_key, &attribute, &flag);
  CHECK(flag && *attribute == 40 + check_rank);
  MPI_Type_free(&copy);
  CHECK_EQUAL(copies, round + 1);

  MPI_Comm other;
  MPI_Comm_dup(comm, &other);
  MPI_Comm_get_attr(other, comm_key, &attribute, &flag);
  CHECK(flag && *attribute == 15);
  MPI_Comm_free(&other);
  note_number(deletions);

  /* Fortran's names for them. */
  for (int n = 0; n < type_count; ++n) CHECK(MPI_Type_f2c(MPI_Type_c2f(types[n])) == types[n]);
  CHECK(MPI_Op_f2c(MPI_Op_c2f(sum_op)) == sum_op);
  CHECK(MPI_Info_f2c(MPI_Info_c2f(info)) == info);
  CHECK(MPI_Errhandler_f2c(MPI_Errhandler_c2f(handler)) == handler);

  for (int i = 0; i < 1000; ++i) alloc_mem[i] = alloc_mem[i] * 5 + (uint64_t)round;
  note(alloc_mem, sizeof *alloc_mem * 1000);
}

/* A generalised request that is started in one round and ends in the next. */
static MPI_Request general = MPI_REQUEST_NULL;
static void general_request(int round) {
  if (general != MPI_REQUEST_NULL) {
    MPI_Status status;
    MPI_Grequest_complete(general);
    MPI_Wait(&general, &status);
    int count = 0;
    MPI_Get_count(&status, MPI_INT, &count);
    CHECK_EQUAL(count, round - 1);
    CHECK_EQUAL(status.MPI_TAG, 8);
  }
  int* state = malloc(sizeof *state);
  *state = round;
  MPI_Grequest_start(query, free_request, cancel_request, state, &general);
  CHECK_EQUAL(queried, round);
  CHECK_EQUAL(freed_requests, round);
}

int main(int argc, char** argv) {
  event_begin(&argc, &argv, 2, 30);
  make_types();
  MPI_Type_contiguous(2, MPI_UINT32_T, &types[type_count]);
  keep(types[type_count]); /* the last one: of affine_op */
  MPI_Op_create(add, 1, &sum_op);
  MPI_Op_create(chain, 0, &affine_op);
  MPI_Comm_dup(MPI_COMM_WORLD, &comm);
  MPI_Add_error_class(&error_class_made);
  MPI_Add_error_code(error_class_made, &error_code_made);
  MPI_Add_error_string(error_code_made, "an error of the program's own");
  MPI_Comm_create_errhandler(on_error, &handler);
  MPI_Comm_set_errhandler(comm, handler);
  MPI_Info_create(&info);
  MPI_Info_set(info, "first", "1");
  MPI_Info_set(info, "long", "a value that is rather longer than its key, with = and blanks");
  MPI_Comm_set_info(comm, info);
  MPI_Comm_get_info(comm, &comm_info);
  MPI_Comm_create_keyval(copy_comm, delete_comm, &comm_key, NULL);
  MPI_Win_create_keyval(MPI_WIN_NULL_COPY_FN, MPI_WIN_NULL_DELETE_FN, &win_key, NULL);
  long* value = malloc(sizeof *value);
  *value = 5;
  MPI_Comm_set_attr(comm, comm_key, value);
  MPI_Alloc_mem(1000 * sizeof *alloc_mem, MPI_INFO_NULL, &alloc_mem);
  for (uint64_t i = 0; i < 1000; ++i) alloc_mem[i] = i;

  for (int round = 0; round < rounds; ++round) {
    compute((uint64_t)round);
    for (int n = 0; n < type_count; ++n) look_at(types[n]);
    exchange(round);
    match(round);
    use_objects(round);
    general_request(round);
    uint64_t all = 0;
    MPI_Reduce(&digest, &all, 1, MPI_UINT64_T, MPI_BXOR, 0, MPI_COMM_WORLD);
    if (check_rank == 0) say("round %d digest %016llx\n", round, (unsigned long long)all);
  }

  MPI_Grequest_complete(general);
  MPI_Wait(&general, MPI_STATUS_IGNORE);
  match(rounds);
  for (int n = 0; n < kKinds; ++n) {
    static unsigned char in[kLarge];
    MPI_Request request;
    MPI_Imrecv(in, kLarge, MPI_BYTE, &taken[n], &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
  }
  MPI_Waitall(kKinds, sends, MPI_STATUSES_IGNORE);
  for (int n = 0; n < type_count; ++n) {
    const int combiner = combiner_of(types[n]);
    if (combiner != MPI_COMBINER_NAMED && combiner != MPI_COMBINER_F90_REAL &&
        combiner != MPI_COMBINER_F90_INTEGER)
      MPI_Type_free(&types[n]);
  }
  CHECK_EQUAL(copies, rounds);
  MPI_Op_free(&sum_op);
  MPI_Op_free(&affine_op);
  MPI_Info_free(&info);
  MPI_Info_free(&comm_info);
  MPI_Errhandler_free(&handler);
  MPI_Free_mem(alloc_mem);
  MPI_Type_free_keyval(&type_key);
  MPI_Win_free_keyval(&win_key);
  MPI_Comm_free(&comm);
  if (check_rank == 0) say("deletions %ld\n", deletions);
  return event_end(digest);
}
