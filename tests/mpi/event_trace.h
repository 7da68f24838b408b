/* What the event_*.c programs share: rank 0 prints what happens as it happens, and in the end a
 * digest of all the text it has printed. A run that was killed and recovered has to print text that
 * goes with its digest, as a run without a failure does: the program remembers what it said.
 *
 * `event_NAME [ROUNDS [WORK]]`: WORK loops of computation per round lengthen the run. */
#pragma once

#include <stdarg.h>

#include "p2p_check.h"

static uint64_t trace = DIGEST_START;
static int rounds = 0;
static long work_per_round = 0;

static inline void event_begin(int* argc, char*** argv, int ranks_wanted, int default_rounds) {
  check_begin(argc, argv, MPI_THREAD_SINGLE, ranks_wanted);
  rounds = *argc > 1 ? atoi((*argv)[1]) : default_rounds;
  work_per_round = *argc > 2 ? atol((*argv)[2]) : 0;
  CHECK(rounds > 0 && work_per_round >= 0, "usage: %s [ROUNDS [WORK]]", (*argv)[0]);
}

/* Prints a line, which counts for the trace. */
__attribute__((format(printf, 1, 2))) static inline void say(const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  CHECK(length >= 0 && length < (int)sizeof text);
  trace = digest_add(trace, text, (size_t)length);
  fputs(text, stdout);
  fflush(stdout);
}

/* Computes for a while; more or less of it, as `seed` says. */
static volatile uint64_t computed; /* keeps the compiler from dropping the loop */
static inline uint64_t compute(uint64_t seed) {
  uint64_t state = seed;
  uint64_t value = 0;
  for (long i = (long)(seed % 4 + 1) * work_per_round; i > 0; --i) value ^= next_random(&state);
  computed = value;
  return value;
}

/* The last lines: the trace of this run, and the result, which is the same in every run. */
static inline int event_end(uint64_t result) {
  MPI_Barrier(MPI_COMM_WORLD);
  if (check_rank == 0) {
    printf("trace: %016llx\n", (unsigned long long)trace);
    printf("result: %016llx\n", (unsigned long long)result);
    fflush(stdout);
  }
  MPI_Finalize();
  return 0;
}
