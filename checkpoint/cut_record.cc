#include "checkpoint/cut_record.h"

#include <algorithm>

#include "checkpoint/coordination.h"
#include "logging/determinant_codec.h"

namespace ftmpi::checkpoint {
namespace {

constexpr std::uint8_t kCutVersion = 1;

void Add(std::vector<std::byte>* out, std::uint64_t value) {
  logging::AppendBytes<logging::kMaximumVarint>(
      out, [&](std::byte* at) { return logging::PutVarint(at, value); });
}

}  // namespace

ChannelCut CutRecord::Channel(int peer) const {
  const auto found =
      std::lower_bound(channels.begin(), channels.end(), peer,
                       [](const ChannelCut& channel, int wanted) { return channel.rank < wanted; });
  if (found != channels.end() && found->rank == peer) return *found;
  return ChannelCut{peer, 0, 0};
}

MessageRange InTransit(const CutRecord& sender, const CutRecord& receiver) {
  return {receiver.Channel(sender.rank).received + 1, sender.Channel(receiver.rank).sent};
}

std::string Contradiction(const std::vector<CutRecord>& cuts) {
  for (std::size_t r = 0; r < cuts.size(); ++r) {
    const CutRecord& cut = cuts[r];
    if (cut.rank != static_cast<std::int32_t>(r)) {
      return "the cut of rank " + std::to_string(cut.rank) + " stands in place of that of rank " +
             std::to_string(r);
    }
    if (cut.csn != cuts.front().csn) {
      return "rank " + std::to_string(r) + " has checkpoint " + std::to_string(cut.csn) +
             ", rank 0 has " + std::to_string(cuts.front().csn);
    }
    for (const ChannelCut& channel : cut.channels) {
      if (channel.received == 0) continue;
      const std::uint64_t sent =
          static_cast<std::size_t>(channel.rank) < cuts.size()
              ? cuts[static_cast<std::size_t>(channel.rank)].Channel(cut.rank).sent
              : 0;
      if (channel.received > sent) {
        return "checkpoint " + std::to_string(cut.csn) + ": rank " + std::to_string(r) +
               " has received " + std::to_string(channel.received) + " messages of rank " +
               std::to_string(channel.rank) + ", which has sent " + std::to_string(sent);
      }
    }
  }
  return {};
}

std::vector<std::byte> EncodeCut(const CutRecord& record) {
  std::vector<std::byte> out{std::byte{kCutVersion}};
  Add(&out, record.epoch);
  Add(&out, record.csn);
  Add(&out, static_cast<std::uint64_t>(record.rank));
  Add(&out, record.channels.size());
  std::int32_t before = 0;
  for (const ChannelCut& channel : record.channels) {
    Add(&out, static_cast<std::uint64_t>(channel.rank - before));
    Add(&out, channel.sent);
    Add(&out, channel.received);
    before = channel.rank;
  }
  return out;
}

std::optional<CutRecord> DecodeCut(std::span<const std::byte> in, int size) {
  using logging::GetVarint;
  if (in.empty() || in.front() != std::byte{kCutVersion}) return std::nullopt;
  in = in.subspan(1);
  const auto ranks = static_cast<std::uint64_t>(size);
  std::uint64_t epoch = 0;
  std::uint64_t csn = 0;
  std::uint64_t rank = 0;
  std::uint64_t count = 0;
  if (!GetVarint(&in, &epoch) || epoch > ~std::uint32_t{0} || !GetVarint(&in, &csn) ||
      csn > kMaximumCoordinatedCsn || !GetVarint(&in, &rank) || rank >= ranks ||
      !GetVarint(&in, &count) || count > in.size() / 3) {
    return std::nullopt;
  }
  CutRecord record;
  record.epoch = static_cast<std::uint32_t>(epoch);
  record.csn = static_cast<std::uint32_t>(csn);
  record.rank = static_cast<std::int32_t>(rank);
  std::uint64_t peer = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint64_t step = 0;
    ChannelCut channel;
    if (!GetVarint(&in, &step) || !GetVarint(&in, &channel.sent) ||
        !GetVarint(&in, &channel.received) || (i > 0 && step == 0) || step >= ranks ||
        (peer += step) >= ranks) {
      return std::nullopt;
    }
    channel.rank = static_cast<std::int32_t>(peer);
    record.channels.push_back(channel);
  }
  if (!in.empty()) return std::nullopt;
  return record;
}

}  // namespace ftmpi::checkpoint
