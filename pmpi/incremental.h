// Incremental checkpoints (FT_INCREMENTAL, FT_FULL_EVERY): which checkpoint of this rank the next
// one builds on, and which pages it has to hold. Expects the engine's lock. Belongs to the process:
// a restarted rank begins with a complete checkpoint.
#pragma once

#include <cstdint>

#include "checkpoint/image/page_tracker.h"
#include "pmpi/configuration.h"

namespace ftmpi::incremental {

// At the start. Ends the job when the method that was asked for is not to be had.
void Start(PageTracking method, int full_every);

// What the next image is taken with.
struct Basis {
  image::PageTracker* tracker = nullptr;  // null: all pages, nothing is tracked
  std::uint32_t base_csn = 0;             // 0: it is complete
};
// An image of checkpoint `csn` is about to be taken; `permanent`: the last permanent checkpoint.
// Only on that one can be built, since a tentative one may be given up.
Basis Next(std::uint32_t csn, std::uint32_t permanent);
// It was not taken, or not written.
void Failed();

}  // namespace ftmpi::incremental
