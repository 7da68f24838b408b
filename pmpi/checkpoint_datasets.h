// What the engine adds to an image of its process (checkpoint/FORMAT.md, "engine/..."): names and
// layouts, for who writes and who reads them.
#pragma once

#include <cstdint>

namespace ftmpi::checkpoint_datasets {

inline constexpr char kCut[] = "engine/cut";             // checkpoint::EncodeCut
inline constexpr char kState[] = "engine/state";         // EngineRecord, as 64-bit numbers
inline constexpr char kBuilds[] = "engine/builds";       // a line per file: its build, its path
inline constexpr char kStateSection[] = "engine state";  // pmpi/state_heap.h

// What a recovery must know of the rank without its memory.
struct EngineRecord {
  std::uint64_t interval;      // state interval of the rank
  std::uint64_t stdout_taken;  // bytes of output that the program had written, all of them shown
  std::uint64_t stderr_taken;
  std::uint64_t stdin_taken;  // bytes of standard input that the program has read
};
static_assert(sizeof(EngineRecord) == 32);

}  // namespace ftmpi::checkpoint_datasets
