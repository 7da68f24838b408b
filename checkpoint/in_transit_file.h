// Copies of the messages that were in transit at a coordinated checkpoint, kept by their receiver
// (Keeper::kReceiver; Ouyang & Heiser 1996, 4.2): the file rank-<r>.in-transit beside the rank's
// own in checkpoint-<csn>. Format: checkpoint/FORMAT.md, "Messages in transit". Pure but for Path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "logging/wire_header.h"

namespace ftmpi::checkpoint {

// Whose copies they are.
struct InTransitIdentity {
  std::uint64_t job = 0;
  std::uint64_t csn = 0;
  std::uint32_t epoch = 0;  // recovery epoch in which the checkpoint was taken
  std::int32_t rank = -1;   // the receiver

  bool operator==(const InTransitIdentity&) const = default;
};

// Builds the file, message by message, in order of arrival.
class InTransitWriter {
 public:
  explicit InTransitWriter(const InTransitIdentity& identity);
  // `header.payload_length` bytes at `payload`.
  void Add(std::int32_t source, const logging::WireHeader& header, const std::byte* payload);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  // The whole file with all messages so far.
  [[nodiscard]] std::vector<std::byte> File() const;

 private:
  InTransitIdentity identity_;
  std::uint64_t count_ = 0;
  std::vector<std::byte> messages_;
};

struct InTransitMessage {
  std::int32_t source = -1;
  logging::WireHeader header{};
  std::vector<std::byte> payload;
};
struct InTransitContent {
  InTransitIdentity identity;
  std::vector<InTransitMessage> messages;
};

// Empty: `content` is what the file holds, of a job of `size` ranks; else what is wrong with it.
[[nodiscard]] std::string DecodeInTransit(std::span<const std::byte> file, int size,
                                          InTransitContent* content);

// `root`/checkpoint-<csn>/rank-<r>.in-transit
std::string InTransitPath(const std::string& root, std::uint64_t csn, std::int32_t rank);
inline constexpr const char* kInTransitSuffix = ".in-transit";

}  // namespace ftmpi::checkpoint
