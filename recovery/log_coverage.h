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
  // With a refusal: the rank whose checkpoint stands in the way, so that an older one may do.
  int obstacle = -1;
};

// Rank `sender` starts from its cut `cuts[sender]`, the others from theirs (no channels: the
// initial state). Its log must reach from what each receiver had at its cut to what the sender had
// sent at its own, at least; else it is of no use. That is a refusal only if a message was in
// transit: everything else is sent again when it is executed again. `log_survives`: there is a log,
// where the rank goes. Cuts of independent checkpoints need not be consistent: a receiver may have
// messages that the sender had not sent at its own cut. These must be in the log, else they would
// be sent twice. `saved`: how many of the messages in transit each receiver has in its checkpoint,
// from the first on without a gap, by receiver; empty: none.
LogUse UseOfLog(int sender, bool log_survives, const std::vector<ChannelInventory>& log,
                const std::vector<checkpoint::CutRecord>& cuts,
                const std::vector<std::uint64_t>& saved = {});

}  // namespace ftmpi::recovery
