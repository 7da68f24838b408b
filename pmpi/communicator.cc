#include "pmpi/communicator.h"

#include <utility>

#include "pmpi/communicator_id.h"
#include "pmpi/engine.h"
#include "pmpi/error_handler.h"
#include "pmpi/match_queue.h"
#include "pmpi/message.h"
#include "pmpi/saved_state.h"
#include "pmpi/topology.h"

namespace ftmpi {

FTMPI_SAVED Communicator* g_world = nullptr;
FTMPI_SAVED Communicator* g_self = nullptr;

Communicator::Communicator() = default;

Communicator::~Communicator() {
  magic = 0;
  for (MatchQueue* queue : match) engine::ReleaseMatchQueue(queue);
  ReleaseErrorHandler(errhandler);
  if (info != MPI_INFO_NULL) PMPI_Info_free(&info);
  if (shadow != MPI_COMM_NULL && shadow != MPI_COMM_WORLD && shadow != MPI_COMM_SELF) {
    PMPI_Comm_free(&shadow);
  }
}

MPI_Comm Communicator::handle() {
  if (this == g_world) return MPI_COMM_WORLD;
  if (this == g_self) return MPI_COMM_SELF;
  return reinterpret_cast<MPI_Comm>(this);
}

namespace {

Communicator* MakeWithQueues(std::uint64_t id, GroupPointer local, GroupPointer remote, int rank) {
  auto* communicator = new Communicator;
  communicator->id = id;
  communicator->rank = rank;
  communicator->size = local->size();
  communicator->inter = remote != nullptr;
  communicator->remote_group = remote != nullptr ? std::move(remote) : local;
  communicator->local_group = std::move(local);
  for (const Context context : {Context::kPointToPoint, Context::kCollective}) {
    communicator->match[static_cast<int>(context)] = engine::AcquireMatchQueue(id, context);
  }
  return communicator;
}

}  // namespace

Communicator* NewCommunicator(std::uint64_t id, GroupPointer local, GroupPointer remote,
                              Communicator* parent) {
  const int rank = local->RankOf(engine::Rank());
  FTMPI_CHECK(rank != MPI_UNDEFINED);
  Communicator* communicator = MakeWithQueues(id, std::move(local), std::move(remote), rank);
  if (parent != nullptr) {
    communicator->errhandler = parent->errhandler;
    RetainErrorHandler(communicator->errhandler);
  }
  if (communicator->inter) {
    const std::uint64_t side =
        DeriveCommunicatorId(id, Derivation::kLocalSide, 0,
                             static_cast<std::uint64_t>(communicator->local_group->WorldRank(0)));
    Communicator* inside = MakeWithQueues(side, communicator->local_group, nullptr, rank);
    communicator->local_communicator = std::shared_ptr<Communicator>(inside, ReleaseCommunicator);
  }
  return communicator;
}

void CreatePredefinedCommunicators(int rank, int size) {
  FTMPI_CHECK(g_world == nullptr && rank >= 0 && rank < size);
  g_world = MakeWithQueues(kWorldId, Group::World(size), nullptr, rank);
  g_world->name = "MPI_COMM_WORLD";
  g_world->shadow = MPI_COMM_WORLD;
  g_world->predefined_attributes = true;
  g_self = MakeWithQueues(kSelfId, Group::FromWorldRanks({rank}), nullptr, 0);
  g_self->name = "MPI_COMM_SELF";
  g_self->shadow = MPI_COMM_SELF;
  // What is passed through to Open MPI returns its errors: the handlers that the program sets are
  // called by RaiseError, with our handles.
  PMPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  PMPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
}

void DeleteSelfAttributes() {
  const int error = DeleteAllAttributes(g_self);
  if (error != MPI_SUCCESS) RaiseError(g_self, error, "MPI_Finalize");
}

void DestroyPredefinedCommunicators() {
  FTMPI_CHECK(g_world != nullptr && g_self != nullptr);
  DeleteSelfAttributes();
  const int error = DeleteAllAttributes(g_world);
  if (error != MPI_SUCCESS) RaiseError(g_world, error, "MPI_Finalize");
  // Requests that the program never completed may still refer to them.
  Communicator* world = std::exchange(g_world, nullptr);
  Communicator* self = std::exchange(g_self, nullptr);
  ReleaseCommunicator(self);
  ReleaseCommunicator(world);
  ReleaseGroupTranslation();
}

void DestroyCommunicator(Communicator* communicator) {
  FTMPI_CHECK(communicator->references == 0);
  delete communicator;
}

}  // namespace ftmpi
