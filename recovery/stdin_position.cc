#include "recovery/stdin_position.h"

#include <fmt/format.h>

#include <memory>
#include <span>

#include "logging/environment.h"
#include "logging/log_error.h"
#include "recovery/job_directory.h"
#include "recovery/job_records.h"

namespace ftmpi::recovery {
namespace {

template <typename T>
bool ReadStruct(logging::ReadableFile* file, std::uint64_t offset, T* value) {
  return file->ReadAt(offset, std::as_writable_bytes(std::span(value, 1))) == sizeof *value;
}

}  // namespace

StdinPosition ReadStdinPosition(const std::string& path, std::uint64_t job) {
  StdinPosition position;
  logging::Environment* environment = logging::Environment::Posix();
  try {
    if (!environment->Exists(path)) return position;
    const std::unique_ptr<logging::ReadableFile> file = environment->OpenReadable(path);
    RecordHeader header;
    if (!ReadStruct(file.get(), 0, &header) || header.magic != kStdinMagic ||
        header.version != kRecordVersion || header.job != job) {
      throw JobDirectoryError(fmt::format(
          "{}: is no log of this job's standard input; give an unaltered job directory", path));
    }
    const std::uint64_t size = file->Size();
    std::uint64_t offset = sizeof header;
    StdinRecordHeader record;
    while (!position.ended && ReadStruct(file.get(), offset, &record)) {
      offset += sizeof record;
      if (record.offset != position.logged || record.length > size - offset) break;
      position.ended = record.length == 0;
      position.logged += record.length;
      offset += record.length;
    }
  } catch (const logging::LogError& error) {
    throw JobDirectoryError(error.what());
  }
  return position;
}

}  // namespace ftmpi::recovery
