#include "checkpoint/image/capture_heap.h"

#include <cstdint>

#include "checkpoint/image/system_calls.h"

namespace ftmpi::image::capture_heap {
namespace {

constexpr std::uint64_t kSize = std::uint64_t{16} << 30;  // addresses, not memory

std::uint64_t g_begin = 0;
std::uint64_t g_next = 0;

}  // namespace

bool Start() {
  void* memory = raw::Map(nullptr, kSize, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  g_begin = reinterpret_cast<std::uint64_t>(memory);
  g_next = g_begin;
  return true;
}

bool Started() { return g_begin != 0; }

void* Allocate(std::size_t size, std::size_t alignment) {
  if (alignment < 16) alignment = 16;
  const std::uint64_t block = (g_next + 16 + alignment - 1) & ~(alignment - 1);
  if (size > kSize || block + size > g_begin + kSize) return nullptr;
  *reinterpret_cast<std::size_t*>(block - 16) = size;
  g_next = block + size;
  return reinterpret_cast<void*>(block);
}

bool Owns(const void* block) {
  return g_begin != 0 && reinterpret_cast<std::uint64_t>(block) - g_begin < kSize;
}

std::size_t Size(const void* block) {
  return *reinterpret_cast<const std::size_t*>(reinterpret_cast<std::uint64_t>(block) - 16);
}

}  // namespace ftmpi::image::capture_heap
