// Where an image of this rank goes: the checkpoint server of the node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/image/source.h"
#include "checkpoint/manifest.h"
#include "checkpoint/section.h"
#include "pmpi/checkpoint_datasets.h"
#include "pmpi/checkpoint_levels.h"

namespace ftmpi::checkpoint_sink {

using checkpoint_datasets::EngineRecord;

// First line of what the MPI library says of itself.
std::string MpiLibraryVersion();

// What the checkpoint files of this rank say of themselves in any state; the builds of program and
// MPI library are "-" (not known). `state`: checkpoint::kStateImage or kStateRegistered.
checkpoint::CheckpointAttributes AttributesOf(std::uint64_t job, std::uint32_t csn,
                                              std::uint64_t interval, std::uint32_t state);

class ServerSink;
// Everything that Put needs, since that runs in a forked child. Ends the job when a path is too
// long.
ServerSink* Make(std::uint64_t job, const std::string& local_directory, std::uint32_t csn,
                 std::uint32_t base_csn, std::vector<std::byte> cut);

class ServerSink : public image::Sink {
 public:
  bool Put(const image::Image& image) override;

 private:
  friend ServerSink* Make(std::uint64_t job, const std::string& local_directory, std::uint32_t csn,
                          std::uint32_t base_csn, std::vector<std::byte> cut);
  std::uint64_t job_ = 0;
  std::uint32_t csn_ = 0;
  std::uint32_t base_csn_ = 0;  // of the checkpoint whose pages it does not repeat; 0: none
  std::string socket_;
  checkpoint_levels::Place place_;
  std::vector<std::byte> cut_;
  EngineRecord record_{};
  std::string mpi_version_;
};

}  // namespace ftmpi::checkpoint_sink
