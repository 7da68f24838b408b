// Entry points for datatypes that are more than a call of Open MPI's: those that change what is
// kept of a datatype over a restart (pmpi/OBJECTS.md). Constructors are generated.
#include "pmpi/datatype.h"
#include "pmpi/object_table.h"
#include "pmpi/passthrough.h"

// NOLINTBEGIN: parameter names are those of mpi.h
using namespace ftmpi;  // NOLINT

FTMPI_EXPORT int MPI_Type_commit(MPI_Datatype* type) {
  FTMPI_PASS_THROUGH(PMPI_Type_commit(type));
  passthrough::Enter("MPI_Type_commit");
  const int error = PMPI_Type_commit(type);
  if (error != MPI_SUCCESS) return RaiseError(nullptr, error, "MPI_Type_commit");
  if (objects::DatatypeRecord* record = objects::FindDatatype(*type)) record->committed = true;
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Type_free(MPI_Datatype* type) {
  FTMPI_PASS_THROUGH(PMPI_Type_free(type));
  EngineLock lock;
  if (type == nullptr) return passthrough::Result(PMPI_Type_free(type), "MPI_Type_free");
  ForgetDatatype(*type);
  objects::DatatypeRecord* record = objects::FindDatatype(*type);
  if (record == nullptr) return passthrough::Result(PMPI_Type_free(type), "MPI_Type_free");
  if (record->holds > 0) {
    ++record->frees_deferred;
    *type = MPI_DATATYPE_NULL;
    return MPI_SUCCESS;
  }
  const checkpointing::NoCut no_cut;  // delete functions of attributes may be called
  return passthrough::Result(PMPI_Type_free(type), "MPI_Type_free");
}

// The datatypes that come out are new ones, which the program frees.
FTMPI_EXPORT int MPI_Type_get_contents(MPI_Datatype mtype, int max_integers, int max_addresses,
                                       int max_datatypes, int array_of_integers[],
                                       MPI_Aint array_of_addresses[],
                                       MPI_Datatype array_of_datatypes[]) {
  FTMPI_PASS_THROUGH(PMPI_Type_get_contents(mtype, max_integers, max_addresses, max_datatypes,
                                            array_of_integers, array_of_addresses,
                                            array_of_datatypes));
  passthrough::Enter("MPI_Type_get_contents");
  const auto call = [&] {
    return PMPI_Type_get_contents(mtype, max_integers, max_addresses, max_datatypes,
                                  array_of_integers, array_of_addresses, array_of_datatypes);
  };
  int error = MPI_SUCCESS;
  if (objects::g_on) {
    const image::LibraryScope scope;
    image::placed::Placement placement(objects::SizeOf(array_of_datatypes));
    error = call();
  } else {
    error = call();
  }
  if (error != MPI_SUCCESS) return RaiseError(nullptr, error, "MPI_Type_get_contents");
  if (!objects::g_on) return MPI_SUCCESS;
  const image::LibraryScope scope;
  int integers = 0;
  int addresses = 0;
  int datatypes = 0;
  int combiner = MPI_COMBINER_NAMED;
  PMPI_Type_get_envelope(mtype, &integers, &addresses, &datatypes, &combiner);
  for (int n = 0; n < datatypes; ++n) objects::Added(array_of_datatypes[n]);
  return MPI_SUCCESS;
}

// Fortran's integers.
#define FTMPI_C2F(NAME, HANDLE)                           \
  FTMPI_EXPORT MPI_Fint MPI_##NAME(HANDLE handle) {       \
    FTMPI_PASS_THROUGH(PMPI_##NAME(handle));              \
    const MPI_Fint index = objects::FortranIndex(handle); \
    return index != 0 ? index : PMPI_##NAME(handle);      \
  }
#define FTMPI_F2C(NAME, HANDLE)                                                  \
  FTMPI_EXPORT HANDLE MPI_##NAME(MPI_Fint index) {                               \
    FTMPI_PASS_THROUGH(PMPI_##NAME(index));                                      \
    void* handle = objects::FromFortranIndex(index);                             \
    return handle != nullptr ? static_cast<HANDLE>(handle) : PMPI_##NAME(index); \
  }

FTMPI_C2F(Type_c2f, MPI_Datatype)
FTMPI_F2C(Type_f2c, MPI_Datatype)
FTMPI_C2F(Op_c2f, MPI_Op)
FTMPI_F2C(Op_f2c, MPI_Op)
FTMPI_C2F(Errhandler_c2f, MPI_Errhandler)
FTMPI_F2C(Errhandler_f2c, MPI_Errhandler)
FTMPI_C2F(Info_c2f, MPI_Info)
FTMPI_F2C(Info_f2c, MPI_Info)
// NOLINTEND
