// np: 4
// Reduce, Allreduce, Reduce_scatter(_block), Scan, Exscan, blocking and non-blocking: predefined
// operations on plain and pair types, user-defined ones that are commutative or not, on types with
// gaps; in place or not; every root. Expected values are formulas in rank and index.
#include "collective_common.h"

static int g_blocking;

#define CALL(name, ...)                                        \
  do {                                                         \
    if (g_blocking) {                                          \
      MPI_##name(__VA_ARGS__, MPI_COMM_WORLD);                 \
    } else {                                                   \
      MPI_Request call_request;                                \
      MPI_I##name(__VA_ARGS__, MPI_COMM_WORLD, &call_request); \
      MPI_Wait(&call_request, MPI_STATUS_IGNORE);              \
    }                                                          \
  } while (0)
// The non-blocking names begin with a small letter after the I.
#define MPI_IReduce MPI_Ireduce
#define MPI_IAllreduce MPI_Iallreduce
#define MPI_IReduce_scatter MPI_Ireduce_scatter
#define MPI_IReduce_scatter_block MPI_Ireduce_scatter_block
#define MPI_IScan MPI_Iscan
#define MPI_IExscan MPI_Iexscan

// --- Problems: what an element is, and what reducing ranks low..high gives
// -------------------------- Intervals of ranks: the operation joins neighbouring ones in their
// order, and spoils anything else, so that any wrong order or grouping shows. 12 bytes of data in
// 20, the first 4 before the address.
typedef struct {
  int valid;  // at -4
  int low;    // at 0
  int high;   // at 8
} Interval;
enum { INTERVAL_EXTENT = 20 };
static MPI_Datatype g_interval;

static Interval get_interval(const char* at) {
  Interval v;
  memcpy(&v.valid, at - 4, 4);
  memcpy(&v.low, at, 4);
  memcpy(&v.high, at + 8, 4);
  return v;
}
static void put_interval(char* at, Interval v) {
  memcpy(at - 4, &v.valid, 4);
  memcpy(at, &v.low, 4);
  memcpy(at + 8, &v.high, 4);
}
static void join(void* in, void* inout, int* length, MPI_Datatype* type) {
  if (*type != g_interval) fprintf(stderr, "join: not the datatype that was reduced\n");
  for (int i = 0; i < *length; ++i) {
    const Interval left = get_interval((char*)in + (long)i * INTERVAL_EXTENT);
    const Interval right = get_interval((char*)inout + (long)i * INTERVAL_EXTENT);
    // valid carries the element's number: mixing elements spoils it too.
    const int good = left.valid == right.valid && left.high + 1 == right.low;
    put_interval((char*)inout + (long)i * INTERVAL_EXTENT,
                 (Interval){good ? left.valid : -1, left.low, right.high});
  }
}

// 2x2 matrices over the integers modulo 10007, as four ints.
enum { MODULUS = 10007 };
static void multiply(void* in, void* inout, int* length, MPI_Datatype* type) {
  (void)type;
  for (int i = 0; i < *length; ++i) {
    const int* a = (int*)in + 4 * i;
    int* b = (int*)inout + 4 * i;
    const int c[4] = {(a[0] * b[0] + a[1] * b[2]) % MODULUS, (a[0] * b[1] + a[1] * b[3]) % MODULUS,
                      (a[2] * b[0] + a[3] * b[2]) % MODULUS, (a[2] * b[1] + a[3] * b[3]) % MODULUS};
    memcpy(b, c, sizeof c);
  }
}

static void add_modulo(void* in, void* inout, int* length, MPI_Datatype* type) {
  (void)type;
  for (int i = 0; i < *length; ++i) ((int*)inout)[i] = (((int*)in)[i] + ((int*)inout)[i]) % MODULUS;
}

enum { SUM, PRODUCT, MAXLOC, USER, MATRIX, INTERVAL, PROBLEMS };
static const char* const g_names[] = {"sum of int",   "product of double", "maxloc",
                                      "user-defined", "matrix product",    "intervals"};
typedef struct {
  MPI_Datatype type;
  MPI_Op op;
  long extent;
} Problem;
static Problem g_problems[PROBLEMS];

static void make_problems(void) {
  g_problems[SUM] = (Problem){MPI_INT, MPI_SUM, 4};
  g_problems[PRODUCT] = (Problem){MPI_DOUBLE, MPI_PROD, 8};
  g_problems[MAXLOC] = (Problem){MPI_DOUBLE_INT, MPI_MAXLOC, 16};
  g_problems[USER] = (Problem){MPI_INT, MPI_OP_NULL, 4};
  MPI_Op_create(add_modulo, 1, &g_problems[USER].op);
  g_problems[MATRIX].extent = 16;
  MPI_Type_contiguous(4, MPI_INT, &g_problems[MATRIX].type);
  MPI_Type_commit(&g_problems[MATRIX].type);
  MPI_Op_create(multiply, 0, &g_problems[MATRIX].op);
  MPI_Datatype made;
  int lengths[3] = {1, 1, 1};
  MPI_Aint places[3] = {-4, 0, 8};
  MPI_Datatype types[3] = {MPI_INT, MPI_INT, MPI_INT};
  MPI_Type_create_struct(3, lengths, places, types, &made);
  MPI_Type_create_resized(made, -4, INTERVAL_EXTENT, &g_interval);
  MPI_Type_free(&made);
  MPI_Type_commit(&g_interval);
  g_problems[INTERVAL].type = g_interval;
  g_problems[INTERVAL].extent = INTERVAL_EXTENT;
  MPI_Op_create(join, 0, &g_problems[INTERVAL].op);
}

static void free_problems(void) {
  for (int p = USER; p < PROBLEMS; ++p) MPI_Op_free(&g_problems[p].op);
  MPI_Type_free(&g_problems[MATRIX].type);
  MPI_Type_free(&g_interval);
}

// Rank `rank`'s element `index`.
static void element(int problem, char* at, int rank, long index) {
  const int small = (int)(index % 97);
  if (problem == SUM || problem == USER) {
    const int v = problem == SUM ? rank * 1000 + small : (rank * 1777 + small) % MODULUS;
    memcpy(at, &v, 4);
  } else if (problem == PRODUCT) {
    const double v = (rank + small) % 3 == 0 ? 2.0 : 0.5;
    memcpy(at, &v, 8);
  } else if (problem == MAXLOC) {
    const double v = (rank * 7 + small) % 5;
    memcpy(at, &v, 8);
    memcpy(at + 8, &rank, 4);
  } else if (problem == MATRIX) {
    const int v[4] = {rank + 1, small, 1, rank + 2};
    memcpy(at, v, 16);
  } else {
    put_interval(at, (Interval){(int)index, rank, rank});
  }
}

// The reduction of ranks 0..last, each from its definition.
static void reduced(int problem, char* at, int last, long index) {
  const int small = (int)(index % 97);
  if (problem == SUM) {
    const int v = last * (last + 1) / 2 * 1000 + (last + 1) * small;
    memcpy(at, &v, 4);
  } else if (problem == USER) {
    long sum = 0;
    for (int r = 0; r <= last; ++r) sum += (r * 1777 + small) % MODULUS;
    const int v = (int)(sum % MODULUS);
    memcpy(at, &v, 4);
  } else if (problem == PRODUCT) {
    double v = 1;
    for (int r = 0; r <= last; ++r) v *= (r + small) % 3 == 0 ? 2.0 : 0.5;
    memcpy(at, &v, 8);
  } else if (problem == MAXLOC) {
    int best = 0;
    for (int r = 1; r <= last; ++r) {
      if ((r * 7 + small) % 5 > (best * 7 + small) % 5) best = r;
    }
    const double v = (best * 7 + small) % 5;
    memcpy(at, &v, 8);
    memcpy(at + 8, &best, 4);
  } else if (problem == MATRIX) {
    long m[4] = {1, 0, 0, 1};
    for (int r = 0; r <= last; ++r) {
      const long b[4] = {r + 1, small, 1, r + 2};
      const long c[4] = {m[0] * b[0] + m[1] * b[2], m[0] * b[1] + m[1] * b[3],
                         m[2] * b[0] + m[3] * b[2], m[2] * b[1] + m[3] * b[3]};
      for (int i = 0; i < 4; ++i) m[i] = c[i] % MODULUS;
    }
    const int v[4] = {(int)m[0], (int)m[1], (int)m[2], (int)m[3]};
    memcpy(at, v, 16);
  } else {
    put_interval(at, (Interval){(int)index, 0, last});
  }
}

// --- Vectors of a problem
// --------------------------------------------------------------------------
typedef struct {
  char* memory;
  char* at;
  size_t bytes;
} Vector;

static Vector make_vector(int problem, long count) {
  Vector v;
  v.bytes = (size_t)(count * g_problems[problem].extent) + 2 * MARGIN;
  v.memory = malloc(v.bytes);
  v.at = v.memory + MARGIN;
  memset(v.memory, UNTOUCHED, v.bytes);
  return v;
}
static char* at(int problem, Vector* v, long index) {
  return v->at + index * g_problems[problem].extent;
}
static int equal(const Vector* a, const Vector* b) {
  return memcmp(a->memory, b->memory, a->bytes) == 0;
}
static void release(Vector* a, Vector* b, Vector* c) {
  free(a->memory);
  free(b->memory);
  free(c->memory);
}

// --- Checks
// ---------------------------------------------------------------------------------------
static void reduce(int problem, int count, int root, int in_place) {
  Vector own = make_vector(problem, count);
  Vector result = make_vector(problem, count);
  Vector expected = make_vector(problem, count);
  const int place = in_place && g_rank == root;
  for (long i = 0; i < count; ++i) {
    element(problem, at(problem, place ? &result : &own, i), g_rank, i);
    if (g_rank == root) reduced(problem, at(problem, &expected, i), g_size - 1, i);
  }
  CALL(Reduce, place ? MPI_IN_PLACE : own.at, result.at, count, g_problems[problem].type,
       g_problems[problem].op, root);
  EXPECT(equal(&result, &expected), "reduce, %s, %d to %d%s", g_names[problem], count, root,
         in_place ? " in place" : "");
  release(&own, &result, &expected);
}

static void allreduce(int problem, int count, int in_place) {
  Vector own = make_vector(problem, count);
  Vector result = make_vector(problem, count);
  Vector expected = make_vector(problem, count);
  for (long i = 0; i < count; ++i) {
    element(problem, at(problem, in_place ? &result : &own, i), g_rank, i);
    reduced(problem, at(problem, &expected, i), g_size - 1, i);
  }
  CALL(Allreduce, in_place ? MPI_IN_PLACE : own.at, result.at, count, g_problems[problem].type,
       g_problems[problem].op);
  EXPECT(equal(&result, &expected), "allreduce, %s, %d%s", g_names[problem], count,
         in_place ? " in place" : "");
  release(&own, &result, &expected);
}

static void scan(int problem, int count, int in_place, int exclusive) {
  Vector own = make_vector(problem, count);
  Vector result = make_vector(problem, count);
  Vector expected = make_vector(problem, count);
  for (long i = 0; i < count; ++i) {
    element(problem, at(problem, in_place ? &result : &own, i), g_rank, i);
    if (!exclusive) {
      reduced(problem, at(problem, &expected, i), g_rank, i);
    } else if (g_rank > 0) {
      reduced(problem, at(problem, &expected, i), g_rank - 1, i);
    }
  }
  const void* send = in_place ? MPI_IN_PLACE : own.at;
  if (exclusive) {
    CALL(Exscan, send, result.at, count, g_problems[problem].type, g_problems[problem].op);
  } else {
    CALL(Scan, send, result.at, count, g_problems[problem].type, g_problems[problem].op);
  }
  // Rank 0's result of an exclusive scan is undefined.
  if (!exclusive || g_rank > 0) {
    EXPECT(equal(&result, &expected), "%sscan, %s, %d%s", exclusive ? "ex" : "", g_names[problem],
           count, in_place ? " in place" : "");
  }
  release(&own, &result, &expected);
}

static void reduce_scatter(int problem, int count, int in_place, int block) {
  int* counts = malloc(sizeof(int) * (size_t)g_size);
  long total = 0;
  long offset = 0;
  for (int r = 0; r < g_size; ++r) {
    counts[r] = block ? count : r % 3 * count / 2 + (r == 1);
    if (r < g_rank) offset += counts[r];
    total += counts[r];
  }
  const long own_count = block ? count : g_rank % 3 * count / 2 + (g_rank == 1);
  Vector own = make_vector(problem, total);
  Vector result = make_vector(problem, in_place ? total : own_count);
  Vector expected = make_vector(problem, own_count);
  for (long i = 0; i < total; ++i) {
    element(problem, at(problem, in_place ? &result : &own, i), g_rank, i);
  }
  for (long i = 0; i < own_count; ++i) {
    reduced(problem, at(problem, &expected, i), g_size - 1, offset + i);
  }
  const void* send = in_place ? MPI_IN_PLACE : own.at;
  if (block) {
    CALL(Reduce_scatter_block, send, result.at, count, g_problems[problem].type,
         g_problems[problem].op);
  } else {
    CALL(Reduce_scatter, send, result.at, counts, g_problems[problem].type, g_problems[problem].op);
  }
  if (in_place) {
    // Behind its own block the buffer's content is unspecified: gaps aside, compare the elements.
    const size_t bytes = own_count > 0 ? (size_t)(own_count * g_problems[problem].extent) : 0;
    if (problem == MAXLOC) {  // 4 bytes of padding
      for (long i = 0; i < own_count; ++i) {
        EXPECT(memcmp(at(problem, &result, i), at(problem, &expected, i), 12) == 0,
               "reduce_scatter in place, maxloc, %d", count);
      }
    } else if (problem != INTERVAL) {
      EXPECT(memcmp(result.at, expected.at, bytes) == 0, "reduce_scatter%s, %s, %d in place",
             block ? "_block" : "", g_names[problem], count);
    } else {
      for (long i = 0; i < own_count; ++i) {
        const Interval v = get_interval(at(problem, &result, i));
        EXPECT(v.valid == offset + i && v.low == 0 && v.high == g_size - 1,
               "reduce_scatter%s of intervals, %d in place", block ? "_block" : "", count);
      }
    }
  } else {
    EXPECT(equal(&result, &expected), "reduce_scatter%s, %s, %d", block ? "_block" : "",
           g_names[problem], count);
  }
  release(&own, &result, &expected);
  free(counts);
}

// Sums that are not exact: the same bits at all ranks and in every run.
static void same_bits(int count) {
  double* own = malloc(sizeof(double) * (size_t)count);
  double* result = malloc(sizeof(double) * (size_t)count);
  double* again = malloc(sizeof(double) * (size_t)count);
  double* first = malloc(sizeof(double) * (size_t)count);
  for (int i = 0; i < count; ++i) own[i] = 1.0 / (3 + g_rank * 7 + i % 101) + 1e10 * (g_rank % 2);
  for (int turn = 0; turn < 3; ++turn) {
    CALL(Allreduce, own, turn == 0 ? result : again, count, MPI_DOUBLE, MPI_SUM);
    if (turn > 0) {
      EXPECT(memcmp(result, again, sizeof(double) * (size_t)count) == 0,
             "allreduce of %d differs from run to run", count);
    }
  }
  if (g_rank == 0) memcpy(first, result, sizeof(double) * (size_t)count);
  MPI_Bcast(first, count, MPI_DOUBLE, 0, MPI_COMM_WORLD);
  EXPECT(memcmp(first, result, sizeof(double) * (size_t)count) == 0,
         "allreduce of %d differs between ranks", count);
  for (int i = 0; i < count; ++i) {  // and about right
    double sum = 0;
    for (int r = 0; r < g_size; ++r) sum += 1.0 / (3 + r * 7 + i % 101) + 1e10 * (r % 2);
    const double error = result[i] - sum;
    EXPECT(error < 1e-3 && error > -1e-3, "allreduce: element %d is %g, not %g", i, result[i], sum);
  }
  free(own);
  free(result);
  free(again);
  free(first);
}

int main(int argc, char** argv) {
  start(&argc, &argv);
  make_problems();
  for (g_blocking = 0; g_blocking < 2; ++g_blocking) {
    for (int problem = 0; problem < PROBLEMS; ++problem) {
      static const int counts[] = {0, 1, 5, 1000, 6000};
      for (int c = 0; c < 5; ++c) {
        for (int in_place = 0; in_place < 2; ++in_place) {
          for (int root = 0; root<g_size; root += g_size> 4 ? 2 : 1) {
            reduce(problem, counts[c], root, in_place);
          }
          allreduce(problem, counts[c], in_place);
          scan(problem, counts[c], in_place, 0);
          scan(problem, counts[c], in_place, 1);
          reduce_scatter(problem, counts[c], in_place, 0);
          reduce_scatter(problem, counts[c], in_place, 1);
        }
      }
    }
    allreduce(SUM, 300001, 0);
    allreduce(PRODUCT, 100003, 1);
    allreduce(INTERVAL, 30001, 0);
    reduce(PRODUCT, 50001, g_size - 1, 0);
    reduce(INTERVAL, 10001, g_size / 2, 1);
    reduce_scatter(SUM, 50001, 0, 0);
    same_bits(1);
    same_bits(1001);
    same_bits(100001);
  }
  free_problems();
  return finish("collective_reduce");
}
