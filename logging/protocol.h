// What the message engine and a logging protocol say to each other.
//
// A protocol is a pure state machine: it calls neither MPI nor the file system nor a clock. The
// engine (or the simulator) tells it what happens and asks it what may happen; what it wants done
// it says through ProtocolHost. One thread at a time may call it (the engine's lock).
//
// Fast path: the engine reads `sends_held()` and `piggyback_pending()` (plain members, no call) for
// each message; when both are false a send needs no call at all. For a received message it calls
// OnDelivery only when the message's interval exceeds what `known_interval(source)` says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "logging/determinant.h"

namespace ftmpi::logging {

enum class Mode : std::uint8_t {
  kOff = 0,
  kPessimistic = 1,
  kOptimistic = 2,
  kCausal = 3,
  kCoordinated = 4
};

struct ProtocolConfiguration {
  Mode mode = Mode::kCausal;
  int rank = 0;
  int size = 1;
  std::vector<int> unit;  // failure unit of each rank (thesis: the node); size entries
  int causal_f = 1;       // failure units whose concurrent loss causal mode survives
  std::uint64_t interval =
      0;  // state interval that the rank starts in (recovery: all of it stable)
  std::uint64_t maximum_piggyback = 1024;  // bytes that may ride on one message
  std::uint64_t maximum_control = 2048;    // bytes of one SendControl; more is sent in parts
};

// What a protocol asks of its surroundings.
class ProtocolHost {
 public:
  virtual ~ProtocolHost() = default;
  // Sends a protocol message to `destination`. Reliable, in order on the channel, never blocks.
  virtual void SendControl(int destination, std::span<const std::byte> message) = 0;
  // Keeps a copy of another rank's determinant where it survives this process (its event log).
  virtual void Hold(const Determinant& determinant) = 0;
};

class Protocol {
 public:
  virtual ~Protocol() = default;

  // An event happened here; its determinant is in the rank's own event log already, and its index
  // is the previous one's plus 1. `message_source` is the sender of the delivered message (world
  // rank), or -1 when the event is no delivery. In optimistic mode with several failure units
  // determinants of kind kDependency come here too, instead of OnDelivery, and the one of a message
  // that a wildcard receive takes comes before the kDelivery: an event is logged after what it
  // depends on.
  virtual void OnEvent(const Determinant& determinant, int message_source) = 0;

  // May a message to `destination` leave now? Asked only while sends_held(). When not, the engine
  // keeps it and asks again after OnControl / OnPiggyback / OnStable; the protocol has already
  // asked others for what the message waits for. Later messages to the same destination stay behind
  // it.
  virtual bool MaySend(int destination) = 0;

  // Data to ride on the next message to `destination`; at most configuration.maximum_piggyback
  // bytes, valid until the next call of any method. Asked only while piggyback_pending(), after
  // MaySend. The message is sent: the protocol counts it as such. What does not fit goes out by
  // SendControl within this call, so the message must follow it on the channel.
  virtual std::span<const std::byte> TakePiggyback(int destination) = 0;

  // A message from `source`, sent in its state interval `interval`, is delivered here: this rank
  // now depends on that interval (thesis 2.1.1, dependency vector).
  virtual void OnDelivery(int source, std::uint64_t interval) = 0;
  // Piggybacked data arrived (at arrival, before the message's delivery). Malformed data: false.
  [[nodiscard]] virtual bool OnPiggyback(int source, std::span<const std::byte> data) = 0;
  // A protocol message arrived. Malformed data: false.
  [[nodiscard]] virtual bool OnControl(int source, std::span<const std::byte> data) = 0;

  // Own determinants up to `index` are on stable storage (flushed event blocks).
  virtual void OnStable(std::uint64_t index) = 0;
  // The program wants to show output or ends: what was postponed for piggybacking must go now. May
  // be called again and again while output waits: nothing is asked twice.
  virtual void Flush() = 0;

  // The engine waits: call it in each round of a wait loop that found the wire empty. What was
  // postponed in the hope of a message to ride on goes out after a number of such rounds (the count
  // takes the place of the thesis's timer, 3.2.5). Nothing depends on these calls but speed:
  // whoever needs what is postponed asks for it, and is answered at once.
  virtual void Poll() {}

  // Output produced in state intervals up to this one may be released to the outside world (thesis
  // 2.1.8, Lemma 2.3; Johnson 3.2.3; Alvisi's local output commit). In causal mode a named receive
  // can bring, within the current interval, determinants that are not safe yet: then this value
  // falls back to the interval before until they are, so it is to be published again after
  // OnPiggyback, before the program goes on; and in the rank's first interval there is none before.
  // Exact is:
  [[nodiscard]] virtual std::uint64_t CommittableInterval() const = 0;

  // The same on a finer scale that never falls back: a rank's position counts its events and
  // whatever else output has to wait for. What was written while OutputPosition() was p may be
  // released once CommittablePosition() >= p; what came after the output cannot keep it waiting. An
  // output gate should go by positions.
  [[nodiscard]] virtual std::uint64_t OutputPosition() const = 0;
  [[nodiscard]] virtual std::uint64_t CommittablePosition() const = 0;

  // Dependency vector (rank, interval), sparse, without the rank's own entry.
  [[nodiscard]] virtual std::vector<std::pair<int, std::uint64_t>> DependencyVector() const = 0;

  [[nodiscard]] bool sends_held() const { return sends_held_; }
  [[nodiscard]] bool piggyback_pending() const { return piggyback_pending_; }
  // Another rank's output waits until own determinants are on stable storage: the flusher may
  // hurry.
  [[nodiscard]] bool stable_wanted() const { return stable_wanted_; }
  // Greatest interval of `source` delivered so far; inline array or hash, no allocation.
  [[nodiscard]] virtual std::uint64_t known_interval(int source) const = 0;

 protected:
  bool sends_held_ = false;         // some destination may have to wait
  bool piggyback_pending_ = false;  // some message may have to carry data
  bool stable_wanted_ = false;      // see stable_wanted()
};

// The protocol for `configuration.mode` (any but kOff). `host` outlives it.
// Throws std::invalid_argument for a configuration that contradicts itself.
std::unique_ptr<Protocol> MakeProtocol(const ProtocolConfiguration& configuration,
                                       ProtocolHost* host);

}  // namespace ftmpi::logging
