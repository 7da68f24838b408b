// Induced checkpoints under random executions, deferred cuts, failing writes, crashes of the whole
// job.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/cut_record.h"
#include "checkpoint/induced.h"

namespace ftmpi::checkpoint {
namespace {

UncoordinatedConfiguration Configured(int rank, int size) {
  UncoordinatedConfiguration configuration;
  configuration.rank = rank;
  configuration.size = size;
  return configuration;
}

enum class Defect { kNone, kNotForced, kTrimToOwnCut, kFailedReported };

class Job {
 public:
  Job(std::uint64_t seed, Defect defect) : defect_(defect), random_(seed) {
    ranks_.resize(1 + random_() % 5);
    deferred_ = random_() % 3 == 0;
    failures_ = random_() % 3 == 0 ? 10 : 0;
    for (int r = 0; r < Size(); ++r) {
      Rank& at = At(r);
      at.state.sent.assign(ranks_.size(), 0);
      at.state.received.resize(ranks_.size());
      at.trimmed.assign(ranks_.size(), 0);
      at.host = std::make_unique<Host>(this, r);
      at.checkpoints = std::make_unique<InducedCheckpoints>(Configured(r, Size()), at.host.get());
    }
  }
  std::string Run(int steps) {
    for (step_ = 0; step_ < steps && violation_.empty(); ++step_) {
      Step();
      if (!violation_.empty()) break;
      const Csn line = RecoveryLine();
      if (line < announced_) Violated("the announced line is not there any more");
      if (random_() % 60 == 0) Crash(line);
    }
    return violation_;
  }
  std::uint64_t lines = 0;
  std::uint64_t discarded = 0;
  std::uint64_t crashes = 0;

 private:
  struct State {
    std::vector<std::uint64_t> sent;
    std::vector<std::set<std::uint64_t>> received;
  };
  struct Stored {
    State state;
    KeptCheckpoint checkpoint;
    std::vector<std::uint64_t> log_from;
  };
  struct Packet {
    bool control;
    std::uint32_t word;
    std::uint64_t number;
    std::vector<std::byte> bytes;
  };
  class Host;
  struct Rank {
    std::unique_ptr<Host> host;
    std::unique_ptr<InducedCheckpoints> checkpoints;
    State state;
    std::vector<std::uint64_t> trimmed;
    std::map<Csn, Stored> storage;
    std::map<Csn, Stored> writing;
    std::deque<std::function<void()>> jobs;
    bool cut_wanted = false;
  };
  class Host final : public UncoordinatedHost {
   public:
    Host(Job* job, int rank) : job_(job), rank_(rank) {}
    void SendControl(int destination, std::span<const std::byte> message) override {
      job_->channels_[{rank_, destination}].push_back(
          {true, 0, 0, std::vector<std::byte>(message.begin(), message.end())});
    }
    void TakeCheckpoint(std::uint32_t /*number*/) override {
      if (job_->deferred_ && job_->random_() % 2 == 0) {
        job_->At(rank_).cut_wanted = true;
      } else {
        job_->Cut(rank_);
      }
    }
    void Discard(std::uint32_t number) override {
      job_->At(rank_).storage.erase(number);
      ++job_->discarded;
    }
    void TrimEvents(std::uint64_t /*interval*/) override {}
    void TrimLog(int destination, std::uint64_t count) override {
      Rank& at = job_->At(rank_);
      if (job_->defect_ == Defect::kTrimToOwnCut) {
        count = at.state.sent[static_cast<std::size_t>(destination)];
      }
      at.trimmed[static_cast<std::size_t>(destination)] = count;
    }

   private:
    Job* job_;
    int rank_;
  };

  int Size() const { return static_cast<int>(ranks_.size()); }
  Rank& At(int rank) { return ranks_[static_cast<std::size_t>(rank)]; }
  void Violated(const std::string& what) {
    if (violation_.empty()) violation_ = "step " + std::to_string(step_) + ": " + what;
  }

  void Cut(int rank) {
    Rank& at = At(rank);
    at.cut_wanted = false;
    Stored stored;
    stored.checkpoint.first_line = at.checkpoints->first_line();
    stored.checkpoint.cut = at.checkpoints->Cut(0);
    stored.checkpoint.number = stored.checkpoint.cut.csn;
    stored.state = at.state;
    stored.log_from = at.trimmed;
    const Csn number = stored.checkpoint.number;
    at.writing[number] = stored;
    at.jobs.push_back([this, rank, number] {
      Rank& writer = At(rank);
      const bool fails = random_() % 100 < failures_;
      if (!fails) writer.storage[number] = writer.writing[number];
      writer.writing.erase(number);
      writer.checkpoints->OnTaken(number, !fails || defect_ == Defect::kFailedReported);
    });
  }

  void Step() {
    const int rank = static_cast<int>(random_() % ranks_.size());
    Rank& at = At(rank);
    const int other = static_cast<int>(random_() % ranks_.size());
    switch (random_() % 10) {
      case 0:
      case 1:
      case 2: {
        const std::uint64_t number = ++at.state.sent[static_cast<std::size_t>(other)];
        const std::uint32_t word = at.checkpoints->BeforeSend(at.checkpoints->ChannelOf(other));
        channels_[{rank, other}].push_back({false, word, number, {}});
        return;
      }
      case 3:
      case 4:
      case 5:
      case 6:
        Arrive(other, rank);
        return;
      case 7:
        if (at.cut_wanted) {
          Cut(rank);
        } else if (!at.jobs.empty()) {
          const auto job = at.jobs.front();
          at.jobs.pop_front();
          job();
        }
        return;
      case 8:
        if (random_() % 4 != 0) return;
        at.checkpoints->Request(Reason::kRequest);
        at.checkpoints->OnTick(static_cast<std::uint64_t>(step_));
        return;
      default:
        announced_ = std::max(announced_, At(0).checkpoints->line());
    }
  }

  void Arrive(int from, int to) {
    auto& channel = channels_[{from, to}];
    if (channel.empty()) return;
    Packet packet = channel.front();
    channel.pop_front();
    Rank& at = At(to);
    if (packet.control) {
      if (!at.checkpoints->OnControl(from, packet.bytes)) Violated("a control message is refused");
      return;
    }
    if (defect_ == Defect::kNotForced) packet.word = std::min(packet.word, at.checkpoints->index());
    const Action action = at.checkpoints->OnMessage(at.checkpoints->ChannelOf(from), packet.word);
    if (action == Action::kCheckpointFirst) {
      channels_[{from, to}].push_front(std::move(packet));
      return;
    }
    if (!at.state.received[static_cast<std::size_t>(from)].insert(packet.number).second) {
      Violated("a message is delivered twice");
    }
  }

  // The greatest line on storage, which must be a state to restart from.
  Csn RecoveryLine() {
    std::vector<std::vector<Lines>> all;
    for (Rank& at : ranks_) {
      auto& lines_of = all.emplace_back();
      for (const auto& [number, stored] : at.storage) {
        lines_of.emplace_back(stored.checkpoint.first_line, stored.checkpoint.number);
      }
    }
    const Csn line = GreatestLine(all);
    if (line == checked_) return line;
    checked_ = line;
    if (line == 0) return line;
    ++lines;
    for (int from = 0; from < Size(); ++from) {
      for (int to = 0; to < Size(); ++to) CheckChannel(line, from, to);
    }
    return line;
  }
  Stored& OfLine(int rank, Csn line) {
    for (auto& [number, stored] : At(rank).storage) {
      if (stored.checkpoint.first_line <= line && line <= stored.checkpoint.number) return stored;
    }
    Violated("rank " + std::to_string(rank) + " lacks line " + std::to_string(line));
    static Stored none;
    return none;
  }
  void CheckChannel(Csn line, int from, int to) {
    const Stored& sender = OfLine(from, line);
    const Stored& receiver = OfLine(to, line);
    if (!violation_.empty()) return;
    const std::uint64_t sent = sender.state.sent[static_cast<std::size_t>(to)];
    const auto& received = receiver.state.received[static_cast<std::size_t>(from)];
    const std::string where = "line " + std::to_string(line) + ", rank " + std::to_string(from) +
                              " to " + std::to_string(to) + ": message ";
    if (!received.empty() && *received.rbegin() > sent) {
      return Violated(where + std::to_string(*received.rbegin()) + " is received and not sent");
    }
    const MessageRange again = InTransit(sender.checkpoint.cut, receiver.checkpoint.cut);
    if (again.first != received.size() + 1 || (again.count() > 0 && again.last != sent)) {
      return Violated(where + "in transit are others than the cuts say");
    }
    if (again.count() == 0) return;
    if (again.first <= sender.log_from[static_cast<std::size_t>(to)] ||
        again.first <= At(from).trimmed[static_cast<std::size_t>(to)]) {
      Violated(where + std::to_string(again.first) + " is not in the sender's log");
    }
  }

  void Crash(Csn line) {
    ++crashes;
    channels_.clear();
    Csn index = line;
    for (int r = 0; line != 0 && r < Size(); ++r) {
      index = std::max(index, OfLine(r, line).checkpoint.number);
    }
    if (!violation_.empty()) return;
    std::vector<CutRecord> cuts(ranks_.size());
    for (int r = 0; r < Size(); ++r) {
      Rank& at = At(r);
      at.jobs.clear();
      at.writing.clear();
      at.cut_wanted = false;
      cuts[static_cast<std::size_t>(r)].rank = r;
      State state;
      state.sent.assign(ranks_.size(), 0);
      state.received.resize(ranks_.size());
      at.trimmed.assign(ranks_.size(), 0);
      if (line != 0) {
        Stored& stored = OfLine(r, line);
        state = stored.state;
        at.trimmed = stored.log_from;
        cuts[static_cast<std::size_t>(r)] = stored.checkpoint.cut;
      }
      at.state = state;
      std::vector<KeptCheckpoint> on_storage;
      for (const auto& [number, stored] : at.storage) on_storage.push_back(stored.checkpoint);
      at.checkpoints = std::make_unique<InducedCheckpoints>(Configured(r, Size()), at.host.get());
      at.checkpoints->Restore(line, index, on_storage);
    }
    announced_ = line;
    checked_ = 0;
    // The senders' logs give back what was in transit.
    for (int from = 0; from < Size(); ++from) {
      for (int to = 0; to < Size(); ++to) {
        const MessageRange again =
            InTransit(cuts[static_cast<std::size_t>(from)], cuts[static_cast<std::size_t>(to)]);
        for (std::uint64_t n = again.first; n <= again.last; ++n) {
          channels_[{from, to}].push_back({false, index, n, {}});
        }
      }
    }
  }

  Defect defect_;
  std::mt19937_64 random_;
  std::vector<Rank> ranks_;
  std::map<std::pair<int, int>, std::deque<Packet>> channels_;
  bool deferred_ = false;
  unsigned failures_ = 0;
  Csn announced_ = 0;
  Csn checked_ = 0;
  int step_ = 0;
  std::string violation_;
};

TEST(InducedPropertyTest, EveryLineIsAStateToRestartFrom) {
  std::uint64_t lines = 0;
  std::uint64_t discarded = 0;
  std::uint64_t crashes = 0;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    Job job(seed, Defect::kNone);
    ASSERT_EQ(job.Run(1000), "") << "seed " << seed;
    lines += job.lines;
    discarded += job.discarded;
    crashes += job.crashes;
  }
  std::printf("%lu lines checked, %lu checkpoints discarded, %lu crashes\n", lines, discarded,
              crashes);
  EXPECT_GT(lines, 1000u);
  EXPECT_GT(discarded, 1000u);
}

class InducedDefectTest : public testing::TestWithParam<Defect> {};
TEST_P(InducedDefectTest, IsFound) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const std::string violation = Job(seed, GetParam()).Run(1000);
    if (violation.empty()) continue;
    std::printf("found with seed %lu: %s\n", seed, violation.c_str());
    return;
  }
  FAIL() << "300 runs, and nothing was found";
}
INSTANTIATE_TEST_SUITE_P(Defects, InducedDefectTest,
                         testing::Values(Defect::kNotForced, Defect::kTrimToOwnCut,
                                         Defect::kFailedReported));

}  // namespace
}  // namespace ftmpi::checkpoint
