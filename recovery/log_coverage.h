// Whether what is left of the payload logs is enough to start from a checkpoint.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/cut_record.h"
#include "recovery/evidence.h"

namespace ftmpi::recovery {

struct LogUse {
  bool usable = false;  // the rank goes on with its log; else it starts a new one
  std::string refusal;  // why the ranks can't start there; empty: they can
};

// Rank `sender` starts from its cut `cuts[sender]`, the others from theirs (no channels: the
// initial state). Its log must reach from what each receiver had at its cut to what the sender had
// sent at its own, at least; else it is of no use. That is a refusal only if a message was in
// transit: everything else is sent again when it is executed again. `log_survives`: there is a log,
// where the rank goes.
// `saved`: how many of the messages in transit each receiver has in its checkpoint, from the first
// on without a gap, by receiver; empty: none.
LogUse UseOfLog(int sender, bool log_survives, const std::vector<ChannelInventory>& log,
                const std::vector<checkpoint::CutRecord>& cuts,
                const std::vector<std::uint64_t>& saved = {});

}  // namespace ftmpi::recovery
