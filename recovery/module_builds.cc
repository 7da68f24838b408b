#include "recovery/module_builds.h"

#include <fmt/format.h>

#include <filesystem>

#include "recovery/job_directory.h"

namespace ftmpi::recovery {
namespace {

constexpr std::string_view kSize = "size:";

}  // namespace

std::vector<std::string> DifferingBuilds(std::string_view builds) {
  std::vector<std::string> differing;
  while (!builds.empty()) {
    const std::string_view line = builds.substr(0, builds.find('\n'));
    builds.remove_prefix(std::min(builds.size(), line.size() + 1));
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos) continue;
    const std::string was(line.substr(0, blank));
    const std::string path(line.substr(blank + 1));
    std::error_code error;
    const std::uint64_t size = std::filesystem::file_size(path, error);
    if (error) {
      differing.push_back(fmt::format("{} can't be read: {}", path, error.message()));
      continue;
    }
    std::string now;
    try {
      now = was.starts_with(kSize) ? fmt::format("{}{}", kSize, size) : BuildIdOf(path);
    } catch (const JobDirectoryError& problem) {
      now = problem.what();
    }
    if (now == was) continue;
    differing.push_back(
        fmt::format("{} is another build ({}) than at the checkpoint ({})", path, now, was));
  }
  return differing;
}

}  // namespace ftmpi::recovery
