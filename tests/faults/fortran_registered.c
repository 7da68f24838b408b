/* Starts MPI in C; the state is kept, and saved, in Fortran (fortran_registered.f90). */
#include <mpi.h>
#include <stdio.h>
#include <time.h>

void step_once_(double* field, int* n, int* step, int* restored);

enum { kCount = 1000, kSteps = 1500 };

int main(int argc, char** argv) {
  static double field[kCount];
  int count = kCount;
  int step = 0;
  int restored = 0;
  int rank = 0;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  step_once_(field, &count, &step, &restored);
  if (!restored) {
    for (int i = 0; i < kCount; ++i) field[i] = i + rank;
  }
  while (step < kSteps) {
    const struct timespec pause = {0, 500000};
    step_once_(field, &count, &step, &restored);
    MPI_Barrier(MPI_COMM_WORLD);
    nanosleep(&pause, NULL);
  }
  double sum = 0;
  double all = 0;
  for (int i = 0; i < kCount; ++i) sum += field[i] * (i + 1);
  MPI_Reduce(&sum, &all, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
  if (rank == 0) printf("step %d\nresult: %.17g\n", step, all);
  MPI_Finalize();
  return 0;
}
