// MPI_T: Open MPI's own variables, passed through. Where one is bound to a communicator or group of
// the program, Open MPI is given its own counterpart, or, where there is none, an error is
// returned.
#include "pmpi/group.h"
#include "pmpi/image_obstacle.h"
#include "pmpi/passthrough.h"

namespace ftmpi {
namespace {

// An MPI handle that `object` points to in the program, as Open MPI can use it.
struct BoundObject {
  MPI_Comm communicator = MPI_COMM_NULL;
  void* object = nullptr;
};

// False: Open MPI has no counterpart.
bool Translate(int binding, void* object, BoundObject* bound) {
  bound->object = object;
  if (object == nullptr) return true;
  if (binding == MPI_T_BIND_MPI_GROUP || binding == MPI_T_BIND_MPI_REQUEST ||
      binding == MPI_T_BIND_MPI_MESSAGE) {
    return false;
  }
  if (binding != MPI_T_BIND_MPI_COMM) return true;
  const auto handle = *static_cast<MPI_Comm*>(object);
  const Communicator* communicator = FindCommunicator(handle);
  if (communicator == nullptr) return false;
  if (handle == MPI_COMM_WORLD || handle == MPI_COMM_SELF) return true;
  // The messages of other communicators go over the engine's own; only what Open MPI was given for
  // windows, files or dynamic processes has variables there.
  bound->communicator =
      communicator->foreign != MPI_COMM_NULL ? communicator->foreign : communicator->shadow;
  bound->object = &bound->communicator;
  return bound->communicator != MPI_COMM_NULL;
}

// Before MPI_Init too.
void NoteHandles() { image_obstacle::Note("the program holds handles of MPI's tool interface"); }

}  // namespace
}  // namespace ftmpi

// NOLINTBEGIN: parameter names are those of mpi.h
using namespace ftmpi;  // NOLINT

FTMPI_EXPORT int MPI_T_cvar_handle_alloc(int cvar_index, void* obj_handle,
                                         MPI_T_cvar_handle* handle, int* count) {
  NoteHandles();
  FTMPI_PASS_THROUGH(PMPI_T_cvar_handle_alloc(cvar_index, obj_handle, handle, count));
  int binding = MPI_T_BIND_NO_OBJECT;
  const int error = PMPI_T_cvar_get_info(cvar_index, nullptr, nullptr, nullptr, nullptr, nullptr,
                                         nullptr, nullptr, &binding, nullptr);
  if (error != MPI_SUCCESS) return error;
  BoundObject bound;
  if (!Translate(binding, obj_handle, &bound)) return MPI_T_ERR_INVALID_HANDLE;
  return PMPI_T_cvar_handle_alloc(cvar_index, bound.object, handle, count);
}

FTMPI_EXPORT int MPI_T_pvar_session_create(MPI_T_pvar_session* session) {
  NoteHandles();
  return PMPI_T_pvar_session_create(session);
}

FTMPI_EXPORT int MPI_T_pvar_handle_alloc(MPI_T_pvar_session session, int pvar_index,
                                         void* obj_handle, MPI_T_pvar_handle* handle, int* count) {
  FTMPI_PASS_THROUGH(PMPI_T_pvar_handle_alloc(session, pvar_index, obj_handle, handle, count));
  int binding = MPI_T_BIND_NO_OBJECT;
  const int error =
      PMPI_T_pvar_get_info(pvar_index, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                           nullptr, nullptr, &binding, nullptr, nullptr, nullptr);
  if (error != MPI_SUCCESS) return error;
  BoundObject bound;
  if (!Translate(binding, obj_handle, &bound)) return MPI_T_ERR_INVALID_HANDLE;
  return PMPI_T_pvar_handle_alloc(session, pvar_index, bound.object, handle, count);
}
// NOLINTEND
