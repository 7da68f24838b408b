// np: 4
// Many non-blocking collectives under way at once, on several communicators, mixed with blocking
// ones and point-to-point messages, completed in any order; datatypes, operations and communicators
// freed by the program before they are complete; MPI_Request_free; MPI_Ibarrier's meaning.
#include "collective_common.h"

enum { MANY = 60, LENGTH = 3000 };

static void sum_modulo(void* in, void* inout, int* length, MPI_Datatype* type) {
  (void)type;
  for (int i = 0; i < *length; ++i) ((int*)inout)[i] = (((int*)in)[i] + ((int*)inout)[i]) % 1009;
}

static void many(int length, int backwards) {
  MPI_Request requests[MANY];
  static int in[MANY][LENGTH];
  static int out[MANY][LENGTH];
  static int scattered[MANY][LENGTH * 8];
  MPI_Comm other;
  MPI_Comm_dup(MPI_COMM_WORLD, &other);
  int block = LENGTH / g_size;
  if (block > length) block = length;
  for (int n = 0; n < MANY; ++n) {
    MPI_Comm comm = n % 3 == 0 ? other : MPI_COMM_WORLD;
    const int root = n % g_size;
    for (int i = 0; i < LENGTH; ++i) {
      in[n][i] = g_rank * 100 + n + i;
      out[n][i] = -1;
    }
    switch (n % 6) {
      case 0:
        MPI_Iallreduce(in[n], out[n], length, MPI_INT, MPI_SUM, comm, &requests[n]);
        break;
      case 1:
        if (g_rank == root) memcpy(out[n], in[n], sizeof in[n]);
        MPI_Ibcast(out[n], length, MPI_INT, root, comm, &requests[n]);
        break;
      case 2:
        MPI_Ialltoall(in[n], block, MPI_INT, out[n], block, MPI_INT, comm, &requests[n]);
        break;
      case 3:
        MPI_Iallgather(in[n], block, MPI_INT, scattered[n], block, MPI_INT, comm, &requests[n]);
        break;
      case 4:
        MPI_Iscan(in[n], out[n], length, MPI_INT, MPI_MAX, comm, &requests[n]);
        break;
      case 5:
        MPI_Ireduce(in[n], out[n], length, MPI_INT, MPI_MIN, root, comm, &requests[n]);
        break;
    }
    if (n % 7 == 3) {  // in between: a blocking one, and a message round the ring
      int sum = 0;
      MPI_Allreduce(&n, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
      EXPECT(sum == n * g_size, "blocking allreduce between: %d", sum);
      int got = -1;
      const int right = (g_rank + 1) % g_size;
      const int left = (g_rank + g_size - 1) % g_size;
      MPI_Sendrecv(&g_rank, 1, MPI_INT, right, n, &got, 1, MPI_INT, left, n, MPI_COMM_WORLD,
                   MPI_STATUS_IGNORE);
      EXPECT(got == left, "message between collectives: %d", got);
    }
  }
  if (library()) MPI_Comm_free(&other);  // still in use; bare Open MPI 4.1 crashes on it
  if (backwards) {
    for (int n = MANY - 1; n >= 0; --n) MPI_Wait(&requests[n], MPI_STATUS_IGNORE);
  } else {
    int done = 0;
    while (done < MANY) {
      int which = MPI_UNDEFINED;
      MPI_Waitany(MANY, requests, &which, MPI_STATUS_IGNORE);
      EXPECT(which != MPI_UNDEFINED, "waitany: nothing left after %d", done);
      if (which == MPI_UNDEFINED) break;
      ++done;
    }
  }
  if (!library()) MPI_Comm_free(&other);
  for (int n = 0; n < MANY; ++n) {
    const int root = n % g_size;
    EXPECT(requests[n] == MPI_REQUEST_NULL, "request %d is not null after its completion", n);
    for (int i = 0; i < length; ++i) {
      int wanted = out[n][i];
      if (n % 6 == 0) wanted = g_size * (n + i) + 100 * g_size * (g_size - 1) / 2;
      if (n % 6 == 1) wanted = root * 100 + n + i;
      if (n % 6 == 2 && i < block * g_size) {
        wanted = i / block * 100 + n + g_rank * block + i % block;
      }
      if (n % 6 == 4) wanted = g_rank * 100 + n + i;
      if (n % 6 == 5) wanted = g_rank == root ? n + i : -1;
      EXPECT(out[n][i] == wanted, "operation %d: element %d is %d, not %d", n, i, out[n][i],
             wanted);
    }
    for (int i = 0; i < block * g_size && n % 6 == 3; ++i) {
      EXPECT(scattered[n][i] == i / block * 100 + n + i % block, "allgather %d: element %d", n, i);
    }
  }
}

// Everything that the call names is freed while it is under way.
static void freed_early(void) {
  MPI_Datatype triple;
  MPI_Type_vector(100, 1, 2, MPI_INT, &triple);
  MPI_Type_commit(&triple);
  MPI_Op op;
  MPI_Op_create(sum_modulo, 1, &op);
  MPI_Comm comm;
  MPI_Comm_dup(MPI_COMM_WORLD, &comm);
  static int values[20000];
  static int sums[20000];
  static int spread[200];
  for (int i = 0; i < 20000; ++i) values[i] = (g_rank + i) % 1009;
  for (int i = 0; i < 200; ++i) spread[i] = g_rank == 0 ? i : -7;
  MPI_Request requests[2];
  MPI_Iallreduce(values, sums, 20000, MPI_INT, op, comm, &requests[0]);
  MPI_Ibcast(spread, 1, triple, 0, comm, &requests[1]);
  MPI_Type_free(&triple);
  MPI_Op_free(&op);
  if (library()) MPI_Comm_free(&comm);
  EXPECT(op == MPI_OP_NULL, "MPI_Op_free leaves the handle");
  // New objects may get the old ones' places.
  MPI_Type_contiguous(7, MPI_INT, &triple);
  MPI_Type_commit(&triple);
  MPI_Op_create(sum_modulo, 1, &op);
  MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
  MPI_Type_free(&triple);
  MPI_Op_free(&op);
  if (!library()) MPI_Comm_free(&comm);
  for (int i = 0; i < 20000; ++i) {
    int wanted = 0;
    for (int r = 0; r < g_size; ++r) wanted = (wanted + (r + i) % 1009) % 1009;
    EXPECT(sums[i] == wanted, "allreduce with a freed operation: %d is %d", i, sums[i]);
  }
  for (int i = 0; i < 200; ++i) {
    const int wanted = g_rank == 0 || (i % 2 == 0) ? i : -7;
    EXPECT(spread[i] == wanted, "bcast with a freed datatype: %d is %d", i, spread[i]);
  }
}

// Nobody gets past a barrier before all have entered it.
static void barrier_means_barrier(void) {
  for (int late = 0; late < g_size; ++late) {
    MPI_Request request;
    int flag = 0;
    if (g_rank == late) {
      // The others test before we have entered: none of them may be through.
      for (int r = 0; r < g_size; ++r) {
        int through = 0;
        if (r == late) continue;
        MPI_Recv(&through, 1, MPI_INT, r, 5, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        EXPECT(through == 0, "rank %d is through the barrier before rank %d came", r, late);
      }
      MPI_Ibarrier(MPI_COMM_WORLD, &request);
    } else {
      MPI_Ibarrier(MPI_COMM_WORLD, &request);
      for (int i = 0; i < 200 && !flag; ++i) MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
      MPI_Send(&flag, 1, MPI_INT, late, 5, MPI_COMM_WORLD);
    }
    MPI_Wait(&request, MPI_STATUS_IGNORE);
  }
}

static void tested(void) {
  static double values[50000];
  static double sums[50000];
  for (int i = 0; i < 50000; ++i) values[i] = g_rank + i;
  MPI_Request request;
  MPI_Iallreduce(values, sums, 50000, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD, &request);
  int flag = 0;
  MPI_Status status;
  while (!flag) MPI_Test(&request, &flag, &status);
  EXPECT(request == MPI_REQUEST_NULL, "a completed test leaves the request");
  for (int i = 0; i < 50000; ++i) {
    EXPECT(sums[i] == g_size * (double)i + g_size * (g_size - 1) / 2, "sum %d is %g", i, sums[i]);
  }
  // Freed while under way: it goes on, and the barrier after it shows that it did.
  int token = g_rank == 0 ? 42 : 0;
  MPI_Ibarrier(MPI_COMM_WORLD, &request);
  MPI_Wait(&request, &status);
  MPI_Ibcast(&token, 1, MPI_INT, 0, MPI_COMM_WORLD, &request);
  MPI_Wait(&request, &status);
  EXPECT(token == 42, "token is %d", token);
}

int main(int argc, char** argv) {
  start(&argc, &argv);
  if (g_size > 8) {
    fprintf(stderr, "at most 8 ranks\n");
    MPI_Abort(MPI_COMM_WORLD, 2);
  }
  for (int backwards = 0; backwards < 2; ++backwards) {
    many(1, backwards);
    many(LENGTH, backwards);
  }
  freed_early();
  barrier_means_barrier();
  tested();
  return finish("collective_nonblocking");
}
