// Independent checkpoints in the thesis's model: each delivery starts a state interval and is
// logged some time later. What is left of checkpoints and logs must give the same recovery state as
// all of it, by the batch algorithm of the recovery.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/independent.h"
#include "recovery/recovery_state.h"

namespace ftmpi::checkpoint {
namespace {

UncoordinatedConfiguration Configured(int rank, int size) {
  UncoordinatedConfiguration configuration;
  configuration.rank = rank;
  configuration.size = size;
  return configuration;
}

enum class Defect { kNone, kNewestIsEffective };

class Job {
 public:
  Job(std::uint64_t seed, Defect defect) : defect_(defect), random_(seed) {
    const int size = 2 + static_cast<int>(random_() % 4);
    ranks_.resize(static_cast<std::size_t>(size));
    for (int r = 0; r < size; ++r) {
      Rank& at = ranks_[static_cast<std::size_t>(r)];
      at.host = std::make_unique<Host>(this, r);
      at.checkpoints = std::make_unique<IndependentCheckpoints>(Configured(r, size), at.host.get());
      at.trimmed.assign(ranks_.size(), 0);
      at.everything.checkpoints = {0};
    }
  }
  // Empty: all is well.
  std::string Run(int steps) {
    for (int step = 0; step < steps && violation_.empty(); ++step) {
      Step();
      Check();
    }
    return violation_;
  }
  std::uint64_t discarded = 0;
  std::uint64_t trimmed_messages = 0;

 private:
  struct Delivery {
    int source;
    std::uint64_t number;  // on the channel
    std::uint64_t source_interval;
  };
  struct Message {
    std::uint64_t number;
    std::uint64_t interval;
  };
  class Host;
  struct Rank {
    std::unique_ptr<Host> host;
    std::unique_ptr<IndependentCheckpoints> checkpoints;
    std::vector<Delivery> deliveries;  // the i-th started interval i + 1
    std::uint64_t logged = 0;          // intervals up to this one are logged
    std::uint64_t events_trimmed = 0;
    std::vector<std::uint64_t> trimmed;  // log of messages, by destination
    recovery::RankHistory everything;    // ever
    std::set<std::uint32_t> discarded;
    std::vector<KeptCheckpoint> taken;                            // ever
    std::vector<std::pair<int, std::vector<std::byte>>> notices;  // on their way to this rank
  };
  class Host final : public UncoordinatedHost {
   public:
    Host(Job* job, int rank) : job_(job), rank_(rank) {}
    void SendControl(int destination, std::span<const std::byte> message) override {
      // Notices may be lost: the next one makes it good.
      if (job_->random_() % 4 == 0) return;
      job_->At(destination)
          .notices.emplace_back(rank_, std::vector<std::byte>(message.begin(), message.end()));
    }
    void TakeCheckpoint(std::uint32_t number) override {
      Rank& at = job_->At(rank_);
      KeptCheckpoint checkpoint;
      checkpoint.number = number;
      checkpoint.interval = at.deliveries.size();
      checkpoint.cut = at.checkpoints->Cut(at.deliveries.size(), at.deliveries.size());
      at.everything.checkpoints.push_back(at.deliveries.size());
      at.taken.push_back(checkpoint);
      at.checkpoints->OnTaken(number, true);
    }
    void Discard(std::uint32_t number) override {
      job_->At(rank_).discarded.insert(number);
      ++job_->discarded;
    }
    void TrimEvents(std::uint64_t interval) override { job_->At(rank_).events_trimmed = interval; }
    void TrimLog(int destination, std::uint64_t count) override {
      job_->At(rank_).trimmed[static_cast<std::size_t>(destination)] = count;
      ++job_->trimmed_messages;
    }

   private:
    Job* job_;
    int rank_;
  };

  Rank& At(int rank) { return ranks_[static_cast<std::size_t>(rank)]; }

  void Step() {
    const int rank = static_cast<int>(random_() % ranks_.size());
    Rank& at = At(rank);
    switch (random_() % 8) {
      case 0:
      case 1: {
        const int to = static_cast<int>(random_() % ranks_.size());
        Channel* channel = at.checkpoints->ChannelOf(to);
        at.checkpoints->BeforeSend(channel);
        channels_[{rank, to}].push_back({channel->sent, at.deliveries.size()});
        return;
      }
      case 2:
      case 3:
      case 4: {
        const int from = static_cast<int>(random_() % ranks_.size());
        auto& queue = channels_[{from, rank}];
        if (queue.empty()) return;
        const Message message = queue.front();
        queue.pop_front();
        at.checkpoints->OnMessage(at.checkpoints->ChannelOf(from));
        at.deliveries.push_back({from, message.number, message.interval});
        at.everything.dependencies.push_back({at.deliveries.size(), from, message.interval});
        return;
      }
      case 5:
        if (at.logged < at.deliveries.size()) {
          const std::uint64_t more = 1 + random_() % (at.deliveries.size() - at.logged);
          at.everything.logged.push_back({at.logged + 1, at.logged + more});
          at.logged += more;
        }
        return;
      case 6:
        if (random_() % 3 != 0) return;
        at.checkpoints->Request(Reason::kRequest);
        at.checkpoints->OnTick(++now_);
        return;
      default:
        if (!at.notices.empty()) {
          const auto [from, bytes] = at.notices.front();
          at.notices.erase(at.notices.begin());
          if (!at.checkpoints->OnControl(from, bytes)) violation_ = "a notice is refused";
        }
        Collect(rank);
    }
  }

  // The rank hears how far the recovery state has come.
  void Collect(int rank) {
    std::vector<recovery::RankHistory> all;
    for (const Rank& at : ranks_) all.push_back(at.everything);
    const auto state = recovery::MaximumRecoverableState(all);
    At(rank).checkpoints->OnCommittable(defect_ == Defect::kNewestIsEffective
                                            ? At(rank).deliveries.size()
                                            : state[static_cast<std::size_t>(rank)]);
  }

  void Check() {
    std::vector<recovery::RankHistory> all;
    std::vector<recovery::RankHistory> left;
    for (const Rank& at : ranks_) {
      all.push_back(at.everything);
      recovery::RankHistory history;
      history.checkpoints.clear();
      // The initial state is of use as long as no event was dropped.
      if (at.events_trimmed == 0) history.checkpoints.push_back(0);
      for (const KeptCheckpoint& checkpoint : at.taken) {
        if (!at.discarded.contains(checkpoint.number)) {
          history.checkpoints.push_back(checkpoint.interval);
        }
      }
      history.logged.clear();
      if (at.logged > at.events_trimmed) {
        history.logged.push_back({at.events_trimmed + 1, at.logged});
      }
      history.dependencies = at.everything.dependencies;
      left.push_back(history);
    }
    const auto expected = recovery::MaximumRecoverableState(all);
    try {
      if (recovery::MaximumRecoverableState(left) != expected) {
        violation_ = "the recovery state that is left is another";
        return;
      }
    } catch (const recovery::NoRecoverableState& error) {
      violation_ = error.what();
      return;
    }
    for (int r = 0; r < static_cast<int>(ranks_.size()); ++r) CheckPayloads(r, expected);
  }

  // Every payload that is replayed from the effective checkpoint, or in transit in the recovery
  // state, is still in its sender's log.
  void CheckPayloads(int rank, const recovery::SystemState& state) {
    Rank& at = At(rank);
    const std::uint64_t reached = state[static_cast<std::size_t>(rank)];
    std::uint64_t from = 0;
    for (const KeptCheckpoint& checkpoint : at.taken) {
      if (!at.discarded.contains(checkpoint.number) && checkpoint.interval <= reached) {
        from = std::max(from, checkpoint.interval);
      }
    }
    for (std::uint64_t i = from; i < at.deliveries.size(); ++i) {
      const Delivery& delivery = at.deliveries[i];
      if (delivery.number <= At(delivery.source).trimmed[static_cast<std::size_t>(rank)]) {
        violation_ = "the payload of event " + std::to_string(i + 1) + " of rank " +
                     std::to_string(rank) + " is gone";
        return;
      }
    }
  }

  Defect defect_;
  std::mt19937_64 random_;
  std::vector<Rank> ranks_;
  std::map<std::pair<int, int>, std::deque<Message>> channels_;
  std::string violation_;
  std::uint64_t now_ = 1;
};

TEST(IndependentPropertyTest, WhatIsLeftGivesTheSameRecoveryState) {
  std::uint64_t discarded = 0;
  std::uint64_t trimmed = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    Job job(seed, Defect::kNone);
    ASSERT_EQ(job.Run(250), "") << "seed " << seed;
    discarded += job.discarded;
    trimmed += job.trimmed_messages;
  }
  std::printf("%lu checkpoints discarded, %lu logs trimmed\n", discarded, trimmed);
  EXPECT_GT(discarded, 100u);
  EXPECT_GT(trimmed, 100u);
}

TEST(IndependentPropertyTest, TooMuchGarbageIsFound) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    const std::string violation = Job(seed, Defect::kNewestIsEffective).Run(250);
    if (violation.empty()) continue;
    std::printf("found with seed %lu: %s\n", seed, violation.c_str());
    return;
  }
  FAIL() << "150 runs, and nothing was found";
}

}  // namespace
}  // namespace ftmpi::checkpoint
