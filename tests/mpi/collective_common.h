// What the collective_*.c programs share: elements of several datatypes that carry one number each,
// buffers whose every byte is compared (so that gaps must stay as they were), and the count of
// errors.
//
// A program that includes this with FORCED_SET defined forces one algorithm per collective.
#pragma once

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int g_errors = 0;
static int g_rank = 0;
static int g_size = 1;

#define EXPECT(condition, ...)                                           \
  do {                                                                   \
    if (!(condition)) {                                                  \
      if (g_errors++ < 5) {                                              \
        fprintf(stderr, "rank %d: %s:%d: ", g_rank, __FILE__, __LINE__); \
        fprintf(stderr, __VA_ARGS__);                                    \
        fprintf(stderr, "\n");                                           \
      }                                                                  \
    }                                                                    \
  } while (0)

// --- Algorithms
// -----------------------------------------------------------------------------------
static inline void force_algorithms(void) {
#ifdef FORCED_SET
  static const char* const sets[][13] = {
      {"BARRIER=dissemination", "BCAST=binomial", "GATHER=binomial", "SCATTER=binomial",
       "ALLGATHER=bruck", "ALLGATHERV=bruck", "ALLTOALL=bruck", "ALLTOALLV=pairwise",
       "REDUCE=binomial", "ALLREDUCE=recursive_doubling", "REDUCE_SCATTER=recursive_halving",
       "SCAN=recursive_doubling", NULL},
      {"BARRIER=recursive_doubling", "BCAST=scatter_ring", "GATHER=linear", "SCATTER=linear",
       "ALLGATHER=recursive_doubling", "ALLGATHERV=ring", "ALLTOALL=pairwise", "ALLTOALLV=linear",
       "REDUCE=rabenseifner", "ALLREDUCE=rabenseifner", "REDUCE_SCATTER=pairwise", "SCAN=linear",
       NULL},
      {"BCAST=chain", "ALLGATHER=ring", "ALLTOALL=linear", "ALLREDUCE=ring",
       "REDUCE_SCATTER=reduce_scatterv", NULL}};
  for (int i = 0; sets[FORCED_SET][i] != NULL; ++i) {
    char name[64] = "FT_COLLECTIVE_";
    strcat(name, sets[FORCED_SET][i]);
    char* equals = strchr(name, '=');
    *equals = 0;
    setenv(name, equals + 1, 1);
  }
#endif
}

// Is the library on? Some things that MPI promises bare Open MPI 4.1 does not keep.
static inline int library(void) {
  const char* mode = getenv("FT_MODE");
  return mode != NULL && strcmp(mode, "off") != 0;
}

static inline void start(int* argc, char*** argv) {
  force_algorithms();
  MPI_Init(argc, argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &g_rank);
  MPI_Comm_size(MPI_COMM_WORLD, &g_size);
}

// The exit code; rank 0 says how it went.
static inline int finish(const char* name) {
  int all = 0;
  // Point-to-point, so that a broken Allreduce can't hide errors.
  if (g_rank == 0) {
    all = g_errors;
    for (int i = 1; i < g_size; ++i) {
      int theirs = 0;
      MPI_Recv(&theirs, 1, MPI_INT, i, 99, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      all += theirs;
    }
    for (int i = 1; i < g_size; ++i) MPI_Send(&all, 1, MPI_INT, i, 98, MPI_COMM_WORLD);
    printf("%s: %s, %d errors\n", name, all == 0 ? "passed" : "FAILED", all);
  } else {
    MPI_Send(&g_errors, 1, MPI_INT, 0, 99, MPI_COMM_WORLD);
    MPI_Recv(&all, 1, MPI_INT, 0, 98, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  }
  MPI_Finalize();
  return all == 0 ? 0 : 1;
}

// --- Elements
// -------------------------------------------------------------------------------------
enum { KIND_INT, KIND_DOUBLE, KIND_STRIDED, KIND_STRUCT, KIND_NEGATIVE, KINDS };

typedef struct {
  const char* name;
  MPI_Datatype type;
  long extent;
} Kind;

static Kind g_kinds[KINDS];

static inline void make_kinds(void) {
  MPI_Datatype made;
  g_kinds[KIND_INT] = (Kind){"int", MPI_INT, sizeof(int)};
  g_kinds[KIND_DOUBLE] = (Kind){"double", MPI_DOUBLE, sizeof(double)};
  // Three ints at 0, 8 and 16, extent 28.
  MPI_Type_vector(3, 1, 2, MPI_INT, &made);
  MPI_Type_create_resized(made, 0, 28, &g_kinds[KIND_STRIDED].type);
  MPI_Type_free(&made);
  g_kinds[KIND_STRIDED].name = "strided";
  g_kinds[KIND_STRIDED].extent = 28;
  // A double and an int, padded to 16.
  int lengths[2] = {1, 1};
  MPI_Aint places[2] = {0, 8};
  MPI_Datatype types[2] = {MPI_DOUBLE, MPI_INT};
  MPI_Type_create_struct(2, lengths, places, types, &made);
  MPI_Type_create_resized(made, 0, 16, &g_kinds[KIND_STRUCT].type);
  MPI_Type_free(&made);
  g_kinds[KIND_STRUCT].name = "struct";
  g_kinds[KIND_STRUCT].extent = 16;
  // An int at 4 and one at -8, in this order; extent 20.
  MPI_Aint around[2] = {4, -8};
  MPI_Datatype ints[2] = {MPI_INT, MPI_INT};
  MPI_Type_create_struct(2, lengths, around, ints, &made);
  MPI_Type_create_resized(made, -8, 20, &g_kinds[KIND_NEGATIVE].type);
  MPI_Type_free(&made);
  g_kinds[KIND_NEGATIVE].name = "negative lower bound";
  g_kinds[KIND_NEGATIVE].extent = 20;
  for (int k = KIND_STRIDED; k < KINDS; ++k) MPI_Type_commit(&g_kinds[k].type);
}

static inline void free_kinds(void) {
  for (int k = KIND_STRIDED; k < KINDS; ++k) MPI_Type_free(&g_kinds[k].type);
}

// Ints of the kind's data, for messages to a buffer of plain ints.
static inline void put(int kind, char* at, long index, int value) {
  char* element = at + index * g_kinds[kind].extent;
  double number = value;
  int other;
  switch (kind) {
    case KIND_INT:
      memcpy(element, &value, 4);
      break;
    case KIND_DOUBLE:
      memcpy(element, &number, 8);
      break;
    case KIND_STRIDED:
      for (int i = 0; i < 3; ++i) {
        other = value + i * 1000003;
        memcpy(element + 8 * i, &other, 4);
      }
      break;
    case KIND_STRUCT:
      memcpy(element, &number, 8);
      other = value * 3;
      memcpy(element + 8, &other, 4);
      break;
    case KIND_NEGATIVE:
      memcpy(element + 4, &value, 4);
      other = value ^ 0x55;
      memcpy(element - 8, &other, 4);
      break;
  }
}

// --- Buffers
// --------------------------------------------------------------------------------------
enum { MARGIN = 64, UNTOUCHED = 0xA5 };

typedef struct {
  int kind;
  long elements;
  char* memory;
  char* at;  // what MPI is given
} Buffer;

static inline Buffer make_buffer(int kind, long elements) {
  Buffer b = {kind, elements, NULL, NULL};
  const size_t bytes = (size_t)(elements * g_kinds[kind].extent) + 2 * MARGIN;
  b.memory = malloc(bytes);
  memset(b.memory, UNTOUCHED, bytes);
  b.at = b.memory + MARGIN;
  return b;
}

static inline void clear_buffer(Buffer* b) {
  memset(b->memory, UNTOUCHED, (size_t)(b->elements * g_kinds[b->kind].extent) + 2 * MARGIN);
}

static inline void set(Buffer* b, long index, int value) { put(b->kind, b->at, index, value); }

static inline int same(const Buffer* a, const Buffer* b) {
  return memcmp(a->memory, b->memory,
                (size_t)(a->elements * g_kinds[a->kind].extent) + 2 * MARGIN) == 0;
}

static inline void free_buffer(Buffer* b) { free(b->memory); }

// A number that names its place.
static inline int number(int rank, int block, long index) {
  return rank * 1000000 + block * 10000 + (int)(index % 9973);
}
