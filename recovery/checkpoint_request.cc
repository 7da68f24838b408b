#include "recovery/checkpoint_request.h"

#include <charconv>
#include <cstdio>
#include <string_view>

#include "recovery/durable_file.h"
#include "recovery/job_directory.h"
#include "recovery/job_records.h"
#include "recovery/sealed_record.h"

namespace ftmpi::recovery {
namespace {

constexpr char kPrefix[] = "checkpoint-";
constexpr std::size_t kDigits = 16;

}  // namespace

std::string RequestDirectory(const std::string& job_directory) {
  return job_directory + "/requests";
}

std::string RequestPath(const std::string& job_directory, std::uint64_t id) {
  char name[64];
  std::snprintf(name, sizeof name, "%s%016lx", kPrefix, static_cast<unsigned long>(id));
  return RequestDirectory(job_directory) + "/" + name;
}

std::string AnswerPath(const std::string& request_path) { return request_path + ".answer"; }

std::optional<std::uint64_t> RequestId(const std::string& name) {
  std::string_view text = name;
  if (!text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(sizeof kPrefix - 1);
  std::uint64_t id = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, code] = std::from_chars(text.data(), end, id, 16);
  if (text.size() != kDigits || code != std::errc() || rest != end) return std::nullopt;
  return id;
}

void WriteCheckpointRequest(const std::string& path, std::uint64_t job, bool wait) {
  RequestLayout layout{};
  layout.header = {kRequestMagic, kRecordVersion, 0, job};
  layout.wait = wait ? 1 : 0;
  ReplaceFileLoosely(path, Seal(layout));
}

std::optional<bool> ReadCheckpointRequest(const std::string& path, std::uint64_t job) {
  const auto layout = ReadSealed<RequestLayout>(path, kRequestMagic, job);
  if (!layout) return std::nullopt;
  if (layout->wait > 1)
    throw JobDirectoryError(path + ": damaged (wait is " + std::to_string(layout->wait) + ")");
  return layout->wait == 1;
}

void WriteCheckpointAnswer(const std::string& path, std::uint64_t job,
                           const CheckpointAnswer& answer) {
  AnswerLayout layout{};
  layout.header = {kAnswerMagic, kRecordVersion, 0, job};
  layout.answer = static_cast<std::uint32_t>(answer.answer);
  layout.csn = answer.csn;
  ReplaceFileLoosely(path, Seal(layout));
}

std::optional<CheckpointAnswer> ReadCheckpointAnswer(const std::string& path, std::uint64_t job) {
  const auto layout = ReadSealed<AnswerLayout>(path, kAnswerMagic, job);
  if (!layout) return std::nullopt;
  if (layout->answer < static_cast<std::uint32_t>(RequestAnswer::kAccepted) ||
      layout->answer > static_cast<std::uint32_t>(RequestAnswer::kEnded)) {
    throw JobDirectoryError(path + ": damaged (no such answer: " + std::to_string(layout->answer) +
                            ")");
  }
  return CheckpointAnswer{static_cast<RequestAnswer>(layout->answer), layout->csn};
}

}  // namespace ftmpi::recovery
