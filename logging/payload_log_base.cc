#include "logging/payload_log_base.h"

#include <cstring>
#include <vector>

#include "logging/log_error.h"
#include "logging/payload_log_format.h"

namespace ftmpi::logging {
namespace {

constexpr std::uint64_t kBaseMagic = 0x3145534142505446;  // "FTPBASE1"
constexpr std::uint32_t kBaseVersion = 1;

struct BaseHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::int32_t rank;
  std::uint64_t job;
  std::uint32_t first_segment;
  std::uint32_t zero;
  std::uint64_t count;
};
static_assert(sizeof(BaseHeader) == 40);

struct BaseEntry {
  std::int32_t destination;
  std::uint32_t zero;
  std::uint64_t messages;
};
static_assert(sizeof(BaseEntry) == 16);

}  // namespace

std::string PayloadLogBaseFileName(int rank) {
  return "rank-" + std::to_string(rank) + ".payload-base";
}

std::optional<PayloadLogBase> ReadPayloadLogBase(Environment* environment,
                                                 const std::string& directory,
                                                 const SegmentOwner& owner) {
  const std::string path = JoinPath(directory, PayloadLogBaseFileName(owner.rank));
  if (!environment->Exists(path)) return std::nullopt;
  const std::vector<std::byte> content = environment->ReadFile(path);
  BaseHeader header;
  std::uint64_t checksum = 0;
  if (content.size() < sizeof(header) + sizeof(checksum)) {
    throw LogError(path + " is truncated: " + std::to_string(content.size()) + " bytes");
  }
  std::memcpy(&header, content.data(), sizeof(header));
  if (header.magic != kBaseMagic) throw LogError(path + " is no base of a payload log");
  if (header.version != kBaseVersion) {
    throw LogError(path + " has format version " + std::to_string(header.version) +
                   ", this program reads version " + std::to_string(kBaseVersion) +
                   "; use the ftmpi that wrote it");
  }
  const std::size_t covered = content.size() - sizeof(checksum);
  std::memcpy(&checksum, content.data() + covered, sizeof(checksum));
  if (checksum != XXH3_64bits(content.data(), covered) ||
      header.count != (covered - sizeof(header)) / sizeof(BaseEntry) ||
      covered != sizeof(header) + header.count * sizeof(BaseEntry)) {
    throw LogError(path + " is damaged: checksum");
  }
  if (header.job != owner.job || header.rank != owner.rank) {
    throw LogError(path + " belongs to another job or rank");
  }
  PayloadLogBase base;
  base.first_segment = header.first_segment;
  for (std::uint64_t n = 0; n < header.count; ++n) {
    BaseEntry entry;
    std::memcpy(&entry, content.data() + sizeof(header) + n * sizeof(entry), sizeof(entry));
    base.messages[entry.destination] = entry.messages;
  }
  return base;
}

void WritePayloadLogBase(Environment* environment, const std::string& directory,
                         const SegmentOwner& owner, const PayloadLogBase& base) {
  BaseHeader header{};
  header.magic = kBaseMagic;
  header.version = kBaseVersion;
  header.rank = owner.rank;
  header.job = owner.job;
  header.first_segment = base.first_segment;
  header.count = base.messages.size();
  std::vector<std::byte> content(sizeof(header) + header.count * sizeof(BaseEntry) +
                                 sizeof(std::uint64_t));
  std::memcpy(content.data(), &header, sizeof(header));
  std::size_t at = sizeof(header);
  for (const auto& [destination, messages] : base.messages) {
    const BaseEntry entry{destination, 0, messages};
    std::memcpy(content.data() + at, &entry, sizeof(entry));
    at += sizeof(entry);
  }
  const std::uint64_t checksum = XXH3_64bits(content.data(), at);
  std::memcpy(content.data() + at, &checksum, sizeof(checksum));

  ReplaceLoosely(environment, JoinPath(directory, PayloadLogBaseFileName(owner.rank)), content);
}

void RemovePayloadLogBase(Environment* environment, const std::string& directory, int rank) {
  const std::string path = JoinPath(directory, PayloadLogBaseFileName(rank));
  if (environment->Exists(path)) environment->Remove(path);
}

}  // namespace ftmpi::logging
