// Communicators of Open MPI's in the program's hands (dynamic processes), and Open MPI
// communicators behind ours (RMA, MPI-IO).
#include <algorithm>
#include <utility>
#include <vector>

#include "pmpi/communicator.h"
#include "pmpi/communicator_create.h"
#include "pmpi/engine.h"
#include "pmpi/error_handler.h"
#include "pmpi/foreign.h"
#include "pmpi/message.h"

namespace ftmpi {
namespace {

// For PMPI_Comm_create_group and PMPI_Intercomm_create: the same at all members, and different for
// two communicators that are made at the same time, as far as 15 bits (what MPI grants a tag) go.
int ShadowTag(const Communicator& communicator) { return static_cast<int>(communicator.id >> 49); }

// A barrier of the members that serves the engine while it waits, and is not replayed from a log:
// all have really come here. What follows may block inside Open MPI for the others, who would
// otherwise wait for our engine. Dissemination over MPI_COMM_WORLD, where nobody else sends.
void Meet(const Communicator& communicator, int tag) {
  const GroupPointer members =
      communicator.inter ? UnionGroups(*communicator.local_group, *communicator.remote_group)
                         : communicator.local_group;
  // Both sides of an intercommunicator must count alike.
  std::vector<int> ranks = members->WorldRanks();
  std::sort(ranks.begin(), ranks.end());
  const int size = static_cast<int>(ranks.size());
  const int me = static_cast<int>(std::lower_bound(ranks.begin(), ranks.end(), engine::Rank()) -
                                  ranks.begin());
  for (int distance = 1; distance < size; distance *= 2) {
    MPI_Request receive = MPI_REQUEST_NULL;
    MPI_Request send = MPI_REQUEST_NULL;
    const int from = ranks[static_cast<std::size_t>((me - distance + size) % size)];
    const int to = ranks[static_cast<std::size_t>((me + distance) % size)];
    FTMPI_CHECK(PMPI_Irecv(nullptr, 0, MPI_BYTE, from, tag, MPI_COMM_WORLD, &receive) ==
                MPI_SUCCESS);
    FTMPI_CHECK(PMPI_Isend(nullptr, 0, MPI_BYTE, to, tag, MPI_COMM_WORLD, &send) == MPI_SUCCESS);
    FTMPI_CHECK(WaitOpenMpi(&receive, MPI_STATUS_IGNORE) == MPI_SUCCESS);
    FTMPI_CHECK(WaitOpenMpi(&send, MPI_STATUS_IGNORE) == MPI_SUCCESS);
  }
}

GroupPointer TakeGroup(MPI_Group* group) {
  GroupPointer result = GroupOfOpenMpi(*group);
  if (*group != MPI_GROUP_EMPTY) PMPI_Group_free(group);
  return result;
}

MPI_Comm CreateShadow(Communicator* communicator) {
  MPI_Comm made = MPI_COMM_NULL;
  const int tag = ShadowTag(*communicator);
  Meet(*communicator, tag);
  if (communicator->inter) {
    Communicator* inside = communicator->local_communicator.get();
    MPI_Comm local = ShadowCommunicator(inside);
    if (local == MPI_COMM_NULL) return MPI_COMM_NULL;
    if (PMPI_Intercomm_create(local, 0, MPI_COMM_WORLD, communicator->PeerWorldRank(0), tag,
                              &made) != MPI_SUCCESS) {
      return MPI_COMM_NULL;
    }
  } else {
    MPI_Group group = ToOpenMpiGroup(*communicator->local_group);
    const int error = PMPI_Comm_create_group(MPI_COMM_WORLD, group, tag, &made);
    PMPI_Group_free(&group);
    if (error != MPI_SUCCESS) return MPI_COMM_NULL;
  }
  PMPI_Comm_set_errhandler(made, MPI_ERRORS_RETURN);
  return made;
}

}  // namespace

MPI_Comm WrapForeign(MPI_Comm foreign) {
  if (foreign == MPI_COMM_NULL) return MPI_COMM_NULL;
  PMPI_Comm_set_errhandler(foreign, MPI_ERRORS_RETURN);
  auto* communicator = new Communicator;
  communicator->foreign = foreign;
  int inter = 0;
  FTMPI_CHECK(PMPI_Comm_test_inter(foreign, &inter) == MPI_SUCCESS);
  communicator->inter = inter != 0;
  MPI_Group group = MPI_GROUP_NULL;
  FTMPI_CHECK(PMPI_Comm_group(foreign, &group) == MPI_SUCCESS);
  communicator->local_group = TakeGroup(&group);
  communicator->remote_group = communicator->local_group;
  if (communicator->inter) {
    FTMPI_CHECK(PMPI_Comm_remote_group(foreign, &group) == MPI_SUCCESS);
    communicator->remote_group = TakeGroup(&group);
  }
  FTMPI_CHECK(PMPI_Comm_rank(foreign, &communicator->rank) == MPI_SUCCESS);
  communicator->size = communicator->local_group->size();
  return communicator->handle();
}

int FinishForeign(Communicator* parent, int error, MPI_Comm made, MPI_Comm* result,
                  const char* function) {
  if (error != MPI_SUCCESS) return RaiseError(parent, error, function);
  *result = WrapForeign(made);
  if (Communicator* communicator = FindCommunicator(*result); communicator != nullptr) {
    communicator->errhandler = parent->errhandler;
    RetainErrorHandler(communicator->errhandler);
  }
  return MPI_SUCCESS;
}

MPI_Comm ShadowCommunicator(Communicator* communicator) {
  if (communicator->foreign != MPI_COMM_NULL) return communicator->foreign;
  if (communicator->shadow == MPI_COMM_NULL) communicator->shadow = CreateShadow(communicator);
  return communicator->shadow;
}

}  // namespace ftmpi
