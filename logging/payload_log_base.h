// What was sent in front of a trimmed payload log (logging/PAYLOAD_LOG.md, "The base"): without it
// the numbers of the messages that are left would not be known.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "logging/environment.h"
#include "logging/payload_log.h"

namespace ftmpi::logging {

// What identifies the log that a file belongs to.
struct SegmentOwner {
  std::uint64_t job = 0;
  int rank = 0;
};

struct PayloadLogBase {
  std::uint32_t first_segment = 1;  // segments with smaller numbers are no part of the log any more
  ChannelCounts messages;           // sent in front of it
};

std::string PayloadLogBaseFileName(int rank);
// nullopt: there is none, the log begins with the rank's first message. Throws LogError naming the
// file for one that is damaged, of another version, job or rank.
std::optional<PayloadLogBase> ReadPayloadLogBase(Environment* environment,
                                                 const std::string& directory,
                                                 const SegmentOwner& owner);
// Replaces what is there at once, but not durably: it lies in shared memory, as the log.
void WritePayloadLogBase(Environment* environment, const std::string& directory,
                         const SegmentOwner& owner, const PayloadLogBase& base);
void RemovePayloadLogBase(Environment* environment, const std::string& directory, int rank);

}  // namespace ftmpi::logging
