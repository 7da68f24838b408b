// Where a rank's checkpoint cuts its channels: part of every checkpoint (its message transit
// vectors), and what says which messages were in transit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ftmpi::checkpoint {

// Messages on the channels to and from one rank, counted since the job's start.
struct ChannelCut {
  std::int32_t rank = -1;
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  bool operator==(const ChannelCut&) const = default;
};

struct CutRecord {
  std::uint32_t epoch = 0;
  std::uint32_t csn = 0;
  std::int32_t rank = -1;
  std::vector<ChannelCut> channels;  // by rank; only ranks that were talked to

  // A rank without an entry: zeros.
  [[nodiscard]] ChannelCut Channel(int peer) const;
  bool operator==(const CutRecord&) const = default;
};

// Messages first..last of a channel; none when last < first.
struct MessageRange {
  std::uint64_t first = 1;
  std::uint64_t last = 0;
  [[nodiscard]] std::uint64_t count() const { return last < first ? 0 : last - first + 1; }
  bool operator==(const MessageRange&) const = default;
};

// In transit from `sender`'s rank to `receiver`'s on a FIFO channel: sent before the sender's cut
// and received after the receiver's (paper, footnote 2).
MessageRange InTransit(const CutRecord& sender, const CutRecord& receiver);

// Do the cuts, one per rank in order of rank, make a consistent state (section 2): every message
// recorded as received is recorded as sent? Empty: yes; else the message names what contradicts
// what. Different CSNs contradict each other too.
std::string Contradiction(const std::vector<CutRecord>& cuts);

// Format (numbers are varints as in logging/WIRE.md): version 1 (one byte), epoch, CSN, rank,
// number of channels, for each: rank step as in checkpoint/COORDINATION.md, sent, received.
std::vector<std::byte> EncodeCut(const CutRecord& record);
// nullopt: not a cut record of this version, or of a job of another size.
std::optional<CutRecord> DecodeCut(std::span<const std::byte> bytes, int size);

}  // namespace ftmpi::checkpoint
