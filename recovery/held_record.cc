#include "recovery/held_record.h"

#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "recovery/durable_file.h"
#include "recovery/job_directory.h"
#include "recovery/job_records.h"

namespace ftmpi::recovery {
namespace {

constexpr std::uint64_t kHeldMagic = 0x31444c45484d5446;  // "FTMHELD1"

struct Head {
  RecordHeader header;
  std::uint64_t stdout_start;
  std::uint64_t stdout_bytes;
  std::uint64_t stderr_start;
  std::uint64_t stderr_bytes;
};
static_assert(sizeof(Head) == 56);

}  // namespace

std::optional<std::string> HeldPiece::Part(std::uint64_t begin, std::uint64_t end) const {
  if (end <= begin) return std::string();
  if (begin < start || end > start + bytes.size()) return std::nullopt;
  return bytes.substr(begin - start, end - begin);
}

std::string HeldPath(const std::string& job_directory, int rank) {
  return OutputDirectory(job_directory) + "/rank-" + std::to_string(rank) + ".held";
}

void WriteHeld(const std::string& path, std::uint64_t job, int rank, const HeldRecord& record) {
  Head head{};
  head.header = {kHeldMagic, kRecordVersion, rank, job};
  head.stdout_start = record.standard_output.start;
  head.stdout_bytes = record.standard_output.bytes.size();
  head.stderr_start = record.standard_error.start;
  head.stderr_bytes = record.standard_error.bytes.size();
  std::string content(reinterpret_cast<const char*>(&head), sizeof head);
  content += record.standard_output.bytes;
  content += record.standard_error.bytes;
  const std::uint64_t checksum = XXH64(content.data(), content.size(), 0);
  content.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
  ReplaceFile(path, content);
}

std::optional<HeldRecord> ReadHeld(const std::string& path, std::uint64_t job, int rank) {
  const std::optional<std::string> content = ReadWholeFile(path);
  if (!content) return std::nullopt;
  const auto fail = [&](const char* reason) { return JobDirectoryError(path + ": " + reason); };
  Head head;
  std::uint64_t checksum = 0;
  if (content->size() < sizeof head + sizeof checksum) throw fail("truncated");
  std::memcpy(&head, content->data(), sizeof head);
  if (head.header.magic != kHeldMagic) throw fail("foreign: not a record of this kind");
  if (head.header.version != kRecordVersion) throw fail("of another record version");
  const std::size_t covered = content->size() - sizeof checksum;
  std::memcpy(&checksum, content->data() + covered, sizeof checksum);
  if (checksum != XXH64(content->data(), covered, 0)) throw fail("damaged (checksum)");
  const std::uint64_t held = covered - sizeof head;
  if (head.stdout_bytes > held || head.stderr_bytes != held - head.stdout_bytes)
    throw fail("damaged (lengths)");
  if (head.header.job != job) throw fail("belongs to another job");
  if (head.header.rank != rank) throw fail("belongs to another rank");
  HeldRecord record;
  record.standard_output = {head.stdout_start, content->substr(sizeof head, head.stdout_bytes)};
  record.standard_error = {head.stderr_start,
                           content->substr(sizeof head + head.stdout_bytes, head.stderr_bytes)};
  return record;
}

}  // namespace ftmpi::recovery
