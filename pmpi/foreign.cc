#include "pmpi/foreign.h"

#include "pmpi/checkpointing.h"
#include "pmpi/engine.h"

namespace ftmpi {
namespace {

Request* NewForeign(MPI_Request inner, bool persistent) {
  Request* request = engine::NewRequest(RequestKind::kForeign, nullptr);
  request->foreign = inner;
  request->persistent = persistent;
  request->active = !persistent;
  request->complete = false;
  return request;
}

// The status of a completed request, from what was kept of Open MPI's.
void FillStatus(const Request& request, MPI_Status* status) {
  if (status == MPI_STATUS_IGNORE) return;
  status->MPI_SOURCE = request.source;
  status->MPI_TAG = request.received_tag;
  status->MPI_ERROR = request.error;
  PMPI_Status_set_elements_x(status, MPI_BYTE, static_cast<MPI_Count>(request.bytes));
  PMPI_Status_set_cancelled(status, request.cancelled ? 1 : 0);
}

}  // namespace

MPI_Request WrapForeignRequest(MPI_Request inner) { return NewForeign(inner, false)->handle(); }

MPI_Request WrapForeignPersistent(MPI_Request inner) { return NewForeign(inner, true)->handle(); }

bool TestForeignRequest(Request* request, MPI_Status* status) {
  if (!request->active || request->complete) {
    FillStatus(*request, status);
    return true;
  }
  MPI_Status answer;
  answer.MPI_ERROR = MPI_SUCCESS;
  int flag = 0;
  const int error = PMPI_Test(&request->foreign, &flag, &answer);
  if (error == MPI_SUCCESS && flag == 0) return false;
  request->source = answer.MPI_SOURCE;
  request->received_tag = answer.MPI_TAG;
  request->error = error;
  if (error == MPI_SUCCESS) {
    MPI_Count bytes = 0;
    PMPI_Get_elements_x(&answer, MPI_BYTE, &bytes);
    request->bytes = bytes > 0 ? static_cast<std::uint64_t>(bytes) : 0;
    int cancelled = 0;
    PMPI_Test_cancelled(&answer, &cancelled);
    request->cancelled = cancelled != 0;
  }
  request->complete = true;
  FillStatus(*request, status);
  return true;
}

int StartForeignRequest(Request* request) {
  const int error = PMPI_Start(&request->foreign);
  if (error == MPI_SUCCESS) {
    request->active = true;
    request->complete = false;
    request->cancelled = false;
  }
  return error;
}

int CancelForeignRequest(Request* request) {
  if (request->complete || !request->active) return MPI_SUCCESS;
  request->cancel_requested = true;
  return PMPI_Cancel(&request->foreign);
}

void FreeForeignRequest(Request* request) {
  if (request->foreign != MPI_REQUEST_NULL) PMPI_Request_free(&request->foreign);
  request->active = false;
  engine::DeleteRequest(request);
}

int WaitOpenMpi(MPI_Request* inner, MPI_Status* status) {
  int error = MPI_SUCCESS;
  const checkpointing::NoCut no_cut;
  engine::WaitUntil([&] {
    int flag = 0;
    error = PMPI_Test(inner, &flag, status);
    return flag != 0 || error != MPI_SUCCESS;
  });
  return error;
}

}  // namespace ftmpi
