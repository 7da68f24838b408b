// What the ranks say to each other about checkpoints, as bytes. Format: checkpoint/COORDINATION.md,
// "Control messages".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace ftmpi::checkpoint {

inline constexpr std::uint8_t kControlVersion = 1;

enum class ControlType : std::uint8_t {
  kMarker = 1,
  kTaken = 2,
  kFailed = 3,
  kExpect = 4,
  kReceived = 5,
  kAcknowledge = 6,
  kAbort = 7,
  kAborted = 8,
  kRequest = 9,
  kRollback = 10,
  kRolledBack = 11,
  kCommit = 12,
  kTrim = 13,
  kIndex = 14,
  kLine = 15,
};

enum class FailureReason : std::uint8_t { kCheckpointNotSaved = 1, kInTransitNotSaved = 2 };

// One control message; which fields count depends on the type.
struct ControlMessage {
  ControlType type = ControlType::kMarker;
  std::uint32_t epoch = 0;
  std::uint32_t csn = 0;
  std::uint8_t mechanism = 0;         // kTaken: 1 MTV, 2 acknowledgements (Transit)
  std::uint8_t reason = 0;            // kFailed: FailureReason; kRequest: Reason
  std::uint64_t part = 0;             // kTaken, MTV
  bool last = true;                   // kTaken, MTV
  std::uint64_t received = 0;         // kTaken, kReceived, kAcknowledge, kTrim; kIndex: first line
  std::uint64_t received_at_cut = 0;  // kAcknowledge
  std::uint64_t outstanding = 0;      // kExpect
  // kTaken, MTV: (rank, sent), by rank, sent > 0.
  std::vector<std::pair<std::int32_t, std::uint64_t>> sent;

  bool operator==(const ControlMessage&) const = default;
};

inline constexpr std::size_t kLeastControlBytes = 64;  // any message but a long *taken* fits

// Appends `message` to `out`, which is cleared first.
void EncodeControl(const ControlMessage& message, std::vector<std::byte>* out);

// False: not a control message of this version in a job of `size` ranks. Then `message` is
// undefined.
[[nodiscard]] bool DecodeControl(std::span<const std::byte> bytes, int size,
                                 ControlMessage* message);

// How many of the entries from `first` on fit into a *taken* of at most `maximum` bytes.
[[nodiscard]] std::size_t EntriesThatFit(const ControlMessage& message, std::size_t first,
                                         std::size_t maximum);

}  // namespace ftmpi::checkpoint
