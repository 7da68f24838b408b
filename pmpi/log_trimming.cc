#include "pmpi/log_trimming.h"

#include <algorithm>
#include <deque>
#include <map>
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
  std::deque<LogPoint> own;        // in order; cuts of independent checkpoints
  std::uint64_t trimmed = 0;       // position of the one in front of which the log was dropped
  std::map<int, std::uint64_t> received;  // by destination: so many are not needed any more
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

LogPoint PointOf(const checkpoint::CutRecord& cut) {
  engine::LogAllBuilt();
  LogPoint point;
  point.csn = cut.csn;
  point.position = g.payload_log->end_position();
  for (const checkpoint::ChannelCut& channel : cut.channels) {
    if (channel.sent > 0) point.sent[channel.rank] = channel.sent;
  }
  point.events = g.event_log->record_count();
  point.interval = g.interval;
  return point;
}

void Complain(const logging::LogError& error) {
  if (!ThePoints().complained)
    Message("the logs can't be trimmed, so they grow: %s; the job goes on", error.what());
  ThePoints().complained = true;
}

// Nothing in front of the point is needed by any destination.
bool IsCovered(const LogPoint& point) {
  const auto& received = ThePoints().received;
  return std::all_of(point.sent.begin(), point.sent.end(), [&received](const auto& sent) {
    const auto found = received.find(sent.first);
    return found != received.end() && found->second >= sent.second;
  });
}

}  // namespace

void NoteCut(const checkpoint::CutRecord& cut) { ThePoints().tentative = PointOf(cut); }

void NoteOwnCut(const checkpoint::CutRecord& cut) {
  std::deque<LogPoint>& own = ThePoints().own;
  own.push_back(PointOf(cut));
  // While a rank takes none, nothing is dropped: then every other point will do.
  constexpr std::size_t kMostPoints = 64;
  if (own.size() < kMostPoints) return;
  std::size_t kept = 0;
  for (std::size_t n = 0; n < own.size(); n += 2) {
    if (kept != n) own[kept] = std::move(own[n]);
    ++kept;
  }
  own.resize(kept);
}

void OnReceived(int destination, std::uint64_t count) {
  Points& points = ThePoints();
  std::uint64_t& received = points.received[destination];
  received = std::max(received, count);
  // Records of a replay that is not over are still to be read.
  if (!g.replay_peers.empty()) return;
  const LogPoint* covered = nullptr;
  for (const LogPoint& point : points.own) {
    if (!IsCovered(point)) break;
    covered = &point;
  }
  if (covered == nullptr || covered->position <= points.trimmed) return;
  try {
    g.payload_log->TrimBefore(covered->position, covered->sent);
    points.trimmed = covered->position;
  } catch (const logging::LogError& error) {
    Complain(error);
  }
}

void OnEventsCovered(std::uint64_t interval) {
  std::deque<LogPoint>& own = ThePoints().own;
  const auto point = std::find_if(own.begin(), own.end(), [interval](const LogPoint& each) {
    return each.interval >= interval;
  });
  if (point == own.end() || point->interval != interval) return;
  own.erase(own.begin(), point);
  // With several failure units the log holds copies of other ranks' events too, and nobody says
  // when they are not needed any more.
  if (g.several_units) return;
  // The companion copies the event log record by record: it must have passed the point.
  const std::uint64_t flushed = g.status->stable.load(std::memory_order_acquire);
  if (g.flushing && flushed <= interval) return;
  try {
    g.event_log->Trim(own.front().events, interval, own.front().csn);
  } catch (const logging::LogError& error) {
    Complain(error);
  }
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
    Complain(error);
  }
}

}  // namespace ftmpi::log_trimming
