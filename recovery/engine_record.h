// What a recovery reads of a rank's checkpoint file beside its state (pmpi/checkpoint_datasets.h).
#pragma once

#include <cstddef>
#include <vector>

#include "checkpoint/rank_file_reader.h"
#include "pmpi/checkpoint_datasets.h"

namespace ftmpi::recovery {

// Both throw StoreError naming the file when there is no such dataset, or it can't be read.
std::vector<std::byte> ReadNamedDataset(checkpoint::RankFileReader* file, const char* name);
checkpoint_datasets::EngineRecord ReadEngineRecord(checkpoint::RankFileReader* file);

}  // namespace ftmpi::recovery
