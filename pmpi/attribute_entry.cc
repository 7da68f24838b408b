// Entry points for attributes and keyvals. The deprecated MPI-1 names are generated as aliases.
#include "pmpi/attribute.h"
#include "pmpi/capture.h"
#include "pmpi/communicator_create.h"
#include "pmpi/engine.h"

using namespace ftmpi;  // NOLINT: entry points live outside the namespace

FTMPI_EXPORT int MPI_Comm_create_keyval(MPI_Comm_copy_attr_function* comm_copy_attr_fn,
                                        MPI_Comm_delete_attr_function* comm_delete_attr_fn,
                                        int* comm_keyval, void* extra_state) {
  FTMPI_PASS_THROUGH(
      PMPI_Comm_create_keyval(comm_copy_attr_fn, comm_delete_attr_fn, comm_keyval, extra_state));
  EngineLock lock;
  FTMPI_REQUIRE(
      nullptr,
      comm_copy_attr_fn != nullptr && comm_delete_attr_fn != nullptr && comm_keyval != nullptr,
      MPI_ERR_ARG, "MPI_Comm_create_keyval");
  *comm_keyval =
      CreateKeyval(comm_copy_attr_fn, comm_delete_attr_fn, extra_state, AttributeLanguage::kC);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_free_keyval(int* comm_keyval) {
  FTMPI_PASS_THROUGH(PMPI_Comm_free_keyval(comm_keyval));
  EngineLock lock;
  FTMPI_REQUIRE(nullptr, comm_keyval != nullptr, MPI_ERR_ARG, "MPI_Comm_free_keyval");
  const int error = FreeKeyval(*comm_keyval);
  FTMPI_REQUIRE(nullptr, error == MPI_SUCCESS, error, "MPI_Comm_free_keyval");
  *comm_keyval = MPI_KEYVAL_INVALID;
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_set_attr(MPI_Comm comm, int comm_keyval, void* attribute_val) {
  FTMPI_PASS_THROUGH(PMPI_Comm_set_attr(comm, comm_keyval, attribute_val));
  EngineLock lock;
  FTMPI_FIND_COMMUNICATOR(communicator, comm, "MPI_Comm_set_attr");
  const int error = SetAttribute(communicator, comm_keyval, attribute_val, AttributeLanguage::kC);
  return error == MPI_SUCCESS ? error : RaiseError(communicator, error, "MPI_Comm_set_attr");
}

FTMPI_EXPORT int MPI_Comm_get_attr(MPI_Comm comm, int comm_keyval, void* attribute_val, int* flag) {
  FTMPI_PASS_THROUGH(PMPI_Comm_get_attr(comm, comm_keyval, attribute_val, flag));
  EngineLock lock;
  const char* const function = "MPI_Comm_get_attr";
  Communicator* const communicator = FindCommunicator(comm);
  if (communicator == nullptr) {
    // Open MPI's ROMIO calls this function for Open MPI's own communicators and keyvals.
    if (comm != nullptr && comm != MPI_COMM_NULL && IsOpenMpiKeyval(comm_keyval)) {
      return PMPI_Comm_get_attr(comm, comm_keyval, attribute_val, flag);
    }
    return RaiseError(nullptr, MPI_ERR_COMM, function);
  }
  FTMPI_REQUIRE(communicator, attribute_val != nullptr && flag != nullptr, MPI_ERR_ARG, function);
  const int error = GetAttribute(communicator, comm_keyval, AttributeLanguage::kC,
                                 static_cast<void**>(attribute_val), flag);
  return error == MPI_SUCCESS ? error : RaiseError(communicator, error, function);
}

FTMPI_EXPORT int MPI_Comm_delete_attr(MPI_Comm comm, int comm_keyval) {
  FTMPI_PASS_THROUGH(PMPI_Comm_delete_attr(comm, comm_keyval));
  EngineLock lock;
  FTMPI_FIND_COMMUNICATOR(communicator, comm, "MPI_Comm_delete_attr");
  const int error = DeleteAttribute(communicator, comm_keyval);
  return error == MPI_SUCCESS ? error : RaiseError(communicator, error, "MPI_Comm_delete_attr");
}
