// What hosts do: checkpoints, commit records, restarts; storage takes its time and fails.
#include <algorithm>

#include "tests/checkpoint/simulator/world.h"

namespace ftmpi::checkpoint::simulator {

void World::CutNow(int rank) {
  Rank& at = At(rank);
  at.copies.clear();
  at.pending = {};
  at.pending.cut = at.participant->Cut();
  at.pending.state = at.state;
  at.pending.log_from = at.trimmed;
  at.jobs.push_back({Work::kWrite, at.pending.cut.csn});
  if (options_.defect == Defect::kAnswerTooEarly) {
    at.participant->OnTentativeTaken(at.pending.cut.csn, true);
  }
}

void World::DoOneJob(int rank) {
  Rank& at = At(rank);
  if (at.jobs.empty()) return;
  const Job job = at.jobs.front();
  at.jobs.pop_front();
  const bool fails = !draining_ && Chance(options_.write_failures);
  switch (job.work) {
    case Work::kCut:
      if (fails) {
        at.participant->OnTentativeTaken(job.csn, false);
      } else {
        CutNow(rank);
      }
      return;
    case Work::kWrite: {
      if (fails) {
        at.participant->OnTentativeTaken(job.csn, false);
        return;
      }
      if (options_.defect == Defect::kPreviousDeleted) at.storage.clear();
      Checkpoint& checkpoint = at.storage[job.csn];
      const std::vector<Copy> saved = checkpoint.saved;  // flushed before the rest was written
      checkpoint = at.pending;
      checkpoint.saved = saved;
      checkpoint.complete = true;
      at.participant->OnTentativeTaken(job.csn, true);
      return;
    }
    case Work::kFlush: {
      const std::size_t count = at.copies.size();
      if (options_.defect == Defect::kStableTooEarly && Chance(50)) {
        at.participant->OnInTransitStable(job.csn, count, true);
        at.jobs.push_back(job);
        return;
      }
      if (fails) {
        at.participant->OnInTransitStable(job.csn, 0, false);
        return;
      }
      if (options_.defect != Defect::kInTransitForgotten) {
        at.storage[job.csn].saved = at.copies;
      }
      at.participant->OnInTransitStable(job.csn, count, true);
      return;
    }
    case Work::kRecord:
      if (fails) {
        at.participant->OnCommitRecorded(job.csn, false);
        return;
      }
      commit_record_ = job.csn;
      dirty_ = true;
      at.jobs.push_front({Work::kReportRecord, job.csn});  // a crash may fall in between
      return;
    case Work::kReportRecord:
      at.participant->OnCommitRecorded(job.csn, true);
      return;
    case Work::kRestore:
      if (job.epoch == 0) {
        at.participant->StartRollback();
      } else {
        Restore(rank, job.epoch, job.csn, rank != 0 && Chance(40));
      }
      return;
  }
}

// The rank goes back to its checkpoint; `replaced`: as a new process.
void World::Restore(int rank, std::uint32_t epoch, Csn csn, bool replaced) {
  Rank& at = At(rank);
  if (csn != commit_record_) {
    Violated("rank " + std::to_string(rank) + " goes back to checkpoint " + std::to_string(csn) +
             " instead of " + std::to_string(commit_record_));
    return;
  }
  Checkpoint checkpoint;
  checkpoint.state = EmptyState();
  checkpoint.cut.rank = rank;
  checkpoint.log_from.assign(ranks_.size(), 0);
  if (csn != 0) checkpoint = at.storage[csn];
  at.state = checkpoint.state;
  at.trimmed = checkpoint.log_from;
  std::vector<ChannelCut> saved;
  for (const Copy& copy : checkpoint.saved) {
    auto& received = at.state.received[static_cast<std::size_t>(copy.source)];
    if (!received.insert(copy.number).second) Violated("a saved message was received already");
    saved.push_back({copy.source, 0, 1});
  }
  at.resend.clear();
  if (options_.keeper == Keeper::kSender) {
    for (int to = 0; to < options_.ranks; ++to) {
      CutRecord other;
      other.rank = to;
      if (csn != 0) other = At(to).storage[csn].cut;
      const MessageRange range = InTransit(checkpoint.cut, other);
      for (std::uint64_t n = range.first; n <= range.last; ++n) at.resend[to].push_back(n);
    }
  }
  at.copies.clear();
  std::erase_if(at.jobs, [](const Job& job) { return job.work != Work::kRestore; });
  at.stopped = false;
  if (options_.defect == Defect::kCountsNotRestored) {
    checkpoint.cut.channels.clear();
    saved.clear();
  }
  if (replaced) {
    std::erase_if(at.storage, [csn](const auto& entry) { return entry.first != csn; });
    at.jobs.clear();
    at.participant = MakeParticipant(rank, epoch, csn);
    if (csn != 0) at.participant->Restore(checkpoint.cut, saved);
  } else {
    at.participant->EnterEpoch(epoch, csn, &checkpoint.cut, saved);
  }
}

void World::Relaunch() {
  ++epoch_;
  for (const Rank& rank : ranks_) epoch_ = std::max(epoch_, rank.participant->epoch() + 1);
  channels_.clear();
  busy_.clear();
  rolling_ = false;
  for (int r = 0; r < options_.ranks; ++r) {
    At(r).jobs.clear();
    Restore(r, epoch_, commit_record_, true);
  }
  ++result_.restarts;
}

}  // namespace ftmpi::checkpoint::simulator
