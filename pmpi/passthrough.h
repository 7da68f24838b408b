// What the pass-through entry points share, generated (cmake/generate_wrappers.py) and hand-written
// (one_sided.cc, file_io.cc, dynamic_process.cc).
//
// Windows, files and the communicators of dynamic processes are Open MPI's own objects, on Open MPI
// communicators made for them. They work, and are not logged: recovery can't cross them, which is
// said once by name (engine::NoticeUnrecoverable) where such an object is made.
//
// A rank that blocks inside Open MPI does not serve our message engine, and another rank may need
// just that (an acknowledgement, say) before it can join the call that we block in. So the ranks of
// a collective call first meet in a barrier that serves the engine while it waits; then Open MPI's
// own call waits for nobody outside it. What remains: a rank that holds a passive-target lock and
// waits for a rank that is blocked in MPI_Win_lock for that lock, where MPI itself would not wait;
// and foreign communicators, on whose other side may be processes without ftmpi: there Open MPI's
// calls are made as they are.
#pragma once

#include <mpi.h>

#include <mutex>
#include <unordered_map>

#include "pmpi/capture.h"
#include "pmpi/communicator.h"
#include "pmpi/engine.h"
#include "pmpi/foreign.h"

namespace ftmpi::passthrough {

// The result of a function that acts on no communicator, window or file: errors are raised on
// MPI_COMM_WORLD, as Open MPI does it.
inline int Result(int error, const char* function) {
  return error == MPI_SUCCESS ? error : RaiseError(nullptr, error, function);
}

// The beginning of a pass-through call: what the engine does at every MPI call (it looks at which
// thread calls, and whether FT_INJECT means this call). Open MPI itself is called without the
// engine's lock: it may block, and another thread of the program may be what it waits for.
inline void Enter(const char* function) { EngineLock lock(function); }

// An Open MPI communicator for functions that only ask it for its representation of data.
MPI_Comm ForLocalUse(const Communicator* communicator);

// WrapForeignRequest with the engine's lock.
MPI_Request WrapLocked(MPI_Request inner);

// A group of ours for one of Open MPI's, which is freed.
MPI_Group TakeGroup(MPI_Group* inner);

// The Open MPI group behind a handle of ours, for the duration of a call; MPI_GROUP_NULL for a
// handle that is no group.
class TranslatedGroup {
 public:
  explicit TranslatedGroup(MPI_Group handle);
  ~TranslatedGroup();
  TranslatedGroup(const TranslatedGroup&) = delete;
  TranslatedGroup& operator=(const TranslatedGroup&) = delete;
  [[nodiscard]] MPI_Group get() const { return group_; }

 private:
  MPI_Group group_;
};

// Says once that recovery can't cross `function` (engine::NoticeUnrecoverable). `communicator` is
// what the call is collective over, null if over nothing: its first rank speaks where rank 0 of the
// job, which speaks for all otherwise, takes no part.
void Notice(const char* function, const Communicator* communicator);

// Open MPI's objects (windows, files), each with the private communicator that it was made on.
class Objects {
 public:
  void Add(const void* object, MPI_Comm made);
  // MPI_COMM_NULL: not one of them, or made on a foreign communicator.
  MPI_Comm Find(const void* object);
  MPI_Comm Remove(const void* object);

 private:
  std::mutex mutex_;
  std::unordered_map<const void*, MPI_Comm> made_;
};
Objects& Windows();
Objects& Files();

// Collective over `handle`'s communicator: an Open MPI communicator with its members. Says the
// notice, meets the others. `*shared` stays ours, its errors are returned; do not free. Returns an
// MPI error code that was raised already.
int GetOpenMpi(MPI_Comm handle, const char* function, Communicator** communicator,
               MPI_Comm* shared);

// The Open MPI communicator of a new window or file: one of its own, or, where the program's
// communicator is foreign, that one.
class ObjectCommunicator {
 public:
  // As GetOpenMpi.
  int Make(MPI_Comm handle, const char* function);
  [[nodiscard]] MPI_Comm get() const { return made_; }
  [[nodiscard]] Communicator* communicator() const { return communicator_; }
  // Ends the making of the object, which returned `error`: keeps the communicator with the new
  // object, or gives it back.
  template <typename Object>
  void Finish(int error, const Object* object, Objects* objects) {
    if (!own_) return;
    if (error == MPI_SUCCESS) {
      objects->Add(*object, made_);
    } else {
      PMPI_Comm_free(&made_);
    }
  }

 private:
  Communicator* communicator_ = nullptr;
  MPI_Comm made_ = MPI_COMM_NULL;
  bool own_ = false;
};

// Barrier over an Open MPI communicator that serves the engine.
int Meet(MPI_Comm openmpi);

// Meets the ranks of a window or file before a collective call on it, if they can be met. MPI error
// code. Open MPI's own call is left to find out what is no window or file at all.
int MeetWindow(MPI_Win window);
int MeetFile(MPI_File file);

}  // namespace ftmpi::passthrough
