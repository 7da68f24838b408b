#include "recovery/checkpoint_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/cut_record.h"
#include "checkpoint/in_transit_file.h"
#include "checkpoint/rank_file_reader.h"
#include "checkpoint/store_error.h"
#include "checkpoint/store_reader.h"
#include "pmpi/checkpoint_datasets.h"
#include "recovery/held_record.h"

namespace ftmpi::recovery {
namespace {

using checkpoint_datasets::EngineRecord;

struct RankCheckpoint {
  EngineRecord record{};
  checkpoint::CutRecord cut;
};

std::vector<std::byte> Content(checkpoint::RankFileReader* file, const char* name) {
  for (std::size_t n = 0; n < file->datasets().size(); ++n) {
    const checkpoint::Dataset& dataset = file->datasets()[n];
    if (std::strcmp(dataset.name, name) != 0) continue;
    std::vector<std::byte> content(dataset.count * checkpoint::ElementSize(dataset.type));
    file->ReadDataset(n, 0, content);
    return content;
  }
  throw checkpoint::StoreError(file->path() + ": it has no dataset " + name);
}

RankCheckpoint ReadRank(logging::Environment* environment, const std::string& path, int np) {
  checkpoint::RankFileReader file(environment, path);
  RankCheckpoint rank;
  const std::vector<std::byte> record = Content(&file, checkpoint_datasets::kState);
  if (record.size() != sizeof rank.record)
    throw checkpoint::StoreError(path + ": the record of the engine is of another version");
  std::memcpy(&rank.record, record.data(), sizeof rank.record);
  const std::optional<checkpoint::CutRecord> cut =
      checkpoint::DecodeCut(Content(&file, checkpoint_datasets::kCut), np);
  if (!cut) throw checkpoint::StoreError(path + ": the record of its cut is damaged");
  rank.cut = *cut;
  return rank;
}

// Coordinated mode: whether the output that was written and not shown at the cut is kept.
std::string UnfitOutput(const PlanRank& plan, const RankCheckpoint& rank,
                        const std::string& job_directory, std::uint64_t job) {
  const std::string path = HeldPath(job_directory, plan.rank);
  const HeldRecord held = ReadHeld(path, job, plan.rank).value_or(HeldRecord());
  if (held.standard_output.Part(plan.stdout_released, rank.record.stdout_taken) &&
      held.standard_error.Part(plan.stderr_released, rank.record.stderr_taken)) {
    return "";
  }
  return fmt::format("output of rank {} that was held back then is lost ({})", plan.rank, path);
}

// Coordinated mode: whether the copies of the messages in transit are there.
std::string UnfitCopies(logging::Environment* environment, const std::string& job_directory,
                        std::uint64_t job, const std::vector<RankCheckpoint>& ranks, int to) {
  const checkpoint::CutRecord& cut = ranks[static_cast<std::size_t>(to)].cut;
  const std::string path = checkpoint::InTransitPath(job_directory, cut.csn, to);
  checkpoint::InTransitContent content;
  if (environment->Exists(path)) {
    const std::string wrong = checkpoint::DecodeInTransit(environment->ReadFile(path),
                                                          static_cast<int>(ranks.size()), &content);
    if (!wrong.empty()) return path + ": " + wrong;
    if (content.identity != checkpoint::InTransitIdentity{job, cut.csn, cut.epoch, to})
      content.messages.clear();
  }
  for (std::size_t from = 0; from < ranks.size(); ++from) {
    const std::uint64_t expected = checkpoint::InTransit(ranks[from].cut, cut).count();
    const auto found = static_cast<std::uint64_t>(std::count_if(
        content.messages.begin(), content.messages.end(),
        [&](const auto& message) { return static_cast<std::size_t>(message.source) == from; }));
    if (found != expected) {
      return fmt::format("{} holds {} messages of rank {}, {} were in transit", path, found, from,
                         expected);
    }
  }
  return "";
}

// Why the plan can't start from this state; empty: it can.
std::string Unfit(const PlanRank& plan, const RankCheckpoint& rank) {
  if (!plan.payload_log_survives) {
    return fmt::format("the payload log of rank {}, which holds messages in transit, is lost",
                       plan.rank);
  }
  if (rank.record.interval > plan.interval) {
    return fmt::format("rank {} was in state interval {} then, and can be brought to {} only",
                       plan.rank, rank.record.interval, plan.interval);
  }
  if (rank.record.stdout_taken > plan.stdout_released ||
      rank.record.stderr_taken > plan.stderr_released) {
    return fmt::format("rank {} had written more output then than was shown", plan.rank);
  }
  return "";
}

void Enter(std::uint32_t csn, const std::vector<RankCheckpoint>& ranks, const Findings& findings,
           const RecoveryLine& line, ReplayPlan* plan) {
  for (PlanRank& each : plan->ranks) each.resend = each.suppress = 0;
  for (std::size_t index = 0; index < plan->ranks.size(); ++index) {
    PlanRank& each = plan->ranks[index];
    const RankCheckpoint& rank = ranks[index];
    each.from = fmt::format("checkpoint {}", csn);
    each.checkpoint_csn = csn;
    each.checkpoint_interval = rank.record.interval;
    each.checkpoint_stdout = rank.record.stdout_taken;
    each.checkpoint_stderr = rank.record.stderr_taken;
    each.checkpoint_stdin = rank.record.stdin_taken;
    each.events = 0;
    for (const logging::Determinant& determinant : line.ranks[index].determinants) {
      if (determinant.index > rank.record.interval &&
          determinant.kind != logging::EventKind::kDependency) {
        ++each.events;
      }
    }
    for (const ChannelInventory& channel : findings.ranks[index].channels) {
      const std::uint64_t sent = rank.cut.Channel(channel.destination).sent;
      each.suppress += channel.messages - std::min(channel.messages, sent);
      if (channel.destination < 0 ||
          static_cast<std::size_t>(channel.destination) >= plan->ranks.size())
        continue;
      const auto to = static_cast<std::size_t>(channel.destination);
      const std::uint64_t received = ranks[to].cut.Channel(each.rank).received;
      plan->ranks[to].resend += channel.messages - std::min(channel.messages, received);
    }
  }
}

}  // namespace

std::vector<std::string> ChooseCheckpoint(logging::Environment* environment,
                                          const std::string& job_directory,
                                          const JobDescription& job, const Findings& findings,
                                          const RecoveryLine& line, ReplayPlan* plan) {
  std::vector<std::string> remarks;
  const checkpoint::NewestUsable newest = checkpoint::FindNewestUsable(
      environment, job_directory, job.job, checkpoint::Depth::kEverything);
  for (const checkpoint::CheckpointReport& report : newest.passed_over) {
    if (!report.permanent) continue;
    for (const std::string& problem : report.problems)
      remarks.push_back(fmt::format("checkpoint {} is not used: {}", report.csn, problem));
  }
  if (!newest.checkpoint) return remarks;
  const std::uint64_t csn = newest.checkpoint->csn;
  const bool coordinated = job.mode == "coordinated";
  try {
    std::vector<RankCheckpoint> ranks;
    for (const PlanRank& each : plan->ranks) {
      ranks.push_back(
          ReadRank(environment, checkpoint::RankPath(job_directory, csn, each.rank), job.np));
      const std::string unfit = coordinated
                                    ? UnfitOutput(each, ranks.back(), job_directory, job.job)
                                    : Unfit(each, ranks.back());
      if (!unfit.empty()) {
        remarks.push_back(fmt::format("checkpoint {} is not used: {}", csn, unfit));
        return remarks;
      }
    }
    if (coordinated) {
      std::vector<checkpoint::CutRecord> cuts;
      for (const RankCheckpoint& each : ranks) cuts.push_back(each.cut);
      std::string unfit = checkpoint::Contradiction(cuts);
      for (int rank = 0; rank < job.np && unfit.empty(); ++rank)
        unfit = UnfitCopies(environment, job_directory, job.job, ranks, rank);
      if (!unfit.empty()) {
        remarks.push_back(fmt::format("checkpoint {} is not used: {}", csn, unfit));
        return remarks;
      }
    }
    Enter(static_cast<std::uint32_t>(csn), ranks, findings, line, plan);
    if (coordinated) {
      // Its state intervals are no counts of events (logging/coordinated.h).
      for (PlanRank& each : plan->ranks) each.checkpoint_interval = 0;
    }
  } catch (const JobDirectoryError& error) {
    remarks.push_back(fmt::format("checkpoint {} is not used: {}", csn, error.what()));
  } catch (const checkpoint::StoreError& error) {
    remarks.push_back(fmt::format("checkpoint {} is not used: {}", csn, error.what()));
  }
  return remarks;
}

}  // namespace ftmpi::recovery
