/* State of libc that results depend on: rand, random, drand48, initstate, strtok, getopt, the
   environment, the rounding mode, errno. */
#include <errno.h>
#include <fenv.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint.h"

extern char** environ;

int main(void) {
  static char own_state[128];
  char text[] = "alpha beta gamma delta epsilon zeta eta theta";
  char name[] = "program", a[] = "-a", b[] = "-b", value[] = "value", rest[] = "rest";
  char* arguments[] = {name, a, b, value, rest, NULL};
  char* word = strtok(text, " ");
  volatile double third = 3.0, one = 1.0;
  printf("unseeded %d %ld %.17g\n", rand(), random(), drand48());
  CHECKPOINT();
  printf("unseeded %d %ld %.17g %ld\n", rand(), random(), drand48(), mrand48());
  srand(17);
  srand48(99);
  for (int round = 0; round < 3; ++round) {
    int option = getopt(4, arguments, "ab:");
    setenv("ROUND", round == 0 ? "zero" : "more", 1);
    setenv(round == 0 ? "FIRST" : "SECOND", word, 1);
    fesetround(round == 1 ? FE_UPWARD : FE_TONEAREST);
    for (int i = 0; i < 100; ++i) (void)random();
    errno = 1000 + round;
    CHECKPOINT();
    printf("errno %d\n", errno);
    printf("rand %d %d random %ld drand48 %.17g lrand48 %ld\n", rand(), rand(), random(), drand48(),
           lrand48());
    word = strtok(NULL, " ");
    printf("word %s option %c %d %s %s %s\n", word, option, optind, optarg ? optarg : "-",
           getenv("ROUND"), getenv("FIRST"));
    printf("third %.20g\n", one / third);
    if (round == 1) initstate(5, own_state, sizeof own_state);
  }
  CHECKPOINT();
  printf("own state %ld %ld\n", random(), random());
  printf("%s %s %s\n", getenv("TEST_VARIABLE"), getenv("SECOND"), arguments[optind]);
  return 0;
}
