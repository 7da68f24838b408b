#include "checkpoint/deletion.h"

#include <set>
#include <vector>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/level_record.h"
#include "checkpoint/sealed_file.h"
#include "checkpoint/store_error.h"

namespace ftmpi::checkpoint {

using logging::Environment;
using logging::JoinPath;

void DeleteCheckpoint(Environment* environment, const std::string& root, std::uint64_t csn) {
  const std::string directory = CheckpointDirectory(root, csn);
  if (!environment->Exists(directory)) return;
  // Without them the rest counts for nothing, however far we get.
  for (const char* name : {kIndexName, kLevelRecordName}) {
    const std::string path = JoinPath(directory, name);
    if (!environment->Exists(path)) continue;
    environment->Remove(path);
    environment->SyncDirectory(directory);
  }
  for (const CheckpointListing& each : ListCheckpoints(environment, root)) {
    if (each.csn != csn) continue;
    for (const std::string& name : each.leftovers) environment->Remove(JoinPath(directory, name));
    for (const std::string& name : each.transit) environment->Remove(JoinPath(directory, name));
    for (const std::int32_t rank : each.ranks) environment->Remove(RankPath(root, csn, rank));
  }
  if (!environment->List(directory).empty()) {
    throw StoreError(directory + ": there are files in it that are not ftmpi's; it stays");
  }
  environment->RemoveDirectory(directory);
  environment->SyncDirectory(root);
}

void DiscardOwnCheckpoints(Environment* environment, const std::string& root, std::int32_t rank,
                           std::uint64_t keep_from) {
  const std::vector<std::uint64_t> csns = ListOwnCheckpoints(environment, root, rank);
  std::set<std::uint64_t> needed;
  for (const std::uint64_t csn : csns) {
    if (csn < keep_from && !needed.contains(csn)) continue;
    // Throws for a damaged file: then the older ones may be all that is left, and stay.
    const std::uint64_t base =
        SealedReader(environment, OwnPath(root, rank, csn)).identity().base_csn;
    if (base != kNoBase) needed.insert(base);
  }
  bool removed = false;
  for (auto csn = csns.rbegin(); csn != csns.rend(); ++csn) {
    if (*csn >= keep_from || needed.contains(*csn)) continue;
    environment->Remove(OwnPath(root, rank, *csn));
    removed = true;
  }
  if (removed) environment->SyncDirectory(OwnDirectory(root, rank));
}

void DeleteAllCheckpoints(Environment* environment, const std::string& root) {
  for (const CheckpointListing& each : ListCheckpoints(environment, root)) {
    DeleteCheckpoint(environment, root, each.csn);
  }
  for (const std::int32_t rank : ListOwnRanks(environment, root)) {
    const std::string directory = OwnDirectory(root, rank);
    for (const std::uint64_t csn : ListOwnCheckpoints(environment, root, rank)) {
      environment->Remove(OwnPath(root, rank, csn));
    }
    for (const std::string& name : environment->List(directory)) {
      if (name.starts_with("checkpoint-") && name.ends_with(".h5.new")) {
        environment->Remove(JoinPath(directory, name));
      }
    }
    if (environment->List(directory).empty()) environment->RemoveDirectory(directory);
  }
}

}  // namespace ftmpi::checkpoint
