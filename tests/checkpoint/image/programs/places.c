/* setlocale and locale objects; popen and system in between; threads that have ended; atexit. */
#define _GNU_SOURCE
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "checkpoint.h"

static pthread_key_t key;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char heard[200];

static void at_end(void) { printf("at the end %s\n", (char*)pthread_getspecific(key)); }
static void at_end_again(void) { printf("at the end again\n"); }

static void* work(void* argument) {
  pthread_mutex_lock(&mutex);
  int* number = argument;
  *number += 1;
  pthread_mutex_unlock(&mutex);
  char* kept = malloc(100);
  sprintf(kept, "made by thread %d", *number);
  return kept;
}

static void ask(const char* command) {
  FILE* pipe = popen(command, "r");
  if (!fgets(heard, sizeof heard, pipe)) strcpy(heard, "nothing");
  printf("%s -> %s (%d)\n", command, heard, pclose(pipe));
  fflush(stdout);
  if (system("echo from a shell") != 0) printf("system failed\n");
}

int main(void) {
  int number = 0;
  void* text = NULL;
  pthread_t thread;
  pthread_key_create(&key, NULL);
  pthread_setspecific(key, "value of the key");
  atexit(at_end);
  printf("%s\n", setlocale(LC_ALL, "C.UTF-8"));
  locale_t locale = newlocale(LC_ALL_MASK, "C.UTF-8", NULL);
  pthread_create(&thread, NULL, work, &number);
  pthread_join(thread, &text);
  ask("echo 1; true");
  CHECKPOINT();
  printf("%s %d %s\n", (char*)text, number, setlocale(LC_ALL, NULL));
  printf("%d %d\n", (int)mbstowcs(NULL, "gr\xc3\xbc\xc3\x9f", 0), towupper_l(0xfc, locale) == 0xdc);
  uselocale(locale);
  atexit(at_end_again);
  pthread_create(&thread, NULL, work, &number);
  pthread_join(thread, &text);
  CHECKPOINT();
  ask("echo 2; false");
  printf("%s %d\n", (char*)text, number);
  CHECKPOINT();
  printf("%lc %d %d\n", (wint_t)0xe9, (int)wcslen(L"abc"), iswalpha(0xe9) != 0);
  uselocale(LC_GLOBAL_LOCALE);
  freelocale(locale);
  setenv("TZ", "Asia/Tokyo", 1);
  time_t when = 1000000000;
  printf("%s", asctime(localtime(&when)));
  CHECKPOINT();
  printf("%s", asctime(localtime(&when)));
  return 0;
}
