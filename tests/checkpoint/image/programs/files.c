/* Files open for reading, writing, appending, through stdio and descriptors; duplicates; a
   directory; standard output redirected by the program. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"

int main(void) {
  FILE* made = fopen("input", "w");
  for (int i = 0; i < 3000; ++i) fprintf(made, "line %d\n", i);
  fclose(made);
  FILE* input = fopen("input", "r");
  FILE* output = fopen("output", "w+");
  FILE* appended = fopen("appended", "a");
  int raw = open("raw", O_RDWR | O_CREAT, 0644);
  int high = fcntl(raw, F_DUPFD_CLOEXEC, 50);
  int same = open("raw", O_RDWR);
  mkdir("directory", 0755);
  for (int i = 0; i < 5; ++i) {
    char name[40];
    snprintf(name, sizeof name, "directory/entry%d", i);
    close(open(name, O_CREAT | O_WRONLY, 0600));
  }
  DIR* directory = opendir("directory");
  int directories = 0;
  static char buffer[1 << 16];
  setvbuf(output, buffer, _IOFBF, sizeof buffer);
  char line[100];
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 400; ++i) {
      if (!fgets(line, sizeof line, input)) return 1;
      fprintf(output, "%d: %s", round, line);
    }
    fprintf(appended, "appended %d\n", round);
    snprintf(line, sizeof line, "raw %d ", round);
    if (write(raw, line, strlen(line)) < 0) return 2;
    if (round < 2 && readdir(directory)) ++directories;
    CHECKPOINT();
    /* Everything from here on is done again by the restored process. */
    if (write(high, "x", 1) < 0) return 3;
    fprintf(output, "after %d\n", round);
    fprintf(appended, "after %d\n", round);
    if (round == 1) fflush(appended);
    if (pwrite(same, "Y", 1, round) < 0) return 4;
  }
  while (readdir(directory)) ++directories;
  closedir(directory);
  struct stat status;
  fstat(raw, &status);
  printf("raw %ld offsets %ld %ld %ld flags %o %o %d %d entries %d\n", (long)status.st_size,
         (long)lseek(raw, 0, SEEK_CUR), (long)lseek(high, 0, SEEK_CUR),
         (long)lseek(same, 0, SEEK_CUR), fcntl(raw, F_GETFL), fcntl(same, F_GETFL),
         fcntl(raw, F_GETFD), fcntl(high, F_GETFD), directories);
  printf("tell %ld %ld\n", ftell(input), ftell(output));
  rewind(output);
  printf("%s", fgets(line, sizeof line, output));
  fclose(input);
#ifndef FTMPI_MPI_MAIN /* ftmpi and MPI have descriptors, too: their number is not the program's */
  printf("next descriptor %d\n", open("input", O_RDONLY));
#endif
  if (!freopen("redirected", "w", stdout)) return 5;
  printf("to the file\n");
  CHECKPOINT();
  printf("still to the file\n");
  /* output and appended are not closed: the end of the program flushes them. */
  fprintf(output, "unflushed");
  return 0;
}
