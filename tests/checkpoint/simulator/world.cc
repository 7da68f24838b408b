#include "tests/checkpoint/simulator/world.h"

#include <algorithm>

#include "checkpoint/control_message.h"

namespace ftmpi::checkpoint::simulator {

class World::Host final : public CoordinationHost {
 public:
  Host(World* world, int rank) : world_(world), rank_(rank) {}
  void SendControl(int destination, std::span<const std::byte> message) override {
    World& world = *world_;
    if (message.size() > world.options_.maximum_control) {
      world.Violated("a control message of " + std::to_string(message.size()) + " bytes");
    }
    if (destination == rank_) world.Violated("a control message to itself");
    ++world.result_.controls;
    Packet packet;
    packet.control = true;
    packet.bytes.assign(message.begin(), message.end());
    world.Put(rank_, destination, std::move(packet));
  }
  void TakeTentative(Csn csn) override {
    Rank& at = world_->At(rank_);
    if (at.participant == nullptr) return;
    if (world_->options_.deferred_cuts && world_->Chance(50)) {
      at.jobs.push_back({Work::kCut, csn});
    } else {
      world_->CutNow(rank_);
    }
  }
  void MakePermanent(Csn csn) override {
    if (csn > world_->commit_record_) {
      world_->Violated("checkpoint " + std::to_string(csn) + " becomes permanent at rank " +
                       std::to_string(rank_) + " without a commit record");
    }
  }
  void Discard(Csn csn) override {
    Rank& at = world_->At(rank_);
    std::erase_if(at.jobs, [csn](const Job& job) {
      return job.csn == csn &&
             (job.work == Work::kCut || job.work == Work::kWrite || job.work == Work::kFlush);
    });
    at.storage.erase(csn);
    world_->dirty_ = true;
  }
  void FlushInTransit(Csn csn) override {
    Rank& at = world_->At(rank_);
    at.jobs.push_back({Work::kFlush, csn});
  }
  void Trim(int destination, std::uint64_t count) override {
    Rank& at = world_->At(rank_);
    if (world_->options_.defect == Defect::kTrimToOwnCut) {
      count = at.participant->ChannelOf(destination)->sent_at_cut;
    }
    std::uint64_t& trimmed = at.trimmed[static_cast<std::size_t>(destination)];
    if (world_->options_.keeper != Keeper::kSender)
      world_->Violated("a log is trimmed: there is none");
    trimmed = std::max(trimmed, count);
    world_->dirty_ = true;
  }
  void RecordCommit(Csn csn) override { world_->At(rank_).jobs.push_back({Work::kRecord, csn}); }
  void Finished(const CheckpointOutcome& outcome) override {
    ++(outcome.committed ? world_->result_.committed : world_->result_.aborted);
    if (outcome.why.find("nobody has sent") != std::string::npos) world_->Violated(outcome.why);
  }
  void RollBack(std::uint32_t epoch, Csn csn) override {
    Rank& at = world_->At(rank_);
    at.stopped = true;
    std::erase_if(at.jobs, [](const Job& job) { return job.work == Work::kRestore && job.epoch; });
    at.jobs.push_back({Work::kRestore, csn, epoch});
  }
  void RollbackFinished(std::uint32_t epoch, const std::vector<int>& missing) override {
    if (!missing.empty()) {
      world_->At(rank_).jobs.push_back({Work::kRestore, 0, 0});  // start again, see DoOneJob
      return;
    }
    world_->epoch_ = epoch;
    world_->rolling_ = false;
    world_->replay_ = world_->alone_ >= 0;
    ++world_->result_.restarts;
  }

 private:
  World* world_;
  int rank_;
};

World::World(const Options& options) : options_(options), random_(options.seed) {
  ranks_.resize(static_cast<std::size_t>(options.ranks));
  for (int r = 0; r < options.ranks; ++r) {
    Rank& at = At(r);
    at.state = EmptyState();
    at.trimmed.assign(ranks_.size(), 0);
    at.host = std::make_unique<Host>(this, r);
    at.participant = MakeParticipant(r, 0, 0);
  }
  const auto weight = [&](unsigned most) { return 1 + static_cast<unsigned>(random_() % most); };
  weight_send_ = weight(30);
  weight_network_ = weight(60);
  weight_job_ = weight(20);
  weight_tick_ = weight(10);
  weight_request_ = weight(3);
  weight_resend_ = weight(10);
}

World::~World() = default;

World::State World::EmptyState() const {
  return {std::vector<std::uint64_t>(ranks_.size(), 0),
          std::vector<std::set<std::uint64_t>>(ranks_.size())};
}

std::unique_ptr<Participant> World::MakeParticipant(int rank, std::uint32_t epoch, Csn csn) {
  CoordinationConfiguration configuration;
  configuration.rank = rank;
  configuration.size = options_.ranks;
  configuration.transit = options_.transit;
  configuration.strategy = options_.strategy;
  configuration.keeper = options_.keeper;
  configuration.timeout = options_.timeout;
  configuration.repeat = 40;
  configuration.interval = 150;
  configuration.announce_commit = options_.announce_commit;
  configuration.maximum_control = options_.maximum_control;
  configuration.epoch = epoch;
  configuration.csn = csn;
  return std::make_unique<Participant>(configuration, At(rank).host.get());
}

Result World::Run() {
  const int events = options_.relaunches + options_.rollbacks;
  const int between = options_.steps / (events + 1) + 1;
  int relaunches = options_.relaunches;
  for (step_ = 1; step_ <= options_.steps && result_.violation.empty(); ++step_) {
    Step();
    CheckCounts();
    CheckRestart();
    if (events == 0 || step_ % between != 0 || !result_.violation.empty()) continue;
    if (replay_) ReplayAndResend();
    if (relaunches > 0 && Chance(50)) {
      --relaunches;
      Relaunch();
    } else if (!rolling_ && options_.keeper == Keeper::kSender && options_.ranks > 1 &&
               Chance(60)) {
      LoseOneRank();
    } else if (!rolling_) {
      rolling_ = true;
      At(0).participant->StartRollback();
    }
    CheckRestart();
  }
  if (result_.violation.empty()) Drain();
  return result_;
}

void World::Step() {
  now_ += random_() % 4;
  if (replay_) ReplayAndResend();
  unsigned draw =
      static_cast<unsigned>(random_() % (weight_send_ + weight_network_ + weight_job_ +
                                         weight_tick_ + weight_request_ + weight_resend_));
  const auto chosen = [&draw](unsigned weight) {
    if (draw < weight) return true;
    draw -= weight;
    return false;
  };
  if (chosen(weight_network_)) {
    ArriveOne();
    return;
  }
  const int rank = AnyRank();
  if (chosen(weight_job_)) {
    DoOneJob(rank);
  } else if (At(rank).stopped || At(rank).dead || (rolling_ && alone_ >= 0)) {
    // Who is in the new epoch first waits until the channels' counts are compared.
    At(0).participant->OnTick(now_);
  } else if (chosen(weight_send_)) {
    Send(rank, AnyRank());
  } else if (chosen(weight_tick_)) {
    At(rank).participant->OnTick(now_);
    At(0).participant->OnTick(now_);
  } else if (chosen(weight_request_)) {
    At(rank).participant->Request(Reason::kRequest);
  } else if (!At(rank).resend.empty()) {
    Resend(rank, At(rank).resend.begin()->first);
  }
}

// --- The program and the network
// --------------------------------------------------------------------

void World::Send(int rank, int destination) {
  ResendAll(rank, destination);
  Rank& at = At(rank);
  Packet packet;
  packet.number = ++at.state.sent[static_cast<std::size_t>(destination)];
  packet.epoch = at.participant->epoch();
  packet.word = at.participant->BeforeSend(at.participant->ChannelOf(destination));
  ++result_.messages;
  Put(rank, destination, std::move(packet));
}

void World::Resend(int rank, int destination) {
  Rank& at = At(rank);
  auto& numbers = at.resend[destination];
  Packet packet;
  packet.number = numbers.front();
  packet.epoch = at.participant->epoch();
  packet.word = at.participant->ResendWord(at.participant->ChannelOf(destination), packet.number);
  numbers.pop_front();
  if (numbers.empty()) at.resend.erase(destination);
  ++result_.resent;
  Put(rank, destination, std::move(packet));
}

void World::ResendAll(int rank, int destination) {
  while (At(rank).resend.contains(destination)) Resend(rank, destination);
}

void World::Put(int source, int destination, Packet packet) {
  if (!draining_ && options_.loss > 0 && random_() % 1000 < options_.loss) {
    if (!packet.control) lost_in_ = std::max<std::int64_t>(lost_in_, packet.epoch);
    return;
  }
  auto& channel = channels_[{source, destination}];
  if (channel.empty()) busy_.emplace_back(source, destination);
  channel.push_back(std::move(packet));
}

bool World::ArriveOne() {
  if (busy_.empty()) return false;
  const std::size_t at = random_() % busy_.size();
  const auto [source, destination] = busy_[at];
  if (At(destination).stopped) return false;
  auto& channel = channels_[{source, destination}];
  const std::size_t which = options_.fifo ? 0 : random_() % channel.size();
  Packet packet = channel[which];
  channel.erase(channel.begin() + static_cast<std::ptrdiff_t>(which));
  if (!Arrive(source, destination, packet)) {
    // It waits. What the rank was asked for meanwhile is done by other steps.
    auto& again = channels_[{source, destination}];
    again.insert(again.begin() + static_cast<std::ptrdiff_t>(std::min(which, again.size())),
                 std::move(packet));
    return false;
  }
  for (std::size_t i = busy_.size(); i-- > 0;) {
    if (channels_[busy_[i]].empty()) {
      busy_[i] = busy_.back();
      busy_.pop_back();
    }
  }
  return true;
}

// False: the packet has to wait.
bool World::Arrive(int source, int destination, Packet packet) {
  Rank& at = At(destination);
  Participant& participant = *at.participant;
  if (packet.control) {
    if (options_.defect == Defect::kAbortUnheard && packet.bytes[1] == std::byte{7} &&
        destination != 0) {
      ControlMessage answer;
      (void)DecodeControl(packet.bytes, options_.ranks, &answer);
      answer.type = ControlType::kAborted;
      Packet back;
      back.control = true;
      EncodeControl(answer, &back.bytes);
      Put(destination, 0, std::move(back));
      return true;
    }
    if (!participant.OnControl(source, packet.bytes)) {
      Violated("rank " + std::to_string(destination) + " refuses a control message of rank " +
               std::to_string(source) + ": " + participant.refusal());
    }
    return true;
  }
  if (at.dead) return true;
  if (packet.epoch != participant.epoch()) {
    switch (participant.OnOtherEpoch(packet.epoch, packet.word)) {
      case EpochAction::kDiscard:
        return true;
      case EpochAction::kHold:
        return false;
      case EpochAction::kCurrent:
        break;
    }
  }
  if (options_.defect == Defect::kNoForcedCut &&
      (packet.word & kMaximumCoordinatedCsn) > (participant.word() & kMaximumCoordinatedCsn)) {
    packet.word = participant.word();
  }
  const Action action = participant.OnMessage(participant.ChannelOf(source), packet.word);
  if (action == Action::kCheckpointFirst) return false;
  if (action == Action::kRefuse) {
    Violated("rank " + std::to_string(destination) + " refuses a message of rank " +
             std::to_string(source) + ": " + participant.refusal());
    return true;
  }
  if (action == Action::kSave) {
    at.copies.push_back({source, packet.number});
    ++result_.in_transit;
  }
  auto& received = at.state.received[static_cast<std::size_t>(source)];
  if (!received.insert(packet.number).second) {
    Violated("message " + std::to_string(packet.number) + " from rank " + std::to_string(source) +
             " to rank " + std::to_string(destination) + " is delivered twice");
  }
  if (options_.fifo && options_.loss == 0 && *received.rbegin() != received.size()) {
    Violated("message " + std::to_string(packet.number) + " from rank " + std::to_string(source) +
             " to rank " + std::to_string(destination) + " comes after one that is missing");
  }
  return true;
}

// No new messages, nothing fails: what is under way arrives, and a checkpoint can be had.
void World::Drain() {
  draining_ = true;
  const auto settle = [&] {
    for (int round = 0; round < 200000 && result_.violation.empty(); ++round) {
      if (replay_) ReplayAndResend();
      for (int r = 0; r < options_.ranks; ++r) {
        if (rolling_ && alone_ >= 0) break;  // as in Step
        while (!At(r).resend.empty() && !At(r).stopped) Resend(r, At(r).resend.begin()->first);
      }
      ArriveOne();
      DoOneJob(AnyRank());
      now_ += 1;
      if (round % 8 == 0 || Quiet()) {
        for (auto& rank : ranks_) {
          if (!rank.stopped) rank.participant->OnTick(now_);
        }
      }
      CheckRestart();
      if (!rolling_ && !replay_ && Quiet() && At(0).participant->coordinator()->idle()) return true;
    }
    return false;
  };
  At(0).participant->coordinator()->SetInterval(0);
  settle();
  if (lost_in_ == At(0).participant->epoch() && result_.violation.empty()) {
    rolling_ = true;
    At(0).participant->StartRollback();
  }
  if (!settle()) return Violated("the job does not come to rest");
  At(0).participant->Request(Reason::kRequest);
  const std::uint64_t committed = result_.committed;
  const std::uint64_t controls = result_.controls;
  At(0).participant->OnTick(++now_);
  if (!settle() || result_.committed != committed + 1) {
    return Violated("a checkpoint in quiet is not committed");
  }
  result_.last_controls = result_.controls - controls;
  CheckCounts();
}

bool World::Quiet() const {
  return busy_.empty() && std::all_of(ranks_.begin(), ranks_.end(), [](const Rank& rank) {
           return rank.jobs.empty() && rank.resend.empty();
         });
}

Options RandomOptions(std::uint64_t seed) {
  std::mt19937_64 random(seed * 0x9E3779B97F4A7C15u + 1);
  Options options;
  options.seed = seed;
  options.ranks = 1 + static_cast<int>(random() % 6);
  options.transit = random() % 2 == 0 ? Transit::kMtv : Transit::kAck;
  options.strategy = random() % 2 == 0 ? MtvStrategy::kPessimistic : MtvStrategy::kOptimistic;
  options.keeper = random() % 3 == 0 ? Keeper::kSender : Keeper::kReceiver;
  // Logs are numbered by channel: a sender's log needs channels as the engine's are.
  if (options.keeper == Keeper::kReceiver) {
    options.fifo = random() % 3 != 0;
    options.loss = random() % 4 == 0 ? 1 + static_cast<unsigned>(random() % 20) : 0;
  }
  options.write_failures = random() % 3 == 0 ? 1 + static_cast<unsigned>(random() % 20) : 0;
  options.deferred_cuts = random() % 3 == 0;
  options.announce_commit = random() % 4 == 0;
  options.steps = random() % 8 == 0 ? 3000 : 200 + static_cast<int>(random() % 800);
  options.relaunches = static_cast<int>(random() % 3);
  options.rollbacks = static_cast<int>(random() % 3);
  options.maximum_control = random() % 2 == 0 ? kLeastControlBytes : 2048;
  options.timeout = 100 + random() % 2000;
  return options;
}

}  // namespace ftmpi::checkpoint::simulator
