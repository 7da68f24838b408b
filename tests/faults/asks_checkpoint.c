// Messages around a ring with a sum that depends on all of them. Halfway rank 2 asks for a
// checkpoint, where the library has one to offer (FT_Checkpoint); all ranks ask when an argument is
// given.
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>

int FT_Checkpoint(void) __attribute__((weak));

static void ask(void) {
  int result = FT_Checkpoint == NULL ? 0 : FT_Checkpoint();
  if (result != 0) fprintf(stderr, "FT_Checkpoint returned %d\n", result);
}

int main(int argc, char** argv) {
  int rank = 0;
  int size = 0;
  uint64_t sum = 0;
  int early = FT_Checkpoint == NULL ? 1 : FT_Checkpoint();
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  sum = (uint64_t)rank;
  const int rounds = 60;
  for (int i = 0; i < rounds; ++i) {
    for (uint64_t n = 0; n < 8000000; ++n) sum = sum * 6364136223846793005ULL + n;
    uint64_t other = 0;
    MPI_Sendrecv(&sum, 1, MPI_UINT64_T, (rank + 1) % size, i, &other, 1, MPI_UINT64_T,
                 (rank + size - 1) % size, i, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    sum += other;
    if (i == rounds / 2 && (rank == 2 || argc > 1)) ask();
    if (rank == 0) {
      printf("round %d: %016llx\n", i, (unsigned long long)sum);
      fflush(stdout);
    }
  }
  if (early == 0 && rank == 0) printf("FT_Checkpoint worked before MPI_Init\n");
  MPI_Finalize();
  return 0;
}
