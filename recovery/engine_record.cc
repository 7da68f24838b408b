#include "recovery/engine_record.h"

#include <cstring>

#include "checkpoint/store_error.h"

namespace ftmpi::recovery {

std::vector<std::byte> ReadNamedDataset(checkpoint::RankFileReader* file, const char* name) {
  for (std::size_t n = 0; n < file->datasets().size(); ++n) {
    const checkpoint::Dataset& dataset = file->datasets()[n];
    if (std::strcmp(dataset.name, name) != 0) continue;
    std::vector<std::byte> content(dataset.count * checkpoint::ElementSize(dataset.type));
    file->ReadDataset(n, 0, content);
    return content;
  }
  throw checkpoint::StoreError(file->path() + ": it has no dataset " + name);
}

checkpoint_datasets::EngineRecord ReadEngineRecord(checkpoint::RankFileReader* file) {
  const std::vector<std::byte> content = ReadNamedDataset(file, checkpoint_datasets::kState);
  checkpoint_datasets::EngineRecord record{};
  if (content.size() != sizeof record) {
    throw checkpoint::StoreError(file->path() + ": the record of the engine is of another version");
  }
  std::memcpy(&record, content.data(), sizeof record);
  return record;
}

}  // namespace ftmpi::recovery
