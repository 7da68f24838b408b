#include "checkpoint/commit.h"

#include <algorithm>
#include <set>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/deletion.h"
#include "checkpoint/index_file.h"
#include "checkpoint/kind_names.h"
#include "checkpoint/sealed_file.h"
#include "checkpoint/store_error.h"

namespace ftmpi::checkpoint {
namespace {

using logging::Environment;

// The directory's own entry is durable too.
void MakeDurableDirectory(Environment* environment, const std::string& path) {
  if (environment->Exists(path)) return;
  environment->MakeDirectory(path);
  environment->SyncDirectory(logging::DirectoryOf(path));
}

// The CSNs whose files `csn` of these ranks builds on.
std::set<std::uint64_t> BasesOf(Environment* environment, const std::string& root,
                                std::uint64_t csn, const std::vector<std::int32_t>& ranks) {
  std::set<std::uint64_t> bases;
  for (const std::int32_t rank : ranks) {
    std::uint64_t at = csn;
    while (at != kNoBase) {
      const FileIdentity identity = SealedReader(environment, RankPath(root, at, rank)).identity();
      if (identity.base_csn >= at) {
        throw StoreError(RankPath(root, at, rank) + ": its base is not older than itself");
      }
      at = identity.base_csn;
      if (at != kNoBase) bases.insert(at);
    }
  }
  return bases;
}

}  // namespace

WrittenFile WriteCheckpoint(Environment* environment, const std::string& root, Manifest manifest,
                            MemorySource* memory, int compression) {
  CheckpointAttributes& of = manifest.attributes;
  if (const char* why = Invalid(of)) {
    throw StoreError(std::string("the checkpoint that the rank asks for can't be: ") + why);
  }
  if (of.time == 0) of.time = environment->WallClockNanoseconds();
  const std::string path = PathOf(root, of.kind, of.csn, of.rank);
  WriteOptions options;
  options.compression = compression;
  if (of.base_csn != kNoBase) {
    const std::string base_path = PathOf(root, of.kind, of.base_csn, of.rank);
    const SealedReader base(environment, base_path);
    if (base.identity().job != of.job || base.identity().rank != of.rank) {
      throw StoreError(base_path + ": of another job or rank; it can't be built on");
    }
    options.base_seal = base.seal();
  }
  if (!IsPermanentByItself(of.kind) && environment->Exists(IndexPath(root, of.csn))) {
    throw StoreError(IndexPath(root, of.csn) +
                     ": the checkpoint is permanent already; its files are not written again");
  }
  MakeDurableDirectory(environment, logging::DirectoryOf(path));
  return WriteRankFile(environment, path, manifest, memory, options);
}

CommitResult MakePermanent(Environment* environment, const std::string& root, std::uint64_t job,
                           std::uint64_t csn, std::int32_t np,
                           const std::vector<std::int32_t>& ranks, std::uint32_t keep) {
  const std::string index_path = IndexPath(root, csn);
  if (!environment->Exists(index_path)) {
    IndexFile index;
    for (const std::int32_t rank : ranks) {
      const std::string path = RankPath(root, csn, rank);
      const SealedReader file(environment, path);
      const FileIdentity& of = file.identity();
      if (of.type != FileType::kRank || of.job != job || of.csn != csn || of.rank != rank ||
          of.np != np || IsPermanentByItself(of.kind)) {
        throw StoreError(path + ": of another job, checkpoint or rank; checkpoint " +
                         std::to_string(csn) + " can't become permanent");
      }
      if (index.entries.empty()) {
        index.identity = of;
      } else if (of.kind != index.identity.kind || of.epoch != index.identity.epoch) {
        throw StoreError(path +
                         ": of another kind or recovery epoch than the files of the other "
                         "ranks; checkpoint " +
                         std::to_string(csn) + " can't become permanent");
      }
      index.entries.push_back({rank, 0, file.file_length(), of.base_csn, file.seal()});
    }
    if (index.entries.empty()) {
      throw StoreError(index_path + ": a checkpoint of no ranks can't become permanent");
    }
    index.identity.type = FileType::kIndex;
    index.identity.rank = -1;
    index.identity.base_csn = kNoBase;
    index.identity.base_seal = 0;
    index.identity.time = environment->WallClockNanoseconds();
    WriteIndexFile(environment, index_path, index);
  }
  // Permanent. What follows is tidying up.
  CommitResult result;
  try {
    std::set<std::uint64_t> needed = BasesOf(environment, root, csn, ranks);
    std::uint32_t kept = 1;
    for (const CheckpointListing& each : ListCheckpoints(environment, root)) {
      if (each.csn >= csn) continue;
      if (each.has_index && kept < keep) {
        ++kept;
        needed.insert(each.csn);
        try {
          needed.merge(BasesOf(environment, root, each.csn, ranks));
        } catch (const logging::LogError& error) {
          // Damaged: nothing that could be told is needed for it.
          result.remarks.push_back("checkpoint " + std::to_string(each.csn) +
                                   " can't be used any more: " + error.what());
        }
      }
      if (needed.contains(each.csn)) continue;
      try {
        DeleteCheckpoint(environment, root, each.csn);
      } catch (const logging::LogError& error) {
        result.remarks.push_back("checkpoint " + std::to_string(each.csn) +
                                 " is not needed any more and can't be deleted: " + error.what());
      }
    }
  } catch (const logging::LogError& error) {
    result.remarks.push_back(std::string("older checkpoints are not deleted: ") + error.what());
  }
  return result;
}

void AbortCheckpoint(Environment* environment, const std::string& root, std::uint64_t csn) {
  if (environment->Exists(IndexPath(root, csn))) {
    throw StoreError(IndexPath(root, csn) + ": the checkpoint is permanent, it can't be given up");
  }
  DeleteCheckpoint(environment, root, csn);
}

}  // namespace ftmpi::checkpoint
