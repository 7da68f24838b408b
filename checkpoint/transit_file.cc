#include "checkpoint/transit_file.h"

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <cstring>

#include "logging/log_error.h"

namespace ftmpi::checkpoint {
namespace {

using logging::LogError;

constexpr std::uint64_t kTransitMagic = 0x31534e4152545446;  // "FTTRANS1"
constexpr std::uint32_t kTransitVersion = 1;

struct FileHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::int32_t rank;
  std::uint64_t job;
  std::uint32_t csn;
  std::uint32_t epoch;
  std::uint64_t length;  // of the records
};
static_assert(sizeof(FileHeader) == 40);

struct RecordHeader {
  std::int32_t source;
  std::uint32_t zero;
  std::uint64_t number;
  logging::WireHeader header;
};
static_assert(sizeof(RecordHeader) == 72);

void Append(std::vector<std::byte>* to, const void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  to->insert(to->end(), bytes, bytes + size);
}

}  // namespace

std::string TransitFileName(std::int32_t rank) {
  return "rank-" + std::to_string(rank) + ".transit";
}

void AppendTransitMessage(const TransitMessage& message, std::vector<std::byte>* records) {
  const RecordHeader record{message.source, 0, message.number, message.header};
  Append(records, &record, sizeof record);
  Append(records, message.payload.data(), message.payload.size());
}

void WriteTransitFile(logging::Environment* environment, const std::string& path,
                      const TransitOwner& owner, std::span<const std::byte> records) {
  const FileHeader header{kTransitMagic, kTransitVersion, owner.rank,    owner.job,
                          owner.csn,     owner.epoch,     records.size()};
  std::vector<std::byte> content;
  content.reserve(sizeof header + records.size() + sizeof(std::uint64_t));
  Append(&content, &header, sizeof header);
  Append(&content, records.data(), records.size());
  const std::uint64_t checksum = XXH3_64bits(content.data(), content.size());
  Append(&content, &checksum, sizeof checksum);
  environment->WriteAtomically(path, content);
}

std::vector<TransitMessage> ReadTransitFile(logging::Environment* environment,
                                            const std::string& path, const TransitOwner& owner) {
  std::vector<TransitMessage> messages;
  if (!environment->Exists(path)) return messages;
  const std::vector<std::byte> content = environment->ReadFile(path);
  FileHeader header{};
  std::uint64_t checksum = 0;
  if (content.size() < sizeof header + sizeof checksum)
    throw LogError(path + " is truncated: " + std::to_string(content.size()) + " bytes");
  std::memcpy(&header, content.data(), sizeof header);
  if (header.magic != kTransitMagic) throw LogError(path + " does not hold messages in transit");
  if (header.version != kTransitVersion) {
    throw LogError(path + " has format version " + std::to_string(header.version) +
                   ", this program reads version " + std::to_string(kTransitVersion) +
                   "; use the ftmpi that wrote it");
  }
  const std::size_t end = content.size() - sizeof checksum;
  std::memcpy(&checksum, content.data() + end, sizeof checksum);
  if (checksum != XXH3_64bits(content.data(), end) || header.length != end - sizeof header)
    throw LogError(path + " is damaged: checksum");
  if (header.job != owner.job || header.csn != owner.csn || header.rank != owner.rank) {
    throw LogError(path + " is of rank " + std::to_string(header.rank) + ", checkpoint " +
                   std::to_string(header.csn) + ", or of another job: files were mixed");
  }
  if (header.epoch != owner.epoch) return messages;
  for (std::size_t at = sizeof header; at < end;) {
    RecordHeader record{};
    if (end - at < sizeof record) throw LogError(path + " is damaged: a record is cut off");
    std::memcpy(&record, content.data() + at, sizeof record);
    at += sizeof record;
    if (record.header.payload_length > end - at)
      throw LogError(path + " is damaged: a message is cut off");
    TransitMessage& message = messages.emplace_back();
    message.source = record.source;
    message.number = record.number;
    message.header = record.header;
    const std::byte* payload = content.data() + at;
    message.payload.assign(payload, payload + record.header.payload_length);
    at += record.header.payload_length;
  }
  return messages;
}

std::uint64_t SavedFrom(const std::vector<TransitMessage>& messages, int source,
                        std::uint64_t first) {
  std::uint64_t count = 0;
  for (const TransitMessage& message : messages) {
    if (message.source == source && message.number == first + count) ++count;
  }
  return count;
}

}  // namespace ftmpi::checkpoint
