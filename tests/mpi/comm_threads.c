// np: 4 thread: multiple
// Threads that make, use and free communicators at the same time, each on a communicator of its
// own.
#include <pthread.h>

#include "comm_check.h"

enum { kThreads = 3, kRounds = 30 };

static MPI_Comm own[kThreads];
static int keyval;

static int Copy(MPI_Comm old, int key, void* extra, void* in, void* out, int* flag) {
  (void)key, (void)extra;
  CHECK_EQUAL(SizeOf(old), 4);
  *(void**)out = in;
  *flag = 1;
  return MPI_SUCCESS;
}

static void* Work(void* argument) {
  const int thread = (int)(long)argument;
  const int even[2] = {0, 2};
  const int odd[2] = {1, 3};
  const int all[4] = {0, 1, 2, 3};
  for (int round = 0; round < kRounds; ++round) {
    MPI_Comm copy;
    MPI_Comm part;
    MPI_Comm_set_attr(own[thread], keyval, (void*)(long)(round + 1));
    MPI_Comm_dup(own[thread], &copy);
    void* value = NULL;
    int flag = 0;
    MPI_Comm_get_attr(copy, keyval, &value, &flag);
    CHECK(flag && (long)value == round + 1);
    MPI_Comm_split(copy, world_rank % 2, 0, &part);
    CheckMembers(part, 2, world_rank % 2 == 0 ? even : odd);
    CheckMembers(copy, 4, all);
    MPI_Comm_free(&part);
    MPI_Comm_free(&copy);
  }
  return NULL;
}

int main(int argc, char** argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
  CHECK_EQUAL(provided, MPI_THREAD_MULTIPLE);
  MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
  MPI_Comm_create_keyval(Copy, MPI_COMM_NULL_DELETE_FN, &keyval, NULL);
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) MPI_Comm_dup(MPI_COMM_WORLD, &own[i]);
  for (int i = 0; i < kThreads; ++i) pthread_create(&threads[i], NULL, Work, (void*)(long)i);
  for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
  for (int i = 0; i < kThreads; ++i) MPI_Comm_free(&own[i]);
  return End("comm_threads");
}
