#include "tests/logging/simulator/world.h"

#include <algorithm>

namespace ftmpi::logging::simulator {

class World::Host : public ProtocolHost {
 public:
  Host(World* world, int rank) : world_(world), rank_(rank) {}
  void SendControl(int destination, std::span<const std::byte> message) override {
    World& world = *world_;
    if (message.size() > world.options_.maximum_control) {
      world.Violated("a control message of " + std::to_string(message.size()) + " bytes");
    }
    if (destination == rank_) world.Violated("a control message to itself");
    ++world.result_.controls;
    if (world.options_.defect == Defect::kControlLost && ++world.controls_seen_ % 7 == 0) return;
    Packet packet;
    packet.control = true;
    packet.data.assign(message.begin(), message.end());
    world.Put(rank_, destination, std::move(packet));
  }
  void Hold(const Determinant& determinant) override { world_->Hold(rank_, determinant); }

 private:
  World* world_;
  int rank_;
};

World::World(const Options& options) : options_(options), random_(options.seed) {
  std::vector<int> numbers = options.unit;
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  units_ = static_cast<int>(numbers.size());
  for (const int unit : options.unit) {
    unit_.push_back(
        static_cast<int>(std::lower_bound(numbers.begin(), numbers.end(), unit) - numbers.begin()));
  }
  f_ = std::min(options.mode == Mode::kPessimistic ? 1 : options.causal_f, units_ - 1);
  dependencies_start_intervals_ = options.mode == Mode::kOptimistic && units_ > 1;
  const auto size = options.unit.size();
  ranks_.resize(size);
  if (options_.truth) released_past_.assign(size, 0);
  for (std::size_t r = 0; r < size; ++r) {
    if (options_.truth) ranks_[r].base_past.assign(size, 0);
    Start(static_cast<int>(r));
  }
  const auto weight = [&](unsigned most) { return 1 + static_cast<unsigned>(random_() % most); };
  weight_send_ = weight(30);
  weight_receive_ = options_.events ? weight(20) : 0;
  weight_named_ = weight(20);
  weight_poll_ = options_.events && Chance(60) ? weight(10) : 0;
  weight_output_ = weight(4);
  weight_stable_ = weight(10);
  weight_busy_ = weight(3);
  weight_idle_ = Chance(50) ? 0 : weight(6);
  weight_network_ = weight(80);
}

World::~World() = default;

void World::Start(int rank) {
  Rank& at = At(rank);
  ProtocolConfiguration configuration;
  configuration.mode = options_.mode;
  configuration.rank = rank;
  configuration.size = static_cast<int>(ranks_.size());
  configuration.unit = options_.unit;
  configuration.causal_f = options_.causal_f;
  configuration.interval = at.base;
  configuration.maximum_piggyback = options_.maximum_piggyback;
  configuration.maximum_control = options_.maximum_control;
  at.host = std::make_unique<Host>(this, rank);
  at.protocol = MakeProtocol(configuration, at.host.get());
  at.interval = at.stable = at.base;
  at.past = at.base_past;
  at.events.clear();
  at.event_pasts.clear();
  at.holders.clear();
  at.inbox.clear();
  at.held.clear();
  at.outputs.clear();
  at.output_waiting = false;
  at.busy_until = 0;
}

Result World::Run() {
  const int between = options_.steps / (options_.crashes + 1) + 1;
  for (step_ = 1; step_ <= options_.steps && result_.violation.empty(); ++step_) {
    Step();
    if (options_.truth && units_ > 1 && result_.violation.empty()) CheckCrashes();
    if (result_.violation.empty() && options_.crashes > 0 && step_ % between == 0) {
      CrashAndRecover();
    }
  }
  if (result_.violation.empty()) Drain();
  if (result_.violation.empty()) CheckQuiet();
  return result_;
}

int World::AnyPeer(int rank) {
  const int size = static_cast<int>(ranks_.size());
  if (options_.neighbours == 0) return AnyRank();
  if (Chance(2)) return 0;
  const int span = 2 * options_.neighbours + 1;
  const int away = static_cast<int>(random_() % static_cast<unsigned>(span)) - options_.neighbours;
  return (rank + away + size) % size;
}

void World::Step() {
  unsigned draw = static_cast<unsigned>(
      random_() % (weight_send_ + weight_receive_ + weight_named_ + weight_poll_ + weight_output_ +
                   weight_stable_ + weight_busy_ + weight_idle_ + weight_network_));
  const auto chosen = [&draw](unsigned weight) {
    if (draw < weight) return true;
    draw -= weight;
    return false;
  };
  if (chosen(weight_network_)) {
    ArriveOne();
    return;
  }
  const int rank = AnyRank();
  Rank& at = At(rank);
  if (chosen(weight_stable_)) {
    MakeStable(rank);
    return;
  }
  if (at.busy_until > step_) return;
  if (chosen(weight_send_)) {
    Send(rank, AnyPeer(rank));
  } else if (chosen(weight_receive_)) {
    Receive(rank, true);
  } else if (chosen(weight_named_)) {
    Receive(rank, false);
  } else if (chosen(weight_poll_)) {
    Event(rank, Chance(50) ? EventKind::kPoll : EventKind::kValue, -1, random_());
    at.protocol->OnEvent(at.events.back(), -1);
  } else if (chosen(weight_output_)) {
    WriteOutput(rank);
  } else if (chosen(weight_busy_)) {
    at.busy_until = step_ + static_cast<int>(random_() % 60);
  } else {
    if (at.output_waiting && Chance(70)) at.protocol->Flush();
    for (int polls = 0; polls < 100; ++polls) at.protocol->Poll();
    ReleaseHeld(rank);
  }
  ReleaseOutput(rank);
}

// --- The program and the engine
// -------------------------------------------------------------------

void World::Event(int rank, EventKind kind, int source, std::uint64_t value) {
  Rank& at = At(rank);
  Determinant determinant;
  determinant.rank = rank;
  determinant.kind = kind;
  determinant.index = ++at.interval;
  determinant.ordinal = ++at.ordinal;
  determinant.source = source;
  determinant.value = value;
  if (kind == EventKind::kPoll) determinant.detail = static_cast<std::int32_t>(value % 5) - 1;
  at.events.push_back(determinant);
  ++result_.events;
  if (options_.truth) {
    at.past[static_cast<std::size_t>(rank)] = at.interval;
    at.event_pasts.push_back(at.past);
    at.holders.push_back(std::uint64_t{1} << unit_[static_cast<std::size_t>(rank)]);
  }
}

void World::Send(int rank, int destination) {
  Rank& at = At(rank);
  Packet packet;
  packet.interval = at.interval;
  packet.ssn = ++at.ssn[destination];
  packet.past = at.past;
  ++result_.messages;
  const auto held = at.held.find(destination);
  if ((held != at.held.end() && !held->second.empty()) ||
      (at.protocol->sends_held() && !at.protocol->MaySend(destination) &&
       options_.defect != Defect::kSendsNotHeld)) {
    ++result_.held_sends;
    at.held[destination].push_back(std::move(packet));
    return;
  }
  Transmit(rank, destination, std::move(packet));
}

void World::Transmit(int rank, int destination, Packet packet) {
  Rank& at = At(rank);
  if (at.protocol->piggyback_pending()) {
    const auto data = at.protocol->TakePiggyback(destination);
    if (data.size() > options_.maximum_piggyback) Violated("too much rides on a message");
    if (!data.empty() && destination == rank) Violated("data rides on a message to itself");
    packet.data.assign(data.begin(), data.end());
    if (!data.empty()) {
      ++result_.piggybacks;
      result_.piggyback_bytes += data.size();
    }
    if (options_.defect == Defect::kNothingRides) packet.data.clear();
  }
  Put(rank, destination, std::move(packet));
}

void World::Put(int rank, int destination, Packet packet) {
  auto& channel = channels_[{rank, destination}];
  if (channel.empty()) busy_channels_.emplace_back(rank, destination);
  channel.push_back(std::move(packet));
}

void World::ReleaseHeld(int rank) {
  Rank& at = At(rank);
  for (auto& [destination, queue] : at.held) {
    while (!queue.empty() && (!at.protocol->sends_held() || at.protocol->MaySend(destination))) {
      Packet packet = std::move(queue.front());
      queue.pop_front();
      Transmit(rank, destination, std::move(packet));
    }
  }
}

bool World::ArriveOne() {
  // A channel whose receiver computes is passed over: nothing moves there.
  for (int tries = 0; tries < 4 && !busy_channels_.empty(); ++tries) {
    const std::size_t at = random_() % busy_channels_.size();
    const auto [source, destination] = busy_channels_[at];
    if (At(destination).busy_until > step_) continue;
    auto& channel = channels_[{source, destination}];
    Packet packet = std::move(channel.front());
    channel.pop_front();
    if (channel.empty()) {
      busy_channels_[at] = busy_channels_.back();
      busy_channels_.pop_back();
    }
    Protocol& protocol = *At(destination).protocol;
    if (packet.control) {
      if (!protocol.OnControl(source, packet.data)) Violated("a control message is refused");
    } else {
      if (!packet.data.empty() && !protocol.OnPiggyback(source, packet.data)) {
        Violated("what rode on a message is refused");
      }
      At(destination).inbox[source].push_back(std::move(packet));
    }
    ReleaseHeld(destination);
    ReleaseOutput(destination);
    return true;
  }
  return false;
}

void World::Receive(int rank, bool wildcard) {
  Rank& at = At(rank);
  std::vector<int> sources;
  for (const auto& [source, queue] : at.inbox) {
    if (!queue.empty()) sources.push_back(source);
  }
  if (sources.empty()) return;
  const int source = sources[random_() % sources.size()];
  const Packet packet = std::move(at.inbox[source].front());
  at.inbox[source].pop_front();
  Deliver(rank, source, packet, wildcard);
}

void World::Deliver(int rank, int source, const Packet& packet, bool wildcard) {
  Rank& at = At(rank);
  if (options_.truth) {
    for (std::size_t r = 0; r < at.past.size(); ++r) {
      at.past[r] = std::max(at.past[r], packet.past[r]);
    }
  } else {
    CheckDelivery(rank, source, packet);
  }
  const bool grows = source != rank && packet.interval > at.protocol->known_interval(source);
  if (grows && dependencies_start_intervals_ && options_.defect != Defect::kNoDependencies) {
    Event(rank, EventKind::kDependency, source, packet.interval);
    at.protocol->OnEvent(at.events.back(), source);
  }
  if (wildcard) {
    Event(rank, EventKind::kDelivery, source, packet.ssn);
    at.protocol->OnEvent(at.events.back(), source);
  }
  if (grows && !dependencies_start_intervals_) at.protocol->OnDelivery(source, packet.interval);
}

void World::WriteOutput(int rank) {
  Rank& at = At(rank);
  at.outputs.push_back({at.protocol->OutputPosition(), at.past});
  at.output_waiting = true;
  ++result_.outputs;
}

void World::ReleaseOutput(int rank) {
  Rank& at = At(rank);
  while (!at.outputs.empty() &&
         (at.protocol->CommittablePosition() >= at.outputs.front().position ||
          options_.defect == Defect::kOutputNotHeld)) {
    for (std::size_t r = 0; r < released_past_.size(); ++r) {
      released_past_[r] = std::max(released_past_[r], at.outputs.front().past[r]);
    }
    at.outputs.pop_front();
  }
  at.output_waiting = !at.outputs.empty();
}

void World::MakeStable(int rank) {
  Rank& at = At(rank);
  if (at.interval == at.stable || options_.mode == Mode::kCausal) return;
  at.stable += 1 + random_() % (at.interval - at.stable);
  at.protocol->OnStable(at.stable);
  ReleaseHeld(rank);
  ReleaseOutput(rank);
}

// The program stops; what is under way arrives, what waits must come free.
void World::Drain() {
  for (auto& at : ranks_) at.busy_until = 0;
  step_ = options_.steps + 1;
  std::uint64_t most = 2000000;
  for (bool something = true; something && most > 0 && result_.violation.empty();) {
    something = false;
    while (!busy_channels_.empty() && --most > 0 && result_.violation.empty()) {
      something = ArriveOne() || something;
    }
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      Rank& at = ranks_[r];
      if (options_.mode == Mode::kOptimistic && at.stable < at.interval) {
        MakeStable(static_cast<int>(r));
        something = true;
      }
      if (at.output_waiting) at.protocol->Flush();
      ReleaseOutput(static_cast<int>(r));
      something = something || !busy_channels_.empty();
    }
  }
  if (most == 0) Violated("messages go on and on after the program has stopped");
}

Options RandomOptions(std::uint64_t seed, Mode mode) {
  std::mt19937_64 random(seed * 0x9E3779B97F4A7C15u + 1);
  Options options;
  options.seed = seed;
  options.mode = mode;
  const int units = 1 + static_cast<int>(random() % 5);
  const int per_unit = 1 + static_cast<int>(random() % 3);
  const bool scattered = random() % 2 == 0;
  for (int r = 0; r < units * per_unit; ++r) {
    options.unit.push_back(10 * (scattered ? r % units : r / per_unit));
  }
  if (random() % 4 == 0)
    options.unit.push_back(10 * static_cast<int>(random() % static_cast<unsigned>(units)));
  options.causal_f = 1 + static_cast<int>(random() % 4);
  options.steps = random() % 8 == 0 ? 3000 : 100 + static_cast<int>(random() % 500);
  options.maximum_piggyback = random() % 3 == 0 ? random() % 40 : 1024;
  options.maximum_control = random() % 3 == 0 ? 64 : 2048;
  options.crashes = static_cast<int>(random() % 4);
  return options;
}

}  // namespace ftmpi::logging::simulator
