// Where the image lives. All of it is reserved at start and lies far from where the kernel puts
// executables (0x5555'5555'4000 and up) and libraries (below 0x7fff'ffff'f000).
#pragma once

#include <cstdint>

namespace ftmpi::image {

inline constexpr std::uint64_t kPage = 4096;
inline constexpr std::uint64_t kHugePage = std::uint64_t{2} << 20;
inline constexpr std::uint64_t kTera = std::uint64_t{1} << 40;

inline constexpr std::uint64_t kArenaBase = 16 * kTera;

// The root (arena_root.h), then the heap that grows upwards.
inline constexpr std::uint64_t kHeapBase = kArenaBase + 0x10000;
inline constexpr std::uint64_t kHeapLimit = kArenaBase + 4 * kTera;

// The main thread's stack ends (has its highest address) here.
inline constexpr std::uint64_t kStackTop = kArenaBase + 6 * kTera;
inline constexpr std::uint64_t kStackLimit = kArenaBase + 5 * kTera;

// What sbrk() hands out to the program.
inline constexpr std::uint64_t kBreakBase = kArenaBase + 7 * kTera;
inline constexpr std::uint64_t kBreakLimit = kArenaBase + 8 * kTera;

// Large blocks and the program's own mappings.
inline constexpr std::uint64_t kZoneBase = kArenaBase + 8 * kTera;
inline constexpr std::uint64_t kZoneLimit = kArenaBase + 40 * kTera;

inline constexpr std::uint64_t kArenaEnd = kZoneLimit;

constexpr std::uint64_t PageDown(std::uint64_t address) { return address & ~(kPage - 1); }
constexpr std::uint64_t PageUp(std::uint64_t address) { return PageDown(address + kPage - 1); }

inline bool InArena(const void* pointer) {
  const auto address = reinterpret_cast<std::uint64_t>(pointer);
  return address - kArenaBase < kArenaEnd - kArenaBase;
}

}  // namespace ftmpi::image
