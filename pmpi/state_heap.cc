#include "pmpi/state_heap.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/sync/mutex_family.hpp>
#include <cstdlib>
#include <new>

#include "pmpi/message.h"

namespace ftmpi::state_heap {
namespace {

namespace bip = boost::interprocess;
using Manager = bip::rbtree_best_fit<bip::null_mutex_family>;

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kStep = std::uint64_t{1} << 20;

// At the start of the heap.
struct Root {
  std::uint64_t magic;
  std::uint64_t size;  // writable, from kBase
  Manager* manager;
};
constexpr std::uint64_t kMagic = 0x50414548'54534d46;  // "FMSTHEAP"
constexpr std::uint64_t kSavedOffset = kPage;
constexpr std::uint64_t kManagerOffset = kSavedOffset + kSavedBytes;

bool g_active = false;
// Set in the thread that made the heap: others (there are none where images are taken) don't use
// it.
__thread bool t_owner __attribute__((tls_model("initial-exec"))) = false;

// The engine's lock does not cover all: a block that the main thread has made may be given back by
// a thread of the program that is starting or ending. Not saved: nobody allocates during a capture.
pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
class Locked {
 public:
  Locked() { pthread_mutex_lock(&g_mutex); }
  ~Locked() { pthread_mutex_unlock(&g_mutex); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;
};

Root& TheRoot() { return *reinterpret_cast<Root*>(kBase); }

bool Grow(std::uint64_t size) {
  Root& root = TheRoot();
  const std::uint64_t wanted = (std::max(size, root.size / 4) + kStep - 1) / kStep * kStep;
  if (root.size + wanted > kLimit) return false;
  if (mprotect(reinterpret_cast<void*>(kBase + root.size), wanted, PROT_READ | PROT_WRITE) != 0)
    return false;
  root.manager->grow(wanted);
  root.size += wanted;
  return true;
}

}  // namespace

bool Reserve(const char** reason) {
  void* wanted = reinterpret_cast<void*>(kBase);
  void* mapped = mmap(wanted, kLimit, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (mapped == wanted) return true;
  if (mapped != MAP_FAILED) munmap(mapped, kLimit);
  *reason = "the addresses of the engine's state are not free";
  return false;
}

bool Create(const char** reason) {
  if (!Reserve(reason)) return false;
  if (mprotect(reinterpret_cast<void*>(kBase), kStep, PROT_READ | PROT_WRITE) != 0) {
    *reason = "there is no memory for the engine's state";
    return false;
  }
  Root& root = TheRoot();
  root.magic = kMagic;
  root.size = kStep;
  root.manager =
      new (reinterpret_cast<void*>(kBase + kManagerOffset)) Manager(kStep - kManagerOffset, 0);
  t_owner = true;
  g_active = true;
  return true;
}

void Adopt() {
  FTMPI_CHECK(TheRoot().magic == kMagic);
  t_owner = true;
  g_active = true;
}

bool Active() { return g_active; }
std::uint64_t BytesInUse() { return TheRoot().size; }
std::byte* SavedArea() { return reinterpret_cast<std::byte*>(kBase + kSavedOffset); }

namespace {

void* Allocate(std::size_t size, std::size_t alignment) {
  if (size == 0) size = 1;
  if (__builtin_expect(!g_active, 1) || !t_owner) {
    return alignment <= alignof(std::max_align_t)
               ? std::malloc(size)
               : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  }
  const Locked lock;
  for (;;) {
    void* block = alignment <= alignof(std::max_align_t)
                      ? TheRoot().manager->allocate(size)
                      : TheRoot().manager->allocate_aligned(size, alignment);
    if (block != nullptr) return block;
    if (!Grow(size + 2 * alignment + kPage)) return nullptr;
  }
}

void* AllocateOrThrow(std::size_t size, std::size_t alignment) {
  void* block = Allocate(size, alignment);
  if (__builtin_expect(block == nullptr, 0)) throw std::bad_alloc();
  return block;
}

void Free(void* block) {
  if (__builtin_expect(Owns(block), 0)) {
    const Locked lock;
    TheRoot().manager->deallocate(block);
  } else {
    std::free(block);
  }
}

constexpr std::size_t kDefault = alignof(std::max_align_t);

}  // namespace
}  // namespace ftmpi::state_heap

// The library's own operators; not exported, so the program's are not touched.
void* operator new(std::size_t size) {
  return ftmpi::state_heap::AllocateOrThrow(size, ftmpi::state_heap::kDefault);
}
void* operator new[](std::size_t size) {
  return ftmpi::state_heap::AllocateOrThrow(size, ftmpi::state_heap::kDefault);
}
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return ftmpi::state_heap::Allocate(size, ftmpi::state_heap::kDefault);
}
void* operator new[](std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return ftmpi::state_heap::Allocate(size, ftmpi::state_heap::kDefault);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return ftmpi::state_heap::AllocateOrThrow(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return ftmpi::state_heap::AllocateOrThrow(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* block) noexcept { ftmpi::state_heap::Free(block); }
void operator delete[](void* block) noexcept { ftmpi::state_heap::Free(block); }
void operator delete(void* block, std::size_t /*size*/) noexcept { ftmpi::state_heap::Free(block); }
void operator delete[](void* block, std::size_t /*size*/) noexcept {
  ftmpi::state_heap::Free(block);
}
void operator delete(void* block, std::align_val_t /*alignment*/) noexcept {
  ftmpi::state_heap::Free(block);
}
void operator delete[](void* block, std::align_val_t /*alignment*/) noexcept {
  ftmpi::state_heap::Free(block);
}
void operator delete(void* block, std::size_t /*size*/, std::align_val_t /*alignment*/) noexcept {
  ftmpi::state_heap::Free(block);
}
void operator delete[](void* block, std::size_t /*size*/, std::align_val_t /*alignment*/) noexcept {
  ftmpi::state_heap::Free(block);
}
void operator delete(void* block, const std::nothrow_t& /*tag*/) noexcept {
  ftmpi::state_heap::Free(block);
}
void operator delete[](void* block, const std::nothrow_t& /*tag*/) noexcept {
  ftmpi::state_heap::Free(block);
}
