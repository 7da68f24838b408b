// Entry points that ask a communicator, name it, or let it go.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "pmpi/capture.h"
#include "pmpi/communicator_create.h"
#include "pmpi/engine.h"
#include "pmpi/fortran_table.h"
#include "pmpi/message.h"
#include "pmpi/object_table.h"
#include "pmpi/saved_state.h"

namespace ftmpi {
namespace {

FTMPI_SAVED FortranTable<Communicator> g_fortran_communicators;

int CompareCommunicators(Communicator* one, Communicator* other) {
  if (one == other) return MPI_IDENT;
  if (one->inter != other->inter) return MPI_UNEQUAL;
  int result = CompareGroups(*one->local_group, *other->local_group);
  if (one->inter && result != MPI_UNEQUAL) {
    const int remote = CompareGroups(*one->remote_group, *other->remote_group);
    if (remote != MPI_IDENT) result = remote;
  }
  return result == MPI_IDENT ? MPI_CONGRUENT : result;
}

// MPI_Comm_free and MPI_Comm_disconnect. Operations that are still pending hold the object; the
// handle is dead from here on.
int Free(MPI_Comm* handle, bool disconnect, const char* function) {
  FTMPI_REQUIRE(nullptr, handle != nullptr, MPI_ERR_ARG, function);
  FTMPI_FIND_COMMUNICATOR(communicator, *handle, function);
  FTMPI_REQUIRE(communicator, communicator != g_world && communicator != g_self, MPI_ERR_COMM,
                function);
  int error = DeleteAllAttributes(communicator);
  FTMPI_REQUIRE(communicator, error == MPI_SUCCESS, error, function);
  if (communicator->foreign != MPI_COMM_NULL) {
    error = disconnect ? PMPI_Comm_disconnect(&communicator->foreign)
                       : PMPI_Comm_free(&communicator->foreign);
    FTMPI_REQUIRE(communicator, error == MPI_SUCCESS, error, function);
  }
  g_fortran_communicators.Remove(communicator);
  communicator->freed = true;
  communicator->magic = 0;
  ReleaseCommunicator(communicator);
  *handle = MPI_COMM_NULL;
  return MPI_SUCCESS;
}

// Adds the hints of `from` to `to`.
int MergeInfo(MPI_Info from, MPI_Info to) {
  int keys = 0;
  int error = PMPI_Info_get_nkeys(from, &keys);
  for (int i = 0; i < keys && error == MPI_SUCCESS; ++i) {
    std::array<char, MPI_MAX_INFO_KEY + 1> key{};
    error = PMPI_Info_get_nthkey(from, i, key.data());
    if (error != MPI_SUCCESS) break;
    int length = 0;
    int found = 0;
    error = PMPI_Info_get_valuelen(from, key.data(), &length, &found);
    if (error != MPI_SUCCESS || found == 0) continue;
    std::string value(static_cast<std::size_t>(length) + 1, '\0');
    error = PMPI_Info_get(from, key.data(), length, value.data(), &found);
    if (error == MPI_SUCCESS && found != 0) error = PMPI_Info_set(to, key.data(), value.c_str());
  }
  return error;
}

}  // namespace
}  // namespace ftmpi

using namespace ftmpi;  // NOLINT: entry points live outside the namespace

FTMPI_EXPORT int MPI_Comm_rank(MPI_Comm comm, int* rank) {
  FTMPI_PASS_THROUGH(PMPI_Comm_rank(comm, rank));
  EngineLock lock;
  FTMPI_FIND_COMMUNICATOR(communicator, comm, "MPI_Comm_rank");
  FTMPI_REQUIRE(communicator, rank != nullptr, MPI_ERR_ARG, "MPI_Comm_rank");
  *rank = communicator->rank;
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_size(MPI_Comm comm, int* size) {
  FTMPI_PASS_THROUGH(PMPI_Comm_size(comm, size));
  EngineLock lock;
  FTMPI_FIND_COMMUNICATOR(communicator, comm, "MPI_Comm_size");
  FTMPI_REQUIRE(communicator, size != nullptr, MPI_ERR_ARG, "MPI_Comm_size");
  *size = communicator->size;
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_remote_size(MPI_Comm comm, int* size) {
  FTMPI_PASS_THROUGH(PMPI_Comm_remote_size(comm, size));
  EngineLock lock;
  FTMPI_FIND_COMMUNICATOR(communicator, comm, "MPI_Comm_remote_size");
  FTMPI_REQUIRE(communicator, size != nullptr, MPI_ERR_ARG, "MPI_Comm_remote_size");
  // For an intracommunicator MPI leaves it open; Open MPI says 0.
  *size = communicator->inter ? communicator->remote_size() : 0;
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_test_inter(MPI_Comm comm, int* flag) {
  FTMPI_PASS_THROUGH(PMPI_Comm_test_inter(comm, flag));
  EngineLock lock;
  FTMPI_FIND_COMMUNICATOR(communicator, comm, "MPI_Comm_test_inter");
  FTMPI_REQUIRE(communicator, flag != nullptr, MPI_ERR_ARG, "MPI_Comm_test_inter");
  *flag = communicator->inter ? 1 : 0;
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_compare(MPI_Comm comm1, MPI_Comm comm2, int* result) {
  FTMPI_PASS_THROUGH(PMPI_Comm_compare(comm1, comm2, result));
  EngineLock lock;
  FTMPI_FIND_COMMUNICATOR(one, comm1, "MPI_Comm_compare");
  FTMPI_FIND_COMMUNICATOR(other, comm2, "MPI_Comm_compare");
  FTMPI_REQUIRE(one, result != nullptr, MPI_ERR_ARG, "MPI_Comm_compare");
  *result = CompareCommunicators(one, other);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_group(MPI_Comm comm, MPI_Group* group) {
  FTMPI_PASS_THROUGH(PMPI_Comm_group(comm, group));
  EngineLock lock;
  FTMPI_FIND_COMMUNICATOR(communicator, comm, "MPI_Comm_group");
  FTMPI_REQUIRE(communicator, group != nullptr, MPI_ERR_ARG, "MPI_Comm_group");
  *group = MakeGroupHandle(communicator->local_group);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_remote_group(MPI_Comm comm, MPI_Group* group) {
  FTMPI_PASS_THROUGH(PMPI_Comm_remote_group(comm, group));
  EngineLock lock;
  FTMPI_FIND_COMMUNICATOR(communicator, comm, "MPI_Comm_remote_group");
  FTMPI_REQUIRE(communicator, communicator->inter, MPI_ERR_COMM, "MPI_Comm_remote_group");
  FTMPI_REQUIRE(communicator, group != nullptr, MPI_ERR_ARG, "MPI_Comm_remote_group");
  *group = MakeGroupHandle(communicator->remote_group);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_set_name(MPI_Comm comm, const char* comm_name) {
  FTMPI_PASS_THROUGH(PMPI_Comm_set_name(comm, comm_name));
  EngineLock lock;
  FTMPI_FIND_COMMUNICATOR(communicator, comm, "MPI_Comm_set_name");
  FTMPI_REQUIRE(communicator, comm_name != nullptr, MPI_ERR_ARG, "MPI_Comm_set_name");
  communicator->name.assign(comm_name, strnlen(comm_name, MPI_MAX_OBJECT_NAME - 1));
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_get_name(MPI_Comm comm, char* comm_name, int* resultlen) {
  FTMPI_PASS_THROUGH(PMPI_Comm_get_name(comm, comm_name, resultlen));
  EngineLock lock;
  FTMPI_FIND_COMMUNICATOR(communicator, comm, "MPI_Comm_get_name");
  FTMPI_REQUIRE(communicator, comm_name != nullptr && resultlen != nullptr, MPI_ERR_ARG,
                "MPI_Comm_get_name");
  std::memcpy(comm_name, communicator->name.c_str(), communicator->name.size() + 1);
  *resultlen = static_cast<int>(communicator->name.size());
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_set_info(MPI_Comm comm, MPI_Info info) {
  FTMPI_PASS_THROUGH(PMPI_Comm_set_info(comm, info));
  EngineLock lock;
  const char* const function = "MPI_Comm_set_info";
  FTMPI_FIND_COMMUNICATOR(communicator, comm, function);
  FTMPI_REQUIRE(communicator, info != nullptr && info != MPI_INFO_NULL, MPI_ERR_INFO, function);
  int error = MPI_SUCCESS;
  if (communicator->info == MPI_INFO_NULL) {
    error = objects::Make(&communicator->info,
                          [communicator] { return PMPI_Info_create(&communicator->info); });
  }
  if (error == MPI_SUCCESS) error = MergeInfo(info, communicator->info);
  return error == MPI_SUCCESS ? error : RaiseError(communicator, error, function);
}

FTMPI_EXPORT int MPI_Comm_get_info(MPI_Comm comm, MPI_Info* info_used) {
  FTMPI_PASS_THROUGH(PMPI_Comm_get_info(comm, info_used));
  EngineLock lock;
  const char* const function = "MPI_Comm_get_info";
  FTMPI_FIND_COMMUNICATOR(communicator, comm, function);
  FTMPI_REQUIRE(communicator, info_used != nullptr, MPI_ERR_ARG, function);
  const int error = objects::Make(info_used, [communicator, info_used] {
    return communicator->info == MPI_INFO_NULL ? PMPI_Info_create(info_used)
                                               : PMPI_Info_dup(communicator->info, info_used);
  });
  return error == MPI_SUCCESS ? error : RaiseError(communicator, error, function);
}

FTMPI_EXPORT int MPI_Comm_free(MPI_Comm* comm) {
  FTMPI_PASS_THROUGH(PMPI_Comm_free(comm));
  EngineLock lock;
  return Free(comm, false, "MPI_Comm_free");
}

FTMPI_EXPORT int MPI_Comm_disconnect(MPI_Comm* comm) {
  FTMPI_PASS_THROUGH(PMPI_Comm_disconnect(comm));
  EngineLock lock;
  return Free(comm, true, "MPI_Comm_disconnect");
}

FTMPI_EXPORT MPI_Fint MPI_Comm_c2f(MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Comm_c2f(comm));
  EngineLock lock;
  Communicator* communicator = FindCommunicator(comm);
  if (communicator == nullptr) return PMPI_Comm_c2f(MPI_COMM_NULL);
  if (communicator == g_world || communicator == g_self) return PMPI_Comm_c2f(comm);
  return g_fortran_communicators.IndexOf(communicator);
}

FTMPI_EXPORT MPI_Comm MPI_Comm_f2c(MPI_Fint comm) {
  FTMPI_PASS_THROUGH(PMPI_Comm_f2c(comm));
  EngineLock lock;
  if (comm == PMPI_Comm_c2f(MPI_COMM_WORLD)) return MPI_COMM_WORLD;
  if (comm == PMPI_Comm_c2f(MPI_COMM_SELF)) return MPI_COMM_SELF;
  return HandleOf(g_fortran_communicators.Find(comm));
}
