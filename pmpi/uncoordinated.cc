#include "pmpi/uncoordinated.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "checkpoint/control_message.h"
#include "checkpoint/coordinator.h"
#include "checkpoint/independent.h"
#include "checkpoint/server_client.h"
#include "checkpoint/server_start.h"
#include "pmpi/checkpoint_triggers.h"
#include "pmpi/engine.h"
#include "pmpi/engine_state.h"
#include "pmpi/log_trimming.h"
#include "pmpi/message.h"

namespace ftmpi::uncoordinated {

bool g_on = false;

namespace {

using checkpoint::ControlMessage;
using checkpoint::ControlType;
using checkpoint::Csn;
using engine::g;

// What belongs to the process.
struct Uncoordinated {
  checkpointing::JobNames names;
  std::unique_ptr<checkpoint::IndependentCheckpoints> machine;
  bool stopped = false;
  bool discard = false;  // checkpoints were dropped whose files are still there
  bool complained = false;
  // Somebody outside has asked for checkpoints of all ranks.
  bool asked = false;     // the next one that is begun answers
  Csn answering = 0;      // this one does
  int awaited = 0;        // rank 0: ranks that have not answered
  bool all_good = false;  // rank 0: those that have have taken one
};
Uncoordinated* g_state = nullptr;

void Send(int destination, std::span<const std::byte> message) {
  logging::WireHeader header{};
  header.version = logging::kWireVersion;
  header.kind = logging::MessageKind::kCheckpoint;
  header.interval = g.interval;
  header.payload_length = message.size();
  engine::TransmitCopy(engine::PeerOf(destination), header, message.data(), message.size());
}

void SendShort(int destination, ControlType type, Csn csn) {
  ControlMessage message;
  message.type = type;
  message.epoch = g.epoch;
  message.csn = csn;
  message.mechanism = static_cast<std::uint8_t>(checkpoint::Transit::kAck);  // the short *taken*
  message.reason = type == ControlType::kRequest
                       ? static_cast<std::uint8_t>(checkpoint::Reason::kRequest)
                       : static_cast<std::uint8_t>(checkpoint::FailureReason::kCheckpointNotSaved);
  std::vector<std::byte> bytes;
  checkpoint::EncodeControl(message, &bytes);
  Send(destination, bytes);
}

// Rank 0: a rank has taken the checkpoint that was asked for, or could not.
void OnAnswer(bool good) {
  if (g_state->awaited == 0) return;
  g_state->all_good = g_state->all_good && good;
  if (--g_state->awaited > 0) return;
  checkpoint::CheckpointOutcome outcome;
  outcome.csn = Newest();
  outcome.committed = g_state->all_good;
  checkpoint_triggers::Finished(outcome);
}

void Answer(bool good) {
  if (g.rank == 0) {
    OnAnswer(good);
  } else {
    SendShort(0, good ? ControlType::kTaken : ControlType::kFailed, Newest());
  }
}

void OnAsked() {
  if (g_state->stopped) {
    Answer(false);
    return;
  }
  g_state->asked = true;
  Request();
}

class Host : public checkpoint::UncoordinatedHost {
 public:
  void SendControl(int destination, std::span<const std::byte> message) override {
    Send(destination, message);
  }
  void TakeCheckpoint(std::uint32_t number) override {
    if (std::exchange(g_state->asked, false)) g_state->answering = number;
    if (g_state->stopped || !checkpointing::WantCut()) Taken(number, false);
  }
  // The files go when the state machine has done with its own: RemoveDropped.
  void Discard(std::uint32_t /*number*/) override { g_state->discard = true; }
  void TrimEvents(std::uint64_t interval) override { log_trimming::OnEventsCovered(interval); }
  void TrimLog(int destination, std::uint64_t count) override {
    log_trimming::OnReceived(destination, count);
  }
};
Host g_host;

// Files of checkpoints in front of the first that is kept. (Of one that could not be written there
// is at most a file that is whole: it is as good as any other.)
void RemoveDropped() {
  const auto& kept = g_state->machine->kept();
  if (!std::exchange(g_state->discard, false) || kept.empty()) return;
  checkpoint::ServerConnection server;
  const std::string path = checkpoint::ServerSocketPath(g_state->names.local_directory, g.epoch);
  if (server.Connect(path.c_str()) &&
      server.Discard(g.rank, kept.front().number, checkpoint::Level::kShared)) {
    return;
  }
  if (!g_state->complained) {
    Message("checkpoints of this rank before %u are not needed any more and can't be removed: %s",
            kept.front().number, server.error());
  }
  g_state->complained = true;
}

}  // namespace

void Start(const checkpointing::JobNames& names) {
  g_state = new Uncoordinated;
  g_state->names = names;
  const CheckpointSettings& settings = g.configuration.checkpoints;
  checkpoint::UncoordinatedConfiguration configuration;
  configuration.rank = g.rank;
  configuration.size = g.size;
  configuration.interval = settings.interval;
  configuration.every = settings.every;
  configuration.phase =
      settings.interval / static_cast<std::uint64_t>(g.size) * static_cast<std::uint64_t>(g.rank);
  configuration.keep = static_cast<std::uint32_t>(g.configuration.checkpoint_keep);
  configuration.epoch = g.epoch;
  g_state->machine = std::make_unique<checkpoint::IndependentCheckpoints>(configuration, &g_host);
  g.log_first = true;
  g_on = true;
}

void Restore(const checkpoint::CutRecord& cut, std::uint64_t interval) {
  checkpoint::KeptCheckpoint checkpoint;
  checkpoint.number = checkpoint.first_line = cut.csn;
  checkpoint.interval = interval;
  checkpoint.cut = cut;
  // Older ones are removed with this one's successors.
  g_state->machine->Restore(cut.csn, {checkpoint});
}

void Stop() {
  g_state->stopped = true;
  if (g_state->asked || g_state->answering != 0) Answer(false);
  g_state->asked = false;
  g_state->answering = 0;
}

checkpoint::Channel* ChannelOf(int rank) { return g_state->machine->ChannelOf(rank); }

std::uint32_t BeforeSend(checkpoint::Channel* channel) {
  return g_state->machine->BeforeSend(channel);
}

checkpoint::Action OnMessage(checkpoint::Channel* channel, std::uint32_t /*word*/) {
  g_state->machine->OnMessage(channel);
  return checkpoint::Action::kDeliver;
}

bool OnControl(int source, std::span<const std::byte> message) {
  ControlMessage decoded;
  if (!checkpoint::DecodeControl(message, g.size, &decoded)) return false;
  switch (decoded.type) {
    case ControlType::kRequest:
      if (source != 0) return false;
      OnAsked();
      return true;
    case ControlType::kTaken:
    case ControlType::kFailed:
      if (g.rank != 0) return false;
      OnAnswer(decoded.type == ControlType::kTaken);
      return true;
    default:
      return g_state->machine->OnControl(source, message);
  }
}

void Tick(std::uint64_t now) {
  g_state->machine->OnCommittable(g.protocol->CommittablePosition());
  g_state->machine->OnTick(now);
  RemoveDropped();
}

Csn Due() { return g_state->machine->due(); }

Csn Newest() {
  const auto& kept = g_state->machine->kept();
  return kept.empty() ? 0 : kept.back().number;
}

checkpoint::CutRecord Cut() {
  checkpoint::CutRecord cut = g_state->machine->Cut(g.interval, g.protocol->OutputPosition());
  log_trimming::NoteOwnCut(cut);
  return cut;
}

void Taken(Csn csn, bool ok) {
  g_state->machine->OnTaken(csn, ok);
  if (g_state->answering != csn) return;
  g_state->answering = 0;
  Answer(ok);
}

void Request() { g_state->machine->Request(checkpoint::Reason::kRequest); }

void RequestAll() {
  g_state->awaited = g.size;
  g_state->all_good = true;
  for (int rank = 1; rank < g.size; ++rank) SendShort(rank, ControlType::kRequest, 0);
  OnAsked();
}

}  // namespace ftmpi::uncoordinated
