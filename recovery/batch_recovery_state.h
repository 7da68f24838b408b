// The batch recovery state algorithm (thesis 4.3, figure 4.1): down from the greatest stable
// interval of each rank until the system state is consistent.
#pragma once

#include <vector>

#include "recovery/recovery_state.h"

namespace ftmpi::recovery {

// See MaximumRecoverableState. The while loop of figure 4.1 takes the violated dependencies on a
// rank when that rank has been lowered, greatest first; each dependency is looked at once.
SystemState BatchRecoveryState(const std::vector<RankHistory>& ranks);

}  // namespace ftmpi::recovery
