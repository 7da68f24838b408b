// A few ranks with their protocols, and what they say to each other, moved by hand.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "logging/protocol.h"

namespace ftmpi::logging {

class ProtocolNetwork {
 public:
  // `unit`: one entry per rank.
  ProtocolNetwork(Mode mode, std::vector<int> unit, int causal_f = 1,
                  std::uint64_t maximum_piggyback = 1024, std::uint64_t maximum_control = 2048) {
    ranks_.resize(unit.size());
    for (std::size_t r = 0; r < unit.size(); ++r) {
      ProtocolConfiguration configuration;
      configuration.mode = mode;
      configuration.rank = static_cast<int>(r);
      configuration.size = static_cast<int>(unit.size());
      configuration.unit = unit;
      configuration.causal_f = causal_f;
      configuration.maximum_piggyback = maximum_piggyback;
      configuration.maximum_control = maximum_control;
      ranks_[r].host = std::make_unique<Host>(this, static_cast<int>(r));
      ranks_[r].protocol = MakeProtocol(configuration, ranks_[r].host.get());
    }
  }

  Protocol& operator[](int rank) { return *At(rank).protocol; }

  // The rank's next event: a value, or the delivery of a message of `source`.
  void Event(int rank, int source = -1) {
    Rank& at = At(rank);
    Determinant determinant;
    determinant.rank = rank;
    determinant.index = ++at.interval;
    determinant.kind = source < 0 ? EventKind::kValue : EventKind::kDelivery;
    determinant.ordinal = at.interval;
    determinant.source = source;
    determinant.value = source < 0 ? at.interval * 977 : ++at.delivered[source];
    at.protocol->OnEvent(determinant, source);
  }
  // An increase of the dependency vector (optimistic mode).
  void Depend(int rank, int on, std::uint64_t interval) {
    Rank& at = At(rank);
    Determinant determinant;
    determinant.rank = rank;
    determinant.index = ++at.interval;
    determinant.kind = EventKind::kDependency;
    determinant.source = on;
    determinant.value = interval;
    at.protocol->OnEvent(determinant, on);
  }

  // True: a message may leave. What rides on it arrives at once; `riding` says how many bytes.
  bool Send(int from, int to, std::size_t* riding = nullptr) {
    Protocol& protocol = (*this)[from];
    if (riding != nullptr) *riding = 0;
    if (protocol.sends_held() && !protocol.MaySend(to)) return false;
    ++messages;
    if (!protocol.piggyback_pending()) return true;
    const auto data = protocol.TakePiggyback(to);
    if (riding != nullptr) *riding = data.size();
    const std::vector<std::byte> copy(data.begin(), data.end());
    // What was sent by itself goes before it.
    MoveChannel(from, to);
    if (!copy.empty()) {
      EXPECT_TRUE((*this)[to].OnPiggyback(from, copy));
    }
    return true;
  }

  // Moves all control messages until there are none; returns how many there were.
  int Move() {
    int moved = 0;
    for (bool any = true; any;) {
      any = false;
      for (int from = 0; from < size(); ++from) {
        for (int to = 0; to < size(); ++to) {
          const int count = MoveChannel(from, to);
          moved += count;
          any = any || count > 0;
        }
      }
    }
    return moved;
  }
  int MoveChannel(int from, int to) {
    auto& channel = controls_[{from, to}];
    int moved = 0;
    while (!channel.empty()) {
      const std::vector<std::byte> message = channel.front();
      channel.pop_front();
      EXPECT_TRUE((*this)[to].OnControl(from, message));
      ++moved;
    }
    return moved;
  }
  std::size_t Waiting(int from, int to) { return controls_[{from, to}].size(); }
  std::deque<std::vector<std::byte>>& Channel(int from, int to) { return controls_[{from, to}]; }
  void IdlePolls(int rank) {
    for (int i = 0; i < 1000; ++i) (*this)[rank].Poll();
  }
  int size() const { return static_cast<int>(ranks_.size()); }
  const std::vector<Determinant>& Held(int rank) { return At(rank).held; }

  int messages = 0;
  int controls = 0;  // control messages ever

 private:
  class Host : public ProtocolHost {
   public:
    Host(ProtocolNetwork* network, int rank) : network_(network), rank_(rank) {}
    void SendControl(int destination, std::span<const std::byte> message) override {
      network_->controls_[{rank_, destination}].emplace_back(message.begin(), message.end());
      ++network_->controls;
    }
    void Hold(const Determinant& determinant) override {
      network_->At(rank_).held.push_back(determinant);
    }

   private:
    ProtocolNetwork* network_;
    int rank_;
  };
  struct Rank {
    std::unique_ptr<Host> host;
    std::unique_ptr<Protocol> protocol;
    std::uint64_t interval = 0;
    std::map<int, std::uint64_t> delivered;
    std::vector<Determinant> held;
  };
  Rank& At(int rank) { return ranks_[static_cast<std::size_t>(rank)]; }

  std::vector<Rank> ranks_;
  std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> controls_;
};

}  // namespace ftmpi::logging
