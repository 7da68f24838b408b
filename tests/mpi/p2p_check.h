/* What the p2p_*.c and event_*.c programs share. They are plain MPI programs: each checks itself,
 * ends with exit code 1 and a message where something is wrong, and prints "ok" from rank 0
 * otherwise. Include it once per program. */
#pragma once

#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_rank = -1;
static int check_size = 0;

#define CHECK(condition, ...)                                                             \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      fprintf(stderr, "%s:%d: rank %d: %s:", __FILE__, __LINE__, check_rank, #condition); \
      fprintf(stderr, " " __VA_ARGS__);                                                   \
      fprintf(stderr, "\n");                                                              \
      MPI_Abort(MPI_COMM_WORLD, 1);                                                       \
    }                                                                                     \
  } while (0)

#define CHECK_EQUAL(actual, expected)                                                    \
  do {                                                                                   \
    long long check_actual = (long long)(actual);                                        \
    long long check_expected = (long long)(expected);                                    \
    CHECK(check_actual == check_expected, "%s is %lld, not %lld", #actual, check_actual, \
          check_expected);                                                               \
  } while (0)

/* The error class of what an MPI call returned. */
static inline int check_class(int code) {
  int class = MPI_SUCCESS;
  MPI_Error_class(code, &class);
  return class;
}
#define CHECK_CLASS(call, expected) CHECK_EQUAL(check_class(call), expected)

static inline void check_begin(int* argc, char*** argv, int thread_level, int ranks_wanted) {
  int provided = 0;
  MPI_Init_thread(argc, argv, thread_level, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &check_rank);
  MPI_Comm_size(MPI_COMM_WORLD, &check_size);
  CHECK(provided >= thread_level, "thread level %d instead of %d", provided, thread_level);
  CHECK(check_size >= ranks_wanted, "needs %d ranks, has %d", ranks_wanted, check_size);
}

static inline int check_end(void) {
  MPI_Barrier(MPI_COMM_WORLD);
  if (check_rank == 0) {
    printf("ok\n");
    fflush(stdout);
  }
  MPI_Finalize();
  return 0;
}

/* The i-th byte of the message with number `seed`. */
static inline unsigned char pattern(uint64_t seed, size_t i) {
  uint64_t x = seed * 0x9e3779b97f4a7c15u + (i >> 3) * 0xbf58476d1ce4e5b9u;
  x ^= x >> 29;
  return (unsigned char)(x >> ((i & 7) * 8));
}
static inline void fill(void* buffer, size_t bytes, uint64_t seed) {
  unsigned char* p = buffer;
  for (size_t i = 0; i < bytes; ++i) p[i] = pattern(seed, i);
}
/* Index of the first byte that is wrong, or -1. */
static inline long long wrong_at(const void* buffer, size_t bytes, uint64_t seed) {
  const unsigned char* p = buffer;
  for (size_t i = 0; i < bytes; ++i) {
    if (p[i] != pattern(seed, i)) return (long long)i;
  }
  return -1;
}
#define CHECK_PATTERN(buffer, bytes, seed)                                          \
  do {                                                                              \
    long long check_at = wrong_at(buffer, bytes, seed);                             \
    CHECK(check_at < 0, "byte %lld of %lld differs", check_at, (long long)(bytes)); \
  } while (0)

#define CHECK_STATUS(status, source, tag, bytes)      \
  do {                                                \
    int check_count = -1;                             \
    CHECK_EQUAL((status).MPI_SOURCE, source);         \
    CHECK_EQUAL((status).MPI_TAG, tag);               \
    MPI_Get_count(&(status), MPI_BYTE, &check_count); \
    CHECK_EQUAL(check_count, bytes);                  \
  } while (0)

/* An empty status (MPI-3.1, section 3.7.3). */
#define CHECK_EMPTY(status)                               \
  do {                                                    \
    int check_flag = -1;                                  \
    CHECK_STATUS(status, MPI_ANY_SOURCE, MPI_ANY_TAG, 0); \
    MPI_Test_cancelled(&(status), &check_flag);           \
    CHECK_EQUAL(check_flag, 0);                           \
  } while (0)

/* Small generator, the same everywhere (splitmix64). */
static inline uint64_t next_random(uint64_t* state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/* FNV-1a, for traces. */
static inline uint64_t digest_add(uint64_t digest, const void* data, size_t bytes) {
  const unsigned char* p = data;
  for (size_t i = 0; i < bytes; ++i) digest = (digest ^ p[i]) * 0x100000001b3u;
  return digest;
}
#define DIGEST_START 0xcbf29ce484222325u
