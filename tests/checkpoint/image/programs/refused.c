/* Things that can't be captured, by the argument. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint.h"

static void* end(void* argument) { return argument; }
static void* wait_for_ever(void* argument) {
  pause();
  return argument;
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  int pair[2];
  pthread_t thread;
  if (!strcmp(what, "pipe") && pipe(pair)) return 1;
  if (!strcmp(what, "socket") && socket(AF_INET, SOCK_STREAM, 0) < 0) return 2;
  if (!strcmp(what, "deleted")) {
    if (open("file", O_CREAT | O_RDWR, 0600) < 0) return 3;
    unlink("file");
  }
  if (!strcmp(what, "thread")) pthread_create(&thread, NULL, wait_for_ever, NULL);
  if (!strcmp(what, "unjoined")) {
    pthread_create(&thread, NULL, end, NULL);
    while (pthread_kill(thread, 0) == 0 && access("/proc/self/task", R_OK) == 0) {
      char name[40];
      struct timespec pause_for = {0, 1000000};
      nanosleep(&pause_for, NULL);
      FILE* status = fopen("/proc/self/status", "r");
      int threads = 0;
      char line[200];
      while (fgets(line, sizeof line, status)) sscanf(line, "Threads: %d", &threads);
      fclose(status);
      (void)name;
      if (threads == 1) break;
    }
  }
  if (!strcmp(what, "timer")) {
    timer_t timer;
    timer_create(CLOCK_MONOTONIC, NULL, &timer);
  }
  if (!strcmp(what, "shared")) {
    int file = memfd_create("shared", 0);
    if (ftruncate(file, 4096) != 0) return 4;
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED) return 5;
    close(file);
  }
  CHECKPOINT();
  return 0;
}
