#include "recovery/recovery_line.h"

#include <fmt/format.h>

#include <algorithm>

#include "recovery/recovery_state.h"

namespace ftmpi::recovery {
namespace {

using logging::Determinant;
using logging::EventKind;
using logging::Mode;

std::string Intervals(std::uint64_t first, std::uint64_t last) {
  return first == last ? fmt::format("event {}", first)
                       : fmt::format("events {} to {}", first, last);
}

// Behind the base and in order: the unbroken sequence, and what lies behind its first gap.
struct Sequence {
  std::vector<Determinant> unbroken;
  std::vector<Determinant> beyond;
};

// Sorts what was found of rank `rank`, drops copies. Two different records of one event: a refusal.
Sequence PutTogether(int rank, std::uint64_t base, std::vector<Determinant> found,
                     std::vector<std::string>* refusals) {
  std::erase_if(found, [base](const Determinant& each) { return each.index <= base; });
  std::stable_sort(found.begin(), found.end(),
                   [](const Determinant& a, const Determinant& b) { return a.index < b.index; });
  Sequence sequence;
  std::uint64_t next = base + 1;
  const Determinant* previous = nullptr;
  for (const Determinant& each : found) {
    if (previous != nullptr && previous->index == each.index) {
      if (*previous != each) {
        refusals->push_back(
            fmt::format("rank {}: two different records of its event {} were found; the logs are "
                        "damaged or of several jobs",
                        rank, each.index));
        return sequence;
      }
      continue;
    }
    previous = &each;
    if (each.index == next) {
      sequence.unbroken.push_back(each);
      ++next;
    } else {
      sequence.beyond.push_back(each);
    }
  }
  return sequence;
}

// A dependency and whose it is.
struct Found {
  int rank = -1;
  Dependency dependency;
};

std::vector<Found> DependenciesOf(const std::vector<Sequence>& sequences) {
  std::vector<Found> dependencies;
  for (std::size_t rank = 0; rank < sequences.size(); ++rank) {
    for (const Determinant& each : sequences[rank].unbroken) {
      if (each.kind != EventKind::kDependency) continue;
      dependencies.push_back({static_cast<int>(rank), {each.index, each.source, each.value}});
    }
  }
  return dependencies;
}

}  // namespace

void StartFrom(const std::vector<std::uint64_t>& intervals, std::vector<RankEvidence>* evidence) {
  for (std::size_t rank = 0; rank < evidence->size(); ++rank) {
    RankEvidence& each = (*evidence)[rank];
    const std::uint64_t start = intervals[rank];
    if (start <= each.base_trimmed) continue;
    const std::uint64_t known = std::min(start, each.base_interval) - each.base_trimmed;
    each.base.erase(each.base.begin(), each.base.begin() + static_cast<std::ptrdiff_t>(known));
    each.base_trimmed = start;
    each.base_interval = std::max(each.base_interval, start);
  }
}

RecoveryLine FindRecoveryLine(const LineOptions& options, std::vector<RankEvidence> evidence) {
  RecoveryLine line;
  const std::size_t size = evidence.size();
  if (options.mode == Mode::kCoordinated) {
    // Nothing is replayed: everybody goes back to one checkpoint, or to the initial state.
    line.ranks.resize(size);
    return line;
  }
  std::vector<Sequence> sequences(size);
  std::vector<std::uint64_t> reach(size);
  for (std::size_t rank = 0; rank < size; ++rank) {
    RankEvidence& each = evidence[rank];
    if (each.base.size() != each.base_interval - each.base_trimmed) {
      line.refusals.push_back(fmt::format("rank {}: its replay log holds {} events instead of {}",
                                          rank, each.base.size(),
                                          each.base_interval - each.base_trimmed));
    }
    sequences[rank] = PutTogether(static_cast<int>(rank), each.base_interval, std::move(each.found),
                                  &line.refusals);
    reach[rank] = each.base_interval + sequences[rank].unbroken.size();
  }
  if (!line.refusals.empty()) return line;
  const std::vector<std::uint64_t> stable = reach;

  const std::vector<Found> dependencies = DependenciesOf(sequences);
  for (const auto& [rank, dependency] : dependencies) {
    if (dependency.on_rank < 0 || static_cast<std::size_t>(dependency.on_rank) >= size) {
      line.refusals.push_back(fmt::format("rank {}: its event {} depends on rank {}, of {} ranks",
                                          rank, dependency.interval, dependency.on_rank, size));
    }
  }
  if (!line.refusals.empty()) return line;

  if (options.mode == Mode::kOptimistic) {
    std::vector<RankHistory> histories(size);
    for (std::size_t rank = 0; rank < size; ++rank) {
      if (stable[rank] > 0) histories[rank].logged.push_back({1, stable[rank]});
    }
    for (const Found& each : dependencies) {
      histories[static_cast<std::size_t>(each.rank)].dependencies.push_back(each.dependency);
    }
    reach = MaximumRecoverableState(histories);
  } else {
    for (const auto& [rank, dependency] : dependencies) {
      const std::uint64_t has = stable[static_cast<std::size_t>(dependency.on_rank)];
      if (dependency.on_interval <= has) continue;
      line.refusals.push_back(fmt::format("rank {}: {} are lost, and rank {} depends on them",
                                          dependency.on_rank,
                                          Intervals(has + 1, dependency.on_interval), rank));
    }
    // Causal mode: whoever holds a determinant depends on the interval it starts (Alvisi), so one
    // behind a gap shows that the missing ones are needed. In pessimistic mode a determinant goes
    // to its message's sender, which need not depend on it: a gap says nothing there.
    for (std::size_t rank = 0; rank < size; ++rank) {
      if (options.mode != Mode::kCausal || sequences[rank].beyond.empty()) continue;
      const std::uint64_t next = sequences[rank].beyond.front().index;
      line.refusals.push_back(
          fmt::format("rank {}: {} are lost, but event {} that follows is held "
                      "by a rank that depends on it",
                      rank, Intervals(stable[rank] + 1, next - 1), next));
    }
    if (line.refusals.empty() && options.lost_units > options.tolerated_units) {
      std::string ranks;
      for (std::size_t rank = 0; rank < size; ++rank) {
        if (evidence[rank].own_log_survives) continue;
        fmt::format_to(std::back_inserter(ranks), "{}{}", ranks.empty() ? "" : ", ", rank);
      }
      line.doubts.push_back(fmt::format(
          "{} failure units were lost together, this mode promises to survive {}: events of rank{} "
          "{} may be lost on which others depend, or which led to output that was shown",
          options.lost_units, options.tolerated_units,
          ranks.find(',') == std::string::npos ? "" : "s", ranks));
    }
  }

  line.ranks.resize(size);
  for (std::size_t rank = 0; rank < size; ++rank) {
    RankLine& result = line.ranks[rank];
    const RankEvidence& each = evidence[rank];
    result.recovered_interval = reach[rank];
    result.rolled_back = stable[rank] - reach[rank];
    result.at_failure_state = each.own_log_survives && result.rolled_back == 0;
    result.trimmed_interval = each.base_trimmed;
    result.determinants = std::move(evidence[rank].base);
    const auto kept = sequences[rank].unbroken.begin() +
                      static_cast<std::ptrdiff_t>(reach[rank] - each.base_interval);
    result.determinants.insert(result.determinants.end(), sequences[rank].unbroken.begin(), kept);
    if (each.own_log_survives && !sequences[rank].beyond.empty()) {
      line.refusals.push_back(
          fmt::format("rank {}: its own event log has no event {}, but event {}", rank,
                      stable[rank] + 1, sequences[rank].beyond.front().index));
    }
  }
  return line;
}

}  // namespace ftmpi::recovery
