/* Large and small mappings, their protection, moved and cut ones; large blocks; a big .bss; alloca;
   deep recursion; brk. */
#define _GNU_SOURCE
#include <alloca.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "checkpoint.h"

static unsigned char big[70 << 20];
static sigjmp_buf back;
static jmp_buf kept;

static void on_fault(int number) {
  (void)number;
  siglongjmp(back, 1);
}

static int writable(volatile char* place) {
  if (sigsetjmp(back, 1)) return 0;
  *place = *place;
  return 1;
}

static unsigned long checksum(const unsigned char* bytes, size_t size) {
  unsigned long sum = 1469598103934665603UL;
  for (size_t i = 0; i < size; i += 37) sum = (sum ^ bytes[i]) * 1099511628211UL;
  return sum;
}

static unsigned deep(unsigned depth) {
  volatile char* block = alloca(300 + depth % 100);
  block[5] = (char)depth;
  if (depth == 0) {
    CHECKPOINT();
    return 1;
  }
  return deep(depth - 1) + (unsigned)block[5];
}

int main(void) {
  signal(SIGSEGV, on_fault);
  const size_t mega = 1 << 20;
  unsigned char* map =
      mmap(NULL, 64 * mega, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  unsigned char* shared =
      mmap(NULL, 100000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED || shared == MAP_FAILED) return 1;
  static unsigned char* block;
  block = malloc(30 * mega);
  unsigned char* zeroed = calloc(20, mega);
  unsigned char* aligned = aligned_alloc(1 << 16, 3 * mega);
  void* page = NULL;
  if (posix_memalign(&page, 4096, 10000)) return 2;
  memset(page, 5, 10000);
  for (size_t i = 0; i < 30 * mega; i += 4096) block[i] = (unsigned char)(i >> 12);
  for (size_t i = 0; i < 64 * mega; i += 5000) map[i] = (unsigned char)(i * 7);
  for (size_t i = 0; i < sizeof big; i += 1 << 16) big[i] = (unsigned char)(i >> 16);
  memset(shared, 9, 100000);
  memset(aligned, 3, 3 * mega);
  mprotect(map + 8 * mega, mega, PROT_READ);
  mprotect(map + 12 * mega, mega, PROT_NONE);
  munmap(map + 20 * mega, 2 * mega);
  static unsigned char* grown;
  grown = mmap(NULL, mega, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(grown, 77, mega);
  char* end = sbrk(100000);
  if (end == (char*)-1) return 3;
  memset(end, 11, 100000);
  int file = open("mapped", O_RDWR | O_CREAT, 0644);
  if (ftruncate(file, 3 * 4096) != 0) return 4;
  char* of_file = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  char* copy = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 4096);
  if (of_file == MAP_FAILED || copy == MAP_FAILED) return 5;
  strcpy(of_file, "shared text");
  strcpy(copy, "private text");
  static volatile int jumps;
  setjmp(kept);
  if (jumps < 2) {
    grown = mremap(grown, (size_t)(jumps + 1) * mega, (size_t)(jumps + 2) * mega, MREMAP_MAYMOVE);
    if (grown == MAP_FAILED) exit(6);
    printf("deep %u\n", deep(15000));
    strcat(of_file, "+");
    block[jumps] = 200;
    block = realloc(block, (size_t)(31 + jumps) * mega);
    ++jumps;
    longjmp(kept, 1);
  }
  CHECKPOINT();
  printf("%lx %lx %lx %lx %lx %lx %lx %lx %lx\n", checksum(big, sizeof big),
         checksum(map, 8 * mega), checksum(map + 22 * mega, 42 * mega), checksum(shared, 100000),
         checksum(block, 30 * mega), checksum(zeroed, 20 * mega), checksum(aligned, 3 * mega),
         checksum(page, 10000), checksum(grown, mega));
  printf("%lx %s %s\n", checksum((unsigned char*)end, 100000), of_file, copy);
  printf("writable %d %d %d %d %d\n", writable((char*)map), writable((char*)map + 8 * mega),
         writable((char*)map + 12 * mega), writable((char*)map + 20 * mega),
         writable((char*)map + 22 * mega));
  printf("usable %d %d %d\n", malloc_usable_size(block) >= 30 * mega,
         malloc_usable_size(page) >= 10000, (uintptr_t)aligned % (1 << 16) == 0);
  munmap(map, 8 * mega);
  munmap(shared, 100000);
  free(block);
  free(zeroed);
  free(aligned);
  free(page);
  return 0;
}
