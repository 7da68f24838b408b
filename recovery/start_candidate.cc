#include "recovery/start_candidate.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "checkpoint/kind_names.h"
#include "checkpoint/rank_file_reader.h"
#include "checkpoint/store_error.h"
#include "recovery/engine_record.h"
#include "recovery/log_coverage.h"

namespace ftmpi::recovery {

using checkpoint_datasets::EngineRecord;

void AddRank(logging::Environment* environment, const std::string& path, int np,
             Candidate* candidate) {
  checkpoint::RankFileReader file(environment, path);
  const std::optional<checkpoint::CutRecord> cut =
      checkpoint::DecodeCut(ReadNamedDataset(&file, checkpoint_datasets::kCut), np);
  if (!cut) throw checkpoint::StoreError(path + ": the record of its cut is damaged");
  if (candidate->builds.empty()) {
    const std::vector<std::byte> builds = ReadNamedDataset(&file, checkpoint_datasets::kBuilds);
    candidate->builds.assign(reinterpret_cast<const char*>(builds.data()), builds.size());
  }
  candidate->records.push_back(ReadEngineRecord(&file));
  candidate->cuts.push_back(*cut);
  if (checkpoint::IsPermanentByItself(file.attributes().kind)) {
    candidate->saved.emplace_back();  // nobody saves messages in transit
    return;
  }
  const checkpoint::TransitOwner owner{file.attributes().job, cut->csn, cut->epoch, cut->rank};
  const std::string transit =
      logging::JoinPath(logging::DirectoryOf(path), checkpoint::TransitFileName(cut->rank));
  candidate->saved.push_back(checkpoint::ReadTransitFile(environment, transit, owner));
}

void AddInitial(Candidate* candidate) {
  checkpoint::CutRecord cut;
  cut.rank = static_cast<std::int32_t>(candidate->cuts.size());
  candidate->cuts.push_back(cut);
  candidate->records.emplace_back();
  candidate->saved.emplace_back();
}

Candidate InitialState(int np) {
  Candidate initial;
  for (int rank = 0; rank < np; ++rank) AddInitial(&initial);
  return initial;
}

std::uint64_t MissingEvent(std::uint64_t start, std::uint64_t trimmed, const RankEvidence& rank) {
  if (rank.base_trimmed > start) return start + 1;
  const std::uint64_t known = std::max(start, rank.base_interval);
  if (trimmed <= known) return 0;
  // Event blocks on stable storage may hold what the log does not any more.
  std::vector<bool> found(trimmed - known, false);
  for (const logging::Determinant& each : rank.found) {
    if (each.index > known && each.index <= trimmed) found[each.index - known - 1] = true;
  }
  const auto missing = std::find(found.begin(), found.end(), false);
  return missing == found.end() ? 0
                                : known + 1 + static_cast<std::uint64_t>(missing - found.begin());
}

void SetCheckpoint(std::uint32_t csn, const EngineRecord& record, PlanRank* rank) {
  rank->from = fmt::format("checkpoint {}", csn);
  rank->checkpoint_csn = csn;
  rank->checkpoint_interval = record.interval;
  rank->checkpoint_stdout = record.stdout_taken;
  rank->checkpoint_stderr = record.stderr_taken;
  rank->checkpoint_stdin = record.stdin_taken;
}

Refusal Enter(const Candidate& candidate, const Findings& findings, const RecoveryLine& line,
              ReplayPlan* plan) {
  for (PlanRank& each : plan->ranks) each.resend = each.suppress = 0;
  for (std::size_t index = 0; index < plan->ranks.size(); ++index) {
    PlanRank& each = plan->ranks[index];
    const EngineRecord& record = candidate.records[index];
    if (record.interval > each.interval) {
      return {fmt::format("rank {} was in state interval {} then, and can be brought to {} only",
                          each.rank, record.interval, each.interval),
              each.rank};
    }
    const HeldRecord held = candidate.held.empty() ? HeldRecord() : candidate.held[index];
    const auto kept = [](const HeldPiece& piece, std::uint64_t shown, std::uint64_t taken) {
      return taken <= shown || piece.Part(shown, taken).has_value();
    };
    if (!kept(held.standard_output, each.stdout_released, record.stdout_taken) ||
        !kept(held.standard_error, each.stderr_released, record.stderr_taken))
      return {fmt::format("rank {} had written more output then than was shown", each.rank),
              each.rank};
    const RankFindings& found = findings.ranks[index];
    std::vector<std::uint64_t> saved;
    for (std::size_t to = 0; to < candidate.saved.size(); ++to) {
      const checkpoint::MessageRange range =
          checkpoint::InTransit(candidate.cuts[index], candidate.cuts[to]);
      saved.push_back(checkpoint::SavedFrom(candidate.saved[to], each.rank, range.first));
    }
    LogUse use =
        UseOfLog(each.rank, each.payload_log_survives, found.channels, candidate.cuts, saved);
    if (!use.refusal.empty()) return {use.refusal, use.obstacle};
    each.payload_log_survives = use.usable;
    if (const std::uint32_t csn = candidate.cuts[index].csn; csn != 0)
      SetCheckpoint(csn, record, &each);
    each.events = static_cast<std::uint64_t>(
        std::count_if(line.ranks[index].determinants.begin(), line.ranks[index].determinants.end(),
                      [&record](const logging::Determinant& determinant) {
                        return determinant.index > record.interval &&
                               determinant.kind != logging::EventKind::kDependency;
                      }));
    if (!use.usable) continue;
    for (const ChannelInventory& channel : found.channels) {
      if (channel.destination < 0 ||
          static_cast<std::size_t>(channel.destination) >= plan->ranks.size())
        continue;
      const auto to = static_cast<std::size_t>(channel.destination);
      const std::uint64_t end = channel.before + channel.messages;
      const std::uint64_t sent = candidate.cuts[index].Channel(channel.destination).sent;
      const std::uint64_t received = candidate.cuts[to].Channel(each.rank).received;
      each.suppress += end - std::min(end, sent);
      plan->ranks[to].resend += end - std::min(end, received);
    }
  }
  return {};
}

}  // namespace ftmpi::recovery
