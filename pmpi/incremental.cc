#include "pmpi/incremental.h"

#include <memory>

#include "checkpoint/image/image_error.h"
#include "pmpi/message.h"

namespace ftmpi::incremental {
namespace {

struct Tracking {
  std::unique_ptr<image::PageTracker> tracker;
  int full_every = 1;
  int since_full = 0;      // incremental ones on top of the last complete one
  std::uint32_t last = 0;  // checkpoint that the tracker's pages are counted from
};
Tracking* g_tracking = nullptr;

}  // namespace

void Start(PageTracking method, int full_every) {
  if (method == PageTracking::kOff || full_every <= 1) return;
  const char* unavailable = image::PageTracker::UserfaultUnavailable();
  if (unavailable != nullptr && method == PageTracking::kUserfault) {
    Fatal("FT_INCREMENTAL=uffd is not possible here: %s; use auto, hash or off", unavailable);
  }
  // Hashing reads all memory while the program stands still: only who asks for it gets it.
  if (unavailable != nullptr && method == PageTracking::kAuto) return;
  g_tracking = new Tracking;
  g_tracking->full_every = full_every;
  try {
    g_tracking->tracker = std::make_unique<image::PageTracker>(
        method == PageTracking::kHash ? image::TrackingMethod::kHash
                                      : image::TrackingMethod::kUserfault);
  } catch (const image::ImageError& error) {
    Fatal("pages can't be tracked: %s; set FT_INCREMENTAL=off", error.what());
  }
}

Basis Next(std::uint32_t csn, std::uint32_t permanent) {
  Basis basis;
  if (g_tracking == nullptr) return basis;
  Tracking& tracking = *g_tracking;
  basis.tracker = tracking.tracker.get();
  const bool build_on = tracking.tracker->HasBase() && tracking.last != 0 &&
                        tracking.last == permanent && tracking.since_full + 1 < tracking.full_every;
  if (build_on) {
    basis.base_csn = permanent;
    ++tracking.since_full;
  } else {
    tracking.tracker->Reset();
    tracking.since_full = 0;
  }
  tracking.last = csn;
  return basis;
}

void Failed() {
  if (g_tracking == nullptr) return;
  g_tracking->tracker->Reset();
  g_tracking->last = 0;
}

}  // namespace ftmpi::incremental
