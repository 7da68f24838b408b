// Counts a process's calls of the allocator: preloaded into a program, it writes the number to the
// file $CALL_COUNTER_FILE.<rank> when the program ends. For run_call_counts.py.
//
// It counts what goes through the dynamic linker: the calls of every library and of the program.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// glibc's own names for its allocator: no need to look the originals up, which itself allocates.
extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

static atomic_long calls;

void* malloc(size_t bytes) {
  atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
  return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
  atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
  return __libc_calloc(count, bytes);
}
void* realloc(void* old, size_t bytes) {
  atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
  return __libc_realloc(old, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** result, size_t alignment, size_t bytes) {
  atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
  *result = __libc_memalign(alignment, bytes);
  return *result == NULL ? 12 : 0;
}

__attribute__((destructor)) static void write_count(void) {
  const char* file = getenv("CALL_COUNTER_FILE");
  const char* rank = getenv("OMPI_COMM_WORLD_RANK");
  // Companions of a rank have its environment too: the program's name tells the rank itself.
  const char* program = getenv("CALL_COUNTER_PROGRAM");
  if (file == NULL || rank == NULL || program == NULL) return;
  char self[4096];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  if (length < 0) return;
  self[length] = 0;
  char wanted[4096];
  if (realpath(program, wanted) == NULL) return;
  for (int i = 0; wanted[i] != 0 || self[i] != 0; ++i) {
    if (wanted[i] != self[i]) return;
  }
  char path[4200];
  snprintf(path, sizeof path, "%s.%s", file, rank);
  FILE* out = fopen(path, "w");
  if (out == NULL) return;
  fprintf(out, "%ld\n", (long)atomic_load(&calls));
  fclose(out);
}
