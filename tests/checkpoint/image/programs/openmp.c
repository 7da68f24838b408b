/* OpenMP between parallel regions, threadprivate data. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint.h"

static int counter = 100;
#pragma omp threadprivate(counter)

int main(void) {
  enum { kSize = 100000 };
  double* field = malloc(kSize * sizeof *field);
  double total = 0;
  omp_set_num_threads(3);
  for (int i = 0; i < kSize; ++i) field[i] = i;
  for (int round = 0; round < 4; ++round) {
#pragma omp parallel for schedule(static)
    for (int i = 0; i < kSize; ++i) field[i] = field[i] * 1.0001 + round;
    double part[3] = {0, 0, 0};
#pragma omp parallel
    {
      int me = omp_get_thread_num();
      for (int i = me; i < kSize; i += 3) part[me] += field[i];
#pragma omp master
      ++counter;
    }
    total += part[0] + part[1] + part[2];
    CHECKPOINT();
    printf("round %d threads %d total %.17g counter %d\n", round, omp_get_max_threads(), total,
           counter);
  }
  free(field);
  return 0;
}
