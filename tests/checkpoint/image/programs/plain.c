/* Globals, static variables, heap and stack, and pointers between all of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"

struct node {
  struct node* next;
  int value;
  char text[40];
};

static struct node* list;
int global_counter = 7;
static int zeros[5000];
static const char* names[] = {"one", "two", "three"};
static int (*function)(const char*, ...) = printf;

static void push(int value) {
  struct node* node = malloc(sizeof *node);
  node->next = list;
  node->value = value;
  snprintf(node->text, sizeof node->text, "node %d", value);
  list = node;
}

static long sum(void) {
  long total = 0;
  for (struct node* node = list; node; node = node->next)
    total += node->value + (long)strlen(node->text);
  for (int i = 0; i < 5000; ++i) total += zeros[i];
  return total;
}

static unsigned step(unsigned depth, unsigned* outer) {
  unsigned local[100];
  static unsigned calls;
  for (unsigned i = 0; i < 100; ++i) local[i] = i * depth + *outer;
  ++calls;
  if (depth == 0) {
    CHECKPOINT();
    return calls;
  }
  unsigned result = step(depth - 1, &local[depth % 100]);
  for (int i = 0; i < 100; ++i) result += local[i];
  return result;
}

int main(int argc, char** argv) {
  unsigned on_stack = 5;
  unsigned* pointer = &on_stack;
  double* field = calloc(20000, sizeof *field);
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 1000; ++i) push(i + round);
    zeros[round * 100] = global_counter++;
    field[round * 1000] = 0.1 * round;
    *pointer += step(20, &on_stack);
    function("round %d: sum %ld, stack %u, %s, %.17g\n", round, sum(), on_stack, names[round % 3],
             field[round * 1000]);
    for (int i = 0; i < 500; ++i) {
      struct node* next = list->next;
      free(list);
      list = next;
    }
    field = realloc(field, (size_t)(20000 + 30000 * (round + 1)) * sizeof *field);
  }
  printf("%d %s %s\n", argc, strrchr(argv[0], '/'), getenv("TEST_VARIABLE"));
  free(field);
  return 3;
}
