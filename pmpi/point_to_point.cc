// MPI_Send and MPI_Recv with their modes, blocking, non-blocking and persistent.
#include <mpi.h>

#include "pmpi/arguments.h"
#include "pmpi/capture.h"
#include "pmpi/datatype.h"
#include "pmpi/engine.h"
#include "pmpi/foreign.h"
#include "pmpi/request.h"

namespace ftmpi {
namespace {

// A communicator of dynamic processes: Open MPI does it; we wait in our own loop, so that the rest
// of the job is served meanwhile.
int AwaitForeign(int started, MPI_Request request, MPI_Status* status) {
  return started == MPI_SUCCESS ? WaitOpenMpi(&request, status) : started;
}

int ForeignIsend(const void* buffer, int count, MPI_Datatype datatype, int peer, int tag,
                 MPI_Comm comm, SendMode mode, MPI_Request* request) {
  switch (mode) {
    case SendMode::kStandard:
      return PMPI_Isend(buffer, count, datatype, peer, tag, comm, request);
    case SendMode::kSynchronous:
      return PMPI_Issend(buffer, count, datatype, peer, tag, comm, request);
    case SendMode::kReady:
      return PMPI_Irsend(buffer, count, datatype, peer, tag, comm, request);
    case SendMode::kBuffered:
      return PMPI_Ibsend(buffer, count, datatype, peer, tag, comm, request);
  }
  return MPI_ERR_OTHER;
}

int ForeignSendInit(const void* buffer, int count, MPI_Datatype datatype, int peer, int tag,
                    MPI_Comm comm, SendMode mode, MPI_Request* request) {
  switch (mode) {
    case SendMode::kStandard:
      return PMPI_Send_init(buffer, count, datatype, peer, tag, comm, request);
    case SendMode::kSynchronous:
      return PMPI_Ssend_init(buffer, count, datatype, peer, tag, comm, request);
    case SendMode::kReady:
      return PMPI_Rsend_init(buffer, count, datatype, peer, tag, comm, request);
    case SendMode::kBuffered:
      return PMPI_Bsend_init(buffer, count, datatype, peer, tag, comm, request);
  }
  return MPI_ERR_OTHER;
}

// A send that is done at once, without a request of its own. The arguments have been checked.
inline bool SentAtOnce(const void* buffer, int count, MPI_Datatype datatype, int destination,
                       int tag, Communicator* communicator, bool blocking) {
  DatatypeLayout layout;
  return destination != MPI_PROC_NULL && GetLayout(datatype, &layout) && layout.contiguous &&
         engine::SendShort(communicator, static_cast<const std::byte*>(buffer) + layout.true_lower,
                           layout.size * static_cast<std::uint64_t>(count), destination, tag,
                           blocking);
}

int BlockingSend(const char* function, const void* buffer, int count, MPI_Datatype datatype,
                 int destination, int tag, MPI_Comm comm, SendMode mode) {
  Communicator* communicator = nullptr;
  if (const int error = CheckSend(comm, buffer, count, datatype, destination, tag, &communicator);
      __builtin_expect(error != MPI_SUCCESS, 0)) {
    return RaiseError(communicator, error, function);
  }
  if (__builtin_expect(communicator->foreign != MPI_COMM_NULL, 0)) {
    MPI_Request request = MPI_REQUEST_NULL;
    const int started = ForeignIsend(buffer, count, datatype, destination, tag,
                                     communicator->foreign, mode, &request);
    return AwaitForeign(started, request, MPI_STATUS_IGNORE);
  }
  if (mode == SendMode::kStandard &&
      SentAtOnce(buffer, count, datatype, destination, tag, communicator, true)) {
    return MPI_SUCCESS;
  }
  if (mode == SendMode::kBuffered && destination != MPI_PROC_NULL) {
    if (const int error = CheckBuffer(count, datatype); error != MPI_SUCCESS) {
      return RaiseError(communicator, error, function);
    }
  }
  Request* request = MakeSend(buffer, count, datatype, destination, tag, communicator, mode);
  engine::StartSend(request);
  if (!request->complete) engine::Wait(request);
  if (mode != SendMode::kBuffered) engine::WaitSent(request);
  const int error = request->error;
  engine::DeleteRequest(request);
  return __builtin_expect(error == MPI_SUCCESS, 1) ? MPI_SUCCESS
                                                   : RaiseError(communicator, error, function);
}

int NonBlockingSend(const char* function, const void* buffer, int count, MPI_Datatype datatype,
                    int destination, int tag, MPI_Comm comm, SendMode mode, bool persistent,
                    MPI_Request* handle) {
  Communicator* communicator = nullptr;
  if (handle == nullptr) return RaiseError(FindCommunicator(comm), MPI_ERR_REQUEST, function);
  if (const int error = CheckSend(comm, buffer, count, datatype, destination, tag, &communicator);
      __builtin_expect(error != MPI_SUCCESS, 0)) {
    return RaiseError(communicator, error, function);
  }
  if (__builtin_expect(communicator->foreign != MPI_COMM_NULL, 0)) {
    MPI_Request request = MPI_REQUEST_NULL;
    const int error = persistent ? ForeignSendInit(buffer, count, datatype, destination, tag,
                                                   communicator->foreign, mode, &request)
                                 : ForeignIsend(buffer, count, datatype, destination, tag,
                                                communicator->foreign, mode, &request);
    if (error == MPI_SUCCESS)
      *handle = persistent ? WrapForeignPersistent(request) : WrapForeignRequest(request);
    return error;
  }
  if (mode == SendMode::kStandard && !persistent &&
      SentAtOnce(buffer, count, datatype, destination, tag, communicator, false)) {
    *handle = engine::CompleteSend()->handle();
    return MPI_SUCCESS;
  }
  if (mode == SendMode::kBuffered && destination != MPI_PROC_NULL) {
    if (const int error = CheckBuffer(count, datatype); error != MPI_SUCCESS) {
      return RaiseError(communicator, error, function);
    }
  }
  Request* request = MakeSend(buffer, count, datatype, destination, tag, communicator, mode);
  request->persistent = persistent;
  request->datatype_holder = HoldDatatype(datatype);
  if (!persistent) engine::StartSend(request);
  *handle = request->handle();
  return MPI_SUCCESS;
}

int NonBlockingReceive(const char* function, void* buffer, int count, MPI_Datatype datatype,
                       int source, int tag, MPI_Comm comm, bool persistent, MPI_Request* handle) {
  Communicator* communicator = nullptr;
  if (handle == nullptr) return RaiseError(FindCommunicator(comm), MPI_ERR_REQUEST, function);
  if (const int error = CheckReceive(comm, buffer, count, datatype, source, tag, &communicator);
      __builtin_expect(error != MPI_SUCCESS, 0)) {
    return RaiseError(communicator, error, function);
  }
  if (__builtin_expect(communicator->foreign != MPI_COMM_NULL, 0)) {
    MPI_Request request = MPI_REQUEST_NULL;
    const int error =
        persistent
            ? PMPI_Recv_init(buffer, count, datatype, source, tag, communicator->foreign, &request)
            : PMPI_Irecv(buffer, count, datatype, source, tag, communicator->foreign, &request);
    if (error == MPI_SUCCESS)
      *handle = persistent ? WrapForeignPersistent(request) : WrapForeignRequest(request);
    return error;
  }
  Request* request = MakeReceive(buffer, count, datatype, source, tag, communicator);
  request->persistent = persistent;
  request->datatype_holder = HoldDatatype(datatype);
  if (!persistent) engine::StartReceive(request);
  *handle = request->handle();
  return MPI_SUCCESS;
}

// Sends one thing and receives another; the receive is posted first.
int SendReceive(const char* function, const void* send_buffer, int send_count,
                MPI_Datatype send_type, int destination, int send_tag, void* receive_buffer,
                int receive_count, MPI_Datatype receive_type, int source, int receive_tag,
                MPI_Comm comm, MPI_Status* status) {
  Communicator* communicator = nullptr;
  int error =
      CheckSend(comm, send_buffer, send_count, send_type, destination, send_tag, &communicator);
  if (error == MPI_SUCCESS) {
    error = CheckReceive(comm, receive_buffer, receive_count, receive_type, source, receive_tag,
                         &communicator);
  }
  if (error != MPI_SUCCESS) return RaiseError(communicator, error, function);
  if (communicator->foreign != MPI_COMM_NULL) {
    MPI_Request requests[2];
    PMPI_Irecv(receive_buffer, receive_count, receive_type, source, receive_tag,
               communicator->foreign, &requests[0]);
    PMPI_Isend(send_buffer, send_count, send_type, destination, send_tag, communicator->foreign,
               &requests[1]);
    const int sent = AwaitForeign(MPI_SUCCESS, requests[1], MPI_STATUS_IGNORE);
    const int received = AwaitForeign(MPI_SUCCESS, requests[0], status);
    return received != MPI_SUCCESS ? received : sent;
  }
  Request receive;  // nobody knows of it behind this call
  receive.kind = RequestKind::kReceive;
  receive.communicator = communicator;
  receive.buffer = receive_buffer;
  receive.count = receive_count;
  receive.datatype = receive_type;
  receive.peer = source;
  receive.tag = receive_tag;
  engine::StartReceive(&receive);
  if (!SentAtOnce(send_buffer, send_count, send_type, destination, send_tag, communicator, false)) {
    Request* send = MakeSend(send_buffer, send_count, send_type, destination, send_tag,
                             communicator, SendMode::kStandard);
    engine::StartSend(send);
    engine::Wait(send);
    engine::WaitSent(send);
    error = send->error;
    engine::DeleteRequest(send);
  }
  if (!receive.complete) engine::Wait(&receive);
  SetStatus(status, receive.source, receive.received_tag, receive.bytes, false);
  if (receive.error != MPI_SUCCESS) error = receive.error;
  return error == MPI_SUCCESS ? error : RaiseError(communicator, error, function);
}

}  // namespace
}  // namespace ftmpi

using namespace ftmpi;  // NOLINT(google-build-using-namespace): the entry points below are the
                        // interface

#define FTMPI_BLOCKING_SEND(NAME, MODE)                                                       \
  FTMPI_EXPORT int MPI_##NAME(const void* buf, int count, MPI_Datatype datatype, int dest,    \
                              int tag, MPI_Comm comm) {                                       \
    FTMPI_PASS_THROUGH(PMPI_##NAME(buf, count, datatype, dest, tag, comm));                   \
    EngineLock lock;                                                                          \
    return BlockingSend("MPI_" #NAME, buf, count, datatype, dest, tag, comm, SendMode::MODE); \
  }
#define FTMPI_NON_BLOCKING_SEND(NAME, MODE, PERSISTENT)                                         \
  FTMPI_EXPORT int MPI_##NAME(const void* buf, int count, MPI_Datatype datatype, int dest,      \
                              int tag, MPI_Comm comm, MPI_Request* request) {                   \
    FTMPI_PASS_THROUGH(PMPI_##NAME(buf, count, datatype, dest, tag, comm, request));            \
    EngineLock lock;                                                                            \
    return NonBlockingSend("MPI_" #NAME, buf, count, datatype, dest, tag, comm, SendMode::MODE, \
                           PERSISTENT, request);                                                \
  }

FTMPI_BLOCKING_SEND(Send, kStandard)
FTMPI_BLOCKING_SEND(Ssend, kSynchronous)
FTMPI_BLOCKING_SEND(Rsend, kReady)
FTMPI_BLOCKING_SEND(Bsend, kBuffered)
FTMPI_NON_BLOCKING_SEND(Isend, kStandard, false)
FTMPI_NON_BLOCKING_SEND(Issend, kSynchronous, false)
FTMPI_NON_BLOCKING_SEND(Irsend, kReady, false)
FTMPI_NON_BLOCKING_SEND(Ibsend, kBuffered, false)
FTMPI_NON_BLOCKING_SEND(Send_init, kStandard, true)
FTMPI_NON_BLOCKING_SEND(Ssend_init, kSynchronous, true)
FTMPI_NON_BLOCKING_SEND(Rsend_init, kReady, true)
FTMPI_NON_BLOCKING_SEND(Bsend_init, kBuffered, true)

FTMPI_EXPORT int MPI_Recv(void* buf, int count, MPI_Datatype datatype, int source, int tag,
                          MPI_Comm comm, MPI_Status* status) {
  FTMPI_PASS_THROUGH(PMPI_Recv(buf, count, datatype, source, tag, comm, status));
  EngineLock lock;
  Communicator* communicator = nullptr;
  if (const int error = CheckReceive(comm, buf, count, datatype, source, tag, &communicator);
      __builtin_expect(error != MPI_SUCCESS, 0)) {
    return RaiseError(communicator, error, "MPI_Recv");
  }
  if (__builtin_expect(communicator->foreign != MPI_COMM_NULL, 0)) {
    MPI_Request request = MPI_REQUEST_NULL;
    const int started =
        PMPI_Irecv(buf, count, datatype, source, tag, communicator->foreign, &request);
    return AwaitForeign(started, request, status);
  }
  Request request;  // nobody knows of it behind this call
  request.kind = RequestKind::kReceive;
  request.communicator = communicator;
  request.buffer = buf;
  request.count = count;
  request.datatype = datatype;
  request.peer = source;
  request.tag = tag;
  engine::StartReceive(&request);
  if (!request.complete) engine::Wait(&request);
  SetStatus(status, request.source, request.received_tag, request.bytes, false);
  const int error = request.error;
  return __builtin_expect(error == MPI_SUCCESS, 1) ? MPI_SUCCESS
                                                   : RaiseError(communicator, error, "MPI_Recv");
}

FTMPI_EXPORT int MPI_Irecv(void* buf, int count, MPI_Datatype datatype, int source, int tag,
                           MPI_Comm comm, MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Irecv(buf, count, datatype, source, tag, comm, request));
  EngineLock lock;
  return NonBlockingReceive("MPI_Irecv", buf, count, datatype, source, tag, comm, false, request);
}

FTMPI_EXPORT int MPI_Recv_init(void* buf, int count, MPI_Datatype datatype, int source, int tag,
                               MPI_Comm comm, MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Recv_init(buf, count, datatype, source, tag, comm, request));
  EngineLock lock;
  return NonBlockingReceive("MPI_Recv_init", buf, count, datatype, source, tag, comm, true,
                            request);
}

FTMPI_EXPORT int MPI_Sendrecv(const void* sendbuf, int sendcount, MPI_Datatype sendtype, int dest,
                              int sendtag, void* recvbuf, int recvcount, MPI_Datatype recvtype,
                              int source, int recvtag, MPI_Comm comm, MPI_Status* status) {
  FTMPI_PASS_THROUGH(PMPI_Sendrecv(sendbuf, sendcount, sendtype, dest, sendtag, recvbuf, recvcount,
                                   recvtype, source, recvtag, comm, status));
  EngineLock lock;
  return SendReceive("MPI_Sendrecv", sendbuf, sendcount, sendtype, dest, sendtag, recvbuf,
                     recvcount, recvtype, source, recvtag, comm, status);
}

FTMPI_EXPORT int MPI_Sendrecv_replace(void* buf, int count, MPI_Datatype datatype, int dest,
                                      int sendtag, int source, int recvtag, MPI_Comm comm,
                                      MPI_Status* status) {
  FTMPI_PASS_THROUGH(
      PMPI_Sendrecv_replace(buf, count, datatype, dest, sendtag, source, recvtag, comm, status));
  EngineLock lock;
  DatatypeLayout layout;
  if (count < 0 || !GetLayout(datatype, &layout)) {
    return RaiseError(FindCommunicator(comm), count < 0 ? MPI_ERR_COUNT : MPI_ERR_TYPE,
                      "MPI_Sendrecv_replace");
  }
  const std::uint64_t bytes = layout.size * static_cast<std::uint64_t>(count);
  if (bytes > INT32_MAX)
    return RaiseError(FindCommunicator(comm), MPI_ERR_COUNT, "MPI_Sendrecv_replace");
  std::vector<std::byte> copy(bytes + 1);
  if (const int error = PackData(buf, count, datatype, copy.data(), bytes); error != MPI_SUCCESS) {
    return RaiseError(FindCommunicator(comm), error, "MPI_Sendrecv_replace");
  }
  return SendReceive("MPI_Sendrecv_replace", copy.data(), static_cast<int>(bytes), MPI_BYTE, dest,
                     sendtag, buf, count, datatype, source, recvtag, comm, status);
}
