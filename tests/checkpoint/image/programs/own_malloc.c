/* A program that brings its own malloc. */
#include <stddef.h>
#include <string.h>

static char memory[1 << 20];
static size_t used;

void* malloc(size_t size) {
  void* block = memory + used;
  used += (size + 15) & ~(size_t)15;
  return block;
}

void free(void* block) { (void)block; }

int main(void) { return malloc(10) == NULL; }
