#include "checkpoint/checkpoint_directory.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "checkpoint/kind_names.h"
#include "checkpoint/level_record.h"

namespace ftmpi::checkpoint {
namespace {

using logging::Environment;
using logging::JoinPath;

// The number in "<prefix><number><suffix>", written as we write it.
template <typename Number>
std::optional<Number> NumberIn(std::string_view name, std::string_view prefix,
                               std::string_view suffix) {
  if (name.size() <= prefix.size() + suffix.size() || !name.starts_with(prefix) ||
      !name.ends_with(suffix)) {
    return std::nullopt;
  }
  const std::string_view digits =
      name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  Number number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.front() == '-' ||
      (digits.size() > 1 && digits.front() == '0')) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::string RankFileName(std::int32_t rank) { return "rank-" + std::to_string(rank) + ".h5"; }

std::string CheckpointDirectory(const std::string& root, std::uint64_t csn) {
  return JoinPath(root, "checkpoint-" + std::to_string(csn));
}

std::string IndexPath(const std::string& root, std::uint64_t csn) {
  return JoinPath(CheckpointDirectory(root, csn), kIndexName);
}

std::string RankPath(const std::string& root, std::uint64_t csn, std::int32_t rank) {
  return JoinPath(CheckpointDirectory(root, csn), RankFileName(rank));
}

std::string OwnDirectory(const std::string& root, std::int32_t rank) {
  return JoinPath(root, "rank-" + std::to_string(rank));
}

std::string OwnPath(const std::string& root, std::int32_t rank, std::uint64_t csn) {
  return JoinPath(OwnDirectory(root, rank), "checkpoint-" + std::to_string(csn) + ".h5");
}

std::string PathOf(const std::string& root, CheckpointKind kind, std::uint64_t csn,
                   std::int32_t rank) {
  return IsPermanentByItself(kind) ? OwnPath(root, rank, csn) : RankPath(root, csn, rank);
}

std::vector<CheckpointListing> ListCheckpoints(Environment* environment, const std::string& root) {
  std::vector<CheckpointListing> listings;
  if (!environment->Exists(root)) return listings;
  for (const std::string& name : environment->List(root)) {
    const auto csn = NumberIn<std::uint64_t>(name, "checkpoint-", "");
    if (!csn || *csn == 0) continue;
    CheckpointListing listing;
    listing.csn = *csn;
    for (const std::string& file : environment->List(JoinPath(root, name))) {
      if (file == kIndexName) listing.has_index = true;
      if (file == kLevelRecordName) listing.has_level = true;
      if (file.ends_with(".new")) listing.leftovers.push_back(file);
      if (const auto rank = NumberIn<std::int32_t>(file, "rank-", ".h5")) {
        listing.ranks.push_back(*rank);
      }
      if (NumberIn<std::int32_t>(file, "rank-", ".transit")) listing.transit.push_back(file);
    }
    std::sort(listing.ranks.begin(), listing.ranks.end());
    listings.push_back(std::move(listing));
  }
  std::sort(listings.begin(), listings.end(),
            [](const auto& a, const auto& b) { return a.csn > b.csn; });
  return listings;
}

std::vector<std::uint64_t> ListOwnCheckpoints(Environment* environment, const std::string& root,
                                              std::int32_t rank) {
  std::vector<std::uint64_t> csns;
  const std::string directory = OwnDirectory(root, rank);
  if (!environment->Exists(directory)) return csns;
  for (const std::string& name : environment->List(directory)) {
    if (const auto csn = NumberIn<std::uint64_t>(name, "checkpoint-", ".h5")) csns.push_back(*csn);
  }
  std::sort(csns.rbegin(), csns.rend());
  return csns;
}

std::vector<std::int32_t> ListOwnRanks(Environment* environment, const std::string& root) {
  std::vector<std::int32_t> ranks;
  if (!environment->Exists(root)) return ranks;
  for (const std::string& name : environment->List(root)) {
    if (const auto rank = NumberIn<std::int32_t>(name, "rank-", "")) ranks.push_back(*rank);
  }
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

}  // namespace ftmpi::checkpoint
