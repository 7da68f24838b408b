/* Handlers, mask, alternate stack, timers, limits, umask, working directory. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "checkpoint.h"

static volatile sig_atomic_t alarms, users, on_stack;
static char* stack;

static void on_alarm(int number) {
  (void)number;
  ++alarms;
}

static void on_user(int number, siginfo_t* info, void* context) {
  char local;
  (void)number;
  (void)info;
  (void)context;
  ++users;
  on_stack = &local >= stack && &local < stack + 65536;
}

int main(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  stack_t alternate = {.ss_sp = stack = malloc(65536), .ss_size = 65536};
  sigaltstack(&alternate, NULL);
  action.sa_sigaction = on_user;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigaction(SIGUSR1, &action, NULL);
  signal(SIGALRM, on_alarm);
  signal(SIGPIPE, SIG_IGN);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR2);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  umask(027);
  mkdir("below", 0777);
  if (chdir("below") != 0) return 1;
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = 321;
  setrlimit(RLIMIT_NOFILE, &limit);
  struct itimerval interval = {.it_interval = {0, 0}, .it_value = {0, 300000}};
  setitimer(ITIMER_REAL, &interval, NULL);
  raise(SIGUSR2);

  CHECKPOINT();

  raise(SIGUSR1);
  while (alarms == 0) pause();
  printf("alarms %d users %d on stack %d\n", alarms, users, on_stack);
  sigprocmask(SIG_BLOCK, NULL, &mask);
  printf("blocked %d %d\n", sigismember(&mask, SIGUSR2), sigismember(&mask, SIGUSR1));
  sigset_t pending;
  sigpending(&pending);
  printf("pending %d\n", sigismember(&pending, SIGUSR2));
  sigaction(SIGPIPE, NULL, &action);
  printf("ignored %d\n", action.sa_handler == SIG_IGN);
  getrlimit(RLIMIT_NOFILE, &limit);
  printf("limit %d\n", (int)limit.rlim_cur);
  FILE* file = fopen("made", "w");
  fputs("here", file);
  fclose(file);
  struct stat status;
  stat("made", &status);
  char directory[4096];
  printf("mode %o directory %s\n", status.st_mode & 0777, getcwd(directory, sizeof directory));
  alarm(100);
  CHECKPOINT();
  unsigned left = alarm(0);
  printf("left %d\n", left > 90 && left <= 100);
  return 0;
}
