// One checkpoint of a job of 10^5 ranks: numbers of control messages as the paper gives them,
// memory by the number of peers.
#include <gtest/gtest.h>
#include <malloc.h>

#include <chrono>
#include <deque>
#include <memory>
#include <vector>

#include "checkpoint/control_message.h"
#include "checkpoint/coordination.h"

namespace ftmpi::checkpoint {
namespace {

constexpr int kRanks = 100000;

struct Job;
class ScaleHost final : public CoordinationHost {
 public:
  ScaleHost(Job* job, int rank) : job_(job), rank_(rank) {}
  void SendControl(int destination, std::span<const std::byte> message) override;
  void TakeTentative(Csn csn) override;
  void MakePermanent(Csn /*csn*/) override {}
  void Discard(Csn /*csn*/) override {}
  void FlushInTransit(Csn csn) override;
  void Trim(int /*destination*/, std::uint64_t /*count*/) override {}
  void RecordCommit(Csn csn) override;
  void Finished(const CheckpointOutcome& outcome) override;
  void RollBack(std::uint32_t /*epoch*/, Csn /*csn*/) override { FAIL(); }
  void RollbackFinished(std::uint32_t /*epoch*/, const std::vector<int>& /*missing*/) override {
    FAIL();
  }
  std::uint64_t saved = 0;

 private:
  Job* job_;
  int rank_;
};

struct Packet {
  int from;
  int to;
  std::vector<std::byte> bytes;
};

struct Job {
  std::vector<std::unique_ptr<ScaleHost>> hosts;
  std::vector<std::unique_ptr<Participant>> participants;
  std::deque<Packet> wire;
  std::uint64_t coordinator = 0;  // control messages from and to rank 0, acknowledgements aside
  std::uint64_t acknowledgements = 0;
  bool committed = false;

  Participant& operator[](int rank) { return *participants[static_cast<std::size_t>(rank)]; }
  void Move() {
    while (!wire.empty()) {
      const Packet packet = std::move(wire.front());
      wire.pop_front();
      const bool acknowledgement =
          packet.bytes[1] == static_cast<std::byte>(ControlType::kAcknowledge);
      ++(acknowledgement ? acknowledgements : coordinator);
      ASSERT_TRUE((*this)[packet.to].OnControl(packet.from, packet.bytes));
    }
  }
};

void ScaleHost::SendControl(int destination, std::span<const std::byte> message) {
  job_->wire.push_back({rank_, destination, {message.begin(), message.end()}});
}
void ScaleHost::TakeTentative(Csn csn) {
  (void)(*job_)[rank_].Cut();
  (*job_)[rank_].OnTentativeTaken(csn, true);
}
void ScaleHost::FlushInTransit(Csn csn) { (*job_)[rank_].OnInTransitStable(csn, saved, true); }
void ScaleHost::RecordCommit(Csn csn) { (*job_)[0].OnCommitRecorded(csn, true); }
void ScaleHost::Finished(const CheckpointOutcome& outcome) { job_->committed = outcome.committed; }

class ScaleTest : public testing::TestWithParam<int> {};

TEST_P(ScaleTest, OneCheckpoint) {
  Job job;
  const std::size_t before = mallinfo2().uordblks;
  for (int r = 0; r < kRanks; ++r) {
    CoordinationConfiguration configuration;
    configuration.rank = r;
    configuration.size = kRanks;
    configuration.transit = GetParam() == 2 ? Transit::kAck : Transit::kMtv;
    configuration.strategy = GetParam() == 1 ? MtvStrategy::kOptimistic : MtvStrategy::kPessimistic;
    job.hosts.push_back(std::make_unique<ScaleHost>(&job, r));
    job.participants.push_back(
        std::make_unique<Participant>(configuration, job.hosts.back().get()));
  }
  // Each rank sends to both neighbours on a ring; of every tenth rank one message stays under way.
  struct Message {
    int from, to;
    std::uint32_t word;
  };
  std::vector<Message> under_way;
  const auto arrive = [&](const Message& message) {
    const Action action =
        job[message.to].OnMessage(job[message.to].ChannelOf(message.from), message.word);
    ASSERT_TRUE(action == Action::kDeliver || action == Action::kSave);
    if (action == Action::kSave) ++job.hosts[static_cast<std::size_t>(message.to)]->saved;
  };
  for (int r = 0; r < kRanks; ++r) {
    for (const int to : {(r + 1) % kRanks, (r + kRanks - 1) % kRanks}) {
      const Message message{r, to, job[r].BeforeSend(job[r].ChannelOf(to))};
      if (r % 10 == 5 && to == r + 1) {
        under_way.push_back(message);
      } else {
        arrive(message);
      }
    }
  }
  const std::size_t bytes = (mallinfo2().uordblks - before) / kRanks;
  const auto start = std::chrono::steady_clock::now();
  job[0].Request(Reason::kRequest);
  job[0].OnTick(1);
  job.Move();
  EXPECT_FALSE(job.committed);
  for (const Message& message : under_way) {
    arrive(message);
    job[message.to].OnTick(2);
  }
  job.Move();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_TRUE(job.committed);
  std::printf(
      "%d ranks: %lu messages with the coordinator, %lu acknowledgements, %.2f s in all, "
      "%lu bytes per rank\n",
      kRanks, job.coordinator, job.acknowledgements, took.count(), bytes);
  const std::uint64_t one_round = 2ul * (kRanks - 1);
  const std::uint64_t in_transit = kRanks / 10;
  switch (GetParam()) {
    case 0:  // a question and an answer for each rank with messages in transit
      EXPECT_EQ(job.coordinator, one_round + 2 * in_transit);
      EXPECT_EQ(job.acknowledgements, 0u);
      break;
    case 1:  // a message for each message in transit
      EXPECT_EQ(job.coordinator, one_round + in_transit);
      EXPECT_EQ(job.acknowledgements, 0u);
      break;
    default:  // one round; each used channel is acknowledged once
      EXPECT_EQ(job.coordinator, one_round);
      EXPECT_EQ(job.acknowledgements, 2ul * kRanks);
  }
  EXPECT_LT(bytes, 4096u);
}

std::string Name(const testing::TestParamInfo<int>& info) {
  return info.param == 0 ? "Pessimistic" : info.param == 1 ? "Optimistic" : "Acknowledged";
}
INSTANTIATE_TEST_SUITE_P(Mechanisms, ScaleTest, testing::Values(0, 1, 2), Name);

}  // namespace
}  // namespace ftmpi::checkpoint
