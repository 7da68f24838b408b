// Dynamic processes: what they make are Open MPI intercommunicators, wrapped as foreign
// communicators of ours; every operation on these is passed through.
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "pmpi/passthrough.h"

namespace ftmpi {
namespace {

// Wraps a new intercommunicator for the program, or raises the error of its making.
int FinishIntercommunicator(int error, MPI_Comm inner, MPI_Comm* result, Communicator* communicator,
                            const char* function) {
  if (error != MPI_SUCCESS) return RaiseError(communicator, error, function);
  EngineLock lock;
  *result = WrapForeign(inner);
  return MPI_SUCCESS;
}

// The processes that a rank starts are no ranks of this job: a job directory is not theirs, and
// nothing of theirs is logged. They are started with FT_MODE=off, by the info key "env" of Open MPI
// (newline-separated NAME=VALUE).
class UnprotectedInfo {
 public:
  explicit UnprotectedInfo(MPI_Info info) {
    if (info == MPI_INFO_NULL) {
      PMPI_Info_create(&info_);
    } else {
      PMPI_Info_dup(info, &info_);
    }
    std::string environment;
    int length = 0;
    int found = 0;
    PMPI_Info_get_valuelen(info_, "env", &length, &found);
    if (found != 0) {
      environment.resize(static_cast<std::size_t>(length) + 1);
      PMPI_Info_get(info_, "env", length, environment.data(), &found);
      environment.resize(std::strlen(environment.c_str()));
      environment += "\n";
    }
    PMPI_Info_set(info_, "env", (environment + "FT_MODE=off").c_str());
  }
  ~UnprotectedInfo() { PMPI_Info_free(&info_); }
  UnprotectedInfo(const UnprotectedInfo&) = delete;
  UnprotectedInfo& operator=(const UnprotectedInfo&) = delete;
  [[nodiscard]] MPI_Info get() const { return info_; }

 private:
  MPI_Info info_ = MPI_INFO_NULL;
};

// MPI_Comm_get_parent gives the same handle each time.
MPI_Comm g_parent_inner = MPI_COMM_NULL;
MPI_Comm g_parent = MPI_COMM_NULL;

}  // namespace
}  // namespace ftmpi

// NOLINTBEGIN: parameter names are those of mpi.h
using namespace ftmpi;  // NOLINT

FTMPI_EXPORT int MPI_Comm_spawn(const char* command, char* argv[], int maxprocs, MPI_Info info,
                                int root, MPI_Comm comm, MPI_Comm* intercomm,
                                int array_of_errcodes[]) {
  FTMPI_PASS_THROUGH(
      PMPI_Comm_spawn(command, argv, maxprocs, info, root, comm, intercomm, array_of_errcodes));
  Communicator* communicator = nullptr;
  MPI_Comm shared = MPI_COMM_NULL;
  int error = passthrough::GetOpenMpi(comm, "MPI_Comm_spawn", &communicator, &shared);
  if (error != MPI_SUCCESS) return error;
  MPI_Comm inner = MPI_COMM_NULL;
  // Arguments before root count at root only.
  const UnprotectedInfo unprotected(communicator->rank == root ? info : MPI_INFO_NULL);
  error = PMPI_Comm_spawn(command, argv, maxprocs, unprotected.get(), root, shared, &inner,
                          array_of_errcodes);
  return FinishIntercommunicator(error, inner, intercomm, communicator, "MPI_Comm_spawn");
}

FTMPI_EXPORT int MPI_Comm_spawn_multiple(int count, char* array_of_commands[],
                                         char** array_of_argv[], const int array_of_maxprocs[],
                                         const MPI_Info array_of_info[], int root, MPI_Comm comm,
                                         MPI_Comm* intercomm, int array_of_errcodes[]) {
  FTMPI_PASS_THROUGH(PMPI_Comm_spawn_multiple(count, array_of_commands, array_of_argv,
                                              array_of_maxprocs, array_of_info, root, comm,
                                              intercomm, array_of_errcodes));
  Communicator* communicator = nullptr;
  MPI_Comm shared = MPI_COMM_NULL;
  int error = passthrough::GetOpenMpi(comm, "MPI_Comm_spawn_multiple", &communicator, &shared);
  if (error != MPI_SUCCESS) return error;
  MPI_Comm inner = MPI_COMM_NULL;
  // Arguments before root count at root only.
  std::deque<UnprotectedInfo> unprotected;
  std::vector<MPI_Info> infos;
  if (communicator->rank == root) {
    for (int i = 0; i < count; ++i) {
      infos.push_back(unprotected.emplace_back(array_of_info[i]).get());
    }
  }
  error = PMPI_Comm_spawn_multiple(count, array_of_commands, array_of_argv, array_of_maxprocs,
                                   infos.data(), root, shared, &inner, array_of_errcodes);
  return FinishIntercommunicator(error, inner, intercomm, communicator, "MPI_Comm_spawn_multiple");
}

FTMPI_EXPORT int MPI_Comm_accept(const char* port_name, MPI_Info info, int root, MPI_Comm comm,
                                 MPI_Comm* newcomm) {
  FTMPI_PASS_THROUGH(PMPI_Comm_accept(port_name, info, root, comm, newcomm));
  Communicator* communicator = nullptr;
  MPI_Comm shared = MPI_COMM_NULL;
  int error = passthrough::GetOpenMpi(comm, "MPI_Comm_accept", &communicator, &shared);
  if (error != MPI_SUCCESS) return error;
  MPI_Comm inner = MPI_COMM_NULL;
  error = PMPI_Comm_accept(port_name, info, root, shared, &inner);
  return FinishIntercommunicator(error, inner, newcomm, communicator, "MPI_Comm_accept");
}

FTMPI_EXPORT int MPI_Comm_connect(const char* port_name, MPI_Info info, int root, MPI_Comm comm,
                                  MPI_Comm* newcomm) {
  FTMPI_PASS_THROUGH(PMPI_Comm_connect(port_name, info, root, comm, newcomm));
  Communicator* communicator = nullptr;
  MPI_Comm shared = MPI_COMM_NULL;
  int error = passthrough::GetOpenMpi(comm, "MPI_Comm_connect", &communicator, &shared);
  if (error != MPI_SUCCESS) return error;
  MPI_Comm inner = MPI_COMM_NULL;
  error = PMPI_Comm_connect(port_name, info, root, shared, &inner);
  return FinishIntercommunicator(error, inner, newcomm, communicator, "MPI_Comm_connect");
}

FTMPI_EXPORT int MPI_Comm_join(int fd, MPI_Comm* intercomm) {
  FTMPI_PASS_THROUGH(PMPI_Comm_join(fd, intercomm));
  passthrough::Notice("MPI_Comm_join", nullptr);
  MPI_Comm inner = MPI_COMM_NULL;
  const int error = PMPI_Comm_join(fd, &inner);
  return FinishIntercommunicator(error, inner, intercomm, nullptr, "MPI_Comm_join");
}

FTMPI_EXPORT int MPI_Comm_get_parent(MPI_Comm* parent) {
  FTMPI_PASS_THROUGH(PMPI_Comm_get_parent(parent));
  MPI_Comm inner = MPI_COMM_NULL;
  const int error = PMPI_Comm_get_parent(&inner);
  if (error != MPI_SUCCESS) return RaiseError(nullptr, error, "MPI_Comm_get_parent");
  EngineLock lock("MPI_Comm_get_parent");
  if (inner == MPI_COMM_NULL) {
    *parent = MPI_COMM_NULL;
    return MPI_SUCCESS;
  }
  if (inner != g_parent_inner) {
    engine::NoticeUnrecoverable("MPI_Comm_get_parent");
    g_parent = WrapForeign(inner);
    g_parent_inner = inner;
  }
  *parent = g_parent;
  return MPI_SUCCESS;
}

// Names of ports differ from run to run, and so would what a program does with them.

FTMPI_EXPORT int MPI_Open_port(MPI_Info info, char* port_name) {
  FTMPI_PASS_THROUGH(PMPI_Open_port(info, port_name));
  passthrough::Notice("MPI_Open_port", nullptr);
  return passthrough::Result(PMPI_Open_port(info, port_name), "MPI_Open_port");
}

FTMPI_EXPORT int MPI_Close_port(const char* port_name) {
  FTMPI_PASS_THROUGH(PMPI_Close_port(port_name));
  return passthrough::Result(PMPI_Close_port(port_name), "MPI_Close_port");
}

FTMPI_EXPORT int MPI_Publish_name(const char* service_name, MPI_Info info, const char* port_name) {
  FTMPI_PASS_THROUGH(PMPI_Publish_name(service_name, info, port_name));
  passthrough::Notice("MPI_Publish_name", nullptr);
  return passthrough::Result(PMPI_Publish_name(service_name, info, port_name), "MPI_Publish_name");
}

FTMPI_EXPORT int MPI_Unpublish_name(const char* service_name, MPI_Info info,
                                    const char* port_name) {
  FTMPI_PASS_THROUGH(PMPI_Unpublish_name(service_name, info, port_name));
  return passthrough::Result(PMPI_Unpublish_name(service_name, info, port_name),
                             "MPI_Unpublish_name");
}

FTMPI_EXPORT int MPI_Lookup_name(const char* service_name, MPI_Info info, char* port_name) {
  FTMPI_PASS_THROUGH(PMPI_Lookup_name(service_name, info, port_name));
  passthrough::Notice("MPI_Lookup_name", nullptr);
  return passthrough::Result(PMPI_Lookup_name(service_name, info, port_name), "MPI_Lookup_name");
}
// NOLINTEND
