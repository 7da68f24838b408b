// np: 4
// Bcast, Gather(v), Scatter(v), Allgather(v), Alltoall(v,w), blocking and non-blocking: every
// datatype, root, in place or not, lengths about the thresholds. Expected values are written down
// from rank, block and index, and whole buffers are compared.
#include "collective_common.h"

static int g_blocking;

static void done(MPI_Request* request) {
  if (!g_blocking) MPI_Wait(request, MPI_STATUS_IGNORE);
}

// Elements of a block in the v forms: differs by rank, zero for some.
static int length_of(int rank, int count) { return (rank % 3) * count / 2 + rank % 2; }

static void bcast(int kind, int count, int root) {
  MPI_Datatype type = g_kinds[kind].type;
  Buffer data = make_buffer(kind, count);
  Buffer expected = make_buffer(kind, count);
  for (long i = 0; i < count; ++i) {
    if (g_rank == root) set(&data, i, number(root, 7, i));
    set(&expected, i, number(root, 7, i));
  }
  MPI_Request request;
  if (g_blocking)
    MPI_Bcast(data.at, count, type, root, MPI_COMM_WORLD);
  else
    MPI_Ibcast(data.at, count, type, root, MPI_COMM_WORLD, &request);
  done(&request);
  EXPECT(same(&data, &expected), "bcast of %d %s from %d", count, g_kinds[kind].name, root);
  free_buffer(&data);
  free_buffer(&expected);
}

// The root describes the data as structs of ints, the others as plain ints: only the bytes agree.
static void bcast_other_type(int count, int root) {
  Buffer data =
      make_buffer(g_rank == root ? KIND_STRIDED : KIND_INT, g_rank == root ? count : 3L * count);
  Buffer expected = make_buffer(data.kind, data.elements);
  for (long i = 0; i < count; ++i) {
    if (g_rank == root) {
      set(&data, i, number(3, 0, i));
      set(&expected, i, number(3, 0, i));
    } else {
      for (int j = 0; j < 3; ++j) set(&expected, 3 * i + j, number(3, 0, i) + j * 1000003);
    }
  }
  MPI_Request request;
  MPI_Datatype type = g_kinds[data.kind].type;
  if (g_blocking)
    MPI_Bcast(data.at, (int)data.elements, type, root, MPI_COMM_WORLD);
  else
    MPI_Ibcast(data.at, (int)data.elements, type, root, MPI_COMM_WORLD, &request);
  done(&request);
  EXPECT(same(&data, &expected), "bcast of %d, datatypes differ, from %d", count, root);
  free_buffer(&data);
  free_buffer(&expected);
}

static void gather(int kind, int count, int root, int in_place) {
  MPI_Datatype type = g_kinds[kind].type;
  Buffer own = make_buffer(kind, count);
  Buffer all = make_buffer(kind, (long)count * g_size);
  Buffer expected = make_buffer(kind, (long)count * g_size);
  for (long i = 0; i < count; ++i) set(&own, i, number(g_rank, 1, i));
  if (g_rank == root) {
    for (int r = 0; r < g_size; ++r) {
      for (long i = 0; i < count; ++i) {
        set(&expected, (long)r * count + i, number(r, 1, i));
        if (in_place && r == root) set(&all, (long)r * count + i, number(r, 1, i));
      }
    }
  }
  const void* send = in_place && g_rank == root ? MPI_IN_PLACE : own.at;
  MPI_Request request;
  if (g_blocking)
    MPI_Gather(send, count, type, all.at, count, type, root, MPI_COMM_WORLD);
  else
    MPI_Igather(send, count, type, all.at, count, type, root, MPI_COMM_WORLD, &request);
  done(&request);
  EXPECT(same(&all, &expected), "gather of %d %s to %d%s", count, g_kinds[kind].name, root,
         in_place ? " in place" : "");
  // And back: each block comes to its rank, marked by the root.
  clear_buffer(&own);
  Buffer mine = make_buffer(kind, count);
  for (long i = 0; i < count; ++i) set(&mine, i, number(g_rank, 2, i));
  for (int r = 0; r < g_size; ++r) {
    for (long i = 0; i < count; ++i) {
      if (g_rank == root) set(&all, (long)r * count + i, number(r, 2, i));
      if (g_rank == root) set(&expected, (long)r * count + i, number(r, 2, i));
    }
  }
  void* receive = in_place && g_rank == root ? MPI_IN_PLACE : own.at;
  if (g_blocking)
    MPI_Scatter(all.at, count, type, receive, count, type, root, MPI_COMM_WORLD);
  else
    MPI_Iscatter(all.at, count, type, receive, count, type, root, MPI_COMM_WORLD, &request);
  done(&request);
  if (receive != MPI_IN_PLACE) {
    EXPECT(same(&own, &mine), "scatter of %d %s from %d", count, g_kinds[kind].name, root);
  }
  EXPECT(same(&all, &expected), "scatter of %d %s from %d: source", count, g_kinds[kind].name,
         root);
  free_buffer(&own);
  free_buffer(&all);
  free_buffer(&expected);
  free_buffer(&mine);
}

static void gatherv(int kind, int count, int root, int in_place) {
  MPI_Datatype type = g_kinds[kind].type;
  int* counts = malloc(sizeof(int) * (size_t)g_size);
  int* places = malloc(sizeof(int) * (size_t)g_size);
  int total = 0;
  for (int r = g_size - 1; r >= 0; --r) {  // blocks from last to first, one element between them
    counts[r] = length_of(r, count);
    places[r] = total + 1;
    total += counts[r] + 1;
  }
  Buffer own = make_buffer(kind, counts[g_rank]);
  Buffer all = make_buffer(kind, total + 1);
  Buffer expected = make_buffer(kind, total + 1);
  for (long i = 0; i < counts[g_rank]; ++i) set(&own, i, number(g_rank, 3, i));
  if (g_rank == root) {
    for (int r = 0; r < g_size; ++r) {
      for (long i = 0; i < counts[r]; ++i) {
        set(&expected, places[r] + i, number(r, 3, i));
        if (in_place && r == root) set(&all, places[r] + i, number(r, 3, i));
      }
    }
  }
  const void* send = in_place && g_rank == root ? MPI_IN_PLACE : own.at;
  MPI_Request request;
  if (g_blocking) {
    MPI_Gatherv(send, counts[g_rank], type, all.at, counts, places, type, root, MPI_COMM_WORLD);
  } else {
    MPI_Igatherv(send, counts[g_rank], type, all.at, counts, places, type, root, MPI_COMM_WORLD,
                 &request);
  }
  done(&request);
  EXPECT(same(&all, &expected), "gatherv of %d %s to %d", count, g_kinds[kind].name, root);
  Buffer mine = make_buffer(kind, counts[g_rank]);
  clear_buffer(&own);
  for (long i = 0; i < counts[g_rank]; ++i) set(&mine, i, number(g_rank, 4, i));
  for (int r = 0; r < g_size && g_rank == root; ++r) {
    for (long i = 0; i < counts[r]; ++i) set(&all, places[r] + i, number(r, 4, i));
  }
  void* receive = in_place && g_rank == root ? MPI_IN_PLACE : own.at;
  if (g_blocking) {
    MPI_Scatterv(all.at, counts, places, type, receive, counts[g_rank], type, root, MPI_COMM_WORLD);
  } else {
    MPI_Iscatterv(all.at, counts, places, type, receive, counts[g_rank], type, root, MPI_COMM_WORLD,
                  &request);
  }
  done(&request);
  if (receive != MPI_IN_PLACE) {
    EXPECT(same(&own, &mine), "scatterv of %d %s from %d", count, g_kinds[kind].name, root);
  }
  free_buffer(&own);
  free_buffer(&all);
  free_buffer(&expected);
  free_buffer(&mine);
  free(counts);
  free(places);
}

static void allgather(int kind, int count, int in_place) {
  MPI_Datatype type = g_kinds[kind].type;
  Buffer own = make_buffer(kind, count);
  Buffer all = make_buffer(kind, (long)count * g_size);
  Buffer expected = make_buffer(kind, (long)count * g_size);
  for (long i = 0; i < count; ++i) {
    set(&own, i, number(g_rank, 5, i));
    if (in_place) set(&all, (long)g_rank * count + i, number(g_rank, 5, i));
    for (int r = 0; r < g_size; ++r) set(&expected, (long)r * count + i, number(r, 5, i));
  }
  const void* send = in_place ? MPI_IN_PLACE : own.at;
  MPI_Request request;
  if (g_blocking)
    MPI_Allgather(send, count, type, all.at, count, type, MPI_COMM_WORLD);
  else
    MPI_Iallgather(send, count, type, all.at, count, type, MPI_COMM_WORLD, &request);
  done(&request);
  EXPECT(same(&all, &expected), "allgather of %d %s%s", count, g_kinds[kind].name,
         in_place ? " in place" : "");
  free_buffer(&own);
  free_buffer(&all);
  free_buffer(&expected);
}

static void allgatherv(int kind, int count, int in_place) {
  MPI_Datatype type = g_kinds[kind].type;
  int* counts = malloc(sizeof(int) * (size_t)g_size);
  int* places = malloc(sizeof(int) * (size_t)g_size);
  int total = 0;
  for (int r = g_size - 1; r >= 0; --r) {
    counts[r] = length_of(r, count);
    places[r] = total + 1;
    total += counts[r] + 1;
  }
  Buffer own = make_buffer(kind, counts[g_rank]);
  Buffer all = make_buffer(kind, total + 1);
  Buffer expected = make_buffer(kind, total + 1);
  for (long i = 0; i < counts[g_rank]; ++i) {
    set(&own, i, number(g_rank, 6, i));
    if (in_place) set(&all, places[g_rank] + i, number(g_rank, 6, i));
  }
  for (int r = 0; r < g_size; ++r) {
    for (long i = 0; i < counts[r]; ++i) set(&expected, places[r] + i, number(r, 6, i));
  }
  const void* send = in_place ? MPI_IN_PLACE : own.at;
  MPI_Request request;
  if (g_blocking) {
    MPI_Allgatherv(send, counts[g_rank], type, all.at, counts, places, type, MPI_COMM_WORLD);
  } else {
    MPI_Iallgatherv(send, counts[g_rank], type, all.at, counts, places, type, MPI_COMM_WORLD,
                    &request);
  }
  done(&request);
  EXPECT(same(&all, &expected), "allgatherv of %d %s%s", count, g_kinds[kind].name,
         in_place ? " in place" : "");
  free_buffer(&own);
  free_buffer(&all);
  free_buffer(&expected);
  free(counts);
  free(places);
}

static void alltoall(int kind, int count, int in_place) {
  MPI_Datatype type = g_kinds[kind].type;
  Buffer out = make_buffer(kind, (long)count * g_size);
  Buffer in = make_buffer(kind, (long)count * g_size);
  Buffer expected = make_buffer(kind, (long)count * g_size);
  for (int r = 0; r < g_size; ++r) {
    for (long i = 0; i < count; ++i) {
      set(in_place ? &in : &out, (long)r * count + i, number(g_rank, r, i));
      set(&expected, (long)r * count + i, number(r, g_rank, i));
    }
  }
  const void* send = in_place ? MPI_IN_PLACE : out.at;
  MPI_Request request;
  if (g_blocking)
    MPI_Alltoall(send, count, type, in.at, count, type, MPI_COMM_WORLD);
  else
    MPI_Ialltoall(send, count, type, in.at, count, type, MPI_COMM_WORLD, &request);
  done(&request);
  EXPECT(same(&in, &expected), "alltoall of %d %s%s", count, g_kinds[kind].name,
         in_place ? " in place" : "");
  free_buffer(&out);
  free_buffer(&in);
  free_buffer(&expected);
}

// Rank a sends b: (a + b) % 4 parts of `count` elements; symmetric, so that it works in place too.
static void alltoallv(int kind, int count, int in_place, int w) {
  MPI_Datatype type = g_kinds[kind].type;
  const size_t n = (size_t)g_size;
  int* counts = malloc(sizeof(int) * n);
  int* places = malloc(sizeof(int) * n);
  int* bytes = malloc(sizeof(int) * n);
  MPI_Datatype* types = malloc(sizeof(MPI_Datatype) * n);
  int total = 0;
  for (int r = 0; r < g_size; ++r) {
    counts[r] = (g_rank + r) % 4 * count / 2;
    places[r] = total + 1;
    bytes[r] = (int)(places[r] * g_kinds[kind].extent);
    types[r] = type;
    total += counts[r] + 1;
  }
  Buffer out = make_buffer(kind, total + 1);
  Buffer in = make_buffer(kind, total + 1);
  Buffer expected = make_buffer(kind, total + 1);
  for (int r = 0; r < g_size; ++r) {
    for (long i = 0; i < counts[r]; ++i) {
      set(in_place ? &in : &out, places[r] + i, number(g_rank, r, i));
      set(&expected, places[r] + i, number(r, g_rank, i));
    }
  }
  const void* send = in_place ? MPI_IN_PLACE : out.at;
  MPI_Request request;
  if (w && g_blocking) {
    MPI_Alltoallw(send, counts, bytes, types, in.at, counts, bytes, types, MPI_COMM_WORLD);
  } else if (w) {
    MPI_Ialltoallw(send, counts, bytes, types, in.at, counts, bytes, types, MPI_COMM_WORLD,
                   &request);
  } else if (g_blocking) {
    MPI_Alltoallv(send, counts, places, type, in.at, counts, places, type, MPI_COMM_WORLD);
  } else {
    MPI_Ialltoallv(send, counts, places, type, in.at, counts, places, type, MPI_COMM_WORLD,
                   &request);
  }
  done(&request);
  EXPECT(same(&in, &expected), "alltoall%c of %d %s%s", w ? 'w' : 'v', count, g_kinds[kind].name,
         in_place ? " in place" : "");
  free_buffer(&out);
  free_buffer(&in);
  free_buffer(&expected);
  free(counts);
  free(places);
  free(bytes);
  free(types);
}

// Each pair of ranks has a datatype of its own, and sender and receiver describe the data
// otherwise.
static void alltoallw_mixed(int count) {
  const size_t n = (size_t)g_size;
  int* out_counts = malloc(sizeof(int) * n);
  int* in_counts = malloc(sizeof(int) * n);
  int* out_places = malloc(sizeof(int) * n);
  int* in_places = malloc(sizeof(int) * n);
  MPI_Datatype* out_types = malloc(sizeof(MPI_Datatype) * n);
  MPI_Datatype* in_types = malloc(sizeof(MPI_Datatype) * n);
  int out_total = 0;
  int in_total = 0;
  for (int r = 0; r < g_size; ++r) {
    out_types[r] = r % 2 == 0 ? MPI_INT : g_kinds[KIND_STRIDED].type;
    in_types[r] = g_rank % 2 == 0 ? g_kinds[KIND_STRIDED].type : MPI_INT;
    out_counts[r] = r % 2 == 0 ? 3 * count : count;
    in_counts[r] = g_rank % 2 == 0 ? count : 3 * count;
    out_places[r] = out_total;
    in_places[r] = in_total;
    out_total += 28 * count + 4;
    in_total += 28 * count + 4;
  }
  char* out = malloc((size_t)out_total);
  char* in = malloc((size_t)in_total);
  char* expected = malloc((size_t)in_total);
  memset(out, UNTOUCHED, (size_t)out_total);
  memset(in, UNTOUCHED, (size_t)in_total);
  memset(expected, UNTOUCHED, (size_t)in_total);
  for (int r = 0; r < g_size; ++r) {
    for (int i = 0; i < count; ++i) {
      for (int j = 0; j < 3; ++j) {
        const int sent = number(g_rank, r, 3L * i + j);
        const int got = number(r, g_rank, 3L * i + j);
        const int out_at = out_places[r] + (r % 2 == 0 ? 4 * (3 * i + j) : 28 * i + 8 * j);
        const int in_at = in_places[r] + (g_rank % 2 == 0 ? 28 * i + 8 * j : 4 * (3 * i + j));
        memcpy(out + out_at, &sent, 4);
        memcpy(expected + in_at, &got, 4);
      }
    }
  }
  MPI_Request request;
  if (g_blocking) {
    MPI_Alltoallw(out, out_counts, out_places, out_types, in, in_counts, in_places, in_types,
                  MPI_COMM_WORLD);
  } else {
    MPI_Ialltoallw(out, out_counts, out_places, out_types, in, in_counts, in_places, in_types,
                   MPI_COMM_WORLD, &request);
  }
  done(&request);
  EXPECT(memcmp(in, expected, (size_t)in_total) == 0, "alltoallw of %d, datatypes differ", count);
  free(out_counts);
  free(in_counts);
  free(out_places);
  free(in_places);
  free(out_types);
  free(in_types);
  free(out);
  free(in);
  free(expected);
}

int main(int argc, char** argv) {
  start(&argc, &argv);
  make_kinds();
  for (g_blocking = 0; g_blocking < 2; ++g_blocking) {
    for (int kind = 0; kind < KINDS; ++kind) {
      static const int counts[] = {0, 1, 3, 700, 5000};
      for (int c = 0; c < 5; ++c) {
        const int count = counts[c];
        for (int root = 0; root<g_size; root += g_size> 4 ? 2 : 1) {
          bcast(kind, count, root);
          for (int in_place = 0; in_place < 2; ++in_place) {
            gather(kind, count, root, in_place);
            gatherv(kind, count, root, in_place);
          }
        }
        bcast_other_type(count, g_size - 1);
        for (int in_place = 0; in_place < 2; ++in_place) {
          allgather(kind, count, in_place);
          allgatherv(kind, count, in_place);
          alltoall(kind, count, in_place);
          alltoallv(kind, count, in_place, 0);
          alltoallv(kind, count, in_place, 1);
        }
        alltoallw_mixed(count);
        if (g_blocking) MPI_Barrier(MPI_COMM_WORLD);
        MPI_Request request = MPI_REQUEST_NULL;
        if (!g_blocking) MPI_Ibarrier(MPI_COMM_WORLD, &request);
        MPI_Wait(&request, MPI_STATUS_IGNORE);
      }
    }
    // Beyond the thresholds for long messages.
    bcast(KIND_DOUBLE, 100000, g_size / 2);
    bcast(KIND_INT, 1000003, 0);
    bcast(KIND_STRIDED, 60001, g_size - 1);
    gather(KIND_INT, 30001, g_size - 1, 0);
    allgather(KIND_INT, 60001, 0);
    allgatherv(KIND_DOUBLE, 30001, 1);
    alltoall(KIND_DOUBLE, 20001, 0);
    alltoall(KIND_INT, 20001, 1);
  }
  free_kinds();
  return finish("collective_move");
}
