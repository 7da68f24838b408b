// Open MPI's objects that the program holds handles of, kept over a restart: pmpi/OBJECTS.md.
//
// Off (`g_on` false) unless images are taken; then all functions but Make do nothing. Expects the
// engine's lock or one thread: a program of several threads gets no images.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/placed_blocks.h"
#include "pmpi/checkpointing.h"

namespace ftmpi::objects {

extern bool g_on;

// --- Records (in the state heap) ----------------------------------------------------------------

// How a datatype is made: MPI_Type_get_envelope and MPI_Type_get_contents, and how those that it
// is made of are. (Open MPI gives copies of these, not the program's own handles.)
struct Recipe {
  MPI_Datatype named = MPI_DATATYPE_NULL;  // the datatype itself, if it is predefined
  int combiner = MPI_COMBINER_NAMED;
  std::vector<int> integers;
  std::vector<MPI_Aint> addresses;
  std::vector<Recipe> parts;
};

struct DatatypeRecord {
  int holds = 0;           // operations of ours that need it
  int frees_deferred = 0;  // MPI_Type_free while it was held
  bool committed = false;
  bool described = false;  // the recipe is there
  Recipe recipe;
  std::string name;
  std::vector<std::pair<int, void*>> attributes;
};

struct OperationRecord {
  MPI_User_function* function = nullptr;
  bool commutative = false;
};

enum class HandlerOf : std::uint8_t { kCommunicator, kWindow, kFile };
struct HandlerRecord {
  HandlerOf of = HandlerOf::kCommunicator;
  void (*function)() = nullptr;
};

struct InfoRecord {
  std::vector<std::pair<std::string, std::string>> hints;
};

struct Object {
  void* handle = nullptr;
  std::uint64_t sequence = 0;  // order of making
  std::variant<DatatypeRecord, OperationRecord, HandlerRecord, InfoRecord> record;
};

// The object of a handle, or null: predefined, or not kept.
Object* Find(const void* handle);
inline DatatypeRecord* FindDatatype(MPI_Datatype datatype) {
  Object* object = Find(datatype);
  return object == nullptr ? nullptr : std::get_if<DatatypeRecord>(&object->record);
}
// All that live, in the order of their making. Forgets those that don't.
std::vector<Object*> All();
// After a restart: all that an image holds, in this order; they are not made yet.
std::vector<Object*> AllToRestore();

// --- Making -------------------------------------------------------------------------------------

// How large Open MPI's objects are, found out with a trial object. 0: could not be found out.
std::size_t SizeOf(const MPI_Datatype* /*kind*/);
std::size_t SizeOf(const MPI_Op* /*kind*/);
std::size_t SizeOf(const MPI_Errhandler* /*kind*/);
std::size_t SizeOf(const MPI_Info* /*kind*/);

// A call has made `handle`. Null: it is not kept (predefined, or an obstacle, which is noted).
Object* Added(MPI_Datatype handle);
Object* Added(MPI_Op handle);
Object* Added(MPI_Errhandler handle);
Object* Added(MPI_Info handle);

// Runs a call of Open MPI's that makes an object and stores its handle: `call` returns an MPI error
// code. Every making of an object that outlives the MPI call goes through here.
template <typename Handle, typename Call>
int Make(Handle* handle, Call call) {
  if (__builtin_expect(!g_on, 1) || handle == nullptr) return call();
  const image::LibraryScope scope;
  const checkpointing::NoCut no_cut;
  int error = MPI_SUCCESS;
  {
    image::placed::Placement placement(SizeOf(handle));
    error = call();
  }
  if (error == MPI_SUCCESS) Added(*handle);
  return error;
}

// --- Fortran's integers --------------------------------------------------------------------------
inline constexpr MPI_Fint kFirstFortran = 1 << 30;
// Of a kept object; 0: not one.
MPI_Fint FortranIndex(const void* handle);
// The kept object's handle, or null.
void* FromFortranIndex(MPI_Fint index);

// --- Over a restart ------------------------------------------------------------------------------
// Images are going to be taken of this process, or it starts from one. False: `reason`.
bool Start(const char** reason);
// Before an image is taken: completes the records. False: an obstacle was found and noted.
bool Describe();
// In the process that replaces the captured one, when the records are there: makes everything
// again. Ends the job with a message when that fails.
void Restore();

}  // namespace ftmpi::objects
