#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "checkpoint/kind_names.h"
#include "recovery/store_listing.h"

namespace ftmpi::recovery {
namespace {

using checkpoint::CheckpointReport;

std::string TimeText(std::uint64_t nanoseconds) {
  if (nanoseconds == 0) return "-";
  constexpr std::uint64_t kNanosecondsPerSecond = 1000000000;
  const auto seconds = static_cast<std::time_t>(nanoseconds / kNanosecondsPerSecond);
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(seconds));
}

const char* StatusText(const ListedCheckpoint& each) {
  const CheckpointReport& report = each.report;
  if (each.on_nodes) return "on nodes";
  if (!report.permanent) return report.problems.empty() ? "tentative" : "damaged";
  return report.usable ? "complete" : "damaged";
}

std::string RanksText(const ListedCheckpoint& each) {
  if (each.rank >= 0) return fmt::format("rank {}", each.rank);
  const int np = each.report.identity.np;
  return np > 0 ? fmt::format("{}/{}", each.report.files, np)
                : fmt::format("{}", each.report.files);
}

std::string ListText(const std::vector<std::uint64_t>& numbers) {
  std::string text;
  for (const std::uint64_t each : numbers)
    text += fmt::format("{}{}", text.empty() ? "" : " ", each);
  return text.empty() ? "-" : text;
}

std::string ProblemLines(const std::vector<std::string>& problems) {
  std::string text;
  for (const std::string& each : problems) text += each + "\n";
  return text;
}

}  // namespace

std::string SizeText(std::uint64_t bytes) {
  constexpr double kStep = 1024;
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* each : {"KiB", "MiB", "GiB", "TiB", "PiB"}) {
    if (value < kStep) break;
    value /= kStep;
    unit = each;
  }
  return fmt::format("{:.1f} {}", value, unit);
}

std::string ListingText(const StoreListing& listing) {
  std::string text;
  if (listing.job) {
    text += fmt::format("job {:016x}, {} ranks, FT_MODE={}, {}\n", listing.job->job,
                        listing.job->np, listing.job->mode, listing.job_directory);
    for (const JobEpoch& each : listing.job->epochs) {
      text += fmt::format("epoch {}: {:%Y-%m-%d %H:%M:%S}, {}\n", each.epoch,
                          fmt::localtime(static_cast<std::time_t>(each.time)), each.reason);
    }
  } else {
    text += listing.job_directory + "\n";
  }
  if (listing.checkpoints.empty()) {
    text += "no checkpoints\n";
  } else {
    text += fmt::format("{:>6}  {:19}  {:>10}  {:8}  {:7}  {:12}  {:9}  {}\n", "CSN", "time",
                        "size", "ranks", "level", "kind", "status", "builds on");
  }
  for (const ListedCheckpoint& each : listing.checkpoints) {
    const CheckpointReport& report = each.report;
    text += fmt::format("{:>6}  {:19}  {:>10}  {:8}  {:7}  {:12}  {:9}  {}\n", report.csn,
                        TimeText(report.identity.time), SizeText(report.bytes), RanksText(each),
                        each.level, checkpoint::KindName(report.identity.kind), StatusText(each),
                        ListText(report.builds_on));
  }
  std::uint64_t log_bytes = 0;
  for (const ListedLog& each : listing.logs) log_bytes += each.bytes;
  text +=
      fmt::format("flushed event logs: {} files, {}\n", listing.logs.size(), SizeText(log_bytes));
  return text;
}

std::string ListingJson(const StoreListing& listing) {
  using Json = nlohmann::ordered_json;
  Json document;
  document["job_directory"] = listing.job_directory;
  if (listing.job) {
    document["job"] = fmt::format("{:016x}", listing.job->job);
    document["np"] = listing.job->np;
    document["mode"] = listing.job->mode;
  }
  document["epochs"] = Json::array();
  if (listing.job) {
    for (const JobEpoch& each : listing.job->epochs) {
      document["epochs"].push_back(
          {{"epoch", each.epoch}, {"time", each.time}, {"reason", each.reason}});
    }
  }
  document["checkpoints"] = Json::array();
  for (const ListedCheckpoint& each : listing.checkpoints) {
    const CheckpointReport& report = each.report;
    Json entry;
    entry["csn"] = report.csn;
    entry["level"] = each.level;
    entry["directory"] = each.directory;
    entry["kind"] = checkpoint::KindName(report.identity.kind);
    if (each.rank >= 0) entry["rank"] = each.rank;
    entry["np"] = report.identity.np;
    entry["epoch"] = report.identity.epoch;
    entry["time"] = report.identity.time;
    entry["bytes"] = report.bytes;
    entry["files"] = report.files;
    entry["status"] = StatusText(each);
    entry["permanent"] = report.permanent;
    entry["usable"] = report.usable;
    entry["builds_on"] = report.builds_on;
    entry["problems"] = report.problems;
    document["checkpoints"].push_back(std::move(entry));
  }
  document["logs"] = Json::array();
  for (const ListedLog& each : listing.logs) {
    Json entry{{"path", each.path}, {"bytes", each.bytes}};
    if (each.events > 0) entry["events"] = each.events;
    if (!each.problem.empty()) entry["problem"] = each.problem;
    document["logs"].push_back(std::move(entry));
  }
  document["leftovers"] = listing.leftovers;
  document["problems"] = listing.AllProblems();
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string VerificationText(const StoreListing& listing) {
  std::string text = ProblemLines(listing.AllProblems());
  for (const std::string& each : listing.leftovers) {
    text +=
        each + ": was being written when its writer ended; harmless, removed with the checkpoint\n";
  }
  std::uint64_t bytes = 0;
  std::size_t good = 0;
  for (const ListedCheckpoint& each : listing.checkpoints) {
    bytes += each.report.bytes;
    if (each.report.usable) ++good;
  }
  text += fmt::format(
      "{} checkpoints, {} of them complete and without damage, {} read back; {} event logs\n",
      listing.checkpoints.size(), good, SizeText(bytes), listing.logs.size());
  const ListedCheckpoint* newest = listing.Newest();
  text += newest == nullptr ? "no checkpoint of the whole job can be started from\n"
                            : fmt::format("a restart takes checkpoint {}\n", newest->report.csn);
  for (const ListedCheckpoint& each : listing.checkpoints) {
    if (!each.on_nodes || (newest != nullptr && each.report.csn < newest->report.csn)) continue;
    text += fmt::format("... or checkpoint {}, if its files are whole on the nodes (level {})\n",
                        each.report.csn, each.level);
    break;
  }
  return text;
}

}  // namespace ftmpi::recovery
