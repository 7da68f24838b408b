// Optimistic logging (Johnson ch. 4): determinants reach stable storage in their own time (the
// flusher; OnStable), nobody waits, and what is lost in a failure may make others roll back.
// Messages carry the sender's state interval index and nothing else. Each increase of the
// dependency vector starts a state interval, as each delivery does in the thesis
// (EventKind::kDependency), so the direct dependencies of a rank's intervals are fixed from their
// start and are logged with them.
//
// Output of interval t is committable (Lemma 2.3) when t and all intervals that it transitively
// depends on are stable: the greatest of these of each rank make a recoverable system state, which
// the maximum, the current recovery state, can't lie below. Which they are is found out when output
// waits, not before: a round asks each rank x that t depends on "is your interval j stable, and
// what does it depend on directly?", x answers as soon as j is stable, and what the answer names
// that was not asked yet is asked in turn. Nobody waits for another's round, so there is no circle
// to wait in, however intricately ranks depend on each other. The end of a round commits the
// intervals that it went through at all these ranks, as far as this rank knows; it need not look
// below them again.
//
// To answer, a rank remembers the dependencies of its intervals behind the last committed one. When
// these become many a round is made without output waiting.
//
// With one failure unit nothing but the processes is expected to be lost: all is committable at
// once.
#pragma once

#include <vector>

#include "logging/dependency_vector.h"
#include "logging/protocol.h"
#include "logging/protocol_data.h"
#include "logging/rank_map.h"
#include "logging/ring_queue.h"

namespace ftmpi::logging {

class OptimisticProtocol final : public Protocol {
 public:
  OptimisticProtocol(const ProtocolConfiguration& configuration, ProtocolHost* host);

  void OnEvent(const Determinant& determinant, int message_source) override;
  bool MaySend(int /*destination*/) override { return true; }
  std::span<const std::byte> TakePiggyback(int /*destination*/) override { return {}; }
  void OnDelivery(int source, std::uint64_t interval) override;
  bool OnPiggyback(int /*source*/, std::span<const std::byte> /*data*/) override { return false; }
  bool OnControl(int source, std::span<const std::byte> data) override;
  void OnStable(std::uint64_t index) override;
  void Flush() override;
  [[nodiscard]] std::uint64_t CommittableInterval() const override {
    return several_units_ ? committed_ : interval_;
  }
  // All that output waits for starts an interval here: positions are intervals.
  [[nodiscard]] std::uint64_t OutputPosition() const override { return interval_; }
  [[nodiscard]] std::uint64_t CommittablePosition() const override { return CommittableInterval(); }
  [[nodiscard]] std::vector<std::pair<int, std::uint64_t>> DependencyVector() const override {
    return dependencies_.Entries();
  }
  [[nodiscard]] std::uint64_t known_interval(int source) const override {
    return dependencies_[source];
  }

 private:
  struct Dependency {
    std::uint64_t own;  // from this own interval on
    std::int32_t rank;
    std::uint64_t interval;
  };
  struct Question {  // another rank's, to be answered when `interval` is stable
    std::int32_t rank;
    std::uint64_t interval;
  };
  struct Known {
    std::uint64_t committed = 0;  // its intervals up to this one will never be rolled back
    std::uint64_t asked = 0;      // in the present round, or in one before
    std::uint64_t answered = 0;
  };

  void Raise(int rank, std::uint64_t interval);
  bool Valid(int source, const ProtocolData& data) const;
  void Answer(const Question& question);
  void Ask(int rank, std::uint64_t interval);
  void StartRound();
  void EndRoundIfDone();
  void Committed(std::uint64_t interval);

  ProtocolConfiguration configuration_;
  ProtocolHost* host_;
  bool several_units_ = false;
  ProtocolDataWriter writer_;
  ProtocolDataReader reader_;
  class DependencyVector dependencies_;
  RingQueue<Dependency> recent_;  // of own intervals behind committed_, in order
  std::vector<Question> questions_;
  RankMap<Known> known_;
  std::vector<int> round_;          // the ranks that the present round asked
  std::size_t unanswered_ = 0;      // questions of the round
  std::uint64_t round_target_ = 0;  // own interval that the round wants committed; 0: no round
  std::uint64_t wanted_ = 0;        // ... that the next round will want
  std::uint64_t interval_;
  std::uint64_t stable_;
  std::uint64_t committed_;
  std::size_t collect_at_;         // so many recent_ dependencies make a round
  RankMap<std::uint64_t> answer_;  // scratch: dependencies of an answer
};

}  // namespace ftmpi::logging
