#include "checkpoint/checkpoint_interval.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace ftmpi::checkpoint {

double YoungInterval(double cost, double mtbf) { return std::sqrt(2 * cost * mtbf); }

double DalyInterval(double cost, double mtbf) {
  if (cost >= 2 * mtbf) return mtbf;
  const double ratio = cost / (2 * mtbf);
  return YoungInterval(cost, mtbf) * (1 + std::sqrt(ratio) / 3 + ratio / 9) - cost;
}

IntervalChooser::IntervalChooser(std::uint64_t mtbf, std::uint64_t first)
    : mtbf_(static_cast<double>(mtbf)), first_(first) {
  if (mtbf == 0) {
    throw std::invalid_argument("the mean time between failures is 0: set FT_MTBF to seconds > 0");
  }
}

void IntervalChooser::OnCheckpoint(std::uint64_t blocked, std::uint64_t duration) {
  // The first checkpoint is often a full one and the next ones are not: the newest counts a third.
  const double weight = measured_ ? 1.0 / 3 : 1.0;
  measured_ = true;
  blocked_ += weight * (static_cast<double>(blocked) - blocked_);
  duration_ += weight * (static_cast<double>(duration) - duration_);
}

std::uint64_t IntervalChooser::Interval() const {
  if (!measured_) return first_;
  const double interval = std::max(DalyInterval(blocked_, mtbf_) + blocked_, 2 * duration_);
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(interval));
}

std::optional<Reason> CheckpointTrigger::Due(std::uint64_t now, std::uint64_t messages) {
  if (!clock_set_) {
    clock_set_ = true;
    last_ = now - std::min(now, phase_);
  }
  if (requested_) return requested_;
  if (every_ > 0 && messages - messages_at_last_ >= every_) return Reason::kMessages;
  if (interval_ > 0 && now > last_ && now - last_ >= interval_) return Reason::kInterval;
  return std::nullopt;
}

void CheckpointTrigger::OnStart(std::uint64_t now, std::uint64_t messages) {
  clock_set_ = true;
  last_ = now;
  messages_at_last_ = messages;
  requested_.reset();
}

}  // namespace ftmpi::checkpoint
