// np: 4
// output: varies
// Every rank prints, on stdout and, now and then, on stderr; each line names its rank and its
// number, and the number of the round's first message in the order of arrival is in it.
#include "event_trace.h"

int main(int argc, char** argv) {
  event_begin(&argc, &argv, 2, 100);
  uint64_t result = 0;
  for (int i = 0; i < rounds; ++i) {
    int order = 0;
    compute((uint64_t)(i * check_size + check_rank));
    for (int r = 0; r < check_size; ++r) {
      if (r != check_rank) MPI_Send(&i, 1, MPI_INT, r, i, MPI_COMM_WORLD);
    }
    for (int k = 1; k < check_size; ++k) {
      int value = -1;
      MPI_Status status;
      MPI_Recv(&value, 1, MPI_INT, MPI_ANY_SOURCE, i, MPI_COMM_WORLD, &status);
      CHECK_EQUAL(value, i);
      order = order * 10 + status.MPI_SOURCE;
      result += (uint64_t)value;
    }
    char text[100];
    int length = snprintf(text, sizeof text, "rank %d line %d order %d\n", check_rank, i, order);
    trace = digest_add(trace, text, (size_t)length);
    fputs(text, stdout);
    fflush(stdout);
    if (i % 10 == 9) fprintf(stderr, "rank %d error line %d order %d\n", check_rank, i, order);
  }
  char text[100];
  snprintf(text, sizeof text, "rank %d trace %016llx\n", check_rank, (unsigned long long)trace);
  fputs(text, stdout);
  fflush(stdout);
  return event_end(result);
}
