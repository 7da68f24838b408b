#include "logging/payload_log_format.h"

#include <charconv>
#include <cstdio>

namespace ftmpi::logging {
namespace {

std::string SegmentPrefix(int rank) { return "rank-" + std::to_string(rank) + ".payload-"; }

std::string SparePrefix(int rank) { return SegmentPrefix(rank) + "spare-"; }

std::string SpillPrefix(std::uint64_t job, int rank) {
  char digits[17];
  std::snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(job));
  return std::string("ftmpi-") + digits + ".rank-" + std::to_string(rank) + ".spill-";
}

std::optional<std::uint32_t> ParseNumber(const std::string& name, const std::string& prefix) {
  if (!name.starts_with(prefix) || name.size() == prefix.size()) return std::nullopt;
  const char* const begin = name.data() + prefix.size();
  const char* const end = name.data() + name.size();
  std::uint32_t number = 0;
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || stop != end || *begin == '0') return std::nullopt;
  if (number > kMaximumSegmentNumber) return std::nullopt;
  return number;
}

}  // namespace

std::string SegmentFileName(int rank, std::uint32_t number) {
  return SegmentPrefix(rank) + std::to_string(number);
}

std::string SpareFileName(int rank, std::uint64_t number) {
  return SparePrefix(rank) + std::to_string(number);
}

std::string SpillFileName(std::uint64_t job, int rank, std::uint32_t number) {
  return SpillPrefix(job, rank) + std::to_string(number);
}

std::optional<std::uint32_t> ParseSegmentFileName(const std::string& name, int rank) {
  return ParseNumber(name, SegmentPrefix(rank));
}

std::optional<std::uint32_t> ParseSpillFileName(const std::string& name, std::uint64_t job,
                                                int rank) {
  return ParseNumber(name, SpillPrefix(job, rank));
}

bool IsLeftover(const std::string& name, int rank) {
  return name.starts_with(SparePrefix(rank)) ||
         (name.starts_with(SegmentPrefix(rank)) && name.ends_with(".new"));
}

bool IsSpillLeftover(const std::string& name, std::uint64_t job, int rank) {
  return name.starts_with(SpillPrefix(job, rank)) && name.ends_with(".new");
}

}  // namespace ftmpi::logging
