// Event blocks and the header that they share with event logs.
#include <algorithm>
#include <cstring>
#include <limits>

#include "logging/event_log.h"
#include "logging/event_log_format.h"
#include "logging/log_error.h"

namespace ftmpi::logging {

EventLogHeader MakeEventLogHeader(std::uint64_t magic, const EventLogOptions& options) {
  EventLogHeader header{};
  header.magic = magic;
  header.version = kEventLogVersion;
  header.header_size = sizeof(EventLogHeader);
  header.job = options.job;
  header.rank = options.rank;
  header.epoch = options.epoch;
  header.base_interval = options.base_interval;
  header.checksum = XXH3_64bits(&header, offsetof(EventLogHeader, checksum));
  return header;
}

EventLogHeader ReadEventLogHeader(ReadableFile& file, const std::string& path,
                                  std::uint64_t magic) {
  EventLogHeader header;
  if (file.ReadAt(0, std::as_writable_bytes(std::span(&header, 1))) != sizeof(header)) {
    throw LogError(path + " is truncated: it is shorter than its header");
  }
  if (magic == 0 ? header.magic != kEventLogMagic && header.magic != kEventBlocksMagic
                 : header.magic != magic) {
    throw LogError(path + " is no event log");
  }
  if (header.version != kEventLogVersion) {
    throw LogError(path + " has format version " + std::to_string(header.version) +
                   ", this program reads version " + std::to_string(kEventLogVersion) +
                   "; use the ftmpi that wrote it");
  }
  if (header.checksum != XXH3_64bits(&header, offsetof(EventLogHeader, checksum)) ||
      header.header_size != sizeof(EventLogHeader)) {
    throw LogError(path + " is damaged: header checksum");
  }
  return header;
}

EventLogContents ContentsOf(const EventLogHeader& header) {
  EventLogContents contents;
  contents.job = header.job;
  contents.rank = header.rank;
  contents.epoch = header.epoch;
  contents.base_interval = header.base_interval;
  return contents;
}

EventBlockWriter::EventBlockWriter(Environment* environment, const EventLogOptions& options)
    : path_(JoinPath(options.directory, EventLog::FileName(options.rank, options.epoch))) {
  file_ = environment->CreateWritable(path_);
  const EventLogHeader header = MakeEventLogHeader(kEventBlocksMagic, options);
  try {
    file_->Append(std::as_bytes(std::span(&header, 1)));
    file_->Sync();
    environment->SyncDirectory(options.directory);
  } catch (const LogError&) {
    RemoveQuietly(environment, path_);
    throw;
  }
  seed_ = header.checksum;
  size_ = sizeof(header);
}

EventBlockWriter::~EventBlockWriter() = default;

void EventBlockWriter::Append(std::span<const Determinant> determinants) {
  if (determinants.empty() || determinants.size() > std::numeric_limits<std::uint32_t>::max()) {
    throw LogError(path_ + ": a block of " + std::to_string(determinants.size()) +
                   " determinants can't be written");
  }
  if (tail_) {
    file_->Truncate(size_);
    tail_ = false;
  }
  const auto records = std::as_bytes(determinants);
  EventBlockHeader block{};
  block.magic = kEventBlockMagic;
  block.count = static_cast<std::uint32_t>(determinants.size());
  block.first = record_count_;
  block.checksum = EventBlockChecksum(block, records.data(), seed_);
  block_.resize(sizeof(block) + records.size());
  std::memcpy(block_.data(), &block, sizeof(block));
  std::memcpy(block_.data() + sizeof(block), records.data(), records.size());
  try {
    file_->Append(block_);
    file_->Sync();
  } catch (const LogError&) {
    // Whatever part of it was written, or written and not synced, does not count: a block that is
    // appended later must not lie behind it.
    tail_ = true;
    try {
      file_->Truncate(size_);
      tail_ = false;
    } catch (const LogError&) {
      // Tried again by the next call.
    }
    throw;
  }
  size_ += block_.size();
  record_count_ += determinants.size();
}

EventLogContents ReadEventBlocks(Environment* environment, const std::string& path) {
  const std::unique_ptr<ReadableFile> file = environment->OpenReadable(path);
  const EventLogHeader header = ReadEventLogHeader(*file, path, kEventBlocksMagic);
  EventLogContents contents = ContentsOf(header);
  const std::uint64_t size = file->Size();
  std::uint64_t offset = sizeof(header);
  const auto damaged = [&](const std::string& what) {
    contents.damaged = path + ": block at offset " + std::to_string(offset) + " " + what;
    return contents;
  };
  while (offset < size) {
    EventBlockHeader block;
    if (file->ReadAt(offset, std::as_writable_bytes(std::span(&block, 1))) != sizeof(block)) {
      return damaged("is truncated");
    }
    if (block.magic != kEventBlockMagic || block.count == 0 ||
        block.first != contents.determinants.size()) {
      return damaged("is damaged: header");
    }
    const std::uint64_t bytes = block.count * sizeof(Determinant);
    if (bytes > size - offset - sizeof(block)) return damaged("is truncated");
    std::vector<Determinant> determinants(block.count);
    if (file->ReadAt(offset + sizeof(block), std::as_writable_bytes(std::span(determinants))) !=
        bytes) {
      return damaged("is truncated");
    }
    if (block.checksum != EventBlockChecksum(block, determinants.data(), header.checksum)) {
      return damaged("is damaged: checksum");
    }
    for (const Determinant& determinant : determinants) {
      if (!IsEventKind(determinant.kind) || determinant.rank < 0) {
        return damaged("has a determinant of an unknown kind");
      }
    }
    contents.determinants.insert(contents.determinants.end(), determinants.begin(),
                                 determinants.end());
    offset += sizeof(block) + bytes;
  }
  return contents;
}

}  // namespace ftmpi::logging
