#include "checkpoint/image/arena.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include <algorithm>
#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/sync/mutex_family.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>

#include "checkpoint/image/system_calls.h"

namespace ftmpi::image::arena {
namespace {

// Plain pointers: the arena is always at the same address.
using Heap = boost::interprocess::rbtree_best_fit<boost::interprocess::null_mutex_family, void*>;

constexpr std::uint64_t kFirstHeapSize = std::uint64_t{32} << 20;
constexpr std::uint64_t kHeapStep = std::uint64_t{32} << 20;
// As glibc: freed large blocks raise the threshold up to this, so that a program that allocates and
// frees the same size again and again doesn't map and unmap each time.
constexpr std::uint64_t kFirstThreshold = std::uint64_t{128} << 10;
constexpr std::uint64_t kHighestThreshold = std::uint64_t{32} << 20;
// No object may be larger: PTRDIFF_MAX.
constexpr std::uint64_t kLargest = ~std::uint64_t{0} >> 1;

pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;

// As libc's own locks, it does nothing while the process has one thread.
class Guard {
 public:
  Guard() : locked_(__libc_single_threaded == 0) {
    if (locked_) pthread_mutex_lock(&g_mutex);
  }
  ~Guard() {
    if (locked_) pthread_mutex_unlock(&g_mutex);
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  const bool locked_;
};

Heap& TheHeap() { return *static_cast<Heap*>(Root().heap); }

bool MakeWritable(std::uint64_t address, std::uint64_t length) {
  auto* memory = reinterpret_cast<void*>(address);
  if (mprotect(memory, length, PROT_READ | PROT_WRITE) != 0) return false;
  madvise(memory, length, MADV_HUGEPAGE);  // fewer faults, a faster fork; only advice
  return true;
}

// By the lock's owner.
void* HeapAllocate(std::size_t size, std::size_t alignment) {
  for (bool grown = false;; grown = true) {
    void* block =
        alignment <= 16 ? TheHeap().allocate(size) : TheHeap().allocate_aligned(size, alignment);
    if (block != nullptr || grown) return block;
    ArenaRoot& root = Root();
    const std::uint64_t wanted = size + alignment + kPage;
    const std::uint64_t step = std::max(kHeapStep, (wanted + kHugePage - 1) & ~(kHugePage - 1));
    if (kHeapBase + root.heap_size + step > kHeapLimit) return nullptr;
    if (!MakeWritable(kHeapBase + root.heap_size, step)) return nullptr;
    TheHeap().grow(step);
    root.heap_size += step;
  }
}

// The table of the zone's mappings lies in the heap.
template <typename T>
struct HeapAllocator {
  using value_type = T;
  HeapAllocator() = default;
  template <typename U>
  explicit HeapAllocator(const HeapAllocator<U>& /*other*/) {}
  T* allocate(std::size_t count) {
    void* block = HeapAllocate(count * sizeof(T), alignof(T));
    if (block == nullptr) throw std::bad_alloc();
    return static_cast<T*>(block);
  }
  void deallocate(T* block, std::size_t /*count*/) { TheHeap().deallocate(block); }
  bool operator==(const HeapAllocator& /*other*/) const { return true; }
};

using Ranges = std::map<std::uint64_t, ZoneRange, std::less<>,
                        HeapAllocator<std::pair<const std::uint64_t, ZoneRange>>>;

Ranges& TheRanges() { return *static_cast<Ranges*>(Root().ranges); }

// A free place in the zone with a free page behind it. Addresses are used anew only when the zone
// has been gone through. 0: none.
std::uint64_t FindPlace(std::uint64_t length, std::uint64_t alignment) {
  ArenaRoot& root = Root();
  const auto align = [&](std::uint64_t address) {
    return (address + alignment - 1) & ~(alignment - 1);
  };
  const std::uint64_t place = align(root.zone_next);
  if (place + length + kPage <= kZoneLimit) {
    root.zone_next = place + length + kPage;
    return place;
  }
  std::uint64_t free = kZoneBase;
  for (const auto& [address, range] : TheRanges()) {
    if (align(free) + length + kPage <= address) return align(free);
    free = address + range.length + kPage;
  }
  return align(free) + length + kPage <= kZoneLimit ? align(free) : 0;
}

std::uint64_t AlignmentFor(std::uint64_t length) { return length >= kHugePage ? kHugePage : kPage; }

void* MapRange(std::uint64_t length, std::uint64_t alignment, int protection, int flags,
               int descriptor, std::int64_t offset, RangeKind kind) {
  const std::uint64_t place = FindPlace(length, std::max(alignment, AlignmentFor(length)));
  if (place == 0) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  auto* wanted = reinterpret_cast<void*>(place);
  void* memory = raw::Map(wanted, length, protection, flags | MAP_FIXED, descriptor, offset);
  if (memory == MAP_FAILED) return MAP_FAILED;
  if (length >= kHugePage && (flags & MAP_ANONYMOUS) != 0) madvise(memory, length, MADV_HUGEPAGE);
  try {
    TheRanges()[place] = {length, kind, 0};
  } catch (const std::bad_alloc&) {
    raw::Map(wanted, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
             0);
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return memory;
}

// Gives the memory back; addresses of the arena stay reserved.
int Release(std::uint64_t address, std::uint64_t length) {
  auto* memory = reinterpret_cast<void*>(address);
  if (!InArena(memory)) return raw::Unmap(memory, length);
  void* result = raw::Map(memory, length, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  return result == MAP_FAILED ? -1 : 0;
}

// Takes [begin, end) out of the table. Throws std::bad_alloc, with the table as it was.
void Forget(std::uint64_t begin, std::uint64_t end) {
  Ranges& ranges = TheRanges();
  auto range = ranges.upper_bound(begin);
  if (range != ranges.begin()) --range;
  while (range != ranges.end() && range->first < end) {
    const std::uint64_t range_begin = range->first;
    const std::uint64_t range_end = range_begin + range->second.length;
    if (range_end <= begin) {
      ++range;
      continue;
    }
    const RangeKind kind = range->second.kind;
    if (range_end > end) ranges[end] = {range_end - end, kind, 0};
    if (range_begin < begin) {
      range->second.length = begin - range_begin;
      ++range;
    } else {
      range = ranges.erase(range);
    }
  }
}

void* AllocateLarge(std::size_t size, std::size_t alignment) {
  void* memory = MapRange(PageUp(size), alignment, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, RangeKind::kBlock);
  return memory == MAP_FAILED ? nullptr : memory;
}

bool InZone(const void* block) { return reinterpret_cast<std::uint64_t>(block) >= kZoneBase; }

// A pointer that was never handed out: the program's error, and the state of the arena can't be
// trusted any more.
[[noreturn]] void InvalidPointer() {
  static constexpr char kMessage[] = "ftmpi: free or realloc of an invalid pointer\n";
  if (write(2, kMessage, sizeof kMessage - 1) < 0) {
  }
  abort();
}

Ranges::iterator BlockRange(void* block) {
  const auto found = TheRanges().find(reinterpret_cast<std::uint64_t>(block));
  if (found == TheRanges().end() || found->second.kind != RangeKind::kBlock) InvalidPointer();
  return found;
}

// A block of Boost's has a multiple of 16 bytes less 8, since the word behind it is used as well.
std::size_t SmallIndex(std::size_t size) { return (size + 7) / 16; }

void* AllocateSmall(std::size_t size) {
  const std::size_t index = SmallIndex(size);
  SmallList& list = Root().small[index];
  void* block = list.first;
  if (block == nullptr) return HeapAllocate(index * 16 + 8, 16);
  list.first = *static_cast<void**>(block);
  --list.count;
  return block;
}

// False: the block is not small, or enough of its size are kept.
bool KeepSmall(void* block) {
  const std::size_t usable = TheHeap().size(block);
  const std::size_t index = (usable - 8) / 16;
  if (usable < 8 || index >= kSmallLists) return false;
  SmallList& list = Root().small[index];
  if (list.count >= kKeptPerList) return false;
  *static_cast<void**>(block) = list.first;
  list.first = block;
  ++list.count;
  return true;
}

void* AllocateLocked(std::size_t size, std::size_t alignment) {
  if (alignment <= 16 && SmallIndex(size) < kSmallLists) return AllocateSmall(size);
  if (size + alignment >= Root().threshold) return AllocateLarge(size, alignment);
  return HeapAllocate(size, alignment);
}

void FreeLocked(void* block) {
  if (!InZone(block)) {
    if (!KeepSmall(block)) TheHeap().deallocate(block);
    return;
  }
  const auto found = BlockRange(block);
  const std::uint64_t length = found->second.length;
  ArenaRoot& root = Root();
  if (length >= root.threshold && length <= kHighestThreshold) root.threshold = length + kPage;
  Release(found->first, length);
  TheRanges().erase(found);
}

std::size_t UsableSizeLocked(void* block) {
  return InZone(block) ? BlockRange(block)->second.length : TheHeap().size(block);
}

// The mapping that holds [address, address + length) as a whole, or end().
Ranges::iterator RangeAround(std::uint64_t address, std::uint64_t length) {
  auto found = TheRanges().upper_bound(address);
  if (found == TheRanges().begin()) return TheRanges().end();
  --found;
  if (address + length > found->first + found->second.length) return TheRanges().end();
  return found;
}

void* RemapLocked(std::uint64_t address, std::uint64_t old_length, std::uint64_t new_length,
                  bool may_move) {
  const auto found = RangeAround(address, old_length);
  if (found == TheRanges().end()) {
    errno = EFAULT;
    return MAP_FAILED;
  }
  const RangeKind kind = found->second.kind;
  auto* old_memory = reinterpret_cast<void*>(address);
  if (new_length <= old_length) {
    if (new_length == old_length) return old_memory;
    Forget(address + new_length, address + old_length);
    return Release(address + new_length, old_length - new_length) == 0 ? old_memory : MAP_FAILED;
  }
  const std::uint64_t place = may_move ? FindPlace(new_length, AlignmentFor(new_length)) : 0;
  if (place == 0) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  TheRanges()[place] = {new_length, kind, 0};
  void* memory = raw::Remap(old_memory, old_length, new_length, MREMAP_MAYMOVE | MREMAP_FIXED,
                            reinterpret_cast<void*>(place));
  if (memory == MAP_FAILED) {
    TheRanges().erase(place);
    return MAP_FAILED;
  }
  Forget(address, address + old_length);
  if (InArena(old_memory)) Release(address, old_length);
  return memory;
}

// The table itself may find no memory.
void* TryRemap(std::uint64_t address, std::uint64_t old_length, std::uint64_t new_length,
               bool may_move) {
  try {
    return RemapLocked(address, old_length, new_length, may_move);
  } catch (const std::bad_alloc&) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
}

}  // namespace

const char* Reserve() {
  auto* wanted = reinterpret_cast<void*>(kArenaBase);
  void* memory = raw::Map(wanted, kArenaEnd - kArenaBase, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (memory == wanted) return nullptr;
  if (memory != MAP_FAILED) {
    raw::Unmap(memory, kArenaEnd - kArenaBase);
    return "the addresses of the arena are taken";
  }
  return errno == ENOMEM ? "there is no address space for the arena (ulimit -v must be unlimited)"
                         : "the addresses of the arena can't be reserved";
}

bool Create() {
  if (!MakeWritable(kArenaBase, kHeapBase - kArenaBase + kFirstHeapSize)) return false;
  ArenaRoot& root = Root();
  root = {};
  root.heap_size = kFirstHeapSize;
  root.zone_next = kZoneBase;
  root.threshold = kFirstThreshold;
  root.heap = new (reinterpret_cast<void*>(kHeapBase)) Heap(kFirstHeapSize, 0);
  void* ranges = HeapAllocate(sizeof(Ranges), alignof(Ranges));
  if (ranges == nullptr) return false;
  root.ranges = new (ranges) Ranges;
  root.version = kArenaVersion;
  root.magic = kArenaMagic;
  return true;
}

bool CreateStack(std::uint64_t size) {
  const std::uint64_t bottom = kStackTop - size;
  if (bottom < kStackLimit) return false;
  void* memory =
      raw::Map(reinterpret_cast<void*>(bottom), size, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK | MAP_FIXED, -1, 0);
  if (memory == MAP_FAILED) return false;
  Root().stack_bottom = bottom;
  return true;
}

void* Allocate(std::size_t size) {
  if (size > kLargest) return nullptr;
  const Guard guard;
  return AllocateLocked(size, 16);
}

void* AllocateZeroed(std::size_t size) {
  if (size > kLargest) return nullptr;
  void* block = nullptr;
  {
    const Guard guard;
    block = AllocateLocked(size, 16);
  }
  if (block != nullptr && !InZone(block)) std::memset(block, 0, size);
  return block;
}

void* AllocateAligned(std::size_t size, std::size_t alignment) {
  if (size > kLargest || alignment > kTera) return nullptr;
  const Guard guard;
  return AllocateLocked(size, alignment);
}

void* Reallocate(void* block, std::size_t size) {
  if (size > kLargest) return nullptr;
  std::size_t usable = 0;
  {
    const Guard guard;
    usable = UsableSizeLocked(block);
    if (InZone(block) && size >= Root().threshold / 2) {
      void* moved = TryRemap(reinterpret_cast<std::uint64_t>(block), usable, PageUp(size), true);
      return moved == MAP_FAILED ? nullptr : moved;
    }
    if (!InZone(block)) {
      if (size <= usable && size >= usable / 2) return block;
      if (size > usable && size < Root().threshold) {
        Heap::size_type received = size;
        auto* reuse = static_cast<char*>(block);
        if (TheHeap().allocation_command<char>(
                boost::interprocess::expand_fwd | boost::interprocess::nothrow_allocation, size,
                received, reuse) != nullptr)
          return block;
      }
    }
  }
  void* copy = Allocate(size);
  if (copy == nullptr) return nullptr;
  std::memcpy(copy, block, std::min(usable, size));
  Free(block);
  return copy;
}

void Free(void* block) {
  const Guard guard;
  FreeLocked(block);
}

std::size_t UsableSize(void* block) {
  const Guard guard;
  return UsableSizeLocked(block);
}

void* Map(std::size_t length, int protection, int flags, int descriptor, std::int64_t offset) {
  const Guard guard;
  return MapRange(PageUp(length), kPage, protection, flags, descriptor, offset,
                  RangeKind::kMapping);
}

void* MapAt(void* address, std::size_t length, int protection, int flags, int descriptor,
            std::int64_t offset) {
  const Guard guard;
  void* memory = raw::Map(address, length, protection, flags, descriptor, offset);
  if (memory == MAP_FAILED) return MAP_FAILED;
  const auto begin = reinterpret_cast<std::uint64_t>(memory);
  try {
    Forget(begin, begin + PageUp(length));
    TheRanges()[begin] = {PageUp(length), RangeKind::kMapping, 0};
  } catch (const std::bad_alloc&) {
    raw::Unmap(memory, length);
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return memory;
}

int Unmap(void* memory, std::size_t size) {
  const auto address = reinterpret_cast<std::uint64_t>(memory);
  const std::uint64_t length = PageUp(size);
  if (address % kPage != 0 || length == 0) {
    errno = EINVAL;
    return -1;
  }
  const Guard guard;
  try {
    Forget(address, address + length);
  } catch (const std::bad_alloc&) {
    errno = ENOMEM;
    return -1;
  }
  return Release(address, length);
}

void* MoveBreak(std::int64_t increment) {
  const Guard guard;
  ArenaRoot& root = Root();
  if (root.program_break == 0) root.program_break = kBreakBase;
  const std::uint64_t old_break = root.program_break;
  const std::uint64_t new_break = old_break + static_cast<std::uint64_t>(increment);
  if (new_break < kBreakBase || new_break > kBreakLimit) return nullptr;
  const std::uint64_t old_end = PageUp(old_break);
  const std::uint64_t new_end = PageUp(new_break);
  if (new_end > old_end && !MakeWritable(old_end, new_end - old_end)) return nullptr;
  if (new_end < old_end) Release(new_end, old_end - new_end);
  root.program_break = new_break;
  return reinterpret_cast<void*>(old_break);
}

void* Remap(void* address, std::size_t old_length, std::size_t new_length, bool may_move) {
  const Guard guard;
  return TryRemap(reinterpret_cast<std::uint64_t>(address), PageUp(old_length), PageUp(new_length),
                  may_move);
}

void ForEachRange(void (*visit)(std::uint64_t address, const ZoneRange& range, void* context),
                  void* context) {
  const Guard guard;
  for (const auto& [address, range] : TheRanges()) visit(address, range, context);
}

void Lock() { pthread_mutex_lock(&g_mutex); }
void Unlock() { pthread_mutex_unlock(&g_mutex); }

}  // namespace ftmpi::image::arena
