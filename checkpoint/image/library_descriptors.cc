// Functions that make descriptors: those that a library makes are not the program's. (Only what is
// called from outside libc comes through here; files that libc itself keeps open don't exist.)
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/socket.h>

#include "checkpoint/image/descriptors.h"
#include "checkpoint/image/export.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/process_role.h"

namespace ftmpi::image {
namespace {

template <typename Signature>
Signature Next(const char* name) {
  return reinterpret_cast<Signature>(dlsym(RTLD_NEXT, name));
}

int Noted(int descriptor) {
  if (descriptor >= 0 && InLibrary() && CurrentRole() != Role::kInert &&
      CurrentRole() != Role::kUndecided)
    NoteLibraryDescriptor(descriptor);
  return descriptor;
}

// At a number that had another file before.
int NotedAt(int descriptor) {
  if (descriptor >= 0) ForgetDescriptor(descriptor);
  return Noted(descriptor);
}

// Commands without an argument get one that is not looked at.
int ControlFile(int descriptor, int command, long argument) {
  static const auto next = Next<int (*)(int, int, long)>("fcntl64");
  const int result = next(descriptor, command, argument);
  return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? Noted(result) : result;
}

int NotedPair(int result, const int* descriptors) {
  if (result != 0) return result;
  Noted(descriptors[0]);
  Noted(descriptors[1]);
  return result;
}

bool HasMode(int flags) { return (flags & (O_CREAT | __O_TMPFILE)) != 0; }

}  // namespace
}  // namespace ftmpi::image

using namespace ftmpi::image;  // NOLINT(google-build-using-namespace)

// NOLINTBEGIN(cppcoreguidelines-macro-usage)
#define FTMPI_OPEN(name)                                                     \
  FTMPI_INTERPOSE int name(const char* path, int flags, ...) {               \
    static const auto next = Next<int (*)(const char*, int, mode_t)>(#name); \
    mode_t mode = 0;                                                         \
    if (HasMode(flags)) {                                                    \
      va_list arguments;                                                     \
      va_start(arguments, flags);                                            \
      mode = va_arg(arguments, mode_t);                                      \
      va_end(arguments);                                                     \
    }                                                                        \
    return Noted(next(path, flags, mode));                                   \
  }

#define FTMPI_OPENAT(name)                                                        \
  FTMPI_INTERPOSE int name(int directory, const char* path, int flags, ...) {     \
    static const auto next = Next<int (*)(int, const char*, int, mode_t)>(#name); \
    mode_t mode = 0;                                                              \
    if (HasMode(flags)) {                                                         \
      va_list arguments;                                                          \
      va_start(arguments, flags);                                                 \
      mode = va_arg(arguments, mode_t);                                           \
      va_end(arguments);                                                          \
    }                                                                             \
    return Noted(next(directory, path, flags, mode));                             \
  }

#define FTMPI_ONE(name, parameters, ...)                     \
  FTMPI_INTERPOSE int name parameters {                      \
    static const auto next = Next<int(*) parameters>(#name); \
    return Noted(next(__VA_ARGS__));                         \
  }

#define FTMPI_PAIR(name, parameters, pair, ...)              \
  FTMPI_INTERPOSE int name parameters {                      \
    static const auto next = Next<int(*) parameters>(#name); \
    return NotedPair(next(__VA_ARGS__), pair);               \
  }
// NOLINTEND(cppcoreguidelines-macro-usage)

FTMPI_OPEN(open)
FTMPI_OPEN(open64)
FTMPI_OPENAT(openat)
FTMPI_OPENAT(openat64)
FTMPI_ONE(creat, (const char* path, mode_t mode), path, mode)
FTMPI_ONE(creat64, (const char* path, mode_t mode), path, mode)
FTMPI_ONE(socket, (int domain, int type, int protocol), domain, type, protocol)
FTMPI_ONE(accept, (int descriptor, sockaddr* address, socklen_t* length), descriptor, address,
          length)
FTMPI_ONE(accept4, (int descriptor, sockaddr* address, socklen_t* length, int flags), descriptor,
          address, length, flags)
FTMPI_ONE(epoll_create, (int size), size)
FTMPI_ONE(epoll_create1, (int flags), flags)
FTMPI_ONE(eventfd, (unsigned value, int flags), value, flags)
FTMPI_ONE(timerfd_create, (int clock, int flags), clock, flags)
FTMPI_ONE(signalfd, (int descriptor, const void* mask, int flags), descriptor, mask, flags)
FTMPI_ONE(inotify_init, (), )
FTMPI_ONE(inotify_init1, (int flags), flags)
FTMPI_ONE(memfd_create, (const char* name, unsigned flags), name, flags)
FTMPI_ONE(dup, (int descriptor), descriptor)
FTMPI_PAIR(pipe, (int* pair), pair, pair)
FTMPI_PAIR(pipe2, (int* pair, int flags), pair, pair, flags)
FTMPI_PAIR(socketpair, (int domain, int type, int protocol, int* pair), pair, domain, type,
           protocol, pair)

FTMPI_INTERPOSE int dup2(int descriptor, int wanted) {
  static const auto next = Next<int (*)(int, int)>("dup2");
  const int result = next(descriptor, wanted);
  return descriptor == wanted ? result : NotedAt(result);
}

FTMPI_INTERPOSE int dup3(int descriptor, int wanted, int flags) {
  static const auto next = Next<int (*)(int, int, int)>("dup3");
  return NotedAt(next(descriptor, wanted, flags));
}

FTMPI_INTERPOSE int close(int descriptor) {
  static const auto next = Next<int (*)(int)>("close");
  // First: as soon as it is closed another thread may get the number.
  ForgetDescriptor(descriptor);
  return next(descriptor);
}

#define FTMPI_FCNTL(name)                                      \
  FTMPI_INTERPOSE int name(int descriptor, int command, ...) { \
    va_list arguments;                                         \
    va_start(arguments, command);                              \
    const long argument = va_arg(arguments, long);             \
    va_end(arguments);                                         \
    return ControlFile(descriptor, command, argument);         \
  }

FTMPI_FCNTL(fcntl)
FTMPI_FCNTL(fcntl64)
