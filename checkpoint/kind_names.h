// How kinds of checkpoints and of state are written in files and shown to people.
#pragma once

#include <cstdint>

#include "checkpoint/manifest.h"

namespace ftmpi::checkpoint {

// "unknown" for a value that is none.
inline const char* KindName(CheckpointKind kind) {
  switch (kind) {
    case CheckpointKind::kCoordinated:
      return "coordinated";
    case CheckpointKind::kInduced:
      return "induced";
    case CheckpointKind::kIndependent:
      return "independent";
    case CheckpointKind::kFailureTime:
      return "failure-time";
  }
  return "unknown";
}

inline const char* StateName(std::uint32_t state) {
  switch (state) {
    case kStateImage:
      return "image";
    case kStateRegistered:
      return "registered";
    case kStateImage | kStateRegistered:
      return "image+registered";
    default:
      return "unknown";
  }
}

// Its rank file needs no checkpoint.h5.
inline bool IsPermanentByItself(CheckpointKind kind) {
  return kind != CheckpointKind::kCoordinated;
}

}  // namespace ftmpi::checkpoint
