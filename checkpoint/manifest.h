// What a checkpoint of one rank says of itself beside its memory. Fixed layout, as section.h; used
// by the rank (static memory), the server protocol, and (member by member) the HDF5 files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "checkpoint/section.h"

namespace ftmpi::checkpoint {

enum class CheckpointKind : std::uint32_t {
  kCoordinated = 1,  // one of a set with the same CSN, permanent when all of them are
  kInduced = 2,      // communication-induced; permanent by itself, its CSN is the rank's index
  kIndependent = 3,  // permanent by itself; its CSN is the rank's own
  kFailureTime = 4,  // a survivor's image (thesis 4.2.3), permanent by itself
};

// Bits.
inline constexpr std::uint32_t kStateImage = 1;
inline constexpr std::uint32_t kStateRegistered = 2;

inline constexpr std::uint64_t kNoBase = 0;  // CSNs count from 1

struct CheckpointAttributes {
  std::uint64_t job;             // job id
  std::uint64_t csn;             // >= 1
  std::uint64_t base_csn;        // < csn; kNoBase: the file is complete in itself
  std::uint64_t state_interval;  // of the rank
  std::uint64_t time;         // nanoseconds since 1970 (UTC); 0: the server's clock when it writes
  std::uint32_t epoch;        // recovery epoch
  std::uint32_t incarnation;  // of the rank
  std::int32_t rank;
  std::int32_t np;
  CheckpointKind kind;
  std::uint32_t state;         // kState... bits
  char program_build_id[160];  // as job.json has it; each text zero-terminated
  char ftmpi_version[32];
  char mpi_version[256];
  char node[256];
};
static_assert(sizeof(CheckpointAttributes) == 64 + 704);

inline constexpr std::uint64_t kMaximumSections = std::uint64_t{1} << 20;
inline constexpr std::uint64_t kMaximumDatasets = std::uint64_t{1} << 16;
inline constexpr std::uint64_t kMaximumCsn = std::uint64_t{1} << 62;

// Why these can't be those of a checkpoint, as a text for people; nullptr: they can. No memory is
// allocated. The page ranges of sections are not looked at (they are elsewhere).
const char* Invalid(const CheckpointAttributes& attributes);
const char* Invalid(const Section& section);
const char* Invalid(const Dataset& dataset);
// Ascending, without overlap, within the section.
const char* Invalid(const Section& section, std::span<const PageRange> ranges);
// Each of them, and that sections don't overlap (they must be sorted by address) and that a
// complete checkpoint has no section of listed pages.
const char* Invalid(const CheckpointAttributes& attributes, std::span<const Section> sections,
                    std::span<const Dataset> datasets);

}  // namespace ftmpi::checkpoint
