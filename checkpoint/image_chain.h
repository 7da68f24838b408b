// A rank's checkpoint with all that it builds on: every page of its image, the newest file that has
// it wins (thesis 4.5.5). Not thread-safe. Errors: StoreError, LogError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/rank_file_reader.h"
#include "logging/environment.h"

namespace ftmpi::checkpoint {

inline constexpr std::size_t kMaximumChain = 4096;

class ImageChain {
 public:
  // Opens the rank's file of `csn` and its bases.
  ImageChain(logging::Environment* environment, const std::string& root, CheckpointKind kind,
             std::uint64_t csn, std::int32_t rank);

  // The newest file: attributes, sections, datasets.
  [[nodiscard]] RankFileReader& newest() { return *files_.front(); }
  [[nodiscard]] const std::vector<std::unique_ptr<RankFileReader>>& files() const { return files_; }

  // A stretch of a section, in order and without gaps.
  struct Piece {
    std::uint64_t offset;  // in the section
    std::uint64_t length;
    bool zero;  // else in `file`, `section`, at `data_offset` of its data
    std::size_t file;
    std::size_t section;
    std::uint64_t data_offset;
  };
  // Where the pages of the newest file's section are. Throws when a page is nowhere.
  std::vector<Piece> Resolve(std::size_t section);
  void Read(const Piece& piece, std::uint64_t offset_in_piece, std::span<std::byte> buffer);

  // Reads every file back and compares all checksums, and resolves every section.
  void CheckAll();

 private:
  void Find(std::size_t file, std::uint64_t begin, std::uint64_t end, std::uint64_t section_address,
            std::vector<Piece>* pieces);

  std::vector<std::unique_ptr<RankFileReader>> files_;  // newest first
};

}  // namespace ftmpi::checkpoint
