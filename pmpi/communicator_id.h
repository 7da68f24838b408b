// How the members of a new communicator agree on its 64-bit id without a message: they hash what
// they all know. Two communicators of one process have different ids (a hash collision aside: 2^-64
// a pair).
#pragma once

#include <algorithm>
#include <cstdint>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace ftmpi {

inline constexpr std::uint64_t kWorldId = 1;
inline constexpr std::uint64_t kSelfId = 2;

enum class Derivation : std::uint64_t {
  kDuplicate = 1,
  kCreate,
  kSplit,
  kCreateGroup,
  kIntercomm,
  kMerge,
  kTopology,
  kLocalSide,  // the intracommunicator of one side of an intercommunicator
};

// `sequence`: the parent's child_sequence; `detail`: what tells apart communicators that one call
// makes (world rank of the first member).
inline std::uint64_t DeriveCommunicatorId(std::uint64_t parent, Derivation kind,
                                          std::uint64_t sequence, std::uint64_t detail) {
  const std::uint64_t parts[4] = {parent, static_cast<std::uint64_t>(kind), sequence, detail};
  const std::uint64_t id = XXH3_64bits(parts, sizeof parts);
  return id > kSelfId ? id : ~id;
}

// The id of an intercommunicator from the ids that its two sides propose: the same at both.
inline std::uint64_t CombineCommunicatorIds(std::uint64_t one, std::uint64_t other) {
  return DeriveCommunicatorId(std::min(one, other), Derivation::kIntercomm, std::max(one, other),
                              0);
}

}  // namespace ftmpi
