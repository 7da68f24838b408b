/* FT_Exclude: a large buffer whose content is dead at the checkpoint, beside one that is not. */
#include <ftmpi.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint.h"

enum { kNumbers = 8 << 20 };

static void fill(unsigned long* numbers, unsigned long seed) {
  for (int i = 0; i < kNumbers; ++i) numbers[i] = seed = seed * 6364136223846793005UL + 1;
}

static unsigned long sum(const unsigned long* numbers, int count) {
  unsigned long total = 0;
  for (int i = 0; i < count; ++i) total = total * 31 + numbers[i];
  return total;
}

int main(void) {
  unsigned long* dead = malloc(kNumbers * sizeof *dead);
  unsigned long* kept = malloc(1000 * sizeof *kept);
  /* Before it is written: a checkpoint may fall into this call. */
  FT_Exclude(dead, kNumbers * sizeof *dead);
  fill(dead, 1);
  for (int i = 0; i < 1000; ++i) kept[i] = dead[i * 7];
  CHECKPOINT();
  printf("kept %lu\n", sum(kept, 1000));
  fill(dead, kept[5]);
  printf("filled again %lu\n", sum(dead, kNumbers));
  FT_Exclude(dead, 0);
  free(dead);
  free(kept);
  return 0;
}
