/* What the benchmark programs share. They are plain MPI programs: each prints lines
 * "<name> <bytes> <nanoseconds>", one per size, from rank 0; run_cost_benchmarks.py runs them with
 * and without the library and compares. Times are medians of batches. */
#pragma once

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kBatches = 15, kMaximumSizes = 16 };

/* Bytes that one size may send in its batches, so that the log memory that was made ready lasts. */
static const double kBytesPerSize = 160.0 * (1 << 20);

/* Not MPI_Wtime: that is an event for a logging library. */
static inline double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare_doubles(const void* a, const void* b) {
  double x = *(const double*)a;
  double y = *(const double*)b;
  return (x > y) - (x < y);
}

static inline double median(double* values, int n) {
  qsort(values, (size_t)n, sizeof *values, compare_doubles);
  return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

/* `PROGRAM SIZE[,SIZE...] SECONDS_PER_SIZE`, or, for counting, `PROGRAM SIZE ITERATIONS x`. */
struct Options {
  long sizes[kMaximumSizes];
  int count;
  double seconds;
  long iterations; /* 0: as many as fit into `seconds` */
};

static inline struct Options parse_options(int argc, char** argv) {
  struct Options options;
  memset(&options, 0, sizeof options);
  if (argc < 3) {
    fprintf(stderr, "usage: %s SIZE[,SIZE...] SECONDS_PER_SIZE | SIZE ITERATIONS x\n", argv[0]);
    MPI_Abort(MPI_COMM_WORLD, 2);
  }
  for (char* p = strtok(argv[1], ","); p != NULL && options.count < kMaximumSizes;
       p = strtok(NULL, ",")) {
    options.sizes[options.count++] = atol(p);
  }
  options.seconds = atof(argv[2]);
  if (argc > 3) options.iterations = atol(argv[2]);
  return options;
}

/* Runs `body(bytes, iterations, argument)` on all ranks in batches and prints the median time of an
 * iteration divided by `parts`. */
static inline void measure(const char* name, const struct Options* options, int parts,
                           void (*body)(long bytes, long iterations, void* argument),
                           void* argument) {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  for (int s = 0; s < options->count; ++s) {
    long bytes = options->sizes[s];
    long iterations = options->iterations;
    if (iterations > 0) {
      body(bytes, iterations, argument);
      if (rank == 0) printf("%s %ld 0\n", name, bytes);
      continue;
    }
    /* How many fit into a batch: rank 0 decides from a short run. */
    double most = kBytesPerSize / kBatches / (double)(bytes + 128);
    body(bytes, 2, argument);
    for (iterations = 2;; iterations *= 2) {
      double start = now_ns();
      body(bytes, iterations, argument);
      double took = now_ns() - start;
      int enough = took > 0.5e9 * options->seconds / kBatches || 2.0 * (double)iterations > most;
      MPI_Bcast(&enough, 1, MPI_INT, 0, MPI_COMM_WORLD);
      if (enough) break;
    }
    double times[kBatches];
    for (int b = 0; b < kBatches; ++b) {
      MPI_Barrier(MPI_COMM_WORLD);
      double start = now_ns();
      body(bytes, iterations, argument);
      times[b] = (now_ns() - start) / (double)iterations / parts;
    }
    if (rank == 0) printf("%s %ld %.1f\n", name, bytes, median(times, kBatches));
    fflush(stdout);
  }
}
