#include "pmpi/in_transit.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "logging/environment.h"
#include "logging/log_error.h"
#include "pmpi/engine.h"
#include "pmpi/engine_state.h"
#include "pmpi/message.h"

namespace ftmpi::in_transit {
namespace {

using engine::Peer;
using logging::Environment;
using logging::LogError;
using logging::MessageKind;
using logging::WireHeader;

std::optional<checkpoint::InTransitWriter> g_saved;
checkpoint::InTransitIdentity g_identity;

// A large message whose payload is on its way. One at a time for each channel.
class Fetched : public ScheduleOwner {
 public:
  Fetched(Peer* peer, const WireHeader& header, void (*then)())
      : peer_(peer), then_(then), bytes_(sizeof header + header.payload_length) {
    std::memcpy(bytes_.data(), &header, sizeof header);
    request_ = engine::NewRequest(RequestKind::kReceive, nullptr);
    request_->active = true;
    request_->bytes = header.payload_length;
    request_->owner = this;
    pending = 1;
    engine::ReceivePayload(peer, header.transfer, bytes_.data() + sizeof header,
                           header.payload_length, request_);
  }
  void Advance() override;
  [[nodiscard]] const Peer* peer() const { return peer_; }

 private:
  Peer* peer_;
  void (*then_)();
  Request* request_;
  std::vector<std::byte> bytes_;  // header and payload
};
std::vector<std::unique_ptr<Fetched>> g_fetched;

void Fetched::Advance() {
  if (request_->error != MPI_SUCCESS)
    Fatal("the payload of a message from rank %d could not be received", peer_->world_rank);
  engine::DeleteRequest(request_);
  const auto found = std::find_if(g_fetched.begin(), g_fetched.end(),
                                  [this](const auto& each) { return each.get() == this; });
  const std::unique_ptr<Fetched> self = std::move(*found);
  g_fetched.erase(found);
  auto* const header = reinterpret_cast<WireHeader*>(bytes_.data());
  header->kind = MessageKind::kInline;
  header->piggyback_length = 0;
  Save(peer_, *header, bytes_.data() + sizeof *header);
  engine::TakeInCounted(peer_, *header);
  then_();
}

}  // namespace

void Begin(const checkpoint::InTransitIdentity& identity) {
  g_identity = identity;
  g_saved.emplace(identity);
}

void Save(Peer* peer, const WireHeader& header, const std::byte* payload) {
  WireHeader copy = header;
  copy.piggyback_length = 0;
  // Its sender has the answer in its checkpoint: no cut is made while one is waited for.
  copy.flags &= static_cast<std::uint8_t>(~logging::kFlagSynchronous);
  g_saved->Add(peer->world_rank, copy, payload);
}

void Fetch(Peer* peer, const WireHeader& header, void (*then)()) {
  g_fetched.push_back(std::make_unique<Fetched>(peer, header, then));
}

bool Fetching(const Peer* peer) {
  return std::any_of(g_fetched.begin(), g_fetched.end(),
                     [peer](const auto& each) { return each->peer() == peer; });
}

bool FetchingAny() { return !g_fetched.empty(); }

std::int64_t Write(const std::string& job_directory, std::string* error) {
  const std::string path =
      checkpoint::InTransitPath(job_directory, g_identity.csn, g_identity.rank);
  try {
    Environment::Posix()->WriteAtomically(path, g_saved->File());
    return static_cast<std::int64_t>(g_saved->count());
  } catch (const LogError& failure) {
    *error = failure.what();
    return -1;
  }
}

std::vector<checkpoint::InTransitMessage> Read(const std::string& job_directory,
                                               const checkpoint::InTransitIdentity& identity,
                                               const std::vector<std::uint64_t>& expected) {
  const std::string path = checkpoint::InTransitPath(job_directory, identity.csn, identity.rank);
  checkpoint::InTransitContent content;
  try {
    if (Environment::Posix()->Exists(path)) {
      const std::string wrong = checkpoint::DecodeInTransit(Environment::Posix()->ReadFile(path),
                                                            engine::g.size, &content);
      if (!wrong.empty()) Fatal("%s: %s; use another checkpoint", path.c_str(), wrong.c_str());
      // Of a checkpoint with this number that an earlier epoch did not finish.
      if (content.identity != identity) content.messages.clear();
    }
  } catch (const LogError& failure) {
    Fatal("%s", failure.what());
  }
  std::vector<std::uint64_t> found(expected.size(), 0);
  for (const checkpoint::InTransitMessage& message : content.messages)
    ++found[static_cast<std::size_t>(message.source)];
  for (std::size_t rank = 0; rank < expected.size(); ++rank) {
    if (found[rank] == expected[rank]) continue;
    Fatal(
        "%s holds %lu messages of rank %zu instead of the %lu that were in transit at the "
        "checkpoint; use another one",
        path.c_str(), static_cast<unsigned long>(found[rank]), rank,
        static_cast<unsigned long>(expected[rank]));
  }
  return std::move(content.messages);
}

void TakeInAll(const std::vector<checkpoint::InTransitMessage>& messages) {
  std::vector<std::byte> bytes;
  for (const checkpoint::InTransitMessage& message : messages) {
    bytes.resize(sizeof message.header + message.payload.size());
    std::memcpy(bytes.data(), &message.header, sizeof message.header);
    if (!message.payload.empty()) {
      std::memcpy(bytes.data() + sizeof message.header, message.payload.data(),
                  message.payload.size());
    }
    engine::TakeInCounted(engine::PeerOf(message.source),
                          *reinterpret_cast<const WireHeader*>(bytes.data()));
  }
}

}  // namespace ftmpi::in_transit
