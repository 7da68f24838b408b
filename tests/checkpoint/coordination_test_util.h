// A few ranks with their participants; control messages and the program's messages are moved by
// hand. The host does at once what is asked of it, unless told otherwise.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "checkpoint/control_message.h"
#include "checkpoint/coordination.h"

namespace ftmpi::checkpoint {

class CoordinationNetwork {
 public:
  struct Sent {
    int from;
    std::uint32_t word;
  };
  struct Rank;
  class Host final : public CoordinationHost {
   public:
    Host(CoordinationNetwork* network, int rank) : network_(network), rank_(rank) {}
    void SendControl(int destination, std::span<const std::byte> message) override {
      EXPECT_NE(destination, rank_);
      network_->controls_[{rank_, destination}].emplace_back(message.begin(), message.end());
      ++network_->controls;
    }
    void TakeTentative(Csn csn) override {
      Note("take " + std::to_string(csn));
      Rank& at = network_->At(rank_);
      if (at.defer_cut) return;
      at.cuts[csn] = at.participant->Cut();
      if (at.taken_at_once) at.participant->OnTentativeTaken(csn, true);
    }
    void MakePermanent(Csn csn) override { Note("permanent " + std::to_string(csn)); }
    void Discard(Csn csn) override { Note("discard " + std::to_string(csn)); }
    void FlushInTransit(Csn csn) override {
      Note("flush " + std::to_string(csn));
      Rank& at = network_->At(rank_);
      if (at.flush_at_once) at.participant->OnInTransitStable(csn, at.saved, true);
    }
    void Trim(int destination, std::uint64_t count) override {
      Note("trim " + std::to_string(destination) + " " + std::to_string(count));
    }
    void RecordCommit(Csn csn) override {
      Note("record " + std::to_string(csn));
      Rank& at = network_->At(rank_);
      if (at.record_at_once) at.participant->OnCommitRecorded(csn, true);
    }
    void Finished(const CheckpointOutcome& outcome) override {
      network_->At(rank_).outcomes.push_back(outcome);
    }
    void RollBack(std::uint32_t epoch, Csn csn) override {
      Note("rollback " + std::to_string(epoch) + " " + std::to_string(csn));
      Rank& at = network_->At(rank_);
      if (at.roll_back_at_once) at.participant->EnterEpoch(epoch, csn, nullptr);
    }
    void RollbackFinished(std::uint32_t epoch, const std::vector<int>& missing) override {
      std::string text = "in epoch " + std::to_string(epoch);
      for (const int rank : missing) text += " without " + std::to_string(rank);
      Note(text);
    }

   private:
    void Note(const std::string& what) { network_->At(rank_).calls.push_back(what); }
    CoordinationNetwork* network_;
    int rank_;
  };
  struct Rank {
    std::unique_ptr<Host> host;
    std::unique_ptr<Participant> participant;
    std::vector<std::string> calls;
    std::vector<CheckpointOutcome> outcomes;
    std::map<Csn, CutRecord> cuts;
    std::uint64_t saved = 0;  // messages in transit of the current checkpoint
    bool defer_cut = false;
    bool taken_at_once = true;
    bool flush_at_once = true;
    bool record_at_once = true;
    bool roll_back_at_once = true;
  };

  CoordinationNetwork(int size, CoordinationConfiguration configuration) {
    configuration.size = size;
    ranks_.resize(static_cast<std::size_t>(size));
    for (int r = 0; r < size; ++r) {
      configuration.rank = r;
      At(r).host = std::make_unique<Host>(this, r);
      At(r).participant = std::make_unique<Participant>(configuration, At(r).host.get());
    }
  }

  Participant& operator[](int rank) { return *At(rank).participant; }
  Rank& At(int rank) { return ranks_[static_cast<std::size_t>(rank)]; }
  std::vector<std::string>& Calls(int rank) { return At(rank).calls; }

  Sent Send(int from, int to) {
    Participant& participant = (*this)[from];
    return {from, participant.BeforeSend(participant.ChannelOf(to))};
  }
  Action Arrive(int to, const Sent& message) {
    Participant& participant = (*this)[to];
    const Action action = participant.OnMessage(participant.ChannelOf(message.from), message.word);
    if (action == Action::kSave) ++At(to).saved;
    return action;
  }
  void Tick(std::uint64_t now) {
    for (auto& rank : ranks_) rank.participant->OnTick(now);
  }
  // The coordinator is asked for a checkpoint and starts it.
  void Start() {
    (*this)[0].Request(Reason::kRequest);
    (*this)[0].OnTick(++now_);
  }
  void MoveOne(int from, int to) {
    auto& channel = controls_[{from, to}];
    ASSERT_FALSE(channel.empty()) << from << " -> " << to;
    const std::vector<std::byte> message = channel.front();
    channel.pop_front();
    EXPECT_TRUE((*this)[to].OnControl(from, message)) << (*this)[to].refusal();
  }
  // Moves control messages until there are none.
  void Move() {
    for (bool any = true; any;) {
      any = false;
      for (auto& [channel, queue] : controls_) {
        while (!queue.empty()) {
          any = true;
          MoveOne(channel.first, channel.second);
        }
      }
    }
  }
  // Control messages of a type under way from -> to.
  std::size_t Waiting(int from, int to, ControlType type) {
    std::size_t count = 0;
    for (const auto& bytes : controls_[{from, to}]) {
      ControlMessage message;
      EXPECT_TRUE(DecodeControl(bytes, static_cast<int>(ranks_.size()), &message));
      count += message.type == type ? 1 : 0;
    }
    return count;
  }
  void Lose(int from, int to) { controls_[{from, to}].clear(); }

  int controls = 0;  // ever sent

 private:
  std::vector<Rank> ranks_;
  std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> controls_;
  std::uint64_t now_ = 0;
};

inline CoordinationConfiguration WithMtv(MtvStrategy strategy) {
  CoordinationConfiguration configuration;
  configuration.transit = Transit::kMtv;
  configuration.strategy = strategy;
  return configuration;
}
inline CoordinationConfiguration WithAck() {
  CoordinationConfiguration configuration;
  configuration.transit = Transit::kAck;
  return configuration;
}

}  // namespace ftmpi::checkpoint
