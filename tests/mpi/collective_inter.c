// np: 5
// Collectives on intercommunicators, with groups of different sizes: data of one group goes to the
// other. Rooted ones with MPI_ROOT and MPI_PROC_NULL, the root in either group.
#include "collective_common.h"

static MPI_Comm g_inter;
static int g_group;  // 0: low ranks, 1: high ranks
static int g_mine;   // rank in the own group
static int g_local;  // sizes
static int g_remote;
static int g_blocking;

#define CALL(name, ...)                                 \
  do {                                                  \
    if (g_blocking) {                                   \
      MPI_##name(__VA_ARGS__, g_inter);                 \
    } else {                                            \
      MPI_Request call_request;                         \
      MPI_I##name(__VA_ARGS__, g_inter, &call_request); \
      MPI_Wait(&call_request, MPI_STATUS_IGNORE);       \
    }                                                   \
  } while (0)
#define MPI_IBcast MPI_Ibcast
#define MPI_IGather MPI_Igather
#define MPI_IGatherv MPI_Igatherv
#define MPI_IScatter MPI_Iscatter
#define MPI_IScatterv MPI_Iscatterv
#define MPI_IAllgather MPI_Iallgather
#define MPI_IAllgatherv MPI_Iallgatherv
#define MPI_IAlltoall MPI_Ialltoall
#define MPI_IAlltoallv MPI_Ialltoallv
#define MPI_IAlltoallw MPI_Ialltoallw
#define MPI_IReduce MPI_Ireduce
#define MPI_IAllreduce MPI_Iallreduce
#define MPI_IReduce_scatter MPI_Ireduce_scatter
#define MPI_IReduce_scatter_block MPI_Ireduce_scatter_block

// What the root argument is here, if the root is rank `root` of group `group`.
static int root_argument(int group, int root) {
  if (g_group != group) return root;
  return g_mine == root ? MPI_ROOT : MPI_PROC_NULL;
}

// A number of a rank of a group.
static int mark(int group, int rank, int block, long index) {
  return number(group * 50 + rank, block, index);
}

static void rooted(int kind, int count, int group, int root) {
  MPI_Datatype type = g_kinds[kind].type;
  const int argument = root_argument(group, root);
  const int is_root = argument == MPI_ROOT;
  const int others = g_group != group;
  // Bcast
  Buffer data = make_buffer(kind, count);
  Buffer expected = make_buffer(kind, count);
  for (long i = 0; i < count; ++i) {
    if (is_root) set(&data, i, mark(group, root, 1, i));
    if (is_root || others) set(&expected, i, mark(group, root, 1, i));
  }
  CALL(Bcast, data.at, count, type, argument);
  EXPECT(same(&data, &expected), "bcast of %d %s from %d of group %d", count, g_kinds[kind].name,
         root, group);
  free_buffer(&data);
  free_buffer(&expected);

  // Gather and Scatter
  const long all_elements = is_root ? (long)count * g_remote : 0;
  Buffer all = make_buffer(kind, all_elements);
  Buffer wanted = make_buffer(kind, all_elements);
  Buffer own = make_buffer(kind, count);
  for (long i = 0; i < count; ++i) set(&own, i, mark(g_group, g_mine, 2, i));
  for (long i = 0; i < all_elements; ++i) {
    set(&wanted, i, mark(1 - group, (int)(i / count), 2, i % count));
  }
  CALL(Gather, own.at, count, type, all.at, count, type, argument);
  EXPECT(same(&all, &wanted), "gather of %d %s", count, g_kinds[kind].name);
  Buffer mine = make_buffer(kind, count);
  clear_buffer(&own);
  for (long i = 0; i < all_elements; ++i) {
    set(&all, i, mark(group, root, (int)(i / count), i % count));
  }
  for (long i = 0; i < count && others; ++i) set(&mine, i, mark(group, root, g_mine, i));
  CALL(Scatter, all.at, count, type, own.at, count, type, argument);
  EXPECT(same(&own, &mine), "scatter of %d %s", count, g_kinds[kind].name);
  free_buffer(&all);
  free_buffer(&wanted);
  free_buffer(&own);
  free_buffer(&mine);

  // Gatherv and Scatterv: rank r of the other group has count + r elements.
  int counts[16];
  int places[16];
  int total = 0;
  for (int r = 0; r < g_remote; ++r) {
    counts[r] = count + r;
    places[r] = total + 1;
    total += counts[r] + 1;
  }
  const int own_count = count + g_mine;
  all = make_buffer(kind, is_root ? total + 1 : 0);
  wanted = make_buffer(kind, is_root ? total + 1 : 0);
  own = make_buffer(kind, own_count);
  mine = make_buffer(kind, own_count);
  for (long i = 0; i < own_count; ++i) set(&own, i, mark(g_group, g_mine, 3, i));
  for (int r = 0; r < g_remote && is_root; ++r) {
    for (long i = 0; i < counts[r]; ++i) set(&wanted, places[r] + i, mark(1 - group, r, 3, i));
  }
  CALL(Gatherv, own.at, own_count, type, all.at, counts, places, type, argument);
  EXPECT(same(&all, &wanted), "gatherv of %d %s", count, g_kinds[kind].name);
  clear_buffer(&own);
  for (int r = 0; r < g_remote && is_root; ++r) {
    for (long i = 0; i < counts[r]; ++i) set(&all, places[r] + i, mark(group, root, r, i));
  }
  for (long i = 0; i < own_count && others; ++i) set(&mine, i, mark(group, root, g_mine, i));
  CALL(Scatterv, all.at, counts, places, type, own.at, own_count, type, argument);
  EXPECT(same(&own, &mine), "scatterv of %d %s", count, g_kinds[kind].name);
  free_buffer(&all);
  free_buffer(&wanted);
  free_buffer(&own);
  free_buffer(&mine);

  // Reduce: the root gets the other group's sum.
  int* values = malloc(sizeof(int) * (size_t)(count + 1));
  int* sums = calloc((size_t)count + 1, sizeof(int));
  for (int i = 0; i < count; ++i) values[i] = g_group * 100 + g_mine + i;
  CALL(Reduce, values, sums, count, MPI_INT, MPI_SUM, argument);
  for (int i = 0; i < count; ++i) {
    const int sum =
        is_root ? g_remote * ((1 - group) * 100 + i) + g_remote * (g_remote - 1) / 2 : 0;
    EXPECT(sums[i] == sum, "reduce of %d: %d is %d, not %d", count, i, sums[i], sum);
  }
  free(values);
  free(sums);
}

// Group 0 sends `count` elements per block, group 1 count + 1: the directions differ.
static void symmetric(int kind, int count) {
  MPI_Datatype type = g_kinds[kind].type;
  const int out = count + g_group;
  const int in = count + 1 - g_group;
  Buffer own = make_buffer(kind, out);
  Buffer all = make_buffer(kind, (long)in * g_remote);
  Buffer expected = make_buffer(kind, (long)in * g_remote);
  for (long i = 0; i < out; ++i) set(&own, i, mark(g_group, g_mine, 4, i));
  for (int r = 0; r < g_remote; ++r) {
    for (long i = 0; i < in; ++i) set(&expected, (long)r * in + i, mark(1 - g_group, r, 4, i));
  }
  CALL(Allgather, own.at, out, type, all.at, in, type);
  EXPECT(same(&all, &expected), "allgather of %d %s", count, g_kinds[kind].name);
  int counts[16];
  int places[16];
  for (int r = 0; r < g_remote; ++r) {
    counts[r] = in;
    places[r] = (g_remote - 1 - r) * in;
    for (long i = 0; i < in; ++i) set(&expected, places[r] + i, mark(1 - g_group, r, 4, i));
  }
  clear_buffer(&all);
  CALL(Allgatherv, own.at, out, type, all.at, counts, places, type);
  EXPECT(same(&all, &expected), "allgatherv of %d %s", count, g_kinds[kind].name);
  free_buffer(&own);

  own = make_buffer(kind, (long)out * g_remote);
  for (int r = 0; r < g_remote; ++r) {
    for (long i = 0; i < out; ++i) set(&own, (long)r * out + i, mark(g_group, g_mine, r, i));
    for (long i = 0; i < in; ++i) {
      set(&expected, (long)r * in + i, mark(1 - g_group, r, g_mine, i));
    }
  }
  clear_buffer(&all);
  CALL(Alltoall, own.at, out, type, all.at, in, type);
  EXPECT(same(&all, &expected), "alltoall of %d %s", count, g_kinds[kind].name);

  int out_counts[16];
  int out_places[16];
  int out_bytes[16];
  int in_bytes[16];
  MPI_Datatype types[16];
  for (int r = 0; r < g_remote; ++r) {
    out_counts[r] = out;
    out_places[r] = r * out;
    places[r] = r * in;
    out_bytes[r] = (int)(out_places[r] * g_kinds[kind].extent);
    in_bytes[r] = (int)(places[r] * g_kinds[kind].extent);
    types[r] = type;
  }
  clear_buffer(&all);
  CALL(Alltoallv, own.at, out_counts, out_places, type, all.at, counts, places, type);
  EXPECT(same(&all, &expected), "alltoallv of %d %s", count, g_kinds[kind].name);
  clear_buffer(&all);
  CALL(Alltoallw, own.at, out_counts, out_bytes, types, all.at, counts, in_bytes, types);
  EXPECT(same(&all, &expected), "alltoallw of %d %s", count, g_kinds[kind].name);
  free_buffer(&own);
  free_buffer(&all);
  free_buffer(&expected);
}

static void reductions(int count) {
  double* values = malloc(sizeof(double) * (size_t)(count * g_local * g_remote + 1));
  double* result = malloc(sizeof(double) * (size_t)(count * g_local * g_remote + 1));
  const int total = count * g_local * g_remote;  // both groups can share it out evenly
  for (int i = 0; i < total; ++i) values[i] = g_group * 100 + g_mine + i;
  CALL(Allreduce, values, result, count, MPI_DOUBLE, MPI_SUM);
  const double base = (1 - g_group) * 100 * g_remote + g_remote * (g_remote - 1) / 2;
  for (int i = 0; i < count; ++i) {
    EXPECT(result[i] == base + (double)g_remote * i, "allreduce: %d is %g", i, result[i]);
  }
  const int block = count * g_remote;
  CALL(Reduce_scatter_block, values, result, block, MPI_DOUBLE, MPI_SUM);
  for (int i = 0; i < block; ++i) {
    EXPECT(result[i] == base + (double)g_remote * (g_mine * block + i),
           "reduce_scatter_block: %d is %g", i, result[i]);
  }
  int counts[16];
  int offset = 0;
  for (int r = 0; r < g_local; ++r) {  // the first gets all but one element for each other
    counts[r] = r == 0 ? total - (g_local - 1) : 1;
    if (total < g_local) counts[r] = r == 0 ? total : 0;
    if (r < g_mine) offset += counts[r];
  }
  CALL(Reduce_scatter, values, result, counts, MPI_DOUBLE, MPI_SUM);
  for (int i = 0; i < counts[g_mine]; ++i) {
    EXPECT(result[i] == base + (double)g_remote * (offset + i), "reduce_scatter: %d is %g", i,
           result[i]);
  }
  free(values);
  free(result);
}

int main(int argc, char** argv) {
  start(&argc, &argv);
  make_kinds();
  if (g_size >= 2) {
    const int low = g_size / 2;
    MPI_Comm local;
    g_group = g_rank >= low;
    MPI_Comm_split(MPI_COMM_WORLD, g_group, g_rank, &local);
    MPI_Intercomm_create(local, 0, MPI_COMM_WORLD, g_group == 0 ? low : 0, 7, &g_inter);
    MPI_Comm_rank(g_inter, &g_mine);
    MPI_Comm_size(g_inter, &g_local);
    MPI_Comm_remote_size(g_inter, &g_remote);
    for (g_blocking = 0; g_blocking < 2; ++g_blocking) {
      static const int counts[] = {1, 3, 500, 9000};
      for (int c = 0; c < 4; ++c) {
        for (int kind = 0; kind < KINDS; ++kind) {
          for (int group = 0; group < 2; ++group) {
            const int members = group == g_group ? g_local : g_remote;
            for (int root = 0; root < members; ++root) rooted(kind, counts[c], group, root);
          }
          symmetric(kind, counts[c]);
        }
        reductions(counts[c]);
      }
      if (g_blocking) {
        MPI_Barrier(g_inter);
      } else {
        MPI_Request request;
        MPI_Ibarrier(g_inter, &request);
        MPI_Wait(&request, MPI_STATUS_IGNORE);
      }
    }
    MPI_Comm_free(&g_inter);
    MPI_Comm_free(&local);
  }
  free_kinds();
  return finish("collective_inter");
}
