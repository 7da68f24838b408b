// Fortran programs. Open MPI's Fortran bindings call PMPI_* directly, so the C entry points never
// see their messages: the program would run without the protection that FT_MODE asks for. This
// refuses such a run before MPI starts, instead of leaving it unprotected in silence.
//
// The names are those of libmpi_mpifh (mpif.h, "use mpi") and libmpi_usempif08 ("use mpi_f08").
// They are forwarded by dlsym: no C program gains a dependency on the Fortran libraries.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "pmpi/capture.h"

namespace ftmpi {
namespace {

// Rank that mpirun gave this process; 0 without mpirun.
bool IsFirstRank() {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  if (rank == nullptr) rank = std::getenv("PMIX_RANK");
  return rank == nullptr || std::strcmp(rank, "0") == 0;
}

void RefuseIfProtectionIsAskedFor() {
  const char* mode = std::getenv("FT_MODE");
  if (mode == nullptr || mode[0] == '\0' || std::strcmp(mode, "off") == 0) return;
  if (IsFirstRank()) {
    std::fprintf(
        stderr,
        "ftmpi: FT_MODE=%s, but this program starts MPI through the Fortran interface, whose "
        "messages ftmpi does not capture yet: it would run without protection. Run it with "
        "FT_MODE unset or FT_MODE=off.\n",
        mode);
    std::fflush(stderr);
  }
  std::_Exit(2);
}

template <typename Function>
Function Next(const char* name) {
  void* symbol = dlsym(RTLD_NEXT, name);
  if (symbol == nullptr) {
    std::fprintf(stderr,
                 "ftmpi: the program calls %s, which no library after libftmpi.so has: link Open "
                 "MPI's Fortran libraries (mpifort does)\n",
                 name);
    std::_Exit(2);
  }
  return reinterpret_cast<Function>(symbol);
}

}  // namespace
}  // namespace ftmpi

using Init = void (*)(int*);
using InitThread = void (*)(int*, int*, int*);

#define FTMPI_FORTRAN_INIT(name)                       \
  FTMPI_EXPORT void name(int* error) {                 \
    static const auto next = ftmpi::Next<Init>(#name); \
    ftmpi::RefuseIfProtectionIsAskedFor();             \
    next(error);                                       \
  }
#define FTMPI_FORTRAN_INIT_THREAD(name)                              \
  FTMPI_EXPORT void name(int* required, int* provided, int* error) { \
    static const auto next = ftmpi::Next<InitThread>(#name);         \
    ftmpi::RefuseIfProtectionIsAskedFor();                           \
    next(required, provided, error);                                 \
  }

// The compilers' ways to write a Fortran name in an object file; the _f08 ones are bind(C) names.
FTMPI_FORTRAN_INIT(mpi_init)
FTMPI_FORTRAN_INIT(mpi_init_)
FTMPI_FORTRAN_INIT(mpi_init__)
FTMPI_FORTRAN_INIT(MPI_INIT)
FTMPI_FORTRAN_INIT(MPI_Init_f)
FTMPI_FORTRAN_INIT(MPI_Init_f08)
FTMPI_FORTRAN_INIT(mpi_init_f08_)
FTMPI_FORTRAN_INIT_THREAD(mpi_init_thread)
FTMPI_FORTRAN_INIT_THREAD(mpi_init_thread_)
FTMPI_FORTRAN_INIT_THREAD(mpi_init_thread__)
FTMPI_FORTRAN_INIT_THREAD(MPI_INIT_THREAD)
FTMPI_FORTRAN_INIT_THREAD(MPI_Init_thread_f)
FTMPI_FORTRAN_INIT_THREAD(MPI_Init_thread_f08)
FTMPI_FORTRAN_INIT_THREAD(mpi_init_thread_f08_)
