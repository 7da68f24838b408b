// FT_MODE=coordinated: no determinants and no message logs; after a failure every rank goes back to
// the last permanent checkpoint and may take another course from there. What remains of a protocol
// is its output commit rule.
//
// An event makes all that comes after it, at this rank and at those that hear of it, something that
// a recovery need not produce again, until a checkpoint that holds the event is permanent. So a
// rank's state interval index is, in this mode, the number of the checkpoint that has to be
// permanent before what the rank writes may be shown: after an event that follows the cut of
// checkpoint c it is c + 1, after a delivery at least the sender's. A coordinated checkpoint is a
// consistent cut (Ouyang & Heiser, section 2): if an output lies in front of its rank's cut, so do
// all events that it depends on in front of theirs. Output that depends on no event behind the last
// permanent checkpoint needs not wait: a recovery writes the same again.
#pragma once

#include "logging/protocol.h"

namespace ftmpi::logging {

class CoordinatedProtocol : public Protocol {
 public:
  // `configuration.interval`: the checkpoint that the rank starts from, 0: the initial state.
  explicit CoordinatedProtocol(const ProtocolConfiguration& configuration);

  // `determinant.index`: the first checkpoint whose cut comes after the event.
  void OnEvent(const Determinant& determinant, int message_source) override;
  bool MaySend(int /*destination*/) override { return true; }
  std::span<const std::byte> TakePiggyback(int /*destination*/) override { return {}; }
  void OnDelivery(int source, std::uint64_t interval) override;
  // Nobody sends any.
  [[nodiscard]] bool OnPiggyback(int /*source*/, std::span<const std::byte> /*data*/) override {
    return false;
  }
  [[nodiscard]] bool OnControl(int /*source*/, std::span<const std::byte> /*data*/) override {
    return false;
  }
  // `index`: a checkpoint that is permanent now.
  void OnStable(std::uint64_t index) override;
  void Flush() override {}

  [[nodiscard]] std::uint64_t CommittableInterval() const override { return permanent_; }
  [[nodiscard]] std::uint64_t OutputPosition() const override { return needed_; }
  [[nodiscard]] std::uint64_t CommittablePosition() const override { return permanent_; }
  [[nodiscard]] std::vector<std::pair<int, std::uint64_t>> DependencyVector() const override {
    return {};
  }
  [[nodiscard]] std::uint64_t known_interval(int /*source*/) const override { return needed_; }

 private:
  std::uint64_t needed_;     // must be permanent before output goes
  std::uint64_t permanent_;  // last permanent checkpoint
};

}  // namespace ftmpi::logging
