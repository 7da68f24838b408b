// checkpoint.h5: links the files of all ranks, and says by their seals which they are. A
// checkpoint is permanent when it is there (checkpoint/FORMAT.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/hdf5_values.h"
#include "checkpoint/sealed_file.h"
#include "logging/environment.h"

namespace ftmpi::checkpoint {

struct IndexFile {
  FileIdentity identity;           // type kIndex, rank -1
  std::vector<FileEntry> entries;  // ascending by rank; of a whole job: one for each
  std::uint64_t seal = 0;
};

// Durably and atomically; returns the bytes of the file. Errors: StoreError, LogError.
std::uint64_t WriteIndexFile(logging::Environment* environment, const std::string& path,
                             const IndexFile& index);
// Checks the whole file.
IndexFile ReadIndexFile(logging::Environment* environment, const std::string& path);

}  // namespace ftmpi::checkpoint
