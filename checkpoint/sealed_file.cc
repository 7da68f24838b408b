#include "checkpoint/sealed_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "checkpoint/store_error.h"

namespace ftmpi::checkpoint {
namespace {

using logging::Environment;

constexpr std::size_t kCachedBlocks = 8;
constexpr std::uint64_t kWritingStep = 32 * kBlockSize;

std::uint64_t Blocks(std::uint64_t length) { return (length + kBlockSize - 1) / kBlockSize; }

std::uint64_t Seal(const SealFooter& footer) {
  return XXH3_64bits(&footer, offsetof(SealFooter, seal));
}

SealFooter ReadFooter(logging::ReadableFile* file, std::uint64_t length, const std::string& path) {
  SealFooter footer;
  if (length < sizeof footer) {
    throw StoreError(path + ": " + std::to_string(length) +
                     " bytes are too few for a checkpoint file; it was cut off, or is none");
  }
  if (file->ReadAt(length - sizeof footer, std::as_writable_bytes(std::span(&footer, 1))) !=
      sizeof footer) {
    throw StoreError(path + ": it became shorter while it was read");
  }
  if (footer.magic != kSealMagic) {
    static constexpr unsigned char kHdf5[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char begin[sizeof kHdf5] = {};
    file->ReadAt(0, std::as_writable_bytes(std::span(begin)));
    throw StoreError(path +
                     (std::memcmp(begin, kHdf5, sizeof begin) == 0
                          ? ": an HDF5 file without ftmpi's seal: it was cut off, damaged at "
                            "its end, changed by another program, or is no checkpoint"
                          : ": no checkpoint file of ftmpi"));
  }
  if (footer.seal != Seal(footer)) throw StoreError(path + ": damaged: its seal is wrong");
  if (footer.version != kFormatVersion) {
    throw StoreError(path + ": of format version " + std::to_string(footer.version) +
                     "; this ftmpi reads version " + std::to_string(kFormatVersion) +
                     ", use the ftmpi that wrote it");
  }
  return footer;
}

}  // namespace

SealedWriter::SealedWriter(Environment* environment, const std::string& path)
    : file_(environment->CreateUpdatable(path)) {}

void SealedWriter::WriteAt(std::uint64_t offset, std::span<const std::byte> data) {
  if (data.empty()) return;
  file_->WriteAt(offset, data);
  const std::uint64_t end = offset + data.size();
  if (blocks_.size() < Blocks(end)) blocks_.resize(Blocks(end));
  for (std::uint64_t index = offset / kBlockSize; index < Blocks(end); ++index) {
    const std::uint64_t begin = index * kBlockSize;
    Block& block = blocks_[index];
    block.known = begin >= offset && begin + kBlockSize <= end;
    if (block.known) block.checksum = XXH3_64bits(data.data() + (begin - offset), kBlockSize);
  }
  size_ = std::max(size_, end);
  if (size_ >= writing_until_ + kWritingStep) {
    // Else all of it would be left to the sync at the end.
    file_->StartWriting(writing_until_, kWritingStep);
    writing_until_ += kWritingStep;
  }
}

void SealedWriter::ReadAt(std::uint64_t offset, std::span<std::byte> buffer) {
  const std::size_t got = file_->ReadAt(offset, buffer);
  std::fill(buffer.begin() + static_cast<std::ptrdiff_t>(got), buffer.end(), std::byte{0});
}

std::uint64_t SealedWriter::Finish(std::uint64_t content_length, const FileIdentity& identity) {
  file_->Truncate(content_length);
  blocks_.resize(Blocks(content_length));
  std::vector<std::uint64_t> table(blocks_.size());
  std::vector<std::byte> bytes;
  for (std::uint64_t index = 0; index < table.size(); ++index) {
    const std::uint64_t begin = index * kBlockSize;
    const std::uint64_t length = std::min(kBlockSize, content_length - begin);
    if (!blocks_[index].known || length < kBlockSize) {
      bytes.resize(length);
      ReadAt(begin, bytes);
      blocks_[index].checksum = XXH3_64bits(bytes.data(), bytes.size());
    }
    table[index] = blocks_[index].checksum;
  }
  SealFooter footer{};
  footer.magic = kSealMagic;
  footer.version = kFormatVersion;
  footer.type = static_cast<std::uint32_t>(identity.type);
  footer.job = identity.job;
  footer.csn = identity.csn;
  footer.base_csn = identity.base_csn;
  footer.base_seal = identity.base_seal;
  footer.content_length = content_length;
  footer.block_size = kBlockSize;
  footer.rank = identity.rank;
  footer.np = identity.np;
  footer.epoch = identity.epoch;
  footer.time = identity.time;
  footer.kind = static_cast<std::uint32_t>(identity.kind);
  footer.table_checksum = XXH3_64bits(table.data(), table.size() * sizeof(std::uint64_t));
  footer.seal = Seal(footer);
  const auto table_bytes = std::as_bytes(std::span(table));
  const auto footer_bytes = std::as_bytes(std::span(&footer, 1));
  if (!table_bytes.empty()) file_->WriteAt(content_length, table_bytes);
  file_->WriteAt(content_length + table_bytes.size(), footer_bytes);
  file_->Sync();
  file_->Close();
  file_length_ = content_length + table_bytes.size() + footer_bytes.size();
  return footer.seal;
}

SealedReader::SealedReader(Environment* environment, std::string path)
    : path_(std::move(path)), file_(environment->OpenReadable(path_)) {
  file_length_ = file_->Size();
  const SealFooter footer = ReadFooter(file_.get(), file_length_, path_);
  content_length_ = footer.content_length;
  const std::uint64_t around = file_length_ - sizeof footer;
  if (footer.block_size != kBlockSize || content_length_ > around ||
      around - content_length_ != Blocks(content_length_) * sizeof(std::uint64_t)) {
    throw StoreError(path_ + ": damaged: it is " + std::to_string(file_length_) +
                     " bytes long, which is not what its seal says; a part was cut out or put in");
  }
  table_.resize(Blocks(content_length_));
  const auto table = std::as_writable_bytes(std::span(table_));
  if (file_->ReadAt(content_length_, table) != table.size()) {
    throw StoreError(path_ + ": it became shorter while it was read");
  }
  if (XXH3_64bits(table.data(), table.size()) != footer.table_checksum) {
    throw StoreError(path_ + ": damaged: its table of checksums is wrong");
  }
  seal_ = footer.seal;
  identity_.type = static_cast<FileType>(footer.type);
  identity_.job = footer.job;
  identity_.csn = footer.csn;
  identity_.base_csn = footer.base_csn;
  identity_.base_seal = footer.base_seal;
  identity_.rank = footer.rank;
  identity_.np = footer.np;
  identity_.epoch = footer.epoch;
  identity_.time = footer.time;
  identity_.kind = static_cast<CheckpointKind>(footer.kind);
}

std::uint64_t SealedReader::BlockLength(std::uint64_t index) const {
  return std::min(kBlockSize, content_length_ - index * kBlockSize);
}

void SealedReader::ReadBlock(std::uint64_t index, std::span<std::byte> buffer) {
  if (file_->ReadAt(index * kBlockSize, buffer) != buffer.size()) {
    throw StoreError(path_ + ": it became shorter while it was read");
  }
  if (XXH3_64bits(buffer.data(), buffer.size()) != table_[index]) {
    throw StoreError(path_ + ": damaged: bytes " + std::to_string(index * kBlockSize) + " to " +
                     std::to_string(index * kBlockSize + buffer.size()) +
                     " are not what was written there");
  }
}

const SealedReader::CachedBlock& SealedReader::Cached(std::uint64_t index) {
  CachedBlock* oldest = nullptr;
  for (CachedBlock& block : cache_) {
    if (block.index == index && !block.bytes.empty()) {
      block.used = ++clock_;
      return block;
    }
    if (oldest == nullptr || block.used < oldest->used) oldest = &block;
  }
  if (cache_.size() < kCachedBlocks) oldest = &cache_.emplace_back();
  std::vector<std::byte> bytes(BlockLength(index));
  ReadBlock(index, bytes);  // may throw: the cache is as before then
  oldest->index = index;
  oldest->used = ++clock_;
  oldest->bytes = std::move(bytes);
  return *oldest;
}

void SealedReader::ReadAt(std::uint64_t offset, std::span<std::byte> buffer) {
  if (offset > content_length_ || buffer.size() > content_length_ - offset) {
    throw StoreError(path_ + ": damaged: it refers to bytes behind its end");
  }
  while (!buffer.empty()) {
    const std::uint64_t index = offset / kBlockSize;
    const std::uint64_t within = offset % kBlockSize;
    const std::uint64_t part = std::min<std::uint64_t>(buffer.size(), BlockLength(index) - within);
    if (part == BlockLength(index)) {
      ReadBlock(index, buffer.first(part));
    } else {
      std::memcpy(buffer.data(), Cached(index).bytes.data() + within, part);
    }
    offset += part;
    buffer = buffer.subspan(part);
  }
}

void SealedReader::CheckAll() {
  std::vector<std::byte> bytes;
  for (std::uint64_t index = 0; index < table_.size(); ++index) {
    bytes.resize(BlockLength(index));
    ReadBlock(index, bytes);
  }
}

}  // namespace ftmpi::checkpoint
