// What is done to a request beside completing it: Start, Cancel, Request_free, conversions.
#include <mpi.h>

#include <unordered_map>
#include <vector>

#include "pmpi/arguments.h"
#include "pmpi/capture.h"
#include "pmpi/datatype.h"
#include "pmpi/engine.h"
#include "pmpi/engine_state.h"
#include "pmpi/events.h"
#include "pmpi/foreign.h"
#include "pmpi/generalized_request.h"
#include "pmpi/message.h"
#include "pmpi/saved_state.h"

namespace ftmpi {
namespace {

int StartOne(MPI_Request handle, const char* function) {
  Request* request = FindRequest(handle);
  if (request == nullptr || !request->persistent || request->active) {
    return RaiseError(request != nullptr ? request->communicator : nullptr, MPI_ERR_REQUEST,
                      function);
  }
  if (request->kind == RequestKind::kForeign) return StartForeignRequest(request);
  if (request->kind == RequestKind::kSend) {
    if (request->mode == SendMode::kBuffered && request->peer != MPI_PROC_NULL) {
      if (const int error = CheckBuffer(request->count, request->datatype); error != MPI_SUCCESS) {
        return RaiseError(request->communicator, error, function);
      }
    }
    engine::StartSend(request);
  } else {
    engine::StartReceive(request);
  }
  return MPI_SUCCESS;
}

// Takes a posted receive back. Its outcome is an event: the message may come at the same moment.
void CancelReceive(Request* request) {
  const events::Poll poll = events::BeginPoll();
  if (poll.answer == events::PollAnswer::kNo) return;  // it completed, and will again
  if (poll.answer == events::PollAnswer::kLive && !request->posted) {
    events::PollNo();
    return;
  }
  if (!request->posted) {
    // Replay, and this time the message was here before the cancellation: it goes back to the
    // queue.
    if (!request->complete || request->error != MPI_SUCCESS ||
        request->bytes > engine::kMaximumInline) {
      Fatal(
          "the replay can't take back a receive of %lu bytes that was cancelled before the failure",
          static_cast<unsigned long>(request->bytes));
    }
    engine::ReturnDelivered(request);
  } else {
    request->communicator->match[request->context]->Unpost(request);
  }
  if (poll.answer == events::PollAnswer::kLive) events::PollYes(poll, 0);
  request->cancelled = true;
  engine::CompleteRequest(request);
}

// Fortran handles of requests.
FTMPI_SAVED std::vector<MPI_Request> g_fortran_requests;
FTMPI_SAVED std::unordered_map<MPI_Request, MPI_Fint> g_fortran_index;

}  // namespace
}  // namespace ftmpi

using namespace ftmpi;  // NOLINT(google-build-using-namespace)

FTMPI_EXPORT int MPI_Start(MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Start(request));
  EngineLock lock;
  if (request == nullptr) return RaiseError(nullptr, MPI_ERR_REQUEST, "MPI_Start");
  return StartOne(*request, "MPI_Start");
}

FTMPI_EXPORT int MPI_Startall(int count, MPI_Request* requests) {
  FTMPI_PASS_THROUGH(PMPI_Startall(count, requests));
  EngineLock lock;
  if (count < 0 || (count > 0 && requests == nullptr))
    return RaiseError(nullptr, MPI_ERR_REQUEST, "MPI_Startall");
  for (int n = 0; n < count; ++n) {
    if (const int error = StartOne(requests[n], "MPI_Startall"); error != MPI_SUCCESS) return error;
  }
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Cancel(MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Cancel(request));
  EngineLock lock;
  Request* found = request != nullptr ? FindRequest(*request) : nullptr;
  if (found == nullptr || (found->persistent && !found->active)) {
    return RaiseError(nullptr, MPI_ERR_REQUEST, "MPI_Cancel");
  }
  switch (found->kind) {
    case RequestKind::kReceive:
      if (!found->cancelled && found->peer != MPI_PROC_NULL) CancelReceive(found);
      return MPI_SUCCESS;
    case RequestKind::kSend:
      return MPI_SUCCESS;  // it is logged: it will be delivered
    case RequestKind::kSchedule:
      return RaiseError(found->communicator, MPI_ERR_REQUEST, "MPI_Cancel");
    case RequestKind::kGeneralized:
      return CancelGeneralized(found);
    case RequestKind::kForeign:
      return CancelForeignRequest(found);
  }
  return MPI_ERR_REQUEST;
}

FTMPI_EXPORT int MPI_Request_free(MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Request_free(request));
  EngineLock lock;
  Request* found = request != nullptr ? FindRequest(*request) : nullptr;
  if (found == nullptr) return RaiseError(nullptr, MPI_ERR_REQUEST, "MPI_Request_free");
  *request = MPI_REQUEST_NULL;
  if (found->kind == RequestKind::kForeign) {
    FreeForeignRequest(found);
    return MPI_SUCCESS;
  }
  if (found->active && !found->complete) {
    found->freed = true;
    return MPI_SUCCESS;
  }
  if (found->kind == RequestKind::kGeneralized) return FreeGeneralized(found);
  engine::DeleteRequest(found);
  return MPI_SUCCESS;
}

FTMPI_EXPORT MPI_Fint MPI_Request_c2f(MPI_Request request) {
  FTMPI_PASS_THROUGH(PMPI_Request_c2f(request));
  EngineLock lock;
  if (FindRequest(request) == nullptr) return PMPI_Request_c2f(request);
  const auto [position, added] =
      g_fortran_index.try_emplace(request, static_cast<MPI_Fint>(g_fortran_requests.size()));
  if (added) g_fortran_requests.push_back(request);
  return (1 << 30) + position->second;  // beyond Open MPI's own
}

FTMPI_EXPORT MPI_Request MPI_Request_f2c(MPI_Fint request) {
  FTMPI_PASS_THROUGH(PMPI_Request_f2c(request));
  EngineLock lock;
  const MPI_Fint index = request - (1 << 30);
  if (index < 0 || static_cast<std::size_t>(index) >= g_fortran_requests.size())
    return PMPI_Request_f2c(request);
  return g_fortran_requests[static_cast<std::size_t>(index)];
}
