// Writes the checkpoint file of one rank (checkpoint/FORMAT.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/memory_source.h"
#include "logging/environment.h"

namespace ftmpi::checkpoint {

struct Manifest {
  CheckpointAttributes attributes{};
  std::vector<Section> sections;  // sorted by address
  std::vector<Dataset> datasets;
};

struct WriteOptions {
  int compression = 0;          // zstd level, 0: none
  std::uint64_t base_seal = 0;  // of the file with base_csn
};

struct WrittenFile {
  std::uint64_t seal = 0;
  std::uint64_t file_bytes = 0;  // with the seal
  std::uint64_t data_bytes = 0;  // of sections and datasets that were stored, uncompressed
  std::uint64_t zero_bytes = 0;  // of sections, not stored
};

// Writes `path` + ".new", syncs it, renames it to `path` and syncs the directory, which must exist.
// On an error (StoreError, LogError) no file stays behind and an old `path` is as it was.
WrittenFile WriteRankFile(logging::Environment* environment, const std::string& path,
                          const Manifest& manifest, MemorySource* memory,
                          const WriteOptions& options);

// The name of a file while it is written.
std::string TemporaryName(const std::string& path);

}  // namespace ftmpi::checkpoint
