// A simulated job: many ranks in one process, each with a Protocol object, joined by channels that
// keep order within and none among each other. The world knows the truth (which events lie in the
// causal past of what) and holds it against what the protocols did.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "logging/determinant.h"
#include "logging/protocol.h"

namespace ftmpi::logging::simulator {

// A defect put in on purpose, to see that the checks would find it.
enum class Defect : std::uint8_t {
  kNone,
  kNoHold,            // held copies are forgotten
  kSendsNotHeld,      // MaySend says yes to everything
  kNothingRides,      // piggybacked data is lost
  kOutputNotHeld,     // output is released at once
  kNoDependencies,    // increases of the dependency vector are not recorded (optimistic)
  kControlLost,       // every 7th control message is lost
  kStaleDeterminant,  // held copies are not what happened
};

struct Options {
  std::uint64_t seed = 1;
  Mode mode = Mode::kCausal;
  std::vector<int> unit;  // one entry per rank
  int causal_f = 1;
  int steps = 300;
  std::uint64_t maximum_piggyback = 1024;
  std::uint64_t maximum_control = 2048;
  bool events = true;  // false: the program has none
  bool truth = true;   // causal pasts are followed and crashes are checked (O(ranks) per message)
  int crashes = 0;     // real crashes, each followed by a recovery and a new epoch
  int neighbours = 0;  // > 0: ranks talk to rank 0 and so many neighbours only
  Defect defect = Defect::kNone;
};

struct Result {
  std::string violation;  // empty: all is well
  std::uint64_t messages = 0;
  std::uint64_t controls = 0;
  std::uint64_t piggybacks = 0;
  std::uint64_t piggyback_bytes = 0;
  std::uint64_t events = 0;
  std::uint64_t held_sends = 0;
  std::uint64_t outputs = 0;
  std::uint64_t crash_checks = 0;
};

using Past = std::vector<std::uint64_t>;  // for each rank how many of its events; empty: unknown

class World {
 public:
  explicit World(const Options& options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Runs the whole simulation.
  Result Run();

 private:
  class Host;
  struct Packet {
    bool control = false;
    std::uint64_t interval = 0;  // of the sender
    std::uint64_t ssn = 0;
    std::vector<std::byte> data;  // control message or what rides
    Past past;
  };
  struct Output {
    std::uint64_t position;
    Past past;
  };
  struct Rank {
    std::unique_ptr<Host> host;
    std::unique_ptr<Protocol> protocol;
    std::uint64_t interval = 0;
    std::uint64_t stable = 0;  // own determinants on stable storage
    std::uint64_t ordinal = 0;
    Past past;
    std::uint64_t base = 0;              // interval that the epoch started in
    std::vector<Determinant> events;     // since then
    std::vector<Past> event_pasts;       // just after each event
    std::vector<std::uint64_t> holders;  // of each event's determinant: units, as bits
    Past base_past;
    std::map<int, std::deque<Packet>> inbox;  // arrived and not delivered, per source
    std::map<int, std::deque<Packet>> held;   // sends that may not leave yet
    std::map<int, std::uint64_t> ssn;
    std::deque<Output> outputs;  // waiting
    bool output_waiting = false;
    int busy_until = 0;
    // The program is started anew in each epoch, its logs come with it.
  };

  // world.cc: the program, the engine, the network.
  void Start(int rank);
  void Step();
  void Drain();
  void Send(int rank, int destination);
  void Transmit(int rank, int destination, Packet packet);
  void Put(int rank, int destination, Packet packet);
  void ReleaseHeld(int rank);
  void ReleaseOutput(int rank);
  bool ArriveOne();
  void Receive(int rank, bool wildcard);
  void Deliver(int rank, int source, const Packet& packet, bool wildcard);
  void Event(int rank, EventKind kind, int source, std::uint64_t value);
  void Hold(int rank, const Determinant& determinant);
  void WriteOutput(int rank);
  void MakeStable(int rank);
  int AnyRank() { return static_cast<int>(random_() % ranks_.size()); }
  int AnyPeer(int rank);
  bool Chance(unsigned percent) { return random_() % 100 < percent; }
  Rank& At(int rank) { return ranks_[static_cast<std::size_t>(rank)]; }
  [[nodiscard]] const Rank& At(int rank) const { return ranks_[static_cast<std::size_t>(rank)]; }

  // world_checks.cc: what must hold.
  void Violated(const std::string& what);
  void CheckCausalInvariant();
  void CheckCrashes();
  void CheckCrash(std::uint64_t crashed_units);
  void CheckDelivery(int rank, int source, const Packet& packet);
  void CheckQuiet();
  [[nodiscard]] std::uint64_t PromisedCrash();
  [[nodiscard]] Past Survives(std::uint64_t crashed_units) const;
  [[nodiscard]] Past RecoveryLine(std::uint64_t crashed_units);
  void CrashAndRecover();
  [[nodiscard]] const Past& PastOf(int rank, std::uint64_t interval) const;
  [[nodiscard]] bool Crashed(int rank, std::uint64_t units) const {
    return ((units >> unit_[static_cast<std::size_t>(rank)]) & 1) != 0;
  }
  [[nodiscard]] std::string Describe(std::uint64_t units) const;

  Options options_;
  Result result_;
  std::mt19937_64 random_;
  std::vector<int> unit_;  // numbered from 0
  int units_ = 0;
  int f_ = 0;
  bool dependencies_start_intervals_ = false;
  std::vector<Rank> ranks_;
  // Channels that are not empty, and a list of them to draw from.
  std::map<std::pair<int, int>, std::deque<Packet>> channels_;
  std::vector<std::pair<int, int>> busy_channels_;
  Past released_past_;  // what released output depends on
  int step_ = 0;
  std::uint64_t controls_seen_ = 0;
  unsigned weight_send_ = 0, weight_receive_ = 0, weight_named_ = 0, weight_poll_ = 0,
           weight_output_ = 0, weight_stable_ = 0, weight_busy_ = 0, weight_idle_ = 0,
           weight_network_ = 0;
};

// Options drawn from a seed: few ranks and units, all sorts of programs.
Options RandomOptions(std::uint64_t seed, Mode mode);

}  // namespace ftmpi::logging::simulator
