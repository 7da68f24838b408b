// Remote memory access: windows on Open MPI communicators made for them (pmpi/passthrough.h). What
// is not here is generated.
#include <vector>

#include "pmpi/passthrough.h"

namespace ftmpi {
namespace {

constexpr int kPostedTag = 1;  // on a window's private communicator: "MPI_Win_post was called"

// Raises an error on a window, and returns it for the caller to return.
int WindowError(MPI_Win window, int error) {
  PMPI_Win_call_errhandler(window, error);
  return error;
}

// The ranks in `made` of an Open MPI group's members.
int RanksOf(MPI_Group group, MPI_Comm made, std::vector<int>* ranks) {
  int size = 0;
  int error = PMPI_Group_size(group, &size);
  if (error != MPI_SUCCESS) return error;
  std::vector<int> own(static_cast<std::size_t>(size));
  for (int i = 0; i < size; ++i) own[static_cast<std::size_t>(i)] = i;
  ranks->resize(own.size());
  MPI_Group all = MPI_GROUP_NULL;
  error = PMPI_Comm_group(made, &all);
  if (error != MPI_SUCCESS) return error;
  error = PMPI_Group_translate_ranks(group, size, own.data(), all, ranks->data());
  PMPI_Group_free(&all);
  if (error != MPI_SUCCESS) return error;
  for (const int rank : *ranks) {
    if (rank == MPI_UNDEFINED) return MPI_ERR_GROUP;
  }
  return MPI_SUCCESS;
}

// Tells each origin of a post that it was made.
int SendPosted(const std::vector<int>& origins, MPI_Comm made) {
  for (const int origin : origins) {
    MPI_Request request = MPI_REQUEST_NULL;
    int error = PMPI_Isend(nullptr, 0, MPI_BYTE, origin, kPostedTag, made, &request);
    if (error == MPI_SUCCESS) error = PMPI_Request_free(&request);
    if (error != MPI_SUCCESS) return error;
  }
  return MPI_SUCCESS;
}

// Waits for the matching post of each target, serving the engine meanwhile.
int AwaitPosted(const std::vector<int>& targets, MPI_Comm made) {
  EngineLock lock;
  for (const int target : targets) {
    MPI_Request request = MPI_REQUEST_NULL;
    int error = PMPI_Irecv(nullptr, 0, MPI_BYTE, target, kPostedTag, made, &request);
    if (error == MPI_SUCCESS) error = WaitOpenMpi(&request, MPI_STATUS_IGNORE);
    if (error != MPI_SUCCESS) return error;
  }
  return MPI_SUCCESS;
}

}  // namespace
}  // namespace ftmpi

// NOLINTBEGIN: parameter names are those of mpi.h
using namespace ftmpi;  // NOLINT

FTMPI_EXPORT int MPI_Win_create(void* base, MPI_Aint size, int disp_unit, MPI_Info info,
                                MPI_Comm comm, MPI_Win* win) {
  FTMPI_PASS_THROUGH(PMPI_Win_create(base, size, disp_unit, info, comm, win));
  passthrough::ObjectCommunicator made;
  int error = made.Make(comm, "MPI_Win_create");
  if (error != MPI_SUCCESS) return error;
  error = PMPI_Win_create(base, size, disp_unit, info, made.get(), win);
  made.Finish(error, win, &passthrough::Windows());
  return error == MPI_SUCCESS ? error : RaiseError(made.communicator(), error, "MPI_Win_create");
}

FTMPI_EXPORT int MPI_Win_allocate(MPI_Aint size, int disp_unit, MPI_Info info, MPI_Comm comm,
                                  void* baseptr, MPI_Win* win) {
  FTMPI_PASS_THROUGH(PMPI_Win_allocate(size, disp_unit, info, comm, baseptr, win));
  passthrough::ObjectCommunicator made;
  int error = made.Make(comm, "MPI_Win_allocate");
  if (error != MPI_SUCCESS) return error;
  error = PMPI_Win_allocate(size, disp_unit, info, made.get(), baseptr, win);
  made.Finish(error, win, &passthrough::Windows());
  return error == MPI_SUCCESS ? error : RaiseError(made.communicator(), error, "MPI_Win_allocate");
}

FTMPI_EXPORT int MPI_Win_allocate_shared(MPI_Aint size, int disp_unit, MPI_Info info, MPI_Comm comm,
                                         void* baseptr, MPI_Win* win) {
  FTMPI_PASS_THROUGH(PMPI_Win_allocate_shared(size, disp_unit, info, comm, baseptr, win));
  passthrough::ObjectCommunicator made;
  int error = made.Make(comm, "MPI_Win_allocate_shared");
  if (error != MPI_SUCCESS) return error;
  error = PMPI_Win_allocate_shared(size, disp_unit, info, made.get(), baseptr, win);
  made.Finish(error, win, &passthrough::Windows());
  return error == MPI_SUCCESS ? error
                              : RaiseError(made.communicator(), error, "MPI_Win_allocate_shared");
}

FTMPI_EXPORT int MPI_Win_create_dynamic(MPI_Info info, MPI_Comm comm, MPI_Win* win) {
  FTMPI_PASS_THROUGH(PMPI_Win_create_dynamic(info, comm, win));
  passthrough::ObjectCommunicator made;
  int error = made.Make(comm, "MPI_Win_create_dynamic");
  if (error != MPI_SUCCESS) return error;
  error = PMPI_Win_create_dynamic(info, made.get(), win);
  made.Finish(error, win, &passthrough::Windows());
  return error == MPI_SUCCESS ? error
                              : RaiseError(made.communicator(), error, "MPI_Win_create_dynamic");
}

FTMPI_EXPORT int MPI_Win_free(MPI_Win* win) {
  FTMPI_PASS_THROUGH(PMPI_Win_free(win));
  passthrough::Enter("MPI_Win_free");
  if (win == nullptr || *win == MPI_WIN_NULL) {
    return RaiseError(nullptr, MPI_ERR_WIN, "MPI_Win_free");
  }
  int error = passthrough::MeetWindow(*win);
  if (error != MPI_SUCCESS) return error;
  MPI_Win window = *win;
  MPI_Comm made = passthrough::Windows().Remove(window);
  error = PMPI_Win_free(win);
  if (error != MPI_SUCCESS) {
    if (made != MPI_COMM_NULL) passthrough::Windows().Add(window, made);
    return error;
  }
  return made == MPI_COMM_NULL ? MPI_SUCCESS : PMPI_Comm_free(&made);
}

FTMPI_EXPORT int MPI_Win_post(MPI_Group group, int assert, MPI_Win win) {
  FTMPI_PASS_THROUGH(PMPI_Win_post(group, assert, win));
  passthrough::Enter("MPI_Win_post");
  if (win == MPI_WIN_NULL) return RaiseError(nullptr, MPI_ERR_WIN, "MPI_Win_post");
  const passthrough::TranslatedGroup inner(group);
  if (inner.get() == MPI_GROUP_NULL) return WindowError(win, MPI_ERR_GROUP);
  MPI_Comm made = passthrough::Windows().Find(win);
  if (made == MPI_COMM_NULL) return PMPI_Win_post(inner.get(), assert, win);
  std::vector<int> origins;
  int error = RanksOf(inner.get(), made, &origins);
  if (error != MPI_SUCCESS) return WindowError(win, error);
  error = PMPI_Win_post(inner.get(), assert, win);
  return error == MPI_SUCCESS ? SendPosted(origins, made) : error;
}

FTMPI_EXPORT int MPI_Win_start(MPI_Group group, int assert, MPI_Win win) {
  FTMPI_PASS_THROUGH(PMPI_Win_start(group, assert, win));
  passthrough::Enter("MPI_Win_start");
  if (win == MPI_WIN_NULL) return RaiseError(nullptr, MPI_ERR_WIN, "MPI_Win_start");
  const passthrough::TranslatedGroup inner(group);
  if (inner.get() == MPI_GROUP_NULL) return WindowError(win, MPI_ERR_GROUP);
  MPI_Comm made = passthrough::Windows().Find(win);
  if (made == MPI_COMM_NULL) return PMPI_Win_start(inner.get(), assert, win);
  std::vector<int> targets;
  int error = RanksOf(inner.get(), made, &targets);
  if (error == MPI_SUCCESS) error = AwaitPosted(targets, made);
  if (error != MPI_SUCCESS) return WindowError(win, error);
  return PMPI_Win_start(inner.get(), assert, win);
}

FTMPI_EXPORT int MPI_Win_wait(MPI_Win win) {
  FTMPI_PASS_THROUGH(PMPI_Win_wait(win));
  if (win == MPI_WIN_NULL) return RaiseError(nullptr, MPI_ERR_WIN, "MPI_Win_wait");
  EngineLock lock;
  int error = MPI_SUCCESS;
  engine::WaitUntil([&] {
    int flag = 0;
    error = PMPI_Win_test(win, &flag);
    return flag != 0 || error != MPI_SUCCESS;
  });
  return error;
}
// NOLINTEND
