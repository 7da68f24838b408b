// Messages that were in transit at a checkpoint, as their receiver saved them: beside its file, in
// rank-<r>.transit (checkpoint/FORMAT.md). Without them a checkpoint needs the senders' logs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "logging/environment.h"
#include "logging/wire_header.h"

namespace ftmpi::checkpoint {

struct TransitMessage {
  std::int32_t source = -1;
  std::uint64_t number = 0;  // on its channel, from 1
  logging::WireHeader header{};
  std::vector<std::byte> payload;  // header.payload_length bytes
};

// Which receiver's, of which checkpoint. The epoch tells a file apart that an aborted checkpoint of
// the same number left in an earlier epoch.
struct TransitOwner {
  std::uint64_t job = 0;
  std::uint32_t csn = 0;
  std::uint32_t epoch = 0;
  std::int32_t rank = -1;
  bool operator==(const TransitOwner&) const = default;
};

std::string TransitFileName(std::int32_t rank);

// Adds one message to the records of a file.
void AppendTransitMessage(const TransitMessage& message, std::vector<std::byte>* records);
// Replaces the file; durable when it returns. Throws LogError.
void WriteTransitFile(logging::Environment* environment, const std::string& path,
                      const TransitOwner& owner, std::span<const std::byte> records);
// In the order in which they arrived; no file, or one of another epoch: none. Throws LogError
// naming file and reason for one that is damaged or of another version, and for one of another job,
// checkpoint or rank.
std::vector<TransitMessage> ReadTransitFile(logging::Environment* environment,
                                            const std::string& path, const TransitOwner& owner);

// How many messages of `source`, from number `first` on without a gap, are among them.
std::uint64_t SavedFrom(const std::vector<TransitMessage>& messages, int source,
                        std::uint64_t first);

}  // namespace ftmpi::checkpoint
