// Attributes, types and one-dimensional datasets of bytes as checkpoint/FORMAT.md has them: what
// writer and reader of rank files and of checkpoint.h5 share.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/hdf5_file.h"
#include "checkpoint/section.h"

namespace ftmpi::checkpoint {

void WriteNumber(Hdf5File* file, hid_t object, const char* name, std::uint64_t value);
void WriteText(Hdf5File* file, hid_t object, const char* name, const std::string& value);
std::uint64_t ReadNumber(Hdf5File* file, hid_t object, const char* name);
std::string ReadText(Hdf5File* file, hid_t object, const char* name);

// HDF5's type in files; what is in memory has the same representation (little-endian machines).
Hdf5Handle Hdf5Type(Hdf5File* file, ElementType type);
// The element type that the HDF5 type stands for; throws when it is none of ours.
ElementType ElementTypeOf(Hdf5File* file, hid_t type);

// An entry of a section's page map.
struct PageRun {
  std::uint64_t first_page;
  std::uint64_t pages;
  std::uint64_t zero;  // 1: all bytes zero, nothing stored
};
static_assert(sizeof(PageRun) == 24);
void WriteRuns(Hdf5File* file, hid_t group, std::span<const PageRun> runs);
std::vector<PageRun> ReadRuns(Hdf5File* file, hid_t group);

// An entry of /files in checkpoint.h5.
struct FileEntry {
  std::int32_t rank;
  std::uint32_t zero;
  std::uint64_t bytes;
  std::uint64_t base_csn;
  std::uint64_t seal;
};
static_assert(sizeof(FileEntry) == 32);
void WriteFileEntries(Hdf5File* file, std::span<const FileEntry> entries);
std::vector<FileEntry> ReadFileEntries(Hdf5File* file);

// A dataset that is written from its start to its end, chunk by chunk.
class DatasetWriter {
 public:
  // `expected` bytes at most will come; compression: zstd level, 0 for none.
  DatasetWriter(Hdf5File* file, hid_t parent, const char* name, ElementType type,
                std::uint64_t expected, int compression);

  // Room in the current chunk, at least one byte; put bytes there, then Advance by their number.
  std::span<std::byte> Room();
  void Advance(std::uint64_t bytes);
  // Writes what is left, the final length and the checksum. Returns the bytes written.
  std::uint64_t Finish();

 private:
  void WriteChunk();

  Hdf5File* const file_;
  const std::uint64_t element_;  // bytes
  const int compression_;
  std::uint64_t chunk_;  // bytes
  Hdf5Handle dataset_;
  std::vector<std::byte> buffer_;
  std::vector<std::byte> compressed_;
  std::uint64_t filled_ = 0;
  std::uint64_t written_ = 0;
  struct FreeState {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, FreeState> hash_;
};

class DatasetReader {
 public:
  DatasetReader(Hdf5File* file, hid_t parent, const char* name);

  [[nodiscard]] ElementType type() const { return type_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  // All of it; a range outside the dataset is an error.
  void ReadAt(std::uint64_t offset, std::span<std::byte> buffer);
  // Reads everything and compares with the checksum.
  void CheckAll();

 private:
  // The chunk's content: into `target` if it fits there whole, else into the cache.
  void ReadChunk(std::uint64_t index, std::span<std::byte> target);

  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  Hdf5File* const file_;
  const std::string name_;
  Hdf5Handle dataset_;
  ElementType type_ = ElementType::kByte;
  std::uint64_t element_ = 1;
  std::uint64_t bytes_ = 0;
  std::uint64_t chunk_ = 1;  // bytes
  std::uint64_t checksum_ = 0;
  std::vector<std::byte> stored_;
  std::vector<std::byte> cache_;
  std::uint64_t cached_ = kNone;
};

}  // namespace ftmpi::checkpoint
