// The library's constructor: a program that is linked with MPI gets its companion before main(), so
// that what it prints before MPI_Init passes through it too.
#include <unistd.h>

#include <cstdio>
#include <string>

#include "pmpi/companion_link.h"

namespace ftmpi {
namespace {

__attribute__((constructor)) void StartCompanionOfRank() {
  if (!LooksLikeRank()) return;
  std::string error;
  if (StartCompanion(&error)) return;
  std::fprintf(stderr, "ftmpi: %s\nftmpi: to run without fault tolerance unset FT_MODE\n",
               error.c_str());
  _exit(1);
}

}  // namespace
}  // namespace ftmpi
