// How refusals name a message's word.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/coordination.h"

namespace ftmpi::checkpoint {

inline std::string Quoted(std::uint32_t word) {
  return "checkpoint " + std::to_string(word & kMaximumCoordinatedCsn) +
         ((word & kStatusBit) != 0 ? " (permanent)" : " (tentative)");
}

}  // namespace ftmpi::checkpoint
