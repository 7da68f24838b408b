// Reads the checkpoint file of one rank (checkpoint/FORMAT.md). Nothing in it is trusted: bytes are
// compared with the seal's checksums before HDF5 sees them, and what they say is checked. Not
// thread-safe. Errors: StoreError, LogError; the message names the file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/hdf5_values.h"
#include "checkpoint/manifest.h"
#include "checkpoint/sealed_file.h"

namespace ftmpi::checkpoint {

// A section as it is in one file: `section` has ranges = range_count = 0.
struct StoredSection {
  Section section{};
  std::vector<PageRun> runs;
  std::vector<std::uint64_t> data_offsets;  // of each run's first byte in the section's data
  std::uint64_t data_bytes = 0;
};

class RankFileReader {
 public:
  // Opens the file, checks seal, identity and everything but the content of datasets.
  RankFileReader(logging::Environment* environment, const std::string& path);

  [[nodiscard]] const std::string& path() const { return sealed_.path(); }
  [[nodiscard]] const FileIdentity& identity() const { return sealed_.identity(); }
  [[nodiscard]] std::uint64_t seal() const { return sealed_.seal(); }
  [[nodiscard]] std::uint64_t file_length() const { return sealed_.file_length(); }
  [[nodiscard]] const CheckpointAttributes& attributes() const { return attributes_; }
  [[nodiscard]] const std::vector<StoredSection>& sections() const { return sections_; }
  // address = 0
  [[nodiscard]] const std::vector<Dataset>& datasets() const { return datasets_; }

  // Bytes [offset, offset + buffer.size()) of a section's data, or of a dataset's elements.
  void ReadSectionData(std::size_t section, std::uint64_t offset, std::span<std::byte> buffer);
  void ReadDataset(std::size_t dataset, std::uint64_t offset, std::span<std::byte> buffer);

  // Reads everything back and compares every checksum.
  void CheckAll();

 private:
  void ReadAttributes();
  void FindDatasets();
  void ReadSections();
  void AddRuns(StoredSection* stored);
  [[noreturn]] void Fail(const std::string& why) const;
  DatasetReader* SectionData(std::size_t section);

  SealedReader sealed_;
  std::unique_ptr<Hdf5File> file_;
  CheckpointAttributes attributes_{};
  std::vector<StoredSection> sections_;
  std::vector<Dataset> datasets_;
  // The ones that are open: a dataset and a section.
  std::unique_ptr<DatasetReader> open_dataset_;
  std::size_t open_dataset_index_ = 0;
  std::unique_ptr<DatasetReader> open_section_;
  std::size_t open_section_index_ = 0;
};

}  // namespace ftmpi::checkpoint
