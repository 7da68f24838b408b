#include "recovery/log_coverage.h"

#include <fmt/format.h>

#include <algorithm>

namespace ftmpi::recovery {

LogUse UseOfLog(int sender, bool log_survives, const std::vector<ChannelInventory>& log,
                const std::vector<checkpoint::CutRecord>& cuts,
                const std::vector<std::uint64_t>& saved) {
  LogUse use;
  use.usable = log_survives;
  const checkpoint::CutRecord& own = cuts[static_cast<std::size_t>(sender)];
  std::string in_transit;
  int ahead = -1;  // a receiver that has what the sender is to send again
  for (std::size_t to = 0; to < cuts.size(); ++to) {
    const auto destination = static_cast<int>(to);
    const checkpoint::MessageRange range = checkpoint::InTransit(own, cuts[to]);
    const auto channel = std::find_if(
        log.begin(), log.end(),
        [destination](const ChannelInventory& each) { return each.destination == destination; });
    const std::uint64_t before = channel == log.end() ? 0 : channel->before;
    const std::uint64_t end = channel == log.end() ? 0 : before + channel->messages;
    const std::uint64_t received = cuts[to].Channel(sender).received;
    if (before >= range.first || end < std::max(own.Channel(destination).sent, received))
      use.usable = false;
    if (received > own.Channel(destination).sent && ahead < 0) ahead = destination;
    if (range.count() <= (saved.empty() ? 0 : saved[to]) || !in_transit.empty()) continue;
    in_transit = range.count() == 1 ? fmt::format("message {} from rank {} to rank {} was",
                                                  range.first, sender, destination)
                                    : fmt::format("messages {} to {} from rank {} to rank {} were",
                                                  range.first, range.last, sender, destination);
  }
  if (!use.usable && ahead >= 0) {
    use.obstacle = ahead;
    use.refusal = fmt::format(
        "rank {} had received messages then that rank {} will send again, and the log of rank {}, "
        "which would tell them, {}",
        ahead, sender, sender, log_survives ? "does not hold them" : "is lost");
    return use;
  }
  if (!use.usable && !in_transit.empty()) {
    use.obstacle = sender;
    use.refusal = fmt::format("{} in transit then, and the log of rank {}, which alone had {}, {}",
                              in_transit, sender, in_transit.ends_with("were") ? "them" : "it",
                              log_survives ? "does not reach back to it any more" : "is lost");
  }
  return use;
}

}  // namespace ftmpi::recovery
