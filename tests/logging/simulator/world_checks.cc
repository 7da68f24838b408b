// What must hold at every step, whoever crashes.
#include <algorithm>

#include "recovery/batch_recovery_state.h"
#include "tests/logging/simulator/world.h"

namespace ftmpi::logging::simulator {

void World::Violated(const std::string& what) {
  if (!result_.violation.empty()) return;
  result_.violation = "step " + std::to_string(step_) + ": " + what;
}

std::string World::Describe(std::uint64_t units) const {
  std::string text = "crash of units";
  for (int u = 0; u < units_; ++u) {
    if (((units >> u) & 1) != 0) text += " " + std::to_string(u);
  }
  return text;
}

void World::Hold(int rank, const Determinant& determinant) {
  Rank& creator = At(determinant.rank);
  if (determinant.rank == rank) Violated("a rank holds a copy of its own determinant");
  if (determinant.index <= creator.base || determinant.index > creator.interval) {
    Violated("a determinant of an event that did not happen");
    return;
  }
  const std::size_t at = determinant.index - creator.base - 1;
  if (creator.events[at] != determinant) Violated("a held determinant differs from the event");
  if (options_.truth && options_.defect != Defect::kNoHold) {
    creator.holders[at] |= std::uint64_t{1} << unit_[static_cast<std::size_t>(rank)];
  }
  if (options_.defect == Defect::kStaleDeterminant) creator.holders[at] = 1;
  if (!options_.truth) {
    if (creator.holders.size() <= at) creator.holders.resize(creator.events.size(), 0);
    if (unit_[static_cast<std::size_t>(rank)] !=
        unit_[static_cast<std::size_t>(determinant.rank)]) {
      creator.holders[at] = 1;  // "elsewhere" is all that is kept
    }
  }
}

// Without the truth: what is delivered from another unit depends on events that are safe by now.
void World::CheckDelivery(int rank, int source, const Packet& packet) {
  if (options_.mode == Mode::kOptimistic || units_ < 2) return;
  if (unit_[static_cast<std::size_t>(rank)] == unit_[static_cast<std::size_t>(source)]) return;
  Rank& sender = At(source);
  sender.holders.resize(sender.events.size(), 0);
  for (std::uint64_t i = sender.stable + 1; i <= packet.interval; ++i) {
    if (sender.holders[i - sender.base - 1] == 0) {
      Violated("rank " + std::to_string(rank) + " depends on event " + std::to_string(i) +
               " of rank " + std::to_string(source) + ", which only that rank's unit holds");
      return;
    }
  }
}

const Past& World::PastOf(int rank, std::uint64_t interval) const {
  const Rank& at = At(rank);
  return interval <= at.base ? at.base_past : at.event_pasts[interval - at.base - 1];
}

// Alvisi: for all m: not stable(m) implies Depend(m) is a subset of Log(m). Log in units: a unit
// crashes as a whole.
void World::CheckCausalInvariant() {
  const int size = static_cast<int>(ranks_.size());
  for (int c = 0; c < size; ++c) {
    const Rank& creator = At(c);
    for (std::size_t i = 0; i < creator.events.size(); ++i) {
      const std::uint64_t index = creator.events[i].index;
      if (index <= creator.stable || __builtin_popcountll(creator.holders[i]) > f_) continue;
      for (int r = 0; r < size; ++r) {
        if (At(r).past[static_cast<std::size_t>(c)] < index) continue;
        if (((creator.holders[i] >> unit_[static_cast<std::size_t>(r)]) & 1) != 0) continue;
        Violated("rank " + std::to_string(r) + " depends on event " + std::to_string(index) +
                 " of rank " + std::to_string(c) + ", which is not stable, and its unit " +
                 "does not hold it");
        return;
      }
    }
  }
}

// A crash that the mode promises to survive.
std::uint64_t World::PromisedCrash() {
  std::uint64_t crashed = 0;
  const int most = options_.mode == Mode::kOptimistic ? units_ : f_;
  const int count = 1 + static_cast<int>(random_() % static_cast<unsigned>(most));
  for (int i = 0; i < count; ++i) {
    crashed |= std::uint64_t{1} << (random_() % static_cast<unsigned>(units_));
  }
  return crashed;
}

void World::CheckCrashes() {
  if (options_.mode == Mode::kCausal) CheckCausalInvariant();
  // In optimistic mode a check costs more; the steps take turns.
  const bool each = options_.mode != Mode::kOptimistic || step_ % 8 == 0;
  for (int u = 0; each && u < units_ && result_.violation.empty(); ++u) {
    CheckCrash(std::uint64_t{1} << u);
  }
  if (f_ > 1 || options_.mode == Mode::kOptimistic) CheckCrash(PromisedCrash());
}

// How far each rank can be replayed from the determinants that are left.
Past World::Survives(std::uint64_t crashed) const {
  Past survives(ranks_.size());
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    const Rank& at = ranks_[r];
    survives[r] = at.interval;
    if (!Crashed(static_cast<int>(r), crashed)) continue;
    std::uint64_t reach = at.stable;
    while (reach < at.interval && (at.holders[reach - at.base] & ~crashed) != 0) ++reach;
    survives[r] = reach;
  }
  return survives;
}

// The system state that recovery would restore.
Past World::RecoveryLine(std::uint64_t crashed) {
  const Past survives = Survives(crashed);
  if (options_.mode != Mode::kOptimistic) return survives;
  recovery::RecoveryStateInput input(static_cast<int>(ranks_.size()));
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    const Rank& at = ranks_[r];
    input.AddCheckpoint(static_cast<int>(r), at.base);
    input.DropInitialState(static_cast<int>(r));
    if (at.base == 0) input.AddCheckpoint(static_cast<int>(r), 0);
    for (const Determinant& event : at.events) {
      if (event.index <= survives[r]) input.AddDeterminant(event);
    }
  }
  const Past line = recovery::MaximumRecoverableState(input.Build());
  // The maximum by the truth: down from what survives until nothing depends on what is lost.
  Past truth = survives;
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t r = 0; r < truth.size(); ++r) {
      const auto orphan = [&] {
        const Past& past = PastOf(static_cast<int>(r), truth[r]);
        for (std::size_t c = 0; c < truth.size(); ++c) {
          if (past[c] > truth[c]) return true;
        }
        return false;
      };
      while (truth[r] > ranks_[r].base && orphan()) {
        --truth[r];
        changed = true;
      }
    }
  }
  if (line != truth) Violated(Describe(crashed) + ": not the maximum recoverable state");
  return line;
}

void World::CheckCrash(std::uint64_t crashed) {
  ++result_.crash_checks;
  const Past line = RecoveryLine(crashed);
  const auto name = [](std::size_t rank) { return std::to_string(rank); };
  for (std::size_t c = 0; c < line.size(); ++c) {
    if (released_past_[c] > line[c]) {
      Violated(Describe(crashed) + ": released output depends on event " + name(released_past_[c]) +
               " of rank " + name(c) + ", which can be recovered up to " + name(line[c]));
      return;
    }
  }
  for (std::size_t r = 0; r < line.size(); ++r) {
    const bool survivor = !Crashed(static_cast<int>(r), crashed);
    // Where nobody may roll back, survivors stand as they are; else all stand at the line.
    const Past& past = survivor && options_.mode != Mode::kOptimistic
                           ? ranks_[r].past
                           : PastOf(static_cast<int>(r), line[r]);
    for (std::size_t c = 0; c < line.size(); ++c) {
      if (past[c] <= line[c]) continue;
      Violated(Describe(crashed) + ": rank " + name(r) + (survivor ? " (survivor)" : " (crashed)") +
               " depends on event " + name(past[c]) + " of rank " + name(c) +
               ", which can be recovered up to " + name(line[c]));
      return;
    }
  }
}

// A crash for real: all start again from the recovery line, in a new epoch with nothing under way.
void World::CrashAndRecover() {
  if (!options_.truth || units_ < 2) return;
  const std::uint64_t crashed = PromisedCrash();
  CheckCrash(crashed);
  const Past line = RecoveryLine(crashed);
  if (!result_.violation.empty()) return;
  channels_.clear();
  busy_channels_.clear();
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    Rank& at = ranks_[r];
    at.base_past = PastOf(static_cast<int>(r), line[r]);
    at.base = line[r];
  }
  for (std::size_t r = 0; r < ranks_.size(); ++r) Start(static_cast<int>(r));
}

void World::CheckQuiet() {
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    const Rank& at = ranks_[r];
    const std::string name = "rank " + std::to_string(r);
    for (const auto& [destination, queue] : at.held) {
      if (!queue.empty()) {
        Violated(name + ": " + std::to_string(queue.size()) + " sends to rank " +
                 std::to_string(destination) + " are held for ever");
      }
    }
    if (!at.outputs.empty()) Violated(name + ": output is never released");
  }
}

}  // namespace ftmpi::logging::simulator
