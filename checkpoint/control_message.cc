#include "checkpoint/control_message.h"

#include "checkpoint/coordination.h"
#include "logging/determinant_codec.h"

namespace ftmpi::checkpoint {
namespace {

using logging::GetVarint;
using logging::PutVarint;

void AddNumber(std::vector<std::byte>* out, std::uint64_t value) {
  logging::AppendBytes<logging::kMaximumVarint>(
      out, [&](std::byte* at) { return PutVarint(at, value); });
}

void AddByte(std::vector<std::byte>* out, std::uint8_t value) {
  out->push_back(static_cast<std::byte>(value));
}

bool TakeByte(std::span<const std::byte>* in, std::uint8_t* value) {
  if (in->empty()) return false;
  *value = static_cast<std::uint8_t>(in->front());
  *in = in->subspan(1);
  return true;
}

template <typename Number>
bool TakeNumber(std::span<const std::byte>* in, std::uint64_t maximum, Number* value) {
  std::uint64_t number = 0;
  if (!GetVarint(in, &number) || number > maximum) return false;
  *value = static_cast<Number>(number);
  return true;
}

std::size_t VarintBytes(std::uint64_t value) {
  std::size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

bool TakeEntries(std::span<const std::byte>* in, int size, ControlMessage* message) {
  std::uint64_t count = 0;
  // Two bytes at least for an entry: a count beyond that is not believed.
  if (!GetVarint(in, &count) || count > in->size() / 2) return false;
  std::uint64_t rank = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint64_t step = 0;
    std::uint64_t sent = 0;
    if (!GetVarint(in, &step) || !GetVarint(in, &sent) || sent == 0) return false;
    if (i > 0 && step == 0) return false;
    if (step >= static_cast<std::uint64_t>(size)) return false;
    rank += step;
    if (rank >= static_cast<std::uint64_t>(size)) return false;
    message->sent.emplace_back(static_cast<std::int32_t>(rank), sent);
  }
  return true;
}

bool TakeTaken(std::span<const std::byte>* in, int size, ControlMessage* message) {
  if (!TakeByte(in, &message->mechanism)) return false;
  if (message->mechanism == static_cast<std::uint8_t>(Transit::kAck)) return true;
  std::uint8_t last = 0;
  if (message->mechanism != static_cast<std::uint8_t>(Transit::kMtv) ||
      !GetVarint(in, &message->part) || !TakeByte(in, &last) || last > 1 ||
      !GetVarint(in, &message->received)) {
    return false;
  }
  message->last = last != 0;
  return TakeEntries(in, size, message);
}

}  // namespace

void EncodeControl(const ControlMessage& message, std::vector<std::byte>* out) {
  out->clear();
  AddByte(out, kControlVersion);
  AddByte(out, static_cast<std::uint8_t>(message.type));
  AddNumber(out, message.epoch);
  AddNumber(out, message.csn);
  switch (message.type) {
    case ControlType::kTaken: {
      AddByte(out, message.mechanism);
      if (message.mechanism != static_cast<std::uint8_t>(Transit::kMtv)) break;
      AddNumber(out, message.part);
      AddByte(out, message.last ? 1 : 0);
      AddNumber(out, message.received);
      AddNumber(out, message.sent.size());
      std::int32_t before = 0;
      for (const auto& [rank, sent] : message.sent) {
        AddNumber(out, static_cast<std::uint64_t>(rank - before));
        AddNumber(out, sent);
        before = rank;
      }
      break;
    }
    case ControlType::kFailed:
    case ControlType::kRequest:
      AddByte(out, message.reason);
      break;
    case ControlType::kExpect:
      AddNumber(out, message.outstanding);
      break;
    case ControlType::kReceived:
    case ControlType::kTrim:
    case ControlType::kIndex:
      AddNumber(out, message.received);
      break;
    case ControlType::kAcknowledge:
      AddNumber(out, message.received);
      AddNumber(out, message.received_at_cut);
      break;
    default:
      break;
  }
}

bool DecodeControl(std::span<const std::byte> in, int size, ControlMessage* message) {
  *message = ControlMessage{};
  std::uint8_t version = 0;
  std::uint8_t type = 0;
  if (!TakeByte(&in, &version) || version != kControlVersion || !TakeByte(&in, &type) ||
      type < static_cast<std::uint8_t>(ControlType::kMarker) ||
      type > static_cast<std::uint8_t>(ControlType::kLine)) {
    return false;
  }
  message->type = static_cast<ControlType>(type);
  if (!TakeNumber(&in, ~std::uint32_t{0}, &message->epoch) ||
      !TakeNumber(&in, kMaximumCoordinatedCsn, &message->csn)) {
    return false;
  }
  bool good = true;
  switch (message->type) {
    case ControlType::kTaken:
      good = TakeTaken(&in, size, message);
      break;
    case ControlType::kFailed:
      good = TakeByte(&in, &message->reason) &&
             message->reason >= static_cast<std::uint8_t>(FailureReason::kCheckpointNotSaved) &&
             message->reason <= static_cast<std::uint8_t>(FailureReason::kInTransitNotSaved);
      break;
    case ControlType::kRequest:
      good = TakeByte(&in, &message->reason) &&
             message->reason >= static_cast<std::uint8_t>(Reason::kInterval) &&
             message->reason <= static_cast<std::uint8_t>(Reason::kOutput);
      break;
    case ControlType::kExpect:
      good = GetVarint(&in, &message->outstanding) && message->outstanding > 0;
      break;
    case ControlType::kReceived:
    case ControlType::kTrim:
    case ControlType::kIndex:
      good = GetVarint(&in, &message->received);
      break;
    case ControlType::kAcknowledge:
      good = GetVarint(&in, &message->received) && GetVarint(&in, &message->received_at_cut) &&
             message->received_at_cut <= message->received;
      break;
    default:
      break;
  }
  return good && in.empty();
}

std::size_t EntriesThatFit(const ControlMessage& message, std::size_t first, std::size_t maximum) {
  // Room for all that stands in front of the entries, at its longest.
  constexpr std::size_t kFront = 2 + 5 + 5 + 1 + 10 + 1 + 10 + 10;
  static_assert(kFront + 5 + 10 <= kLeastControlBytes);
  std::size_t bytes = kFront;
  std::size_t count = 0;
  std::int32_t before = 0;
  for (std::size_t i = first; i < message.sent.size(); ++i) {
    const auto& [rank, sent] = message.sent[i];
    bytes += VarintBytes(static_cast<std::uint64_t>(rank - before)) + VarintBytes(sent);
    if (bytes > maximum) break;
    before = rank;
    ++count;
  }
  return count;
}

}  // namespace ftmpi::checkpoint
