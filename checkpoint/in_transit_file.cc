#include "checkpoint/in_transit_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>

namespace ftmpi::checkpoint {
namespace {

constexpr std::uint64_t kMagic = 0x314e5254504d5446;  // "FTMPTRN1"
constexpr std::uint32_t kVersion = 1;

struct Head {
  std::uint64_t magic;
  std::uint32_t version;
  std::int32_t rank;
  std::uint64_t job;
  std::uint64_t csn;
  std::uint32_t epoch;
  std::uint32_t zero;
  std::uint64_t count;
  std::uint64_t length;  // bytes of the messages
};
static_assert(sizeof(Head) == 56);

struct MessageHead {
  std::int32_t source;
  std::uint32_t zero;
  logging::WireHeader header;
};
static_assert(sizeof(MessageHead) == 64);

void Append(std::vector<std::byte>* to, const void* data, std::size_t bytes) {
  if (bytes == 0) return;
  const std::size_t begin = to->size();
  to->resize(begin + bytes);
  std::memcpy(to->data() + begin, data, bytes);
}

}  // namespace

InTransitWriter::InTransitWriter(const InTransitIdentity& identity) : identity_(identity) {}

void InTransitWriter::Add(std::int32_t source, const logging::WireHeader& header,
                          const std::byte* payload) {
  MessageHead head{};
  head.source = source;
  head.header = header;
  Append(&messages_, &head, sizeof head);
  if (header.payload_length > 0) Append(&messages_, payload, header.payload_length);
  ++count_;
}

std::vector<std::byte> InTransitWriter::File() const {
  Head head{};
  head.magic = kMagic;
  head.version = kVersion;
  head.rank = identity_.rank;
  head.job = identity_.job;
  head.csn = identity_.csn;
  head.epoch = identity_.epoch;
  head.count = count_;
  head.length = messages_.size();
  std::vector<std::byte> file;
  file.reserve(sizeof head + messages_.size() + sizeof(std::uint64_t));
  Append(&file, &head, sizeof head);
  Append(&file, messages_.data(), messages_.size());
  const std::uint64_t checksum = XXH3_64bits(file.data(), file.size());
  Append(&file, &checksum, sizeof checksum);
  return file;
}

std::string DecodeInTransit(std::span<const std::byte> file, int size, InTransitContent* content) {
  Head head;
  std::uint64_t checksum = 0;
  if (file.size() < sizeof head + sizeof checksum) return "truncated";
  std::memcpy(&head, file.data(), sizeof head);
  if (head.magic != kMagic) return "not a file of messages in transit";
  if (head.version != kVersion) {
    return "format version " + std::to_string(head.version) + ", this program reads version " +
           std::to_string(kVersion);
  }
  if (head.length != file.size() - sizeof head - sizeof checksum) return "truncated or damaged";
  std::memcpy(&checksum, file.data() + file.size() - sizeof checksum, sizeof checksum);
  if (checksum != XXH3_64bits(file.data(), file.size() - sizeof checksum))
    return "damaged (checksum)";
  content->identity = {head.job, head.csn, head.epoch, head.rank};
  content->messages.clear();
  std::span<const std::byte> rest = file.subspan(sizeof head, head.length);
  while (!rest.empty()) {
    MessageHead message;
    if (rest.size() < sizeof message) return "damaged (a message is cut short)";
    std::memcpy(&message, rest.data(), sizeof message);
    rest = rest.subspan(sizeof message);
    const std::uint64_t length = message.header.payload_length;
    if (message.source < 0 || message.source >= size || length > rest.size() ||
        message.header.version != logging::kWireVersion ||
        message.header.kind != logging::MessageKind::kInline) {
      return "damaged (a message that can't be)";
    }
    const auto payload = rest.first(length);
    content->messages.push_back({message.source, message.header, {payload.begin(), payload.end()}});
    rest = rest.subspan(length);
  }
  if (content->messages.size() != head.count) return "damaged (count of messages)";
  return "";
}

std::string InTransitPath(const std::string& root, std::uint64_t csn, std::int32_t rank) {
  return root + "/checkpoint-" + std::to_string(csn) + "/rank-" + std::to_string(rank) +
         kInTransitSuffix;
}

}  // namespace ftmpi::checkpoint
