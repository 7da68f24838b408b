// mmap and its kin, sbrk: what the program maps itself belongs to the image.
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>

#include "checkpoint/image/arena.h"
#include "checkpoint/image/export.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/process_role.h"
#include "checkpoint/image/system_calls.h"

namespace ftmpi::image {
namespace {

bool ByProgram() { return !InLibrary() && ArenaActive(); }

void* Map(void* address, size_t length, int protection, int flags, int descriptor, off64_t offset) {
  if (!ByProgram()) return raw::Map(address, length, protection, flags, descriptor, offset);
  constexpr int kOwnAddress = MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_32BIT | MAP_GROWSDOWN;
  if ((flags & kOwnAddress) != 0 || length == 0 || length > kZoneLimit - kZoneBase)
    return arena::MapAt(address, length, protection, flags, descriptor, offset);
  return arena::Map(length, protection, flags, descriptor, offset);
}

}  // namespace
}  // namespace ftmpi::image

using namespace ftmpi::image;  // NOLINT(google-build-using-namespace)

FTMPI_INTERPOSE void* mmap(void* address, size_t length, int protection, int flags, int descriptor,
                           off_t offset) {
  return Map(address, length, protection, flags, descriptor, offset);
}

FTMPI_INTERPOSE void* mmap64(void* address, size_t length, int protection, int flags,
                             int descriptor, off64_t offset) {
  return Map(address, length, protection, flags, descriptor, offset);
}

FTMPI_INTERPOSE int munmap(void* address, size_t length) {
  if (!ByProgram()) return raw::Unmap(address, length);
  return arena::Unmap(address, length);
}

FTMPI_INTERPOSE void* mremap(void* address, size_t old_length, size_t new_length, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  void* wanted = (flags & MREMAP_FIXED) != 0 ? va_arg(arguments, void*) : nullptr;
  va_end(arguments);
  // Moves to an address of the program's choice, and copies of shared memory, are not tracked.
  if (!ByProgram() || (flags & ~MREMAP_MAYMOVE) != 0)
    return raw::Remap(address, old_length, new_length, flags, wanted);
  return arena::Remap(address, old_length, new_length, (flags & MREMAP_MAYMOVE) != 0);
}

FTMPI_INTERPOSE void* sbrk(intptr_t increment) {
  if (!ByProgram()) {
    static const auto next = reinterpret_cast<void* (*)(intptr_t)>(dlsym(RTLD_NEXT, "sbrk"));
    return next(increment);
  }
  void* old_break = arena::MoveBreak(increment);
  if (old_break != nullptr) return old_break;
  errno = ENOMEM;
  return reinterpret_cast<void*>(-1);
}

FTMPI_INTERPOSE int brk(void* address) {
  if (!ByProgram()) {
    static const auto next = reinterpret_cast<int (*)(void*)>(dlsym(RTLD_NEXT, "brk"));
    return next(address);
  }
  const auto wanted = reinterpret_cast<std::int64_t>(address);
  const auto now = reinterpret_cast<std::int64_t>(arena::MoveBreak(0));
  if (arena::MoveBreak(wanted - now) != nullptr) return 0;
  errno = ENOMEM;
  return -1;
}
