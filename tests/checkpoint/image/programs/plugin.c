/* A plug-in that is loaded while the program runs, with data, constructors, destructors and
   thread-local data of its own. Argument: the plug-in. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint.h"

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  CHECKPOINT();
  void* plugin = dlopen(argv[1], RTLD_NOW);
  if (!plugin) {
    printf("%s\n", dlerror());
    return 2;
  }
  int (*next)(void) = (int (*)(void))dlsym(plugin, "plugin_next");
  int* shared = dlsym(plugin, "plugin_shared");
  const char* (*text)(int) = (const char* (*)(int))dlsym(plugin, "plugin_text");
  printf("%d %d %s\n", next(), next(), text(3));
  *shared = 77;
  CHECKPOINT();
  printf("%d %d %d %s\n", next(), next(), *shared, text(4));
  int (*again)(void) = (int (*)(void))dlsym(plugin, "plugin_next");
  printf("same %d\n", again == next);
  Dl_info info;
  int found = dladdr((void*)next, &info);
  printf("found %d %s\n", found != 0, info.dli_sname);
  CHECKPOINT();
  printf("%d\n", next());
  printf("closed %d\n", dlclose(plugin));
  CHECKPOINT();
  plugin = dlopen(argv[1], RTLD_LAZY);
  printf("anew %d\n", ((int (*)(void))dlsym(plugin, "plugin_next"))());
  CHECKPOINT();
  printf("%p\n", dlsym(plugin, "no_such_symbol"));
  return 0;
}
