#include "pmpi/generalized_request.h"

#include "checkpoint/image/library_scope.h"
#include "pmpi/capture.h"
#include "pmpi/communicator.h"
#include "pmpi/engine.h"

namespace ftmpi {
namespace {

struct Generalized {
  MPI_Grequest_query_function* query;
  MPI_Grequest_free_function* free;
  MPI_Grequest_cancel_function* cancel;
  void* state;
};

Generalized* Of(Request* request) { return static_cast<Generalized*>(request->extra); }

}  // namespace

int QueryGeneralized(Request* request, MPI_Status* status) {
  MPI_Status local{};
  MPI_Status* filled = status == MPI_STATUS_IGNORE ? &local : status;
  const image::ProgramScope scope;
  return Of(request)->query == nullptr ? MPI_SUCCESS
                                       : Of(request)->query(Of(request)->state, filled);
}

int FreeGeneralized(Request* request) {
  Generalized* generalized = Of(request);
  const int error = [generalized] {
    const image::ProgramScope scope;
    return generalized->free == nullptr ? MPI_SUCCESS : generalized->free(generalized->state);
  }();
  delete generalized;
  request->extra = nullptr;
  engine::DeleteRequest(request);
  return error;
}

int CancelGeneralized(Request* request) {
  Generalized* generalized = Of(request);
  const image::ProgramScope scope;
  return generalized->cancel == nullptr
             ? MPI_SUCCESS
             : generalized->cancel(generalized->state, request->complete ? 1 : 0);
}

}  // namespace ftmpi

using namespace ftmpi;  // NOLINT(google-build-using-namespace)

FTMPI_EXPORT int MPI_Grequest_start(MPI_Grequest_query_function* query_fn,
                                    MPI_Grequest_free_function* free_fn,
                                    MPI_Grequest_cancel_function* cancel_fn, void* extra_state,
                                    MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Grequest_start(query_fn, free_fn, cancel_fn, extra_state, request));
  EngineLock lock;
  if (request == nullptr) return RaiseError(nullptr, MPI_ERR_ARG, "MPI_Grequest_start");
  Request* made = engine::NewRequest(RequestKind::kGeneralized, nullptr);
  made->extra = new Generalized{query_fn, free_fn, cancel_fn, extra_state};
  made->active = true;
  *request = made->handle();
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Grequest_complete(MPI_Request request) {
  FTMPI_PASS_THROUGH(PMPI_Grequest_complete(request));
  EngineLock lock;
  Request* found = FindRequest(request);
  if (found == nullptr || found->kind != RequestKind::kGeneralized) {
    return RaiseError(nullptr, MPI_ERR_REQUEST, "MPI_Grequest_complete");
  }
  found->complete = true;
  if (found->freed) return FreeGeneralized(found);
  return MPI_SUCCESS;
}
