#include "pmpi/in_transit.h"

#include <sys/types.h>

#include "checkpoint/image/capture.h"
#include "logging/environment.h"
#include "logging/log_error.h"
#include "pmpi/engine_state.h"
#include "pmpi/message.h"

namespace ftmpi::in_transit {
namespace {

using checkpoint::TransitMessage;
using engine::g;
using logging::MessageKind;

struct Saved {
  std::uint32_t csn = 0;
  std::vector<std::byte> records;
  std::uint64_t count = 0;  // of messages, large ones too
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
  saved.records.clear();
  saved.count = 0;
}

void Save(int source, std::uint64_t number, const logging::WireHeader& header,
          const std::byte* payload) {
  Saved& saved = TheSaved();
  ++saved.count;
  if (header.kind == MessageKind::kRendezvous) return;
  TransitMessage message;
  message.source = source;
  message.number = number;
  message.header = header;
  message.header.piggyback_length = 0;
  message.header.csn &= ~engine::kReplayedBit;
  message.payload.assign(payload, payload + header.payload_length);
  checkpoint::AppendTransitMessage(message, &saved.records);
}

void StartWriting(std::uint64_t job, const std::string& job_directory) {
  Saved& saved = TheSaved();
  saved.covered = saved.count;
  saved.writing = saved.csn;
  saved.path = PathOf(job_directory, saved.csn);
  saved.owner = {job, saved.csn, g.epoch, g.rank};
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
