// Files with a seal behind their content (checkpoint/FORMAT.md): every byte that a reader gets was
// written by ftmpi and has not changed since. Not thread-safe. Errors: StoreError, LogError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "logging/environment.h"

namespace ftmpi::checkpoint {

inline constexpr std::uint64_t kSealMagic = 0x4c414553504d5446;  // "FTMPSEAL"
inline constexpr std::uint32_t kFormatVersion = 1;
inline constexpr std::uint64_t kBlockSize = std::uint64_t{1} << 20;

enum class FileType : std::uint32_t { kRank = 1, kIndex = 2 };

// Whose file it is.
struct FileIdentity {
  FileType type = FileType::kRank;
  std::uint64_t job = 0;
  std::uint64_t csn = 0;
  std::uint64_t base_csn = kNoBase;
  std::uint64_t base_seal = 0;
  std::int32_t rank = -1;
  std::int32_t np = 0;
  std::uint32_t epoch = 0;
  std::uint64_t time = 0;
  CheckpointKind kind = CheckpointKind::kCoordinated;

  bool operator==(const FileIdentity&) const = default;
};

struct SealFooter {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t type;
  std::uint64_t job;
  std::uint64_t csn;
  std::uint64_t base_csn;
  std::uint64_t base_seal;
  std::uint64_t content_length;
  std::uint32_t block_size;
  std::int32_t rank;
  std::int32_t np;
  std::uint32_t epoch;
  std::uint64_t time;
  std::uint32_t kind;
  std::uint32_t zero[7];
  std::uint64_t table_checksum;
  std::uint64_t seal;
};
static_assert(sizeof(SealFooter) == 128 && offsetof(SealFooter, table_checksum) == 112);

// A new file. It has no seal, hence no reader takes it, until Finish returns.
class SealedWriter {
 public:
  SealedWriter(logging::Environment* environment, const std::string& path);

  void WriteAt(std::uint64_t offset, std::span<const std::byte> data);
  void ReadAt(std::uint64_t offset,
              std::span<std::byte> buffer);                   // zeros where nothing was written
  [[nodiscard]] std::uint64_t size() const { return size_; }  // end of what was written

  // The content is the first `content_length` bytes. Seals, syncs, closes; returns the seal.
  std::uint64_t Finish(std::uint64_t content_length, const FileIdentity& identity);
  [[nodiscard]] std::uint64_t file_length() const { return file_length_; }  // after Finish

 private:
  struct Block {
    std::uint64_t checksum = 0;
    bool known = false;  // `checksum` is that of the whole block
  };

  std::unique_ptr<logging::UpdatableFile> file_;
  std::vector<Block> blocks_;
  std::uint64_t size_ = 0;
  std::uint64_t writing_until_ = 0;  // the disk was told to start on what is before
  std::uint64_t file_length_ = 0;
};

class SealedReader {
 public:
  // Checks footer and table, not yet the content.
  SealedReader(logging::Environment* environment, std::string path);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const FileIdentity& identity() const { return identity_; }
  [[nodiscard]] std::uint64_t seal() const { return seal_; }
  [[nodiscard]] std::uint64_t content_length() const { return content_length_; }
  [[nodiscard]] std::uint64_t file_length() const { return file_length_; }

  // All of [offset, offset + buffer.size()), which must lie in the content. The bytes have been
  // compared with their block's checksum.
  void ReadAt(std::uint64_t offset, std::span<std::byte> buffer);
  // Reads and compares every block.
  void CheckAll();

 private:
  struct CachedBlock {
    std::uint64_t index = 0;
    std::uint64_t used = 0;
    std::vector<std::byte> bytes;
  };

  [[nodiscard]] std::uint64_t BlockLength(std::uint64_t index) const;
  void ReadBlock(std::uint64_t index, std::span<std::byte> buffer);
  const CachedBlock& Cached(std::uint64_t index);

  std::string path_;
  std::unique_ptr<logging::ReadableFile> file_;
  FileIdentity identity_;
  std::uint64_t seal_ = 0;
  std::uint64_t content_length_ = 0;
  std::uint64_t file_length_ = 0;
  std::vector<std::uint64_t> table_;
  std::vector<CachedBlock> cache_;
  std::uint64_t clock_ = 0;
};

}  // namespace ftmpi::checkpoint
