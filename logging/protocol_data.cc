#include "logging/protocol_data.h"

#include <algorithm>

#include "logging/protocol.h"

namespace ftmpi::logging {
namespace {
constexpr std::size_t kPrefix = 2;  // version, flags
}  // namespace

void ProtocolDataWriter::Begin() {
  bytes_.resize(kPrefix);
  encoder_.Reset();
  flags_ = 0;
}

void ProtocolDataWriter::AddPair(std::uint8_t kind, int rank, std::uint64_t index) {
  encoder_.Finish();
  AppendBytes<1 + 2 * kMaximumVarint>(&bytes_, [&](std::byte* at) {
    *at++ = static_cast<std::byte>(kind);
    at = PutVarint(at, static_cast<std::uint64_t>(rank));
    return PutVarint(at, index);
  });
}

std::span<const std::byte> ProtocolDataWriter::Finish(bool flags_alone) {
  encoder_.Finish();
  if (bytes_.size() == kPrefix && !flags_alone) return {};
  bytes_[0] = std::byte{kProtocolDataVersion};
  bytes_[1] = static_cast<std::byte>(flags_);
  return bytes_;
}

std::span<const std::byte> ProtocolDataWriter::FinishRiding(ProtocolHost* host, int destination,
                                                            std::uint64_t maximum,
                                                            std::uint64_t maximum_control) {
  const std::span<const std::byte> whole = Finish();
  if (whole.size() <= maximum) return whole;
  FinishAlone(host, destination, maximum_control);
  return {};
}

void ProtocolDataWriter::FinishAlone(ProtocolHost* host, int destination,
                                     std::uint64_t maximum_control, bool flags_alone) {
  const std::span<const std::byte> whole = Finish(flags_alone);
  if (whole.empty()) return;
  if (whole.size() <= maximum_control) {
    host->SendControl(destination, whole);
    return;
  }
  const std::size_t room = maximum_control - kPrefix;
  std::span<const std::byte> body = whole.subspan(kPrefix);
  while (!body.empty()) {
    const std::size_t length = std::min<std::size_t>(room, body.size());
    const bool last = length == body.size();
    part_.assign({whole[0], whole[1] | (last ? std::byte{0} : std::byte{kMoreFollows})});
    part_.insert(part_.end(), body.begin(), body.begin() + static_cast<std::ptrdiff_t>(length));
    host->SendControl(destination, part_);
    body = body.subspan(length);
  }
}

ProtocolDataReader::Result ProtocolDataReader::Read(int source, std::span<const std::byte> bytes) {
  std::vector<std::byte>* partial = partial_.Find(source);
  const bool continued = partial != nullptr && !partial->empty();
  const auto malformed = [&] {
    if (continued) partial->clear();
    return Result::kMalformed;
  };
  if (bytes.size() < kPrefix || bytes[0] != std::byte{kProtocolDataVersion}) return malformed();
  const auto flags = static_cast<std::uint8_t>(bytes[1]);
  if ((flags & ~(kMoreFollows | kAcknowledgeAtOnce)) != 0) return malformed();
  std::span<const std::byte> body = bytes.subspan(kPrefix);
  if ((flags & kMoreFollows) != 0) {
    if (body.empty()) return malformed();
    if (partial == nullptr) partial = &partial_[source];
    if (partial->size() + body.size() > kMaximumBytes) return malformed();
    partial->insert(partial->end(), body.begin(), body.end());
    return Result::kPartial;
  }
  if (continued) {
    partial->insert(partial->end(), body.begin(), body.end());
    body = *partial;
  }
  data_.flags = flags;
  const bool good = Parse(body);
  if (continued) *partial = {};
  return good ? Result::kComplete : Result::kMalformed;
}

bool ProtocolDataReader::Parse(std::span<const std::byte> body) {
  data_.determinants.clear();
  data_.held.clear();
  data_.stable.clear();
  data_.dependencies.clear();
  data_.requests.clear();
  data_.answered.clear();
  decoder_.Reset();
  while (!body.empty()) {
    const auto head = static_cast<std::uint8_t>(body.front());
    std::vector<RankAndIndex>* pairs = nullptr;
    switch (head & kRecordKindMask) {
      case ProtocolDataWriter::kHeld:
        pairs = &data_.held;
        break;
      case ProtocolDataWriter::kStable:
        pairs = &data_.stable;
        break;
      case ProtocolDataWriter::kDependencyOn:
        pairs = &data_.dependencies;
        break;
      case ProtocolDataWriter::kRequest:
        pairs = &data_.requests;
        break;
      case ProtocolDataWriter::kAnswer:
        pairs = &data_.answered;
        break;
      default:
        if (!decoder_.Next(&body, &data_.determinants)) return false;
        continue;
    }
    if ((head & ~kRecordKindMask) != 0) return false;
    body = body.subspan(1);
    std::uint64_t rank = 0;
    std::uint64_t index = 0;
    if (!GetVarint(&body, &rank) || rank >= static_cast<std::uint64_t>(size_)) return false;
    if (!GetVarint(&body, &index) || index == 0) return false;
    pairs->push_back({static_cast<std::int32_t>(rank), index});
  }
  return true;
}

}  // namespace ftmpi::logging
