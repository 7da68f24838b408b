// Checks of the MPI test programs: a failed one names itself and ends the job with an error.
#pragma once

#include <mpi.h>
#include <stdio.h>

static inline void CheckFailed(const char* file, int line, const char* what, long long got) {
  int rank = -1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  fprintf(stderr, "%s:%d: rank %d: failed: %s (value %lld)\n", file, line, rank, what, got);
  fflush(stderr);
  MPI_Abort(MPI_COMM_WORLD, 1);
}

#define CHECK(condition)                                              \
  do {                                                                \
    if (!(condition)) CheckFailed(__FILE__, __LINE__, #condition, 0); \
  } while (0)

// Compares integers and shows the value that was there.
#define CHECK_EQUAL(got, wanted)                                       \
  do {                                                                 \
    const long long check_got = (long long)(got);                      \
    if (check_got != (long long)(wanted))                              \
      CheckFailed(__FILE__, __LINE__, #got " == " #wanted, check_got); \
  } while (0)
