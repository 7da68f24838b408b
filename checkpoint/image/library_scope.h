// Whose work a thread does at the moment: the program's, or that of MPI, of ftmpi or of another
// library that is no part of the image. Memory, descriptors and threads made in the second case are
// not the program's and are not saved.
//
// A thread that was started while in a library belongs to the library for good.
#pragma once

#include <pthread.h>

namespace ftmpi::image {

// Depth of library calls of this thread. Initial-exec: read by malloc.
extern __thread int t_library_depth __attribute__((tls_model("initial-exec")));

inline bool InLibrary() { return t_library_depth != 0; }

inline void EnterLibrary() { ++t_library_depth; }
inline void LeaveLibrary() { --t_library_depth; }

class LibraryScope {
 public:
  LibraryScope() { EnterLibrary(); }
  ~LibraryScope() { LeaveLibrary(); }
  LibraryScope(const LibraryScope&) = delete;
  LibraryScope& operator=(const LibraryScope&) = delete;
};

// The same with a mutex held: for lists that the library keeps itself.
class LockedLibraryScope {
 public:
  explicit LockedLibraryScope(pthread_mutex_t* mutex) : mutex_(mutex) {
    pthread_mutex_lock(mutex_);
  }
  ~LockedLibraryScope() { pthread_mutex_unlock(mutex_); }
  LockedLibraryScope(const LockedLibraryScope&) = delete;
  LockedLibraryScope& operator=(const LockedLibraryScope&) = delete;

 private:
  LibraryScope scope_;  // entered before the lock, left after it
  pthread_mutex_t* mutex_;
};

// The program's own functions that a library calls: reductions, error handlers, callbacks.
class ProgramScope {
 public:
  ProgramScope() : depth_(t_library_depth) { t_library_depth = 0; }
  ~ProgramScope() { t_library_depth = depth_; }
  ProgramScope(const ProgramScope&) = delete;
  ProgramScope& operator=(const ProgramScope&) = delete;

 private:
  int depth_;
};

}  // namespace ftmpi::image
