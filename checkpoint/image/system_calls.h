// The system calls behind functions that the library interposes: straight to the kernel.
#pragma once

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace ftmpi::image::raw {

inline void* Map(void* address, std::size_t length, int protection, int flags, int descriptor,
                 std::int64_t offset) {
  return reinterpret_cast<void*>(
      syscall(SYS_mmap, address, length, protection, flags, descriptor, offset));
}

inline int Unmap(void* address, std::size_t length) {
  return static_cast<int>(syscall(SYS_munmap, address, length));
}

inline void* Remap(void* address, std::size_t old_length, std::size_t new_length, int flags,
                   void* wanted) {
  return reinterpret_cast<void*>(
      syscall(SYS_mremap, address, old_length, new_length, flags, wanted));
}

}  // namespace ftmpi::image::raw
