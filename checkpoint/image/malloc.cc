// malloc and its kin: the program's blocks come from the arena, everybody else's from libc's heap
// (library_scope.h says whose). Blocks are freed by their address, whoever frees them.
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "checkpoint/image/arena.h"
#include "checkpoint/image/capture_heap.h"
#include "checkpoint/image/export.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/placed_blocks.h"
#include "checkpoint/image/process_role.h"

// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* block, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
void __libc_free(void* block);
}
// NOLINTEND(bugprone-reserved-identifier)

namespace ftmpi::image {
namespace {

bool ToArena() { return !InLibrary() && ArenaActive(); }

void* OrOutOfMemory(void* block) {
  if (block == nullptr) errno = ENOMEM;
  return block;
}

void* AllocateAligned(size_t alignment, size_t size) {
  if (capture_heap::Started()) return OrOutOfMemory(capture_heap::Allocate(size, alignment));
  if (!ToArena()) return __libc_memalign(alignment, size);
  // As glibc: other alignments are rounded up to a power of two.
  size_t power = 16;
  while (power < alignment && power < kTera) power *= 2;
  return OrOutOfMemory(power < alignment ? nullptr : arena::AllocateAligned(size, power));
}

// In a library's name.
void* AllocateOutside(size_t size, bool zeroed) {
  placed::Placement* placement = placed::t_placement;
  if (__builtin_expect(placement != nullptr && InLibrary(), 0)) {
    void* block = placement->Take(size);
    if (block != nullptr) return zeroed ? memset(block, 0, size) : block;
    block = zeroed ? __libc_calloc(1, size) : __libc_malloc(size);
    placement->Note(block, size);
    return block;
  }
  return zeroed ? __libc_calloc(1, size) : __libc_malloc(size);
}

size_t LibcUsableSize(void* block) {
  using Function = size_t (*)(void*);
  static const auto function = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "malloc_usable_size"));
  return function(block);
}

}  // namespace
}  // namespace ftmpi::image

using namespace ftmpi::image;  // NOLINT(google-build-using-namespace)

FTMPI_INTERPOSE void* malloc(size_t size) {
  if (__builtin_expect(g_memory_is_libcs, 1)) return __libc_malloc(size);
  if (capture_heap::Started()) return OrOutOfMemory(capture_heap::Allocate(size, 16));
  if (!ToArena()) return AllocateOutside(size, false);
  return OrOutOfMemory(arena::Allocate(size));
}

FTMPI_INTERPOSE void* calloc(size_t count, size_t size) {
  if (__builtin_expect(g_memory_is_libcs, 1)) return __libc_calloc(count, size);
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return nullptr;
  }
  if (capture_heap::Started()) return OrOutOfMemory(capture_heap::Allocate(bytes, 16));
  if (!ToArena()) return AllocateOutside(bytes, true);
  return OrOutOfMemory(arena::AllocateZeroed(bytes));
}

FTMPI_INTERPOSE void free(void* block) {
  if (__builtin_expect(g_memory_is_libcs, 1)) {
    __libc_free(block);
    return;
  }
  if (block == nullptr || capture_heap::Started()) return;
  const int error = errno;
  if (InArena(block)) {
    arena::Free(block);
  } else if (__builtin_expect(placed::Owns(block), 0)) {
    placed::Release(block);
  } else {
    __libc_free(block);
  }
  errno = error;
}

FTMPI_INTERPOSE size_t malloc_usable_size(void* block) {
  if (block == nullptr) return 0;
  if (capture_heap::Owns(block)) return capture_heap::Size(block);
  if (placed::Owns(block)) return placed::kBlock;
  return InArena(block) ? arena::UsableSize(block) : LibcUsableSize(block);
}

FTMPI_INTERPOSE void* realloc(void* block, size_t size) {
  if (__builtin_expect(g_memory_is_libcs, 1)) return __libc_realloc(block, size);
  if (block == nullptr) return malloc(size);
  if (capture_heap::Started()) {
    void* copy = capture_heap::Allocate(size, 16);
    if (copy != nullptr) memcpy(copy, block, std::min(size, malloc_usable_size(block)));
    return OrOutOfMemory(copy);
  }
  if (size == 0) {
    free(block);
    return nullptr;
  }
  // A block stays with whom it belongs to, whoever makes it grow.
  if (InArena(block)) return OrOutOfMemory(arena::Reallocate(block, size));
  if (placed::Owns(block)) {
    void* copy = __libc_malloc(size);
    if (copy == nullptr) return nullptr;
    memcpy(copy, block, std::min(size, placed::kBlock));
    placed::Release(block);
    return copy;
  }
  return __libc_realloc(block, size);
}

FTMPI_INTERPOSE void* reallocarray(void* block, size_t count, size_t size) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return nullptr;
  }
  return realloc(block, bytes);
}

FTMPI_INTERPOSE void* memalign(size_t alignment, size_t size) {
  return AllocateAligned(alignment, size);
}

FTMPI_INTERPOSE void* aligned_alloc(size_t alignment, size_t size) {
  return AllocateAligned(alignment, size);
}

FTMPI_INTERPOSE int posix_memalign(void** block, size_t alignment, size_t size) {
  if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment % sizeof(void*) != 0)
    return EINVAL;
  const int error = errno;
  void* memory = AllocateAligned(alignment, size);
  errno = error;
  if (memory == nullptr) return ENOMEM;
  *block = memory;
  return 0;
}

FTMPI_INTERPOSE void* valloc(size_t size) { return AllocateAligned(kPage, size); }

FTMPI_INTERPOSE void* pvalloc(size_t size) { return AllocateAligned(kPage, PageUp(size)); }
