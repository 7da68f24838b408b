// The functions of ftmpi.h for Fortran: subroutines with a last argument for the FT_... code, as
// compilers with one underscore behind the name call them.
//
//   call ft_protect(name, buffer, count, datatype, ierror)
//   call ft_unprotect(name, ierror)
//   call ft_restored(flag, ierror)        logical flag
//   call ft_checkpoint(ierror)
//   call ft_exclude(buffer, bytes, ierror)     integer(8) bytes
//
// A program that protects buffers of several types needs an interface block for ft_protect, as for
// any such routine (tests/faults/fortran_registered.f90 has one). `datatype` is a handle of mpif.h
// or "use mpi"; of "use mpi_f08" its component MPI_VAL. Lengths of names come by value behind the
// arguments. Names end at their last character that is no blank.
#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "pmpi/capture.h"
#include "pmpi/include/ftmpi.h"

namespace {

std::string Trimmed(const char* text, std::size_t length) {
  while (length > 0 && text[length - 1] == ' ') --length;
  return {text, length};
}

}  // namespace

FTMPI_EXPORT void ft_protect_(const char* name, void* buffer, const MPI_Fint* count,
                              const MPI_Fint* datatype, MPI_Fint* error, std::size_t length) {
  *error = FT_Protect(Trimmed(name, length).c_str(), buffer, *count, PMPI_Type_f2c(*datatype));
}

FTMPI_EXPORT void ft_unprotect_(const char* name, MPI_Fint* error, std::size_t length) {
  *error = FT_Unprotect(Trimmed(name, length).c_str());
}

FTMPI_EXPORT void ft_restored_(MPI_Fint* flag, MPI_Fint* error) {
  int restored = 0;
  *error = FT_Restored(&restored);
  *flag = restored;
}

FTMPI_EXPORT void ft_checkpoint_(MPI_Fint* error) { *error = FT_Checkpoint(); }

FTMPI_EXPORT void ft_exclude_(void* buffer, const std::int64_t* bytes, MPI_Fint* error) {
  *error = *bytes < 0 ? FT_ERR_ARGUMENT : FT_Exclude(buffer, static_cast<std::size_t>(*bytes));
}
