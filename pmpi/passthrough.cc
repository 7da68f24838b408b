#include "pmpi/passthrough.h"

#include <set>
#include <string>

#include "pmpi/group.h"
#include "pmpi/image_obstacle.h"
#include "pmpi/message.h"

namespace ftmpi::passthrough {

MPI_Comm ForLocalUse(const Communicator* communicator) {
  return communicator->foreign != MPI_COMM_NULL ? communicator->foreign : MPI_COMM_WORLD;
}

MPI_Request WrapLocked(MPI_Request inner) {
  EngineLock lock;
  return WrapForeignRequest(inner);
}

MPI_Group TakeGroup(MPI_Group* inner) {
  EngineLock lock;
  MPI_Group group = FromOpenMpiGroup(*inner);
  if (*inner != MPI_GROUP_EMPTY) PMPI_Group_free(inner);
  return group;
}

TranslatedGroup::TranslatedGroup(MPI_Group handle) {
  EngineLock lock;
  group_ = ToOpenMpiGroup(handle);
}

TranslatedGroup::~TranslatedGroup() {
  if (group_ != MPI_GROUP_NULL && group_ != MPI_GROUP_EMPTY) PMPI_Group_free(&group_);
}

void Notice(const char* function, const Communicator* communicator) {
  EngineLock lock(function);
  image_obstacle::Note("the program uses what recovery can't cross");
  static auto* const said = new std::set<std::string>;
  if (!said->insert(function).second) return;
  const bool job_rank_0 = communicator == nullptr || communicator->foreign != MPI_COMM_NULL
                              ? engine::Rank() == 0
                              : communicator->local_group->RankOf(0) != MPI_UNDEFINED;
  if (job_rank_0) {
    engine::NoticeUnrecoverable(function);
  } else if (communicator == nullptr || communicator->rank == 0) {
    Message("%s: recovery can't cross this point, the run goes on without protection behind it",
            function);
  }
}

int GetOpenMpi(MPI_Comm handle, const char* function, Communicator** communicator,
               MPI_Comm* shared) {
  *communicator = FindCommunicator(handle);
  if (*communicator == nullptr) return RaiseError(nullptr, MPI_ERR_COMM, function);
  Notice(function, *communicator);
  if ((*communicator)->foreign != MPI_COMM_NULL) {
    // Its other members may be processes without ftmpi: nobody to meet.
    *shared = (*communicator)->foreign;
    return MPI_SUCCESS;
  }
  if ((*communicator)->inter) return RaiseError(*communicator, MPI_ERR_COMM, function);
  // Through the engine, which serves it: making the Open MPI communicator blocks.
  const int met = MPI_Barrier(handle);
  if (met != MPI_SUCCESS) return met;
  EngineLock lock;
  *shared = ShadowCommunicator(*communicator);
  if (*shared == MPI_COMM_NULL) return RaiseError(*communicator, MPI_ERR_INTERN, function);
  return MPI_SUCCESS;
}

int ObjectCommunicator::Make(MPI_Comm handle, const char* function) {
  MPI_Comm shared = MPI_COMM_NULL;
  int error = GetOpenMpi(handle, function, &communicator_, &shared);
  if (error != MPI_SUCCESS) return error;
  if (communicator_->foreign != MPI_COMM_NULL) {
    made_ = shared;
    return MPI_SUCCESS;
  }
  error = PMPI_Comm_dup(shared, &made_);
  own_ = error == MPI_SUCCESS;
  if (own_) error = PMPI_Comm_set_errhandler(made_, MPI_ERRORS_RETURN);
  return error == MPI_SUCCESS ? error : RaiseError(communicator_, error, function);
}

int Meet(MPI_Comm openmpi) {
  EngineLock lock;
  MPI_Request request = MPI_REQUEST_NULL;
  const int error = PMPI_Ibarrier(openmpi, &request);
  return error == MPI_SUCCESS ? WaitOpenMpi(&request, MPI_STATUS_IGNORE) : error;
}

void Objects::Add(const void* object, MPI_Comm made) {
  const std::lock_guard<std::mutex> guard(mutex_);
  made_[object] = made;
}

MPI_Comm Objects::Find(const void* object) {
  const std::lock_guard<std::mutex> guard(mutex_);
  const auto found = made_.find(object);
  return found == made_.end() ? MPI_COMM_NULL : found->second;
}

MPI_Comm Objects::Remove(const void* object) {
  const std::lock_guard<std::mutex> guard(mutex_);
  const auto found = made_.find(object);
  if (found == made_.end()) return MPI_COMM_NULL;
  MPI_Comm made = found->second;
  made_.erase(found);
  return made;
}

// Never destroyed: the program may use MPI from its own destructors, after ours.
Objects& Windows() {
  static auto* const windows = new Objects;
  return *windows;
}

Objects& Files() {
  static auto* const files = new Objects;
  return *files;
}

int MeetWindow(MPI_Win window) {
  MPI_Comm made = Windows().Find(window);
  return made == MPI_COMM_NULL ? MPI_SUCCESS : Meet(made);
}

int MeetFile(MPI_File file) {
  MPI_Comm made = Files().Find(file);
  return made == MPI_COMM_NULL ? MPI_SUCCESS : Meet(made);
}

}  // namespace ftmpi::passthrough

// Open MPI ignores its further arguments, which can't be handed on.
FTMPI_EXPORT int MPI_Pcontrol(const int level, ...) {
  FTMPI_PASS_THROUGH(PMPI_Pcontrol(level));
  ftmpi::passthrough::Enter("MPI_Pcontrol");
  return PMPI_Pcontrol(level);
}
