#include "logging/optimistic.h"

#include <algorithm>

#include "logging/protocol_check.h"

namespace ftmpi::logging {
namespace {
constexpr std::size_t kCollectAt = std::size_t{1} << 14;
}  // namespace

OptimisticProtocol::OptimisticProtocol(const ProtocolConfiguration& configuration,
                                       ProtocolHost* host)
    : configuration_(configuration),
      host_(host),
      reader_(configuration.size),
      interval_(configuration.interval),
      stable_(configuration.interval),
      committed_(configuration.interval),
      collect_at_(kCollectAt) {
  several_units_ = std::any_of(configuration.unit.begin(), configuration.unit.end(),
                               [&](int unit) { return unit != configuration.unit.front(); });
  configuration_.unit = {};
}

void OptimisticProtocol::OnEvent(const Determinant& determinant, int /*message_source*/) {
  ProtocolCheck(determinant.index == interval_ + 1, "events are counted without gaps");
  interval_ = determinant.index;
  if (determinant.kind == EventKind::kDependency) Raise(determinant.source, determinant.value);
}

void OptimisticProtocol::OnDelivery(int source, std::uint64_t interval) { Raise(source, interval); }

void OptimisticProtocol::Raise(int rank, std::uint64_t interval) {
  if (rank == configuration_.rank || !dependencies_.Raise(rank, interval)) return;
  if (!several_units_) return;
  const Known* known = known_.Find(rank);
  if (known != nullptr && interval <= known->committed) return;
  recent_.push_back({interval_, rank, interval});
  if (recent_.size() < collect_at_) return;
  wanted_ = interval_;
  StartRound();
  collect_at_ = recent_.size() + kCollectAt;  // not again until it has grown as much
}

void OptimisticProtocol::Ask(int rank, std::uint64_t interval) {
  if (rank == configuration_.rank) return;
  Known& known = known_[rank];
  if (interval <= known.committed || interval <= known.asked) return;
  // A question that is still open is asked anew for the later interval; both will be answered.
  if (known.asked == known.answered) {
    ++unanswered_;
    round_.push_back(rank);
  }
  known.asked = interval;
  writer_.Begin();
  writer_.AddRequest(rank, interval);
  writer_.FinishAlone(host_, rank, configuration_.maximum_control);
}

void OptimisticProtocol::StartRound() {
  if (round_target_ != 0 || wanted_ <= committed_) return;
  round_target_ = wanted_;
  // Collected first: asking is not to change what is being looked through.
  for (std::size_t i = 0; i < recent_.size() && recent_[i].own <= round_target_; ++i) {
    std::uint64_t& needed = answer_[recent_[i].rank];
    needed = std::max(needed, recent_[i].interval);
  }
  answer_.ForEach([&](int rank, std::uint64_t& needed) {
    if (needed > 0) Ask(rank, needed);
    needed = 0;
  });
  EndRoundIfDone();
}

void OptimisticProtocol::EndRoundIfDone() {
  while (round_target_ != 0 && unanswered_ == 0 && stable_ >= round_target_) {
    for (const int rank : round_) {
      Known& known = known_[rank];
      known.committed = std::max(known.committed, known.answered);
    }
    round_.clear();
    Committed(round_target_);
    round_target_ = 0;
    StartRound();
  }
}

void OptimisticProtocol::Committed(std::uint64_t interval) {
  committed_ = std::max(committed_, interval);
  while (!recent_.empty() && recent_.front().own <= committed_) recent_.pop_front();
  collect_at_ = recent_.size() + kCollectAt;
}

bool OptimisticProtocol::Valid(int source, const ProtocolData& data) const {
  if (!data.determinants.empty() || !data.held.empty()) return false;
  for (const RankAndIndex& request : data.requests) {
    if (request.rank != configuration_.rank || request.index > interval_) return false;
  }
  for (const RankAndIndex& stable : data.stable) {
    if (stable.rank != source) return false;
  }
  if (data.answered.empty()) return data.dependencies.empty();
  if (data.answered.size() > 1) return false;
  const Known* known = known_.Find(source);
  const RankAndIndex& answered = data.answered.front();
  if (answered.rank != source || known == nullptr || answered.index > known->asked ||
      answered.index <= known->answered) {
    return false;
  }
  return std::all_of(
      data.dependencies.begin(), data.dependencies.end(), [&](const RankAndIndex& on) {
        return on.rank != source && (on.rank != configuration_.rank || on.index <= round_target_);
      });
}

bool OptimisticProtocol::OnControl(int source, std::span<const std::byte> bytes) {
  if (source < 0 || source >= configuration_.size || source == configuration_.rank) return false;
  switch (reader_.Read(source, bytes)) {
    case ProtocolDataReader::Result::kMalformed:
      return false;
    case ProtocolDataReader::Result::kPartial:
      return true;
    case ProtocolDataReader::Result::kComplete:
      break;
  }
  const ProtocolData& data = reader_.data();
  if (!Valid(source, data)) return false;
  // "Stable" says here: committed, with all that it depends on.
  for (const RankAndIndex& committed : data.stable) {
    Known& known = known_[source];
    known.committed = std::max(known.committed, committed.index);
  }
  for (const RankAndIndex& answered : data.answered) {
    Known& known = known_[source];
    known.answered = answered.index;
    for (const RankAndIndex& on : data.dependencies) Ask(on.rank, on.index);
    if (known_[source].answered == known_[source].asked) --unanswered_;
  }
  for (const RankAndIndex& request : data.requests) {
    const Question question{source, request.index};
    if (request.index <= stable_) {
      Answer(question);
    } else {
      questions_.push_back(question);
      stable_wanted_ = true;
    }
  }
  EndRoundIfDone();
  return true;
}

// The direct dependencies of an own interval that is stable, without those of committed intervals:
// these are known to be safe, and the one who asks is told so.
void OptimisticProtocol::Answer(const Question& question) {
  writer_.Begin();
  writer_.AddAnswer(configuration_.rank, question.interval);
  if (committed_ > 0) writer_.AddStable(configuration_.rank, committed_);
  if (question.interval > committed_) {
    for (std::size_t i = 0; i < recent_.size() && recent_[i].own <= question.interval; ++i) {
      std::uint64_t& needed = answer_[recent_[i].rank];
      needed = std::max(needed, recent_[i].interval);
    }
    answer_.ForEach([&](int rank, std::uint64_t& needed) {
      if (needed > 0) writer_.AddDependency(rank, needed);
      needed = 0;
    });
  }
  writer_.FinishAlone(host_, question.rank, configuration_.maximum_control);
}

void OptimisticProtocol::OnStable(std::uint64_t index) {
  ProtocolCheck(index <= interval_, "only what happened can be stable");
  if (index <= stable_) return;
  stable_ = index;
  std::erase_if(questions_, [&](const Question& question) {
    if (question.interval > stable_) return false;
    Answer(question);
    return true;
  });
  stable_wanted_ = !questions_.empty();
  EndRoundIfDone();
}

void OptimisticProtocol::Flush() {
  if (!several_units_) return;
  wanted_ = std::max(wanted_, interval_);
  StartRound();
}

}  // namespace ftmpi::logging
