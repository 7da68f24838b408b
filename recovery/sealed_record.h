// Reading and sealing the small records of the job directory (recovery/JOB_DIRECTORY.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "recovery/durable_file.h"
#include "recovery/job_directory.h"
#include "recovery/job_records.h"

namespace ftmpi::recovery {

// The record's bytes with its checksum.
template <typename Layout>
std::string Seal(Layout layout) {
  static_assert(std::is_trivially_copyable_v<Layout>);
  layout.checksum = XXH64(&layout, offsetof(Layout, checksum), 0);
  return std::string(reinterpret_cast<const char*>(&layout), sizeof layout);
}

// The file's record, checked; nullopt: no such file.
template <typename Layout>
std::optional<Layout> ReadSealed(const std::string& path, std::uint64_t magic, std::uint64_t job) {
  const std::optional<std::string> content = ReadWholeFile(path);
  if (!content) return std::nullopt;
  const auto fail = [&](const std::string& reason) {
    return JobDirectoryError(path + ": " + reason);
  };
  Layout layout;
  if (content->size() < sizeof(RecordHeader)) {
    throw fail("truncated (" + std::to_string(content->size()) + " bytes)");
  }
  std::memcpy(&layout.header, content->data(), sizeof layout.header);
  if (layout.header.magic != magic) throw fail("foreign: not a record of this kind");
  if (layout.header.version != kRecordVersion) {
    throw fail("record version " + std::to_string(layout.header.version) +
               ", this program reads version " + std::to_string(kRecordVersion));
  }
  if (content->size() != sizeof layout) {
    throw fail(std::to_string(content->size()) + " bytes instead of " +
               std::to_string(sizeof layout) + ": truncated or damaged");
  }
  std::memcpy(&layout, content->data(), sizeof layout);
  if (layout.checksum != XXH64(&layout, offsetof(Layout, checksum), 0)) {
    throw fail("damaged (checksum does not match)");
  }
  if (layout.header.job != job) throw fail("belongs to another job");
  return layout;
}

}  // namespace ftmpi::recovery
