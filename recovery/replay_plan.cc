#include "recovery/replay_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "logging/environment.h"
#include "logging/log_error.h"
#include "logging/replay_log.h"

namespace ftmpi::recovery {
namespace {

using logging::Determinant;
using logging::EventKind;

std::uint64_t CountEvents(const std::vector<Determinant>& determinants) {
  return static_cast<std::uint64_t>(
      std::count_if(determinants.begin(), determinants.end(),
                    [](const Determinant& each) { return each.kind != EventKind::kDependency; }));
}

// Polling calls that said no since the last event. They are known only where the rank is brought
// back to where it was; else the run of them had no witness and may go differently.
std::uint64_t PollFailuresOf(const RankFindings& findings, const RankLine& line) {
  if (!line.at_failure_state) return 0;
  if (findings.position.interval == line.recovered_interval) return findings.position.poll_failures;
  // It failed while it was being replayed, or before it came up.
  if (line.recovered_interval == findings.base_interval) {
    return findings.base_poll_failures.value_or(0);
  }
  // It failed between logging an event and publishing its interval: the failures are in a
  // determinant.
  return 0;
}

std::string ReasonOf(const Findings& findings, const std::vector<std::string>& lost_nodes) {
  std::string reason;
  for (const RankFindings& each : findings.ranks) {
    if (!each.end || each.end->end == RankEnd::kSurvivor || each.end->end == RankEnd::kDone)
      continue;
    fmt::format_to(std::back_inserter(reason), "{}rank {} on {} was lost",
                   reason.empty() ? "" : ", ", each.rank, each.node);
  }
  for (const std::string& node : lost_nodes) {
    fmt::format_to(std::back_inserter(reason), "{}node {} was lost", reason.empty() ? "" : ", ",
                   node);
  }
  // A replacement under the old name, or somebody has cleaned up.
  std::set<std::string> empty_nodes;
  for (const RankFindings& each : findings.ranks) {
    if (!each.node_reached || (each.own_log_survives && !each.files_lost) ||
        !empty_nodes.insert(each.node).second) {
      continue;
    }
    fmt::format_to(std::back_inserter(reason), "{}node {} has lost its logs",
                   reason.empty() ? "" : ", ", each.node);
  }
  return reason.empty() ? "the job ended before its time" : reason;
}

std::string Counted(std::uint64_t number) { return fmt::format("{}", number); }

}  // namespace

std::vector<std::string> PlaceRanks(const std::vector<std::string>& before,
                                    const std::vector<std::string>& usable) {
  std::map<std::string, int> load;
  for (const std::string& node : usable) load[node] = 0;
  for (const std::string& node : before) {
    if (const auto found = load.find(node); found != load.end()) ++found->second;
  }
  std::vector<std::string> now;
  for (const std::string& node : before) {
    if (load.count(node) != 0) {
      now.push_back(node);
      continue;
    }
    const std::string& least =
        *std::min_element(usable.begin(), usable.end(),
                          [&](const auto& a, const auto& b) { return load[a] < load[b]; });
    ++load[least];
    now.push_back(least);
  }
  return now;
}

ReplayPlan MakePlan(const JobDescription& job, const Findings& findings, const RecoveryLine& line,
                    const std::vector<std::string>& nodes_now,
                    const std::vector<std::string>& lost_nodes) {
  ReplayPlan plan;
  plan.epoch = job.current_epoch() + 1;
  plan.lost_nodes = lost_nodes;
  plan.reason = ReasonOf(findings, lost_nodes);
  plan.ranks.resize(findings.ranks.size());
  for (std::size_t index = 0; index < plan.ranks.size(); ++index) {
    PlanRank& each = plan.ranks[index];
    const RankFindings& found = findings.ranks[index];
    const RankLine& goal = line.ranks[index];
    each.rank = found.rank;
    each.node_before = found.node;
    each.node_now = nodes_now[index];
    each.from = "initial state";
    each.interval = goal.recovered_interval;
    each.events = CountEvents(goal.determinants);
    each.rolled_back = goal.rolled_back;
    each.at_failure_state = goal.at_failure_state;
    each.payload_log_survives = found.payload_log_survives && each.node_now == each.node_before;
    each.poll_failures = PollFailuresOf(found, goal);
    each.stdout_released = found.position.stdout_released;
    each.stderr_released = found.position.stderr_released;
    if (!each.payload_log_survives) continue;
    for (const ChannelInventory& channel : found.channels) {
      each.suppress += channel.messages;
      if (channel.destination >= 0 &&
          static_cast<std::size_t>(channel.destination) < plan.ranks.size()) {
        plan.ranks[static_cast<std::size_t>(channel.destination)].resend += channel.messages;
      }
    }
  }
  return plan;
}

std::string PlanTable(const ReplayPlan& plan, const JobDescription& job) {
  const std::vector<std::string> head = {"rank",     "node before", "node now", "from",
                                         "interval", "events",      "re-send",  "suppress"};
  std::vector<std::vector<std::string>> rows = {head};
  for (const PlanRank& each : plan.ranks) {
    rows.push_back({Counted(static_cast<std::uint64_t>(each.rank)), each.node_before, each.node_now,
                    each.from, Counted(each.interval), Counted(each.events), Counted(each.resend),
                    Counted(each.suppress)});
  }
  std::vector<std::size_t> width(head.size(), 0);
  for (const auto& row : rows) {
    for (std::size_t column = 0; column < row.size(); ++column) {
      width[column] = std::max(width[column], row[column].size());
    }
  }
  std::string table = fmt::format("recovery epoch {} of job {} ({} ranks, {} mode): {}\n",
                                  plan.epoch, job.name, job.np, job.mode, plan.reason);
  for (const auto& row : rows) {
    std::string text;
    for (std::size_t column = 0; column < row.size(); ++column) {
      const bool name = column >= 1 && column <= 3;
      text += name ? fmt::format("  {:<{}}", row[column], width[column])
                   : fmt::format("  {:>{}}", row[column], width[column]);
    }
    table += text + "\n";
  }
  for (const PlanRank& each : plan.ranks) {
    if (each.rolled_back == 0) continue;
    table += fmt::format("rank {} is rolled back by {} events: they depend on lost ones\n",
                         each.rank, each.rolled_back);
  }
  return table;
}

std::string PlanJson(const ReplayPlan& plan, const JobDescription& job,
                     const std::string& job_directory, const RecoveryLine& line) {
  nlohmann::ordered_json document;
  document["job"] = job.name;
  document["job_directory"] = job_directory;
  document["epoch"] = plan.epoch;
  document["mode"] = job.mode;
  document["reason"] = plan.reason;
  document["lost_nodes"] = plan.lost_nodes;
  document["remarks"] = line.remarks;
  document["doubts"] = line.doubts;
  document["ranks"] = nlohmann::ordered_json::array();
  for (const PlanRank& each : plan.ranks) {
    document["ranks"].push_back({{"rank", each.rank},
                                 {"node_before", each.node_before},
                                 {"node_now", each.node_now},
                                 {"from", each.from},
                                 {"interval", each.interval},
                                 {"events_to_replay", each.events},
                                 {"messages_to_resend", each.resend},
                                 {"messages_to_suppress", each.suppress},
                                 {"intervals_rolled_back", each.rolled_back},
                                 {"reaches_failure_state", each.at_failure_state},
                                 {"payload_log_survives", each.payload_log_survives},
                                 {"stdout_released", each.stdout_released},
                                 {"stderr_released", each.stderr_released}});
  }
  return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

void CommitPlan(logging::Environment* environment, const std::string& job_directory,
                const ReplayPlan& plan, const RecoveryLine& line, JobDescription* job) {
  const std::string final_path = EpochDirectory(job_directory, plan.epoch);
  const std::string temporary = final_path + ".tmp";
  // Neither is known to job.json: left behind by a recovery that was interrupted.
  for (const std::string& path : {temporary, final_path}) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) {
      throw logging::LogError(
          fmt::format("{}: can't be removed: {}; remove it by hand", path, error.message()));
    }
  }
  environment->MakeDirectory(temporary);
  for (std::size_t index = 0; index < plan.ranks.size(); ++index) {
    const PlanRank& each = plan.ranks[index];
    logging::ReplayLog log;
    log.job = job->job;
    log.rank = each.rank;
    log.epoch = plan.epoch;
    log.recovered_interval = each.interval;
    log.trimmed_interval = line.ranks[index].trimmed_interval;
    log.poll_failures = each.poll_failures;
    log.payload_log_survives = each.payload_log_survives;
    log.stdout_released = each.stdout_released;
    log.stderr_released = each.stderr_released;
    log.checkpoint_csn = each.checkpoint_csn;
    log.checkpoint_interval = each.checkpoint_interval;
    log.checkpoint_stdout = each.checkpoint_stdout;
    log.checkpoint_stderr = each.checkpoint_stderr;
    log.registered = each.registered;
    log.checkpoint_stdin = each.checkpoint_stdin;
    log.determinants = line.ranks[index].determinants;
    logging::WriteReplayLog(
        environment, logging::JoinPath(temporary, logging::ReplayLogFileName(each.rank)), log);
  }
  environment->SyncDirectory(temporary);
  environment->Rename(temporary, final_path);
  environment->SyncDirectory(job_directory);

  JobDescription next = *job;
  JobEpoch epoch;
  epoch.epoch = plan.epoch;
  epoch.time = static_cast<std::int64_t>(environment->WallClockNanoseconds() / 1'000'000'000U);
  epoch.reason = plan.reason;
  next.epochs.push_back(epoch);
  next.state = JobState::kRecovering;
  for (std::size_t index = 0; index < plan.ranks.size(); ++index) {
    next.ranks[index] = ProcessPlace{plan.ranks[index].node_now, 0, 0};
  }
  next.launcher = ProcessPlace{};
  WriteJobDescription(job_directory, next);
  *job = std::move(next);
}

}  // namespace ftmpi::recovery
