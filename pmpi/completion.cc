// Wait and Test for one, any, some and all requests. Waiting for given requests is determined by
// program order; which of several completed, and whether one has completed yet, are events.
#include <mpi.h>

#include <vector>

#include "pmpi/arguments.h"
#include "pmpi/capture.h"
#include "pmpi/engine.h"
#include "pmpi/events.h"
#include "pmpi/foreign.h"
#include "pmpi/generalized_request.h"
#include "pmpi/message.h"
#include "pmpi/request.h"

namespace ftmpi {

bool IsComplete(Request* request) {
  if (__builtin_expect(request->kind == RequestKind::kForeign, 0) && !request->complete) {
    return TestForeignRequest(request, MPI_STATUS_IGNORE);
  }
  return request->complete;
}

void AwaitRequest(Request* request) {
  if (__builtin_expect(request->kind == RequestKind::kForeign, 0)) {
    engine::WaitUntil([request] { return IsComplete(request); });
    return;
  }
  engine::Wait(request);
}

int FinishRequest(MPI_Request* handle, Request* request, MPI_Status* status) {
  if (request->shared) {
    SetEmptyStatus(status);
    *handle = MPI_REQUEST_NULL;
    return MPI_SUCCESS;
  }
  int error = request->error;
  switch (request->kind) {
    case RequestKind::kReceive:
      if (request->cancelled) {
        SetStatus(status, MPI_ANY_SOURCE, MPI_ANY_TAG, 0, true);
      } else {
        SetStatus(status, request->source, request->received_tag, request->bytes, false);
      }
      break;
    case RequestKind::kSend:
    case RequestKind::kSchedule:
      SetEmptyStatus(status);
      break;
    case RequestKind::kGeneralized:
      error = QueryGeneralized(request, status);
      break;
    case RequestKind::kForeign:
      TestForeignRequest(request, status);
      break;
  }
  request->active = false;
  if (request->persistent) return error;
  *handle = MPI_REQUEST_NULL;
  switch (request->kind) {
    case RequestKind::kForeign:
      FreeForeignRequest(request);
      break;
    case RequestKind::kGeneralized:
      if (const int freed = FreeGeneralized(request); error == MPI_SUCCESS) error = freed;
      break;
    default:
      engine::DeleteRequest(request);
  }
  return error;
}

namespace {

using events::Poll;
using events::PollAnswer;

// Active means: there is something to wait for.
Request* Active(MPI_Request handle) {
  Request* request = FindRequest(handle);
  return request != nullptr && request->active ? request : nullptr;
}

bool ValidHandles(int count, const MPI_Request* handles) {
  if (count < 0 || (count > 0 && handles == nullptr)) return false;
  for (int n = 0; n < count; ++n) {
    if (handles[n] != MPI_REQUEST_NULL && FindRequest(handles[n]) == nullptr) return false;
  }
  return true;
}

int Raise(Request* request, int error, const char* function) {
  return RaiseError(request != nullptr ? request->communicator : nullptr, error, function);
}

// Completes requests[index] and raises its error.
int FinishOne(MPI_Request* handles, int index, MPI_Status* status, const char* function) {
  Request* request = FindRequest(handles[index]);
  Communicator* communicator = request->communicator;
  const bool keep = communicator != nullptr;
  if (keep) RetainCommunicator(communicator);  // the error handler may need it after the request
  int error = FinishRequest(&handles[index], request, status);
  if (error != MPI_SUCCESS) error = RaiseError(communicator, error, function);
  if (keep) ReleaseCommunicator(communicator);
  return error;
}

// The replayed answer names a request that must be there.
Request* Named(int count, MPI_Request* handles, int index, const char* function) {
  Request* request = index >= 0 && index < count ? Active(handles[index]) : nullptr;
  if (request == nullptr) {
    Fatal(
        "the replay does not fit the program: %s answered with request %d, which is not active "
        "now; the program is "
        "not deterministic between events",
        function, index);
  }
  return request;
}

int CountActive(int count, MPI_Request* handles, int* last) {
  int active = 0;
  for (int n = 0; n < count; ++n) {
    if (Active(handles[n]) == nullptr) continue;
    ++active;
    *last = n;
  }
  return active;
}

int FirstComplete(int count, MPI_Request* handles) {
  for (int n = 0; n < count; ++n) {
    Request* request = Active(handles[n]);
    if (request != nullptr && IsComplete(request)) return n;
  }
  return -1;
}

// Finishes one of several whose statuses carry errors of their own.
int FinishOfMany(MPI_Request* handle, MPI_Status* status, bool* failed) {
  Request* request = FindRequest(*handle);
  const int error = FinishRequest(handle, request, status);
  if (status != MPI_STATUS_IGNORE) status->MPI_ERROR = error;
  if (error != MPI_SUCCESS) *failed = true;
  return error;
}

MPI_Status* StatusAt(MPI_Status* statuses, int n) {
  return statuses == MPI_STATUSES_IGNORE ? MPI_STATUS_IGNORE : &statuses[n];
}

int FinishAll(int count, MPI_Request* handles, MPI_Status* statuses, const char* function) {
  bool failed = false;
  int first_error = MPI_SUCCESS;
  Communicator* communicator = nullptr;
  for (int n = 0; n < count; ++n) {
    MPI_Status* status = StatusAt(statuses, n);
    Request* request = Active(handles[n]);
    if (request == nullptr) {
      SetEmptyStatus(status);
      if (status != MPI_STATUS_IGNORE) status->MPI_ERROR = MPI_SUCCESS;
      continue;
    }
    Communicator* of_request = request->communicator;
    const int error = FinishOfMany(&handles[n], status, &failed);
    if (error != MPI_SUCCESS && first_error == MPI_SUCCESS) {
      first_error = error;
      communicator = of_request;
    }
  }
  if (!failed) return MPI_SUCCESS;
  return RaiseError(communicator, statuses == MPI_STATUSES_IGNORE ? first_error : MPI_ERR_IN_STATUS,
                    function);
}

// Some of the requests, known to be complete, in the order of `indices`.
int FinishSome(const std::vector<int>& indices, MPI_Request* handles, int* outcount,
               int* out_indices, MPI_Status* statuses, const char* function) {
  bool failed = false;
  int first_error = MPI_SUCCESS;
  Communicator* communicator = nullptr;
  int filled = 0;
  for (const int index : indices) {
    Communicator* of_request = FindRequest(handles[index])->communicator;
    const int error = FinishOfMany(&handles[index], StatusAt(statuses, filled), &failed);
    if (error != MPI_SUCCESS && first_error == MPI_SUCCESS) {
      first_error = error;
      communicator = of_request;
    }
    out_indices[filled++] = index;
  }
  *outcount = filled;
  if (!failed) return MPI_SUCCESS;
  return RaiseError(communicator, statuses == MPI_STATUSES_IGNORE ? first_error : MPI_ERR_IN_STATUS,
                    function);
}

// The requests that a replayed Waitsome or Testsome answered with.
std::vector<int> ReplayedSome(const Poll& poll, int count, MPI_Request* handles,
                              const char* function) {
  std::vector<int> indices{poll.detail};
  for (int index = 0; events::NextMore(poll, &index);) indices.push_back(index);
  for (const int index : indices) AwaitRequest(Named(count, handles, index, function));
  return indices;
}

// Records which are complete now.
std::vector<int> CompleteSome(const Poll& poll, int count, MPI_Request* handles) {
  std::vector<int> indices;
  for (int n = 0; n < count; ++n) {
    Request* request = Active(handles[n]);
    if (request != nullptr && IsComplete(request)) indices.push_back(n);
  }
  for (std::size_t n = 0; n < indices.size(); ++n) {
    if (n == 0) {
      events::PollYes(poll, indices[n]);
    } else {
      events::PollMore(poll, indices[n]);
    }
  }
  return indices;
}

}  // namespace
}  // namespace ftmpi

using namespace ftmpi;  // NOLINT(google-build-using-namespace)

FTMPI_EXPORT int MPI_Wait(MPI_Request* request, MPI_Status* status) {
  FTMPI_PASS_THROUGH(PMPI_Wait(request, status));
  EngineLock lock;
  if (request == nullptr || !ValidHandles(1, request))
    return Raise(nullptr, MPI_ERR_REQUEST, "MPI_Wait");
  Request* found = Active(*request);
  if (found == nullptr) {
    SetEmptyStatus(status);
    return MPI_SUCCESS;
  }
  AwaitRequest(found);
  return FinishOne(request, 0, status, "MPI_Wait");
}

FTMPI_EXPORT int MPI_Waitall(int count, MPI_Request* requests, MPI_Status* statuses) {
  FTMPI_PASS_THROUGH(PMPI_Waitall(count, requests, statuses));
  EngineLock lock;
  if (!ValidHandles(count, requests)) return Raise(nullptr, MPI_ERR_REQUEST, "MPI_Waitall");
  for (int n = 0; n < count; ++n) {
    if (Request* request = Active(requests[n])) AwaitRequest(request);
  }
  return FinishAll(count, requests, statuses, "MPI_Waitall");
}

FTMPI_EXPORT int MPI_Waitany(int count, MPI_Request* requests, int* index, MPI_Status* status) {
  FTMPI_PASS_THROUGH(PMPI_Waitany(count, requests, index, status));
  EngineLock lock;
  if (!ValidHandles(count, requests)) return Raise(nullptr, MPI_ERR_REQUEST, "MPI_Waitany");
  if (index == nullptr) return Raise(nullptr, MPI_ERR_ARG, "MPI_Waitany");
  int only = -1;
  switch (CountActive(count, requests, &only)) {
    case 0:
      *index = MPI_UNDEFINED;
      SetEmptyStatus(status);
      return MPI_SUCCESS;
    case 1:  // no choice, no event
      AwaitRequest(FindRequest(requests[only]));
      *index = only;
      return FinishOne(requests, only, status, "MPI_Waitany");
    default:
      break;
  }
  Poll poll = events::BeginPoll();
  int found = -1;
  while (poll.answer == PollAnswer::kLive &&
         !events::WaitLive([&] { return (found = FirstComplete(count, requests)) >= 0; })) {
    poll = events::BeginPollAgain();
  }
  if (poll.answer == PollAnswer::kLive) {
    *index = found;
    events::PollYes(poll, found);
  } else {
    AwaitRequest(Named(count, requests, poll.detail, "MPI_Waitany"));
    *index = poll.detail;
  }
  return FinishOne(requests, *index, status, "MPI_Waitany");
}

FTMPI_EXPORT int MPI_Waitsome(int incount, MPI_Request* requests, int* outcount, int* indices,
                              MPI_Status* statuses) {
  FTMPI_PASS_THROUGH(PMPI_Waitsome(incount, requests, outcount, indices, statuses));
  EngineLock lock;
  if (!ValidHandles(incount, requests)) return Raise(nullptr, MPI_ERR_REQUEST, "MPI_Waitsome");
  if (outcount == nullptr || indices == nullptr) return Raise(nullptr, MPI_ERR_ARG, "MPI_Waitsome");
  int only = -1;
  switch (CountActive(incount, requests, &only)) {
    case 0:
      *outcount = MPI_UNDEFINED;
      return MPI_SUCCESS;
    case 1:
      AwaitRequest(FindRequest(requests[only]));
      return FinishSome({only}, requests, outcount, indices, statuses, "MPI_Waitsome");
    default:
      break;
  }
  Poll poll = events::BeginPoll();
  while (poll.answer == PollAnswer::kLive &&
         !events::WaitLive([&] { return FirstComplete(incount, requests) >= 0; })) {
    poll = events::BeginPollAgain();
  }
  if (poll.answer != PollAnswer::kLive) {
    return FinishSome(ReplayedSome(poll, incount, requests, "MPI_Waitsome"), requests, outcount,
                      indices, statuses, "MPI_Waitsome");
  }
  return FinishSome(CompleteSome(poll, incount, requests), requests, outcount, indices, statuses,
                    "MPI_Waitsome");
}

FTMPI_EXPORT int MPI_Test(MPI_Request* request, int* flag, MPI_Status* status) {
  FTMPI_PASS_THROUGH(PMPI_Test(request, flag, status));
  EngineLock lock;
  if (request == nullptr || !ValidHandles(1, request))
    return Raise(nullptr, MPI_ERR_REQUEST, "MPI_Test");
  if (flag == nullptr) return Raise(nullptr, MPI_ERR_ARG, "MPI_Test");
  Request* found = Active(*request);
  if (found == nullptr) {
    *flag = 1;
    SetEmptyStatus(status);
    return MPI_SUCCESS;
  }
  const Poll poll = events::BeginPoll();
  if (poll.answer == PollAnswer::kNo) {
    engine::Progress();
    *flag = 0;
    return MPI_SUCCESS;
  }
  if (poll.answer == PollAnswer::kYes) {
    AwaitRequest(found);
  } else {
    if (!IsComplete(found)) engine::Progress();
    if (!IsComplete(found)) {
      events::PollNo();
      *flag = 0;
      return MPI_SUCCESS;
    }
    events::PollYes(poll, 0);
  }
  *flag = 1;
  return FinishOne(request, 0, status, "MPI_Test");
}

FTMPI_EXPORT int MPI_Testall(int count, MPI_Request* requests, int* flag, MPI_Status* statuses) {
  FTMPI_PASS_THROUGH(PMPI_Testall(count, requests, flag, statuses));
  EngineLock lock;
  if (!ValidHandles(count, requests)) return Raise(nullptr, MPI_ERR_REQUEST, "MPI_Testall");
  if (flag == nullptr) return Raise(nullptr, MPI_ERR_ARG, "MPI_Testall");
  *flag = 1;
  int only = -1;
  if (CountActive(count, requests, &only) == 0)
    return FinishAll(count, requests, statuses, "MPI_Testall");
  const auto all_complete = [&] {
    for (int n = 0; n < count; ++n) {
      Request* request = Active(requests[n]);
      if (request != nullptr && !IsComplete(request)) return false;
    }
    return true;
  };
  const Poll poll = events::BeginPoll();
  if (poll.answer == PollAnswer::kNo) {
    engine::Progress();
    *flag = 0;
    return MPI_SUCCESS;
  }
  if (poll.answer == PollAnswer::kYes) {
    engine::WaitUntil(all_complete);
  } else {
    if (!all_complete()) engine::Progress();
    if (!all_complete()) {
      events::PollNo();
      *flag = 0;
      return MPI_SUCCESS;
    }
    events::PollYes(poll, 0);
  }
  return FinishAll(count, requests, statuses, "MPI_Testall");
}

FTMPI_EXPORT int MPI_Testany(int count, MPI_Request* requests, int* index, int* flag,
                             MPI_Status* status) {
  FTMPI_PASS_THROUGH(PMPI_Testany(count, requests, index, flag, status));
  EngineLock lock;
  if (!ValidHandles(count, requests)) return Raise(nullptr, MPI_ERR_REQUEST, "MPI_Testany");
  if (index == nullptr || flag == nullptr) return Raise(nullptr, MPI_ERR_ARG, "MPI_Testany");
  int only = -1;
  *index = MPI_UNDEFINED;
  if (CountActive(count, requests, &only) == 0) {
    *flag = 1;
    SetEmptyStatus(status);
    return MPI_SUCCESS;
  }
  const Poll poll = events::BeginPoll();
  if (poll.answer == PollAnswer::kNo) {
    engine::Progress();
    *flag = 0;
    return MPI_SUCCESS;
  }
  if (poll.answer == PollAnswer::kYes) {
    AwaitRequest(Named(count, requests, poll.detail, "MPI_Testany"));
    *index = poll.detail;
  } else {
    int found = FirstComplete(count, requests);
    if (found < 0) {
      engine::Progress();
      found = FirstComplete(count, requests);
    }
    if (found < 0) {
      events::PollNo();
      *flag = 0;
      return MPI_SUCCESS;
    }
    events::PollYes(poll, found);
    *index = found;
  }
  *flag = 1;
  return FinishOne(requests, *index, status, "MPI_Testany");
}

FTMPI_EXPORT int MPI_Testsome(int incount, MPI_Request* requests, int* outcount, int* indices,
                              MPI_Status* statuses) {
  FTMPI_PASS_THROUGH(PMPI_Testsome(incount, requests, outcount, indices, statuses));
  EngineLock lock;
  if (!ValidHandles(incount, requests)) return Raise(nullptr, MPI_ERR_REQUEST, "MPI_Testsome");
  if (outcount == nullptr || indices == nullptr) return Raise(nullptr, MPI_ERR_ARG, "MPI_Testsome");
  int only = -1;
  if (CountActive(incount, requests, &only) == 0) {
    *outcount = MPI_UNDEFINED;
    return MPI_SUCCESS;
  }
  const Poll poll = events::BeginPoll();
  if (poll.answer == PollAnswer::kNo) {
    engine::Progress();
    *outcount = 0;
    return MPI_SUCCESS;
  }
  if (poll.answer == PollAnswer::kYes) {
    return FinishSome(ReplayedSome(poll, incount, requests, "MPI_Testsome"), requests, outcount,
                      indices, statuses, "MPI_Testsome");
  }
  if (FirstComplete(incount, requests) < 0) engine::Progress();
  if (FirstComplete(incount, requests) < 0) {
    events::PollNo();
    *outcount = 0;
    return MPI_SUCCESS;
  }
  return FinishSome(CompleteSome(poll, incount, requests), requests, outcount, indices, statuses,
                    "MPI_Testsome");
}

FTMPI_EXPORT int MPI_Request_get_status(MPI_Request request, int* flag, MPI_Status* status) {
  FTMPI_PASS_THROUGH(PMPI_Request_get_status(request, flag, status));
  EngineLock lock;
  if (!ValidHandles(1, &request)) return Raise(nullptr, MPI_ERR_REQUEST, "MPI_Request_get_status");
  if (flag == nullptr) return Raise(nullptr, MPI_ERR_ARG, "MPI_Request_get_status");
  Request* found = Active(request);
  *flag = 1;
  if (found == nullptr) {
    SetEmptyStatus(status);
    return MPI_SUCCESS;
  }
  const Poll poll = events::BeginPoll();
  if (poll.answer == PollAnswer::kYes) {
    AwaitRequest(found);
  } else if (poll.answer == PollAnswer::kNo) {
    engine::Progress();
    *flag = 0;
    return MPI_SUCCESS;
  } else {
    if (!IsComplete(found)) engine::Progress();
    if (!IsComplete(found)) {
      events::PollNo();
      *flag = 0;
      return MPI_SUCCESS;
    }
    events::PollYes(poll, 0);
  }
  switch (found->kind) {
    case RequestKind::kReceive:
      SetStatus(status, found->cancelled ? MPI_ANY_SOURCE : found->source,
                found->cancelled ? MPI_ANY_TAG : found->received_tag, found->bytes,
                found->cancelled);
      break;
    case RequestKind::kGeneralized:
      return QueryGeneralized(found, status);
    case RequestKind::kForeign:
      TestForeignRequest(found, status);
      break;
    default:
      SetEmptyStatus(status);
  }
  return MPI_SUCCESS;
}
