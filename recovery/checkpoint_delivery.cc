#include "recovery/checkpoint_delivery.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <span>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/sealed_file.h"
#include "checkpoint/server_start.h"
#include "logging/log_error.h"

namespace ftmpi::recovery {
namespace {

using checkpoint::FileIdentity;
using checkpoint::SealedReader;
using logging::Environment;
using logging::LogError;

// Throws unless the file is the one that is wanted.
void CheckIdentity(const SealedReader& file, const DeliveryOptions& options, std::int32_t rank) {
  const FileIdentity& of = file.identity();
  if (of.type == checkpoint::FileType::kRank && of.job == options.job && of.csn == options.csn &&
      of.epoch == options.epoch && of.np == options.np && of.rank == rank &&
      of.base_csn == checkpoint::kNoBase) {
    return;
  }
  throw LogError(fmt::format("{}: is not of rank {}, checkpoint {}, recovery epoch {} of this job",
                             file.path(), rank, options.csn, options.epoch));
}

bool IsThere(Environment* environment, const std::string& path, const SealedReader& source) {
  if (!environment->Exists(path)) return false;
  try {
    SealedReader file(environment, path);
    if (file.identity() != source.identity() || file.seal() != source.seal()) return false;
    file.CheckAll();
    return true;
  } catch (const LogError&) {
    return false;  // it is replaced
  }
}

void Copy(Environment* environment, const std::string& from, std::uint64_t length,
          const std::string& to, const std::function<void()>& on_part) {
  constexpr std::uint64_t kPart = std::uint64_t{4} << 20;
  const std::unique_ptr<logging::ReadableFile> source = environment->OpenReadable(from);
  const std::string temporary = to + ".new";
  if (environment->Exists(temporary)) environment->Remove(temporary);
  try {
    const std::unique_ptr<logging::WritableFile> file = environment->CreateWritable(temporary);
    std::vector<std::byte> part(kPart);
    for (std::uint64_t done = 0; done < length;) {
      const std::span<std::byte> wanted = std::span(part).first(std::min(kPart, length - done));
      if (source->ReadAt(done, wanted) != wanted.size())
        throw LogError(from + ": it became shorter while it was read");
      file->Append(wanted);
      done += wanted.size();
      if (on_part) on_part();
    }
    file->Sync();
    file->Close();
    // What is read back from there is what was sealed here.
    SealedReader(environment, temporary).CheckAll();
    environment->Rename(temporary, to);
  } catch (const LogError&) {
    logging::RemoveQuietly(environment, temporary);
    throw;
  }
}

}  // namespace

void Deliver(Environment* environment, const DeliveryOptions& options) {
  const std::string directory = checkpoint::CheckpointDirectory(options.job_directory, options.csn);
  const auto deliver = [&](const std::string& root, std::int32_t rank) {
    const std::string from = checkpoint::RankPath(root, options.csn, rank);
    const std::string to = checkpoint::RankPath(options.job_directory, options.csn, rank);
    SealedReader source(environment, from);
    CheckIdentity(source, options, rank);
    if (options.on_part) options.on_part();
    if (IsThere(environment, to, source)) return;
    Copy(environment, from, source.file_length(), to, options.on_part);
  };
  for (const std::int32_t rank : options.own)
    deliver(checkpoint::LocalStoreDirectory(options.local_directory), rank);
  for (const std::int32_t rank : options.copied)
    deliver(checkpoint::PartnerStoreDirectory(options.local_directory), rank);
  environment->SyncDirectory(directory);
}

}  // namespace ftmpi::recovery
