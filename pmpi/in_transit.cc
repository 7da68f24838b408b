#include "pmpi/in_transit.h"

#include <sys/types.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "checkpoint/image/capture.h"
#include "logging/environment.h"
#include "logging/log_error.h"
#include "pmpi/engine.h"
#include "pmpi/engine_state.h"
#include "pmpi/message.h"
#include "pmpi/request.h"

namespace ftmpi::in_transit {
namespace {

using checkpoint::TransitMessage;
using engine::g;
using logging::MessageKind;

// A large message whose payload is on its way.
struct Fetched {
  std::uint32_t csn = 0;
  engine::Peer* peer = nullptr;
  std::uint64_t number = 0;
  logging::WireHeader header{};
  std::vector<std::byte> payload;
  Request* request = nullptr;
};

struct Saved {
  std::uint32_t csn = 0;
  std::vector<std::byte> records;
  std::uint64_t count = 0;  // of messages
  std::deque<Fetched> fetched;
  bool wanted = false;  // they are to be written
  // What is being written.
  pid_t writer = 0;
  std::uint64_t covered = 0;
  std::uint32_t writing = 0;  // checkpoint
  std::string path;
  checkpoint::TransitOwner owner;
};

Saved& TheSaved() {
  static auto& saved = *new Saved;
  return saved;
}

std::string PathOf(const std::string& job_directory, std::uint32_t csn) {
  return job_directory + "/checkpoint-" + std::to_string(csn) + "/" +
         checkpoint::TransitFileName(g.rank);
}

// In a frozen copy of the process.
bool Write() {
  const Saved& saved = TheSaved();
  try {
    // Of a checkpoint on the nodes it may be the first file in the job directory.
    logging::Environment::Posix()->MakeDirectory(logging::DirectoryOf(saved.path));
    checkpoint::WriteTransitFile(logging::Environment::Posix(), saved.path, saved.owner,
                                 saved.records);
    return true;
  } catch (const logging::LogError& error) {
    Message("messages in transit at checkpoint %u can't be saved: %s", saved.writing, error.what());
    return false;
  }
}

}  // namespace

void Begin(std::uint32_t csn) {
  Saved& saved = TheSaved();
  saved.csn = csn;
  saved.wanted = false;
  saved.records.clear();
  saved.count = 0;
}

void Save(int source, std::uint64_t number, const logging::WireHeader& header,
          const std::byte* payload) {
  Saved& saved = TheSaved();
  ++saved.count;
  TransitMessage message;
  message.source = source;
  message.number = number;
  message.header = header;
  message.header.piggyback_length = 0;
  message.header.csn &= ~engine::kReplayedBit;
  // Its sender has the answer in its checkpoint: no cut is made while one is waited for.
  message.header.flags &= static_cast<std::uint8_t>(~logging::kFlagSynchronous);
  message.payload.assign(payload, payload + header.payload_length);
  checkpoint::AppendTransitMessage(message, &saved.records);
}

void Fetch(engine::Peer* peer, std::uint64_t number, const logging::WireHeader& header) {
  Fetched& fetched = TheSaved().fetched.emplace_back();
  fetched.csn = TheSaved().csn;
  fetched.peer = peer;
  fetched.number = number;
  fetched.header = header;
  fetched.payload.resize(header.payload_length);
  fetched.request = engine::NewRequest(RequestKind::kReceive, nullptr);
  fetched.request->active = true;
  fetched.request->bytes = header.payload_length;
  engine::ReceivePayload(peer, header.transfer, fetched.payload.data(), header.payload_length,
                         fetched.request);
}

bool Fetching() { return !TheSaved().fetched.empty(); }

bool Fetching(const engine::Peer* peer) {
  const std::deque<Fetched>& all = TheSaved().fetched;
  return std::any_of(all.begin(), all.end(),
                     [peer](const Fetched& each) { return each.peer == peer; });
}

bool TakeFetched() {
  Saved& saved = TheSaved();
  bool some = false;
  // One after the other: the engine may be entered from within.
  while (!saved.fetched.empty() && saved.fetched.front().request->complete) {
    Fetched fetched = std::move(saved.fetched.front());
    saved.fetched.pop_front();
    if (fetched.request->error != MPI_SUCCESS) {
      Fatal("the payload of a message from rank %d could not be received",
            fetched.peer->world_rank);
    }
    engine::DeleteRequest(fetched.request);
    fetched.header.kind = MessageKind::kInline;
    fetched.header.piggyback_length = 0;
    // Of a checkpoint that was given up meanwhile nobody wants a copy.
    if (fetched.csn == saved.csn)
      Save(fetched.peer->world_rank, fetched.number, fetched.header, fetched.payload.data());
    engine::TakeInSaved(fetched.peer, fetched.header, fetched.payload.data());
    some = true;
  }
  return some;
}

void WantWriting(std::uint64_t job, const std::string& job_directory) {
  Saved& saved = TheSaved();
  saved.wanted = true;
  saved.path = PathOf(job_directory, saved.csn);
  saved.owner = {job, saved.csn, g.epoch, g.rank};
  TryWriting();
}

void TryWriting() {
  Saved& saved = TheSaved();
  if (!saved.wanted || Fetching() || saved.writer != 0) return;
  saved.wanted = false;
  saved.covered = saved.count;
  saved.writing = saved.csn;
  saved.writer = image::RunInCopy(Write);
  if (saved.writer < 0) Message("messages in transit can't be saved: the process can't be copied");
}

bool Writing() { return TheSaved().writer != 0; }

bool WritingEnded(std::uint64_t* count, bool* success) {
  Saved& saved = TheSaved();
  if (saved.writer == 0) return false;
  *success = false;
  if (saved.writer > 0 && !image::WriterEnded(saved.writer, success)) return false;
  saved.writer = 0;
  *count = saved.covered;
  return saved.writing == saved.csn;
}

std::vector<TransitMessage> Load(std::uint64_t job, const std::string& job_directory,
                                 const checkpoint::CutRecord& cut) {
  return checkpoint::ReadTransitFile(logging::Environment::Posix(), PathOf(job_directory, cut.csn),
                                     {job, cut.csn, cut.epoch, g.rank});
}

}  // namespace ftmpi::in_transit
