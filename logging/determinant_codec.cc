#include "logging/determinant_codec.h"

#include <limits>

namespace ftmpi::logging {
namespace {

// Flags in the high four bits of a range's first byte.
constexpr std::uint8_t kHasCount = 0x10;   // more than one determinant
constexpr std::uint8_t kHasSource = 0x20;  // else -1
constexpr std::uint8_t kHasDetail = 0x40;  // else 0
constexpr std::uint8_t kFollows = 0x80;    // rank and index go on where the range before ended

constexpr std::uint64_t kMaximum = std::numeric_limits<std::uint64_t>::max();

std::uint64_t ZigZag(std::int32_t value) {
  return (static_cast<std::uint32_t>(value) << 1) ^ static_cast<std::uint32_t>(value >> 31);
}
std::int32_t UnZigZag(std::uint32_t value) {
  return static_cast<std::int32_t>((value >> 1) ^ (~(value & 1) + 1));
}

bool TakeByte(std::span<const std::byte>* in, std::uint8_t* value) {
  if (in->empty()) return false;
  *value = static_cast<std::uint8_t>(in->front());
  *in = in->subspan(1);
  return true;
}

}  // namespace

bool GetLongVarint(std::span<const std::byte>* in, std::uint64_t* value) {
  std::uint64_t result = 0;
  for (unsigned at = 0; at < in->size() && at < 10; ++at) {
    const auto byte = static_cast<std::uint8_t>((*in)[at]);
    if (at == 9 && byte > 1) return false;
    result |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * at);
    if ((byte & 0x80) == 0) {
      if (byte == 0 && at > 0) return false;
      *in = in->subspan(at + 1);
      *value = result;
      return true;
    }
  }
  return false;
}

void DeterminantEncoder::Reset() {
  count_ = 0;
  previous_rank_ = -1;
  previous_index_ = 0;
}

void DeterminantEncoder::Add(const Determinant& determinant) {
  if (count_ > 0 && determinant.rank == first_.rank && determinant.kind == first_.kind &&
      determinant.index == first_.index + count_ &&
      determinant.ordinal == first_.ordinal + count_ &&
      determinant.value == first_.value + count_ && determinant.source == first_.source &&
      determinant.detail == first_.detail) {
    ++count_;
    return;
  }
  Finish();
  first_ = determinant;
  count_ = 1;
}

void DeterminantEncoder::Finish() {
  if (count_ == 0) return;
  const bool follows = first_.rank == previous_rank_ && first_.index == previous_index_ + 1;
  auto head = static_cast<std::uint8_t>(first_.kind);
  if (count_ > 1) head |= kHasCount;
  if (first_.source >= 0) head |= kHasSource;
  if (first_.detail != 0) head |= kHasDetail;
  if (follows) head |= kFollows;
  AppendBytes<1 + 7 * kMaximumVarint>(out_, [&](std::byte* at) {
    *at++ = static_cast<std::byte>(head);
    if (!follows) {
      at = PutVarint(at, static_cast<std::uint64_t>(first_.rank));
      at = PutVarint(at, first_.index);
    }
    at = PutVarint(at, first_.ordinal);
    at = PutVarint(at, first_.value);
    if (first_.source >= 0) at = PutVarint(at, static_cast<std::uint64_t>(first_.source));
    if (first_.detail != 0) at = PutVarint(at, ZigZag(first_.detail));
    if (count_ > 1) at = PutVarint(at, count_ - 2);
    return at;
  });
  previous_rank_ = first_.rank;
  previous_index_ = first_.index + count_ - 1;
  count_ = 0;
}

void DeterminantDecoder::Reset() {
  taken_ = 0;
  previous_rank_ = -1;
  previous_index_ = 0;
}

bool DeterminantDecoder::Next(std::span<const std::byte>* in, std::vector<Determinant>* out) {
  std::uint8_t head = 0;
  if (!TakeByte(in, &head)) return false;
  const std::uint8_t kind = head & kRecordKindMask;
  if (kind < static_cast<std::uint8_t>(EventKind::kDelivery) ||
      kind > static_cast<std::uint8_t>(EventKind::kValue)) {
    return false;
  }
  const auto size = static_cast<std::uint64_t>(size_);
  Determinant determinant;
  determinant.kind = static_cast<EventKind>(kind);
  if ((head & kFollows) != 0) {
    if (previous_rank_ < 0 || previous_index_ == kMaximum) return false;
    determinant.rank = previous_rank_;
    determinant.index = previous_index_ + 1;
  } else {
    std::uint64_t rank = 0;
    if (!GetVarint(in, &rank) || rank >= size) return false;
    if (!GetVarint(in, &determinant.index) || determinant.index == 0) return false;
    determinant.rank = static_cast<std::int32_t>(rank);
  }
  if (!GetVarint(in, &determinant.ordinal) || !GetVarint(in, &determinant.value)) return false;
  if ((head & kHasSource) != 0) {
    std::uint64_t source = 0;
    if (!GetVarint(in, &source) || source >= size) return false;
    determinant.source = static_cast<std::int32_t>(source);
  }
  if ((head & kHasDetail) != 0) {
    std::uint64_t detail = 0;
    if (!GetVarint(in, &detail) || detail == 0 ||
        detail > std::numeric_limits<std::uint32_t>::max()) {
      return false;
    }
    determinant.detail = UnZigZag(static_cast<std::uint32_t>(detail));
  }
  std::uint64_t count = 1;
  if ((head & kHasCount) != 0) {
    if (!GetVarint(in, &count) || count > maximum_) return false;
    count += 2;
  }
  if (count > maximum_ - taken_) return false;
  // The last determinant's index must be countable; ordinal and value may be any bits (a value is),
  // and count up as the encoder counts.
  if (determinant.index > kMaximum - (count - 1)) return false;
  taken_ += count;
  previous_rank_ = determinant.rank;
  previous_index_ = determinant.index + count - 1;
  for (std::uint64_t i = 0; i < count; ++i) {
    out->push_back(determinant);
    ++determinant.index;
    ++determinant.ordinal;
    ++determinant.value;
  }
  return true;
}

}  // namespace ftmpi::logging
