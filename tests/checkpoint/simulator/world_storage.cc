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
        rolling_ = true;
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
  if (alone_ >= 0 && rank != alone_) {  // a survivor
    at.stopped = false;
    at.participant->EnterEpoch(epoch, csn, nullptr);
    return;
  }
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
  at.dead = false;
  if (alone_ < 0 && options_.keeper == Keeper::kSender) {
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
  rolling_ = replay_ = false;
  alone_ = -1;
  for (int r = 0; r < options_.ranks; ++r) {
    At(r).jobs.clear();
    Restore(r, epoch_, commit_record_, true);
  }
  ++result_.restarts;
}

// A process is gone. It alone goes back to the committed checkpoint and executes again what it did.
void World::LoseOneRank() {
  alone_ = 1 + static_cast<int>(random_() % static_cast<unsigned>(options_.ranks - 1));
  rolling_ = true;
  Rank& lost = At(alone_);
  before_ = lost.state;
  lost.dead = true;
  lost.jobs.clear();
  ++result_.alone;
  At(0).participant->StartRollback();
}

// All are in the new epoch. The rank that went back sends anew what it had sent (it goes no
// further) and gets from the logs what it had received. Whatever was under way on the old wire is
// forgotten: what a channel lacks is sent again.
void World::ReplayAndResend() {
  replay_ = false;
  Rank& at = At(alone_);
  for (int peer = 0; peer < options_.ranks; ++peer) {
    const auto p = static_cast<std::size_t>(peer);
    Channel* channel = at.participant->ChannelOf(peer);
    while (at.state.sent[p] < before_.sent[p]) {
      ++at.state.sent[p];
      at.participant->BeforeSend(channel);
    }
  }
  for (int peer = 0; peer < options_.ranks; ++peer) {
    const auto p = static_cast<std::size_t>(peer);
    const auto me = static_cast<std::size_t>(alone_);
    Rank& sender = At(peer);
    for (const std::uint64_t number : before_.received[p]) {
      if (at.state.received[p].contains(number)) continue;
      if (peer != alone_ && number <= sender.trimmed[me]) {
        return Violated("message " + std::to_string(number) + " of rank " + std::to_string(peer) +
                        " can't be replayed to rank " + std::to_string(alone_));
      }
      const std::uint32_t word =
          sender.participant->ResendWord(sender.participant->ChannelOf(alone_), number);
      if (at.participant->OnMessage(at.participant->ChannelOf(peer), word) != Action::kDeliver) {
        return Violated("a replayed message is not delivered");
      }
      at.state.received[p].insert(number);
    }
  }
  alone_ = -1;
  channels_.clear();
  busy_.clear();
  for (int from = 0; from < options_.ranks; ++from) {
    for (int to = 0; to < options_.ranks; ++to) {
      const std::uint64_t received = At(to).state.received[static_cast<std::size_t>(from)].size();
      auto& again = At(from).resend;
      again.erase(to);
      for (std::uint64_t n = received + 1; n <= At(from).state.sent[static_cast<std::size_t>(to)];
           ++n) {
        if (n <= At(from).trimmed[static_cast<std::size_t>(to)]) {
          return Violated("a message that was lost on the wire is not in the log any more");
        }
        again[to].push_back(n);
      }
    }
  }
}

}  // namespace ftmpi::checkpoint::simulator
