// The header in front of every message on the wire, and of every logged message.
//
// The layout is part of the format documents logging/WIRE.md and logging/PAYLOAD_LOG.md: the first
// kPersistentBytes are what a log record keeps and checksums; the rest is true of one transmission
// only and is set anew when a record is sent again.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

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

// A header as its seven words, composed in registers. On the fast path it is stored twice, in the
// message and in the log, and its checksum is computed in between; read back from either it would
// have to wait until the stores before it have left the processor's store buffer.
struct HeaderWords {
  std::uint64_t words[7];

  void StoreTo(WireHeader* header) const { std::memcpy(header, words, sizeof words); }
};
static_assert(sizeof(HeaderWords) == sizeof(WireHeader));
static_assert(std::endian::native == std::endian::little);

inline HeaderWords WordsOf(const WireHeader& header) {
  HeaderWords packed;
  packed.words[0] = header.version | static_cast<std::uint64_t>(header.kind) << 8 |
                    static_cast<std::uint64_t>(header.flags) << 16 |
                    static_cast<std::uint64_t>(header.reserved0) << 24 |
                    static_cast<std::uint64_t>(static_cast<std::uint32_t>(header.tag)) << 32;
  packed.words[1] = header.communicator;
  packed.words[2] = header.ssn;
  packed.words[3] = header.payload_length;
  packed.words[4] = header.interval;
  packed.words[5] = static_cast<std::uint32_t>(header.source_rank) |
                    static_cast<std::uint64_t>(header.piggyback_length) << 32 |
                    static_cast<std::uint64_t>(header.epoch) << 48;
  packed.words[6] = header.transfer | static_cast<std::uint64_t>(header.csn) << 32;
  return packed;
}

}  // namespace ftmpi::logging
