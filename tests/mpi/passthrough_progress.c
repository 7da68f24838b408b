// np: 3
// env: OMPI_MCA_osc=pt2pt,sm
// env: FT_FAILURE_UNIT=rank
// notice: MPI_Win_allocate,MPI_File_open
// Ranks that are blocked in a call on a window or file still serve others: rank 0 has an event (a
// receive from any source) whose record may have to be acknowledged by rank 1 before rank 0 may
// send to rank 2, and rank 1 waits for rank 0 in a call that is passed through to Open MPI.
#include <stdlib.h>
#include <unistd.h>

#include "check.h"

static int rank, rounds;

// Between two calls on windows or files: what rank 0 has to get through while rank 1 waits already.
static void Event(void) {
  int value = ++rounds, got = -1;
  if (rank == 1) MPI_Send(&value, 1, MPI_INT, 0, 1, MPI_COMM_WORLD);
  if (rank == 0) {
    MPI_Recv(&got, 1, MPI_INT, MPI_ANY_SOURCE, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    CHECK_EQUAL(got, value);
    MPI_Send(&got, 1, MPI_INT, 2, 2, MPI_COMM_WORLD);
  }
  if (rank == 2) {
    MPI_Recv(&got, 1, MPI_INT, 0, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    CHECK_EQUAL(got, value);
  }
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  Event();
  int* cell;
  MPI_Win win;
  MPI_Win_allocate(sizeof(int), sizeof(int), MPI_INFO_NULL, MPI_COMM_WORLD, &cell, &win);
  *cell = 0;
  for (int i = 0; i < 20; ++i) {
    Event();
    MPI_Win_fence(0, win);
  }
  // Rank 1 exposes to rank 0 and waits for it, or accesses rank 0's window and waits for its post.
  MPI_Group world, zero, one;
  const int ranks[] = {0, 1};
  MPI_Comm_group(MPI_COMM_WORLD, &world);
  MPI_Group_incl(world, 1, &ranks[0], &zero);
  MPI_Group_incl(world, 1, &ranks[1], &one);
  for (int i = 0; i < 20; ++i) {
    Event();
    if (rank == 1) {
      MPI_Win_start(zero, 0, win);
      MPI_Put(&i, 1, MPI_INT, 0, 0, 1, MPI_INT, win);
      MPI_Win_complete(win);
    } else if (rank == 0) {
      MPI_Win_post(one, 0, win);
      MPI_Win_wait(win);
      CHECK_EQUAL(*cell, i);
    }
    if (rank == 1) {
      MPI_Win_post(zero, 0, win);
    }
    Event();
    if (rank == 1) {
      MPI_Win_wait(win);
      CHECK_EQUAL(*cell, i);
    } else if (rank == 0) {
      MPI_Win_start(one, 0, win);
      MPI_Put(&i, 1, MPI_INT, 1, 0, 1, MPI_INT, win);
      MPI_Win_complete(win);
    }
  }
  MPI_Group_free(&world);
  MPI_Group_free(&zero);
  MPI_Group_free(&one);
  Event();
  MPI_Win_free(&win);

  char path[4096];
  const char* directory = getenv("TMPDIR");
  snprintf(path, sizeof path, "%s/ftmpi-progress-test-%d", directory ? directory : "/tmp",
           (int)getpid());
  MPI_Bcast(path, sizeof path, MPI_CHAR, 0, MPI_COMM_WORLD);
  Event();
  MPI_File file;
  CHECK_EQUAL(MPI_File_open(MPI_COMM_WORLD, path,
                            MPI_MODE_RDWR | MPI_MODE_CREATE | MPI_MODE_DELETE_ON_CLOSE,
                            MPI_INFO_NULL, &file),
              MPI_SUCCESS);
  for (int i = 0; i < 10; ++i) {
    Event();
    MPI_File_write_at_all(file, (MPI_Offset)rank * 4, &i, 1, MPI_INT, MPI_STATUS_IGNORE);
    Event();
    MPI_File_sync(file);
  }
  Event();
  MPI_File_close(&file);
  if (rank == 0) printf("%d events, served: ok\n", rounds);
  MPI_Finalize();
  return 0;
}
