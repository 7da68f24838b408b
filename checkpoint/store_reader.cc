#include "checkpoint/store_reader.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <functional>
#include <set>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/image_chain.h"
#include "checkpoint/kind_names.h"
#include "checkpoint/store_error.h"
#include "checkpoint/transit_file.h"

namespace ftmpi::checkpoint {
namespace {

using logging::Environment;

std::string JobText(std::uint64_t job) {
  char text[32];
  std::snprintf(text, sizeof text, "%016" PRIx64, job);
  return text;
}

// One rank's file as checkpoint.h5 lists it, and the chain behind it.
void ExamineRank(Environment* environment, const std::string& root, const IndexFile& index,
                 const FileEntry& entry, Depth depth, std::set<std::uint64_t>* bases) {
  std::string path = RankPath(root, index.identity.csn, entry.rank);
  {
    const SealedReader file(environment, path);
    if (file.seal() != entry.seal || file.file_length() != entry.bytes) {
      throw StoreError(path + ": not the file that " + kIndexName +
                       " lists (its seal is another); files of two checkpoints or jobs were mixed");
    }
  }
  if (depth == Depth::kEverything) {
    ImageChain chain(environment, root, index.identity.kind, index.identity.csn, entry.rank);
    chain.CheckAll();
    for (const auto& file : chain.files()) bases->insert(file->identity().csn);
    const FileIdentity& of = index.identity;
    (void)ReadTransitFile(
        environment, logging::JoinPath(logging::DirectoryOf(path), TransitFileName(entry.rank)),
        {of.job, static_cast<std::uint32_t>(of.csn), of.epoch, entry.rank});
    return;
  }
  std::uint64_t csn = index.identity.csn;
  std::uint64_t seal = entry.seal;
  for (std::size_t length = 0;; ++length) {
    path = RankPath(root, csn, entry.rank);
    const SealedReader file(environment, path);
    const FileIdentity& of = file.identity();
    if (of.csn != csn || of.rank != entry.rank || of.job != index.identity.job ||
        file.seal() != seal || (of.base_csn != kNoBase && of.base_csn >= csn) ||
        length > kMaximumChain) {
      throw StoreError(path + ": not the file that checkpoint " +
                       std::to_string(index.identity.csn) +
                       " builds on; files of two checkpoints or jobs were mixed");
    }
    bases->insert(csn);
    if (of.base_csn == kNoBase) return;
    csn = of.base_csn;
    seal = of.base_seal;
  }
}

// Runs `action`; what it throws becomes a problem.
bool Try(std::vector<std::string>* problems, const std::function<void()>& action) {
  try {
    action();
    return true;
  } catch (const logging::LogError& error) {
    problems->emplace_back(error.what());
    return false;
  }
}

}  // namespace

CheckpointReport Examine(Environment* environment, const std::string& root, std::uint64_t csn,
                         std::uint64_t job, Depth depth, bool partial) {
  CheckpointReport report;
  report.csn = csn;
  const std::string index_path = IndexPath(root, csn);
  report.permanent = environment->Exists(index_path);
  for (const CheckpointListing& each : ListCheckpoints(environment, root)) {
    if (each.csn != csn) continue;
    report.files = each.ranks.size();
    for (const std::int32_t rank : each.ranks) {
      Try(&report.problems, [&] {
        const std::string path = RankPath(root, csn, rank);
        report.bytes += environment->FileSize(path);
        if (report.permanent) return;  // comes below, by checkpoint.h5
        report.identity = SealedReader(environment, path).identity();
        if (depth == Depth::kEverything) RankFileReader(environment, path).CheckAll();
      });
    }
  }
  if (!report.permanent) return report;
  IndexFile index;
  const bool read = Try(&report.problems, [&] {
    report.bytes += environment->FileSize(index_path);
    index = ReadIndexFile(environment, index_path);
    report.identity = index.identity;
    if (index.identity.csn != csn) {
      throw StoreError(index_path + ": of checkpoint " + std::to_string(index.identity.csn) +
                       ", not of this one; files of two checkpoints were mixed");
    }
    if (job != 0 && index.identity.job != job) {
      throw StoreError(index_path + ": of job " + JobText(index.identity.job) + ", not of job " +
                       JobText(job));
    }
    if (!partial && index.entries.size() != static_cast<std::size_t>(index.identity.np)) {
      throw StoreError(index_path + ": lists " + std::to_string(index.entries.size()) + " of " +
                       std::to_string(index.identity.np) + " ranks");
    }
  });
  if (!read) return report;
  std::set<std::uint64_t> bases;
  for (const FileEntry& entry : index.entries) {
    Try(&report.problems, [&] { ExamineRank(environment, root, index, entry, depth, &bases); });
  }
  bases.erase(csn);
  report.builds_on.assign(bases.rbegin(), bases.rend());
  report.usable = report.problems.empty();
  return report;
}

NewestUsable FindNewestUsable(Environment* environment, const std::string& root, std::uint64_t job,
                              Depth depth, bool partial) {
  NewestUsable answer;
  for (const CheckpointListing& each : ListCheckpoints(environment, root)) {
    CheckpointReport report = Examine(environment, root, each.csn, job, depth, partial);
    if (report.usable) {
      answer.checkpoint = std::move(report);
      return answer;
    }
    answer.passed_over.push_back(std::move(report));
  }
  return answer;
}

CheckpointReport ExamineOwn(Environment* environment, const std::string& root, std::int32_t rank,
                            std::uint64_t csn, std::uint64_t job, Depth depth) {
  CheckpointReport report;
  report.csn = csn;
  report.permanent = true;
  report.files = 1;
  Try(&report.problems, [&] {
    const std::string path = OwnPath(root, rank, csn);
    report.bytes = environment->FileSize(path);
    report.identity = SealedReader(environment, path).identity();
    if (job != 0 && report.identity.job != job) {
      throw StoreError(path + ": of job " + JobText(report.identity.job) + ", not of job " +
                       JobText(job));
    }
    ImageChain chain(environment, root, report.identity.kind, csn, rank);
    if (depth == Depth::kEverything) chain.CheckAll();
    for (std::size_t i = 1; i < chain.files().size(); ++i) {
      report.builds_on.push_back(chain.files()[i]->identity().csn);
    }
  });
  report.usable = report.problems.empty();
  return report;
}

std::optional<std::uint64_t> FindNewestOwn(Environment* environment, const std::string& root,
                                           std::uint64_t job, std::int32_t rank, Depth depth,
                                           std::vector<std::string>* problems) {
  for (const std::uint64_t csn : ListOwnCheckpoints(environment, root, rank)) {
    CheckpointReport report = ExamineOwn(environment, root, rank, csn, job, depth);
    if (report.usable) return csn;
    problems->insert(problems->end(), report.problems.begin(), report.problems.end());
  }
  return std::nullopt;
}

}  // namespace ftmpi::checkpoint
