#include "pmpi/arguments.h"

#include "pmpi/datatype.h"
#include "pmpi/engine.h"

namespace ftmpi {
namespace {

int g_tag_upper_bound = -1;  // not asked for yet

int AskTagUpperBound() {
  int* value = nullptr;
  int found = 0;
  PMPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &value, &found);
  g_tag_upper_bound = found != 0 ? *value : 32767;
  return g_tag_upper_bound;
}

inline int TagUpperBound() {
  return __builtin_expect(g_tag_upper_bound >= 0, 1) ? g_tag_upper_bound : AskTagUpperBound();
}

int CheckData(const void* buffer, int count, MPI_Datatype datatype) {
  if (count < 0) return MPI_ERR_COUNT;
  const DatatypeLayout* const layout = FindLayout(datatype);
  if (layout == nullptr) return MPI_ERR_TYPE;
  // Absolute addresses (MPI_BOTTOM) need a datatype that carries them.
  if (__builtin_expect(buffer == nullptr, 0) && count > 0 && layout->size > 0 &&
      layout->true_lower == 0 && layout->contiguous) {
    return MPI_ERR_BUFFER;
  }
  return MPI_SUCCESS;
}

inline int CheckSource(const Communicator& communicator, int source, int tag) {
  if (tag != MPI_ANY_TAG && (tag < 0 || tag > TagUpperBound())) return MPI_ERR_TAG;
  if (source != MPI_PROC_NULL && source != MPI_ANY_SOURCE &&
      communicator.foreign == MPI_COMM_NULL &&
      (source < 0 || source >= communicator.remote_size())) {
    return MPI_ERR_RANK;
  }
  return MPI_SUCCESS;
}

}  // namespace

int CheckSend(MPI_Comm comm, const void* buffer, int count, MPI_Datatype datatype, int destination,
              int tag, Communicator** found) {
  *found = FindCommunicator(comm);
  if (*found == nullptr) return MPI_ERR_COMM;
  if (const int error = CheckData(buffer, count, datatype); error != MPI_SUCCESS) return error;
  if (tag < 0 || tag > TagUpperBound()) return MPI_ERR_TAG;
  if (destination != MPI_PROC_NULL && (*found)->foreign == MPI_COMM_NULL &&
      (destination < 0 || destination >= (*found)->remote_size())) {
    return MPI_ERR_RANK;
  }
  return MPI_SUCCESS;
}

int CheckProbe(MPI_Comm comm, int source, int tag, Communicator** found) {
  *found = FindCommunicator(comm);
  return *found == nullptr ? MPI_ERR_COMM : CheckSource(**found, source, tag);
}

int CheckReceive(MPI_Comm comm, const void* buffer, int count, MPI_Datatype datatype, int source,
                 int tag, Communicator** found) {
  *found = FindCommunicator(comm);
  if (*found == nullptr) return MPI_ERR_COMM;
  if (const int error = CheckData(buffer, count, datatype); error != MPI_SUCCESS) return error;
  return CheckSource(**found, source, tag);
}

Request* MakeSend(const void* buffer, int count, MPI_Datatype datatype, int destination, int tag,
                  Communicator* communicator, SendMode mode) {
  Request* request = engine::NewRequest(RequestKind::kSend, communicator);
  request->mode = mode;
  request->buffer = const_cast<void*>(buffer);
  request->count = count;
  request->datatype = datatype;
  request->peer = destination;
  request->tag = tag;
  return request;
}

Request* MakeReceive(void* buffer, int count, MPI_Datatype datatype, int source, int tag,
                     Communicator* communicator) {
  Request* request = engine::NewRequest(RequestKind::kReceive, communicator);
  request->buffer = buffer;
  request->count = count;
  request->datatype = datatype;
  request->peer = source;
  request->tag = tag;
  return request;
}

void SetStatus(MPI_Status* status, int source, int tag, std::uint64_t bytes, bool cancelled) {
  if (status == MPI_STATUS_IGNORE) return;
  // What a status keeps beside its public fields is Open MPI's business: it fills one, which serves
  // for all messages of that length.
  static MPI_Status made;
  static std::uint64_t made_bytes = UINT64_MAX;
  static bool made_cancelled = false;
  if (__builtin_expect(bytes != made_bytes || cancelled != made_cancelled, 0)) {
    PMPI_Status_set_elements_x(&made, MPI_BYTE, static_cast<MPI_Count>(bytes));
    PMPI_Status_set_cancelled(&made, cancelled ? 1 : 0);
    made_bytes = bytes;
    made_cancelled = cancelled;
  }
  const int error = status->MPI_ERROR;  // stays as it is
  *status = made;
  status->MPI_SOURCE = source;
  status->MPI_TAG = tag;
  status->MPI_ERROR = error;
}

void SetEmptyStatus(MPI_Status* status) {
  if (status == MPI_STATUS_IGNORE) return;
  SetStatus(status, MPI_ANY_SOURCE, MPI_ANY_TAG, 0, false);
}

}  // namespace ftmpi
