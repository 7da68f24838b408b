// Probe, Iprobe and their matched forms. Finding a message from a named source that has to come is
// determined; from any source, or whether it is here yet, are events.
#include <mpi.h>

#include "pmpi/arguments.h"
#include "pmpi/capture.h"
#include "pmpi/datatype.h"
#include "pmpi/engine.h"
#include "pmpi/engine_state.h"
#include "pmpi/events.h"
#include "pmpi/foreign.h"
#include "pmpi/match_queue.h"
#include "pmpi/message.h"

namespace ftmpi {
namespace {

using events::Poll;
using events::PollAnswer;

struct Sought {
  Communicator* communicator;
  MatchQueue* queue;
  int source;  // world rank, -1: any
  int tag;
  bool wildcard;
};

Sought Seek(Communicator* communicator, int source, int tag) {
  Sought sought{communicator, communicator->match[0], -1, tag, false};
  if (source != MPI_ANY_SOURCE) {
    sought.source = communicator->PeerWorldRank(source);
  } else if (communicator->remote_size() == 1) {
    sought.source = communicator->PeerWorldRank(0);
  } else {
    sought.wildcard = true;
  }
  return sought;
}

UnexpectedMessage* Find(const Sought& sought) {
  return sought.queue->MatchUnexpected(sought.source, sought.tag);
}

// The message (source, ssn) of a replayed answer, once it has come.
UnexpectedMessage* AwaitMessage(const Sought& sought, int source, std::uint64_t ssn) {
  UnexpectedMessage* found = nullptr;
  engine::WaitUntil([&] {
    found = sought.queue->BucketOf(source)->unexpected_head;
    while (found != nullptr &&
           (found->header.ssn != ssn || (found->header.flags & logging::kFlagSchedule) != 0)) {
      found = found->next;
    }
    return found != nullptr;
  });
  return found;
}

// Is there a message? An event, if live or replayed. Null: no.
UnexpectedMessage* PollMessage(const Sought& sought) {
  const Poll poll = events::BeginPoll();
  if (poll.answer == PollAnswer::kNo) {
    engine::Progress();
    return nullptr;
  }
  if (poll.answer == PollAnswer::kYes) return AwaitMessage(sought, poll.source, poll.ssn);
  UnexpectedMessage* found = Find(sought);
  if (found == nullptr) {
    engine::Progress();
    found = Find(sought);
  }
  if (found == nullptr) {
    events::PollNo();
    return nullptr;
  }
  events::PollYes(poll, 0, found->source, found->header.ssn);
  return found;
}

// Waits for a message.
UnexpectedMessage* AwaitProbe(const Sought& sought) {
  UnexpectedMessage* found = nullptr;
  if (!sought.wildcard) {
    engine::WaitUntil([&] { return (found = Find(sought)) != nullptr; });
    return found;
  }
  std::uint64_t ordinal = 0;
  int source = -1;
  std::uint64_t ssn = 0;
  if (events::BeginProbe(&ordinal, &source, &ssn)) return AwaitMessage(sought, source, ssn);
  while (!events::WaitLive([&] { return (found = Find(sought)) != nullptr; })) {
    if (events::BeginProbeAgain(&ordinal, &source, &ssn)) return AwaitMessage(sought, source, ssn);
  }
  events::ProbeFound(ordinal, found->source, found->header.ssn);
  return found;
}

void StatusOf(const UnexpectedMessage& message, MPI_Status* status) {
  SetStatus(status, message.header.source_rank, message.header.tag, message.header.payload_length,
            false);
}

void ProcNullStatus(MPI_Status* status) { SetStatus(status, MPI_PROC_NULL, MPI_ANY_TAG, 0, false); }

MPI_Message TakeMessage(const Sought& sought, UnexpectedMessage* message) {
  sought.queue->RemoveUnexpected(message);
  message->communicator = sought.communicator;
  engine::AddTaken(message);
  RetainCommunicator(sought.communicator);
  return reinterpret_cast<MPI_Message>(message);
}

// A receive of a message that a matched probe took.
Request* ReceiveMatched(void* buffer, int count, MPI_Datatype datatype, MPI_Message* handle) {
  auto* message = reinterpret_cast<UnexpectedMessage*>(*handle);
  *handle = MPI_MESSAGE_NULL;
  Request* request = MakeReceive(buffer, count, datatype, MPI_PROC_NULL, message->header.tag,
                                 message->communicator);
  request->datatype_holder = HoldDatatype(datatype);
  request->active = true;
  engine::RemoveTaken(message);
  UnexpectedMessage* whole = message->whole != nullptr ? message->whole : message;
  engine::Deliver(request, engine::PeerOf(whole->source), whole->header, whole->payload());
  if (whole != message) engine::DeleteUnexpected(whole);
  ReleaseCommunicator(message->communicator);
  engine::DeleteUnexpected(message);
  return request;
}

// A matched probe on a communicator of dynamic processes yields Open MPI's own message handle.
bool IsOurs(MPI_Message message) {
  return reinterpret_cast<UnexpectedMessage*>(message)->magic == UnexpectedMessage::kMagic;
}

int CheckMatched(int count, MPI_Datatype datatype, const MPI_Message* message) {
  if (message == nullptr || *message == MPI_MESSAGE_NULL) return MPI_ERR_REQUEST;
  DatatypeLayout layout;
  if (count < 0) return MPI_ERR_COUNT;
  return GetLayout(datatype, &layout) ? MPI_SUCCESS : MPI_ERR_TYPE;
}

}  // namespace
}  // namespace ftmpi

using namespace ftmpi;  // NOLINT(google-build-using-namespace)

FTMPI_EXPORT int MPI_Probe(int source, int tag, MPI_Comm comm, MPI_Status* status) {
  FTMPI_PASS_THROUGH(PMPI_Probe(source, tag, comm, status));
  EngineLock lock;
  Communicator* communicator = nullptr;
  if (const int error = CheckProbe(comm, source, tag, &communicator); error != MPI_SUCCESS) {
    return RaiseError(communicator, error, "MPI_Probe");
  }
  if (communicator->foreign != MPI_COMM_NULL) {
    int flag = 0;
    int error = MPI_SUCCESS;
    engine::WaitUntil([&] {
      error = PMPI_Iprobe(source, tag, communicator->foreign, &flag, status);
      return flag != 0 || error != MPI_SUCCESS;
    });
    return error;
  }
  if (source == MPI_PROC_NULL) {
    ProcNullStatus(status);
    return MPI_SUCCESS;
  }
  StatusOf(*AwaitProbe(Seek(communicator, source, tag)), status);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Iprobe(int source, int tag, MPI_Comm comm, int* flag, MPI_Status* status) {
  FTMPI_PASS_THROUGH(PMPI_Iprobe(source, tag, comm, flag, status));
  EngineLock lock;
  Communicator* communicator = nullptr;
  if (const int error = CheckProbe(comm, source, tag, &communicator); error != MPI_SUCCESS) {
    return RaiseError(communicator, error, "MPI_Iprobe");
  }
  if (flag == nullptr) return RaiseError(communicator, MPI_ERR_ARG, "MPI_Iprobe");
  if (communicator->foreign != MPI_COMM_NULL) {
    engine::Progress();
    return PMPI_Iprobe(source, tag, communicator->foreign, flag, status);
  }
  *flag = 1;
  if (source == MPI_PROC_NULL) {
    ProcNullStatus(status);
    return MPI_SUCCESS;
  }
  const UnexpectedMessage* found = PollMessage(Seek(communicator, source, tag));
  if (found == nullptr) {
    *flag = 0;
    return MPI_SUCCESS;
  }
  StatusOf(*found, status);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Mprobe(int source, int tag, MPI_Comm comm, MPI_Message* message,
                            MPI_Status* status) {
  FTMPI_PASS_THROUGH(PMPI_Mprobe(source, tag, comm, message, status));
  EngineLock lock;
  Communicator* communicator = nullptr;
  if (const int error = CheckProbe(comm, source, tag, &communicator); error != MPI_SUCCESS) {
    return RaiseError(communicator, error, "MPI_Mprobe");
  }
  if (message == nullptr) return RaiseError(communicator, MPI_ERR_ARG, "MPI_Mprobe");
  if (communicator->foreign != MPI_COMM_NULL) {
    int flag = 0;
    int error = MPI_SUCCESS;
    engine::WaitUntil([&] {
      error = PMPI_Improbe(source, tag, communicator->foreign, &flag, message, status);
      return flag != 0 || error != MPI_SUCCESS;
    });
    return error;
  }
  if (source == MPI_PROC_NULL) {
    *message = MPI_MESSAGE_NO_PROC;
    ProcNullStatus(status);
    return MPI_SUCCESS;
  }
  const Sought sought = Seek(communicator, source, tag);
  UnexpectedMessage* found = AwaitProbe(sought);
  StatusOf(*found, status);
  *message = TakeMessage(sought, found);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Improbe(int source, int tag, MPI_Comm comm, int* flag, MPI_Message* message,
                             MPI_Status* status) {
  FTMPI_PASS_THROUGH(PMPI_Improbe(source, tag, comm, flag, message, status));
  EngineLock lock;
  Communicator* communicator = nullptr;
  if (const int error = CheckProbe(comm, source, tag, &communicator); error != MPI_SUCCESS) {
    return RaiseError(communicator, error, "MPI_Improbe");
  }
  if (flag == nullptr || message == nullptr)
    return RaiseError(communicator, MPI_ERR_ARG, "MPI_Improbe");
  if (communicator->foreign != MPI_COMM_NULL) {
    engine::Progress();
    return PMPI_Improbe(source, tag, communicator->foreign, flag, message, status);
  }
  *flag = 1;
  if (source == MPI_PROC_NULL) {
    *message = MPI_MESSAGE_NO_PROC;
    ProcNullStatus(status);
    return MPI_SUCCESS;
  }
  const Sought sought = Seek(communicator, source, tag);
  UnexpectedMessage* found = PollMessage(sought);
  if (found == nullptr) {
    *flag = 0;
    *message = MPI_MESSAGE_NULL;
    return MPI_SUCCESS;
  }
  StatusOf(*found, status);
  *message = TakeMessage(sought, found);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Mrecv(void* buf, int count, MPI_Datatype type, MPI_Message* message,
                           MPI_Status* status) {
  FTMPI_PASS_THROUGH(PMPI_Mrecv(buf, count, type, message, status));
  EngineLock lock;
  if (const int error = CheckMatched(count, type, message); error != MPI_SUCCESS) {
    return RaiseError(nullptr, error, "MPI_Mrecv");
  }
  if (*message == MPI_MESSAGE_NO_PROC) {
    *message = MPI_MESSAGE_NULL;
    ProcNullStatus(status);
    return MPI_SUCCESS;
  }
  if (!IsOurs(*message)) return PMPI_Mrecv(buf, count, type, message, status);
  Request* request = ReceiveMatched(buf, count, type, message);
  engine::Wait(request);
  Communicator* communicator = request->communicator;
  RetainCommunicator(communicator);
  MPI_Request handle = request->handle();
  int error = FinishRequest(&handle, request, status);
  if (error != MPI_SUCCESS) error = RaiseError(communicator, error, "MPI_Mrecv");
  ReleaseCommunicator(communicator);
  return error;
}

FTMPI_EXPORT int MPI_Imrecv(void* buf, int count, MPI_Datatype type, MPI_Message* message,
                            MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Imrecv(buf, count, type, message, request));
  EngineLock lock;
  if (const int error = CheckMatched(count, type, message); error != MPI_SUCCESS) {
    return RaiseError(nullptr, error, "MPI_Imrecv");
  }
  if (request == nullptr) return RaiseError(nullptr, MPI_ERR_REQUEST, "MPI_Imrecv");
  if (*message == MPI_MESSAGE_NO_PROC) {
    *message = MPI_MESSAGE_NULL;
    Request* null = MakeReceive(buf, count, type, MPI_PROC_NULL, MPI_ANY_TAG, g_world);
    engine::StartReceive(null);
    *request = null->handle();
    return MPI_SUCCESS;
  }
  if (!IsOurs(*message)) {
    MPI_Request inner = MPI_REQUEST_NULL;
    const int error = PMPI_Imrecv(buf, count, type, message, &inner);
    if (error == MPI_SUCCESS) *request = WrapForeignRequest(inner);
    return error;
  }
  *request = ReceiveMatched(buf, count, type, message)->handle();
  return MPI_SUCCESS;
}
