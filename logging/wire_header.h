// The header in front of every message on the wire, and of every logged message.
//
// The layout is part of the format documents logging/WIRE.md and logging/PAYLOAD_LOG.md: the first
// kPersistentBytes are what a log record keeps and checksums; the rest is true of one transmission
// only and is set anew when a record is sent again.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ftmpi::logging {

inline constexpr std::uint8_t kWireVersion = 1;

enum class MessageKind : std::uint8_t {
  kInline = 1,      // header and payload together
  kRendezvous = 2,  // header alone; the payload follows on the payload communicator
  kMatched = 3,     // control: a synchronous send's message was matched (ssn names it)
  kProtocol = 4,    // control: a logging protocol's own message, in the payload
  kCredit = 5,      // control: the receiver consumed replayed messages (ssn: how many in all)
  kFinalize = 6,    // control: part of the shutdown barrier
  kCheckpoint = 7,  // control: checkpoint coordination's own message, in the payload
};

enum MessageFlag : std::uint8_t {
  kFlagCollective = 1,   // collective context: the tag is the collective's sequence number
  kFlagSchedule = 2,     // sent by a schedule (non-blocking collective), not in program order
  kFlagSynchronous = 4,  // the sender waits for kMatched
};

struct WireHeader {
  std::uint8_t version;
  MessageKind kind;
  std::uint8_t flags;  // MessageFlag
  std::uint8_t reserved0;
  std::int32_t tag;
  std::uint64_t communicator;
  std::uint64_t ssn;  // send sequence number on this channel, from 1; for kFlagSchedule the
                      // number of the message within (communicator, tag) on this channel
  std::uint64_t payload_length;  // bytes
  std::uint64_t interval;        // the sender's state interval index
  std::int32_t source_rank;      // the sender's rank in the communicator
  // --- end of the persistent part ---
  std::uint16_t piggyback_length;  // bytes of protocol data behind the payload
  std::uint16_t epoch;             // recovery epoch
  std::uint32_t transfer;          // kRendezvous: tag of the payload on the payload communicator
  std::uint32_t csn;               // checkpoint sequence number; the top bit is the status bit
};

inline constexpr std::size_t kPersistentBytes = offsetof(WireHeader, piggyback_length);
static_assert(sizeof(WireHeader) == 56);
static_assert(kPersistentBytes == 44);

}  // namespace ftmpi::logging
