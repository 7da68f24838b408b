#include "recovery/store_listing.h"

#include <algorithm>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/kind_names.h"
#include "checkpoint/level_record.h"
#include "checkpoint/sealed_file.h"
#include "checkpoint/server_start.h"
#include "logging/event_log.h"
#include "logging/log_error.h"

namespace ftmpi::recovery {
namespace {

using checkpoint::Depth;
using logging::Environment;
using logging::JoinPath;

// The last one of the listing says in the job directory that its files are on the nodes.
void NoteLevel(Environment* environment, const std::string& root, StoreListing* listing) {
  ListedCheckpoint& last = listing->checkpoints.back();
  try {
    const auto record = checkpoint::ReadLevelRecord(environment, root, last.report.csn);
    if (!record) return;
    last.level = record->level == checkpoint::Level::kPartner ? "partner" : "local";
    last.on_nodes = true;
    last.report.permanent = true;
    last.report.identity.np = record->np;
    last.report.identity.epoch = record->epoch;
    last.report.identity.time = record->time;
    last.report.identity.kind = checkpoint::CheckpointKind::kCoordinated;
  } catch (const logging::LogError& error) {
    last.report.problems.emplace_back(error.what());
  }
}

void AddCheckpoints(Environment* environment, const std::string& level, const std::string& root,
                    std::uint64_t job, Depth depth, StoreListing* listing) {
  for (const auto& each : checkpoint::ListCheckpoints(environment, root)) {
    const std::string directory = checkpoint::CheckpointDirectory(root, each.csn);
    listing->checkpoints.push_back(
        {level, directory, -1,
         checkpoint::Examine(environment, root, each.csn, job, depth, level != "shared")});
    if (each.has_level && !each.has_index) NoteLevel(environment, root, listing);
    for (const std::string& name : each.leftovers) {
      listing->leftovers.push_back(JoinPath(directory, name));
    }
  }
  for (const std::int32_t rank : checkpoint::ListOwnRanks(environment, root)) {
    for (const std::uint64_t csn : checkpoint::ListOwnCheckpoints(environment, root, rank)) {
      ListedCheckpoint own{level, checkpoint::OwnDirectory(root, rank), rank,
                           checkpoint::ExamineOwn(environment, root, rank, csn, job, depth)};
      listing->checkpoints.push_back(std::move(own));
    }
  }
}

void AddLogs(Environment* environment, Depth depth, StoreListing* listing) {
  const std::string directory = LogDirectory(listing->job_directory);
  if (!environment->Exists(directory)) return;
  for (const std::string& name : environment->List(directory)) {
    if (name.find(".events-") == std::string::npos) continue;
    ListedLog log;
    log.path = JoinPath(directory, name);
    try {
      log.bytes = environment->FileSize(log.path);
      if (depth == Depth::kEverything) {
        const logging::EventLogContents contents = logging::ReadEventBlocks(environment, log.path);
        log.events = contents.determinants.size();
        log.problem = contents.damaged;
      }
    } catch (const logging::LogError& error) {
      log.problem = error.what();
    }
    listing->logs.push_back(std::move(log));
  }
}

}  // namespace

StoreListing ListStore(Environment* environment, const std::string& job_directory, Depth depth) {
  StoreListing listing;
  listing.job_directory = job_directory;
  try {
    listing.job = ReadJobDescription(job_directory);
  } catch (const JobDirectoryError& error) {
    listing.problems.emplace_back(error.what());
  }
  const std::uint64_t job = listing.job ? listing.job->job : 0;
  AddCheckpoints(environment, "shared", job_directory, job, depth, &listing);
  if (listing.job) {
    AddCheckpoints(environment, "local",
                   checkpoint::LocalStoreDirectory(listing.job->local_directory), job, depth,
                   &listing);
    AddCheckpoints(environment, "partner",
                   checkpoint::PartnerStoreDirectory(listing.job->local_directory), job, depth,
                   &listing);
  }
  AddLogs(environment, depth, &listing);
  return listing;
}

std::vector<std::string> StoreListing::AllProblems() const {
  std::vector<std::string> all = problems;
  for (const ListedCheckpoint& each : checkpoints) {
    all.insert(all.end(), each.report.problems.begin(), each.report.problems.end());
  }
  for (const ListedLog& each : logs) {
    if (!each.problem.empty()) all.push_back(each.problem);
  }
  // The damage of a base is found again by everything that builds on it.
  std::vector<std::string> unique;
  for (std::string& each : all) {
    if (std::find(unique.begin(), unique.end(), each) == unique.end()) {
      unique.push_back(std::move(each));
    }
  }
  return unique;
}

const ListedCheckpoint* StoreListing::Newest() const {
  for (const ListedCheckpoint& each : checkpoints) {
    if (each.rank < 0 && each.level == "shared" && each.report.usable) return &each;
  }
  return nullptr;
}

}  // namespace ftmpi::recovery
