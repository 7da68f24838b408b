#include "pmpi/excluded.h"

#include <sys/mman.h>

#include <cstdint>
#include <map>

#include "checkpoint/section.h"
#include "pmpi/saved_state.h"

namespace ftmpi::excluded {
namespace {

// By address. In the state heap, as the program that has made the hints is in the image.
using Ranges = std::map<std::uintptr_t, std::size_t>;
FTMPI_SAVED Ranges* g_ranges = nullptr;

}  // namespace

void Set(void* pointer, std::size_t bytes) {
  if (g_ranges == nullptr) g_ranges = new Ranges;
  const auto begin = reinterpret_cast<std::uintptr_t>(pointer);
  if (bytes == 0) {
    g_ranges->erase(begin);
  } else {
    (*g_ranges)[begin] = bytes;
  }
}

void GiveUp() {
  if (g_ranges == nullptr) return;
  for (const auto& [address, bytes] : *g_ranges) {
    constexpr std::uintptr_t kPage = checkpoint::kPageSize;
    const std::uintptr_t begin = (address + kPage - 1) / kPage * kPage;
    const std::uintptr_t end = (address + bytes) / kPage * kPage;
    // What can't be given up (it is not mapped any more, or locked) is stored.
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
}

}  // namespace ftmpi::excluded
