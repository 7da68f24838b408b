#include "checkpoint/manifest.h"

#include <cstring>
#include <string_view>

namespace ftmpi::checkpoint {
namespace {

constexpr std::uint64_t kAddressLimit = std::uint64_t{1} << 57;  // five-level page tables

template <std::size_t kSize>
bool Terminated(const char (&text)[kSize]) {
  return std::memchr(text, '\0', kSize) != nullptr;
}

bool IsRange(std::uint64_t address, std::uint64_t length) {
  return address <= kAddressLimit && length <= kAddressLimit - address;
}

// Of one path component. HDF5 takes nearly everything; people and shells do not.
bool IsName(std::string_view name) {
  if (name.empty() || name == "." || name == "..") return false;
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == '/' || c == 0x7f) return false;
  }
  return true;
}

bool IsDatasetName(std::string_view name) {
  for (const char* whole : {"in_transit", "dependency_vector", "mtv/pre", "mtv/cur"}) {
    if (name == whole) return true;
  }
  for (const std::string_view prefix : {"engine/", "process/", "registered/"}) {
    if (name.starts_with(prefix)) return IsName(name.substr(prefix.size()));
  }
  return false;
}

}  // namespace

const char* Invalid(const CheckpointAttributes& attributes) {
  if (attributes.csn == 0 || attributes.csn > kMaximumCsn) return "its CSN is no CSN";
  if (attributes.base_csn >= attributes.csn) return "its base is not older than itself";
  if (attributes.np < 1) return "its number of ranks is not positive";
  if (attributes.rank < 0 || attributes.rank >= attributes.np) return "its rank is none of the job";
  if (attributes.kind < CheckpointKind::kCoordinated ||
      attributes.kind > CheckpointKind::kFailureTime) {
    return "it is of an unknown kind";
  }
  if (attributes.state == 0 || (attributes.state & ~(kStateImage | kStateRegistered)) != 0) {
    return "it holds an unknown kind of state";
  }
  if (!Terminated(attributes.program_build_id) || !Terminated(attributes.ftmpi_version) ||
      !Terminated(attributes.mpi_version) || !Terminated(attributes.node)) {
    return "a text in it has no end";
  }
  return nullptr;
}

const char* Invalid(const Section& section) {
  if (!Terminated(section.name)) return "a section's name has no end";
  if (!IsRange(section.address, section.length)) return "a section is not in user memory";
  if (section.kind > SectionKind::kThreadLocal) return "a section is of an unknown kind";
  if ((section.flags & ~kSectionListedPages) != 0 || section.reserved != 0) {
    return "a section has unknown flags";
  }
  if ((section.protection & ~7U) != 0) return "a section's protection is unknown";
  if ((section.flags & kSectionListedPages) == 0) {
    return section.range_count == 0 ? nullptr : "a complete section lists pages";
  }
  if (section.address % kPageSize != 0) return "a section of listed pages begins within a page";
  if (section.range_count > section.length / kPageSize + 1) {
    return "a section lists more pages than it has";
  }
  return nullptr;
}

const char* Invalid(const Dataset& dataset) {
  if (!Terminated(dataset.name) || !IsDatasetName(dataset.name)) {
    return "a dataset has a name that no dataset has";
  }
  const std::uint64_t size = ElementSize(dataset.type);
  if (size == 0) return "a dataset's elements are of an unknown type";
  if (dataset.reserved != 0) return "a dataset has unknown flags";
  if (dataset.count > kAddressLimit / size || !IsRange(dataset.address, dataset.count * size)) {
    return "a dataset is not in user memory";
  }
  return nullptr;
}

const char* Invalid(const Section& section, std::span<const PageRange> ranges) {
  const std::uint64_t pages = (section.length + kPageSize - 1) / kPageSize;
  std::uint64_t end = 0;
  for (const PageRange& range : ranges) {
    if (range.count == 0) return "a section lists an empty range of pages";
    if (range.first < end) return "a section's listed pages are not in order";
    if (range.first > pages || range.count > pages - range.first) {
      return "a section lists pages that it has not";
    }
    end = range.first + range.count;
  }
  return nullptr;
}

const char* Invalid(const CheckpointAttributes& attributes, std::span<const Section> sections,
                    std::span<const Dataset> datasets) {
  if (const char* why = Invalid(attributes)) return why;
  if (sections.size() > kMaximumSections) return "it has too many sections";
  if (datasets.size() > kMaximumDatasets) return "it has too many datasets";
  if (!sections.empty() && (attributes.state & kStateImage) == 0) {
    return "it has sections of memory and says that it holds no image";
  }
  std::uint64_t end = 0;
  for (const Section& section : sections) {
    if (const char* why = Invalid(section)) return why;
    if (section.address < end) return "its sections overlap or are not sorted by address";
    end = section.address + section.length;
    if (attributes.base_csn == kNoBase && (section.flags & kSectionListedPages) != 0) {
      return "a section lists pages, and there is no base for the others";
    }
  }
  for (const Dataset& dataset : datasets) {
    if (const char* why = Invalid(dataset)) return why;
  }
  return nullptr;
}

}  // namespace ftmpi::checkpoint
