// Reads a rank's payload log without changing it: what it holds per channel, and whether it is
// whole. Format: logging/PAYLOAD_LOG.md.
#pragma once

#include <cstdint>
#include <string>

#include "recovery/inventory.h"

namespace ftmpi::recovery {

// The segments of `rank` in `directory` and, spilled, in `spill_directory` (may be empty). The scan
// ends where a reader must end (PAYLOAD_LOG.md, "What a reader does"), and `damaged` says why.
PayloadInventory ScanPayloadLog(logging::Environment* environment, const std::string& directory,
                                const std::string& spill_directory, std::uint64_t job, int rank);

}  // namespace ftmpi::recovery
