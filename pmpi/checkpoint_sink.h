// Where an image of this rank goes: the checkpoint server of the node. And the names of what the
// engine adds to an image (checkpoint/FORMAT.md, "engine/...").
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/image/source.h"
#include "checkpoint/section.h"

namespace ftmpi::checkpoint_sink {

inline constexpr char kCutDataset[] = "engine/cut";      // EncodeCut
inline constexpr char kStateDataset[] = "engine/state";  // EngineRecord
inline constexpr char kStateSection[] = "engine state";  // pmpi/state_heap.h

// What a recovery must know of the rank without its memory.
struct EngineRecord {
  std::uint64_t interval;      // state interval of the rank
  std::uint64_t stdout_taken;  // bytes of output that the program had written
  std::uint64_t stderr_taken;
};
static_assert(sizeof(EngineRecord) == 24);

class ServerSink;
// Everything that Put needs, since that runs in a forked child. Ends the job when a path is too
// long.
ServerSink* Make(std::uint64_t job, const std::string& local_directory, std::uint32_t csn,
                 std::vector<std::byte> cut);

class ServerSink : public image::Sink {
 public:
  bool Put(const image::Image& image) override;

 private:
  friend ServerSink* Make(std::uint64_t job, const std::string& local_directory, std::uint32_t csn,
                          std::vector<std::byte> cut);
  std::uint64_t job_ = 0;
  std::uint32_t csn_ = 0;
  std::string socket_;
  std::vector<std::byte> cut_;
  EngineRecord record_{};
};

}  // namespace ftmpi::checkpoint_sink
