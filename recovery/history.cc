#include "recovery/history.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "recovery/durable_file.h"
#include "recovery/job_lock.h"

namespace ftmpi::recovery {
namespace {

using Json = nlohmann::ordered_json;

std::string HistoryPath(const std::string& job_directory, std::uint32_t epoch) {
  return fmt::format("{}/epoch-{}.json", RecoveryDirectory(job_directory), epoch);
}

bool IsOwnFault(int exit_code) {
  constexpr int kSignalBase = 128;
  constexpr std::array kSignals = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
  return std::any_of(kSignals.begin(), kSignals.end(),
                     [&](int signal) { return exit_code == kSignalBase + signal; });
}

}  // namespace

std::optional<EpochHistory> ReadHistory(const std::string& job_directory, std::uint32_t epoch) {
  try {
    const std::optional<std::string> text = ReadWholeFile(HistoryPath(job_directory, epoch));
    if (!text) return std::nullopt;
    const Json document = Json::parse(*text);
    EpochHistory history;
    for (const Json& each : document.at("ranks")) {
      RankPosition position;
      position.interval = each.at("interval").get<std::uint64_t>();
      position.poll_failures = each.at("poll_failures").get<std::uint64_t>();
      position.messages = each.at("messages").get<std::uint64_t>();
      position.stdout_released = each.at("stdout_released").get<std::uint64_t>();
      position.stderr_released = each.at("stderr_released").get<std::uint64_t>();
      history.positions.push_back(position);
    }
    history.lost = document.at("lost").get<std::vector<int>>();
    if (!document.at("exit_code").is_null()) history.exit_code = document["exit_code"].get<int>();
    return history;
  } catch (const Json::exception&) {
    return std::nullopt;
  } catch (const JobDirectoryError&) {
    return std::nullopt;
  }
}

void WriteHistory(const std::string& job_directory, std::uint32_t epoch,
                  const EpochHistory& history) {
  Json document;
  document["ranks"] = Json::array();
  for (const RankPosition& each : history.positions) {
    document["ranks"].push_back({{"interval", each.interval},
                                 {"poll_failures", each.poll_failures},
                                 {"messages", each.messages},
                                 {"stdout_released", each.stdout_released},
                                 {"stderr_released", each.stderr_released}});
  }
  document["lost"] = history.lost;
  document["exit_code"] = history.exit_code ? Json(*history.exit_code) : Json(nullptr);
  ReplaceFile(HistoryPath(job_directory, epoch), document.dump(1) + "\n");
}

std::optional<int> DiesAtTheSamePoint(const EpochHistory& before, const EpochHistory& last) {
  if (!last.exit_code || !IsOwnFault(*last.exit_code)) return std::nullopt;
  for (const int rank : last.lost) {
    const auto index = static_cast<std::size_t>(rank);
    if (std::find(before.lost.begin(), before.lost.end(), rank) == before.lost.end()) continue;
    if (rank < 0 || index >= before.positions.size() || index >= last.positions.size()) continue;
    if (before.positions[index] == last.positions[index]) return rank;
  }
  return std::nullopt;
}

}  // namespace ftmpi::recovery
