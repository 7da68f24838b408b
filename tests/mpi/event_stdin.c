// np: 3
// output: varies
// Rank 0 reads lines from standard input and hands them out to whoever is free; the answers come
// back in any order. Input from the outside world cannot be asked for a second time.
#include <ctype.h>

#include "event_trace.h"

enum { kLine = 200, kStop = 2 };

int main(int argc, char** argv) {
  event_begin(&argc, &argv, 2, 1);
  uint64_t sum = 0;
  char line[kLine];
  if (check_rank == 0) {
    int stopped = 0;
    long number = 0;
    int open = 1;
    while (stopped < check_size - 1) {
      MPI_Status status;
      memset(line, 0, sizeof line);
      MPI_Recv(line, kLine, MPI_CHAR, MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
      if (line[0] != 0) {
        say("rank %d: %s", status.MPI_SOURCE, line);
        for (const char* p = line; *p != 0; ++p) sum += (unsigned char)*p;
      }
      memset(line, 0, sizeof line);
      open = open && fgets(line, sizeof line - 1, stdin) != NULL;
      if (open) {
        ++number;
        MPI_Send(line, (int)strlen(line), MPI_CHAR, status.MPI_SOURCE, 1, MPI_COMM_WORLD);
      } else {
        MPI_Send(line, 0, MPI_CHAR, status.MPI_SOURCE, kStop, MPI_COMM_WORLD);
        ++stopped;
      }
    }
    say("%ld lines\n", number);
  } else {
    int length = 0;
    memset(line, 0, sizeof line);
    for (;;) {
      MPI_Status status;
      MPI_Send(line, length, MPI_CHAR, 0, 1, MPI_COMM_WORLD);
      memset(line, 0, sizeof line);
      MPI_Recv(line, kLine, MPI_CHAR, 0, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
      if (status.MPI_TAG == kStop) break;
      MPI_Get_count(&status, MPI_CHAR, &length);
      compute((uint64_t)length);
      for (int i = 0; i < length; ++i) line[i] = (char)toupper((unsigned char)line[i]);
    }
  }
  return event_end(sum);
}
