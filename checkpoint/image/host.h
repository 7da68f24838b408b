// What the image library needs of the library that it is linked into (libftmpi.so; in tests a small
// one). The host defines TheHost().
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/image/source.h"

namespace ftmpi::image {

enum class StartMode : std::uint8_t {
  kOff,      // this process gets no image
  kRecord,   // images of this process may be taken
  kRestore,  // this process starts to be replaced by an image
};

class Host {
 public:
  Host() = default;
  virtual ~Host() = default;
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // From the environment alone, before main() and before constructors of the executable. Called
  // for every process that the library is loaded into.
  virtual StartMode Mode() = 0;

  // True for libraries whose state is not the program's, by file name ("libmpi.so.40"): the MPI
  // library and ftmpi. What they need is taken from their dependencies. Called at any time after
  // libc's start; must not allocate.
  virtual bool IsLibraryRoot(const char* file_name) = 0;

  // True for environment variables that are the launcher's or the MPI library's ("PMIX_RANK"): a
  // restored process keeps those that it was started with.
  virtual bool IsLibraryVariable(const char* name) = 0;

  // This process will not be imaged although Mode() asked for it.
  virtual void NotImaged(const std::string& reason) = 0;

  // kRestore: the image, open until the process goes on in it.
  virtual Source& OpenImage() = 0;
  // kRestore: the start of MPI and of whatever else must be there before the program goes on; on
  // the start-up stack, where main() would run. Returns when the image may be mapped.
  virtual void StartLibraries(int* argc, char*** argv) = 0;
  // kRestore: the image can't be used. Must not return.
  [[noreturn]] virtual void RestoreFailed(const std::string& reason) = 0;
};

// Must not register an exit handler (a static object with a destructor would): those ask the host.
Host& TheHost();

}  // namespace ftmpi::image
