#include "pmpi/log_trimming.h"

#include <deque>
#include <optional>

#include "logging/event_log.h"
#include "logging/log_error.h"
#include "logging/payload_log.h"
#include "pmpi/engine_state.h"
#include "pmpi/message.h"

namespace ftmpi::log_trimming {
namespace {

using engine::g;

// Where the logs stood at a cut.
struct LogPoint {
  std::uint32_t csn = 0;
  std::uint64_t position = 0;  // of the payload log
  logging::ChannelCounts sent;
  std::uint64_t events = 0;  // records of the event log
  std::uint64_t interval = 0;
};

struct Points {
  std::optional<LogPoint> tentative;
  std::deque<LogPoint> permanent;  // in order; the last FT_CKPT_KEEP + 1
  bool complained = false;
};

Points& ThePoints() {
  static auto& points = *new Points;
  return points;
}

// `oldest`: the checkpoint behind the point, the first that stays.
void TrimTo(const LogPoint& point, std::uint32_t oldest) {
  // Records of a replay that is not over are still to be read.
  if (g.replay_peers.empty()) g.payload_log->TrimBefore(point.position, point.sent);
  // The companion copies the event log to stable storage record by record: it must have passed the
  // point, and has when it has copied an own event behind it.
  const std::uint64_t flushed = g.status->stable.load(std::memory_order_acquire);
  if (!g.flushing || flushed > point.interval)
    g.event_log->Trim(point.events, point.interval, oldest);
}

}  // namespace

void NoteCut(const checkpoint::CutRecord& cut) {
  engine::LogAllBuilt();
  LogPoint point;
  point.csn = cut.csn;
  point.position = g.payload_log->end_position();
  for (const checkpoint::ChannelCut& channel : cut.channels) {
    if (channel.sent > 0) point.sent[channel.rank] = channel.sent;
  }
  point.events = g.event_log->record_count();
  point.interval = g.interval;
  ThePoints().tentative = std::move(point);
}

void OnPermanent(std::uint32_t csn) {
  Points& points = ThePoints();
  if (!points.tentative || points.tentative->csn != csn) return;
  points.permanent.push_back(std::move(*points.tentative));
  points.tentative.reset();
  const auto kept = static_cast<std::size_t>(g.configuration.checkpoint_keep);
  while (points.permanent.size() > kept + 1) points.permanent.pop_front();
  if (points.permanent.size() <= kept) return;
  try {
    TrimTo(points.permanent[0], points.permanent[1].csn);
  } catch (const logging::LogError& error) {
    if (!points.complained) {
      Message("the logs can't be trimmed, so they grow: %s; the job goes on", error.what());
    }
    points.complained = true;
  }
}

}  // namespace ftmpi::log_trimming
