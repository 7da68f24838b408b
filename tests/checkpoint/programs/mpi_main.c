/* Makes an MPI program of a program of ../image/programs (compiled with main=program_main): every
   rank runs it in a directory of its own. checkpoint_here() exchanges a message with the other
   ranks; the call that STOP_AT names (from 1) does so again and again for two seconds, so that
   checkpoints are taken there and the ranks can be killed there. Nothing of this depends on timing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern int program_main(int argc, char** argv, char** environment);

enum { kRounds = 400, kPauseNanoseconds = 5000000 };

static int calls, rank, size, total;

static void exchange(void) {
  int got = 0;
  MPI_Sendrecv(&total, 1, MPI_INT, (rank + 1) % size, 7, &got, 1, MPI_INT, (rank + size - 1) % size,
               7, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  total = (got * 31 + rank + 1) % 1000003;
}

static void stay(void) {
  char name[4096];
  snprintf(name, sizeof name, "%s/stopped-%d", getenv("STOP_DIRECTORY"), rank);
  close(open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  for (int round = 0; round < kRounds; ++round) {
    struct timespec pause = {0, kPauseNanoseconds};
    exchange();
    while (nanosleep(&pause, &pause) != 0) continue;
  }
}

void checkpoint_here(void) {
  const char* stop = getenv("STOP_AT");
  const int error = errno; /* MPI may change it */
  ++calls;
  if (stop && atoi(stop) == calls) {
    stay();
  } else {
    exchange();
  }
  errno = error;
}

int main(int argc, char** argv, char** environment) {
  char name[40];
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  snprintf(name, sizeof name, "rank-%d", rank);
  mkdir(name, 0755);
  if (chdir(name) != 0) MPI_Abort(MPI_COMM_WORLD, 9);
  const int result = program_main(argc, argv, environment);
  printf("result %d, %d calls\n", result, calls);
  fflush(stdout);
  MPI_Finalize();
  return 0;
}
