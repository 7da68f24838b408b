#include "logging/pessimistic.h"

#include <algorithm>

#include "logging/protocol_check.h"

namespace ftmpi::logging {
namespace {

// How long a rank that had to wait, or whose determinants go to several ranks, goes on demanding
// acknowledgement at once: a number of events.
constexpr std::uint64_t kUrgentEvents = 256;
// So many determinants are postponed at most: bounds memory and the work of one message.
constexpr std::size_t kMaximumPostponed = 512;
// Rounds of an idle wait loop that stand for the thesis's timer (3.2.5).
constexpr unsigned kIdlePolls = 64;

}  // namespace

PessimisticProtocol::PessimisticProtocol(const ProtocolConfiguration& configuration,
                                         ProtocolHost* host)
    : configuration_(configuration),
      host_(host),
      units_(configuration.unit, configuration.rank),
      reader_(configuration.size),
      interval_(configuration.interval) {
  configuration_.unit = {};
}

void PessimisticProtocol::OnEvent(const Determinant& determinant, int message_source) {
  ProtocolCheck(determinant.index == interval_ + 1, "events are counted without gaps");
  interval_ = determinant.index;
  if (units_.count() < 2) return;
  const bool elsewhere = message_source >= 0 && !units_.same(message_source);
  const int destination = elsewhere ? message_source : units_.others().front();
  own_.push_back({determinant, destination, false});
  ++unacknowledged_;
  Peer& peer = peers_[destination];
  peer.unacknowledged.push_back(determinant.index);
  ++peer.unsent;
  if (!peer.listed_unsent) {
    peer.listed_unsent = true;
    unsent_peers_.push_back(destination);
  }
  if (destination != last_destination_) {
    if (last_destination_ >= 0) urgent_until_ = interval_ + kUrgentEvents;
    last_destination_ = destination;
  }
  sends_held_ = true;
  piggyback_pending_ = true;
  idle_polls_ = 0;
  if (peer.unsent >= kMaximumPostponed) SendNow(destination, &peer, true);
}

bool PessimisticProtocol::MaySend(int destination) {
  if (unacknowledged_ == 0 || destination == configuration_.rank) return true;
  const Peer* peer = peers_.Find(destination);
  if (peer != nullptr && peer->unacknowledged.size() == unacknowledged_) return true;
  urgent_until_ = interval_ + kUrgentEvents;
  DemandAll();
  UpdateFlags();
  return false;
}

std::span<const std::byte> PessimisticProtocol::TakePiggyback(int destination) {
  Peer* peer = peers_.Find(destination);
  if (peer == nullptr || (peer->unsent == 0 && peer->acknowledged == peer->received)) return {};
  writer_.Begin();
  AddDeterminants(peer);
  AddAcknowledgement(destination, peer);
  UpdateFlags();
  return writer_.FinishRiding(host_, destination, configuration_.maximum_piggyback,
                              configuration_.maximum_control);
}

void PessimisticProtocol::OnDelivery(int source, std::uint64_t interval) {
  if (source != configuration_.rank) dependencies_.Raise(source, interval);
}

bool PessimisticProtocol::Valid(int source, const ProtocolData& data) const {
  if (!data.stable.empty() || !data.dependencies.empty() || !data.requests.empty()) return false;
  if (source == configuration_.rank || units_.same(source)) {
    return data.determinants.empty() && data.held.empty();
  }
  const Peer* peer = peers_.Find(source);
  std::uint64_t last = peer == nullptr ? 0 : peer->received;
  for (const Determinant& determinant : data.determinants) {
    if (determinant.rank != source || determinant.index <= last) return false;
    last = determinant.index;
  }
  const std::uint64_t sent = peer == nullptr ? 0 : peer->sent;
  return std::all_of(data.held.begin(), data.held.end(), [&](const RankAndIndex& held) {
    return held.rank == configuration_.rank && held.index <= sent;
  });
}

bool PessimisticProtocol::OnData(int source, std::span<const std::byte> bytes) {
  if (source < 0 || source >= configuration_.size) return false;
  switch (reader_.Read(source, bytes)) {
    case ProtocolDataReader::Result::kMalformed:
      return false;
    case ProtocolDataReader::Result::kPartial:
      return true;
    case ProtocolDataReader::Result::kComplete:
      break;
  }
  const ProtocolData& data = reader_.data();
  if (!Valid(source, data)) return false;
  Peer& peer = peers_[source];
  for (const Determinant& determinant : data.determinants) host_->Hold(determinant);
  if (!data.determinants.empty()) peer.received = data.determinants.back().index;
  for (const RankAndIndex& held : data.held) Acknowledged(&peer, held.index);
  if (peer.acknowledged != peer.received) {
    if (!peer.listed_owed) {
      peer.listed_owed = true;
      owed_peers_.push_back(source);
    }
    piggyback_pending_ = true;
    idle_polls_ = 0;
    // What is postponed here for the same rank goes along.
    if ((data.flags & kAcknowledgeAtOnce) != 0) SendNow(source, &peer, false);
  }
  UpdateFlags();
  return true;
}

void PessimisticProtocol::Acknowledged(Peer* peer, std::uint64_t index) {
  while (!peer->unacknowledged.empty() && peer->unacknowledged.front() <= index) {
    At(peer->unacknowledged.front()).safe = true;
    peer->unacknowledged.pop_front();
    --unacknowledged_;
  }
  DropSafe();
}

void PessimisticProtocol::DropSafe() {
  while (!own_.empty() && own_.front().safe) own_.pop_front();
}

void PessimisticProtocol::OnStable(std::uint64_t index) {
  for (std::size_t i = 0; i < own_.size() && own_[i].determinant.index <= index; ++i) {
    Own& own = own_[i];
    if (own.safe) continue;
    own.safe = true;
    --unacknowledged_;
    // Queues are in order of index, so this one is its queue's first.
    Peer& peer = peers_[own.destination];
    peer.unacknowledged.pop_front();
    peer.unsent = std::min(peer.unsent, peer.unacknowledged.size());
  }
  DropSafe();
  UpdateFlags();
}

// Adds what was not sent to the message being written, and the demand if it is due.
void PessimisticProtocol::AddDeterminants(Peer* peer) {
  if (peer->unsent == 0) return;
  const std::size_t end = peer->unacknowledged.size();
  for (std::size_t i = end - peer->unsent; i < end; ++i) {
    writer_.Add(At(peer->unacknowledged[i]).determinant);
  }
  peer->unsent = 0;
  peer->sent = peer->unacknowledged.back();
  if (peer->sent < urgent_until_) {
    writer_.AddFlag(kAcknowledgeAtOnce);
    peer->demanded = peer->sent;
  }
}

bool PessimisticProtocol::AddAcknowledgement(int source, Peer* peer) {
  if (peer->acknowledged == peer->received) return false;
  writer_.AddHeld(source, peer->received);
  peer->acknowledged = peer->received;
  return true;
}

// Sends determinants and acknowledgements for one rank by themselves. With `demand` everything not
// yet acknowledged is to be so at once, also what was sent before (thesis 3.2.5: "the process
// retransmits its original RSN to force the RSN acknowledgement to be returned").
void PessimisticProtocol::SendNow(int destination, Peer* peer, bool demand) {
  writer_.Begin();
  AddDeterminants(peer);
  AddAcknowledgement(destination, peer);
  bool flags_alone = false;
  if (demand && !peer->unacknowledged.empty() && peer->demanded < peer->sent) {
    peer->demanded = peer->sent;
    flags_alone = true;
    writer_.AddFlag(kAcknowledgeAtOnce);
  }
  writer_.FinishAlone(host_, destination, configuration_.maximum_control, flags_alone);
}

// Asks for the acknowledgement of every own determinant, once.
void PessimisticProtocol::DemandAll() {
  if (demanded_ == interval_) return;
  demanded_ = interval_;
  for (std::size_t i = 0; i < own_.size(); ++i) {
    if (own_[i].safe) continue;
    const int destination = own_[i].destination;
    Peer& peer = peers_[destination];
    if (peer.unsent > 0 || peer.demanded < peer.sent) SendNow(destination, &peer, true);
  }
}

// Sends what is left of what was postponed.
void PessimisticProtocol::SendPostponed() {
  for (const int destination : unsent_peers_) {
    Peer& peer = peers_[destination];
    if (peer.unsent > 0) SendNow(destination, &peer, false);
  }
  for (const int destination : owed_peers_) {
    Peer& peer = peers_[destination];
    if (peer.acknowledged != peer.received) SendNow(destination, &peer, false);
  }
  UpdateFlags();
}

void PessimisticProtocol::Flush() {
  DemandAll();
  SendPostponed();
}

void PessimisticProtocol::Poll() {
  if (!piggyback_pending_ || ++idle_polls_ < kIdlePolls) return;
  idle_polls_ = 0;
  SendPostponed();
}

// Takes the ranks with nothing postponed off the lists.
void PessimisticProtocol::UpdateFlags() {
  std::erase_if(unsent_peers_, [&](int rank) {
    Peer& peer = peers_[rank];
    if (peer.unsent == 0) peer.listed_unsent = false;
    return peer.unsent == 0;
  });
  std::erase_if(owed_peers_, [&](int rank) {
    Peer& peer = peers_[rank];
    const bool none = peer.acknowledged == peer.received;
    if (none) peer.listed_owed = false;
    return none;
  });
  sends_held_ = unacknowledged_ > 0;
  piggyback_pending_ = !unsent_peers_.empty() || !owed_peers_.empty();
}

std::uint64_t PessimisticProtocol::CommittableInterval() const {
  return own_.empty() ? interval_ : own_.front().determinant.index - 1;
}

}  // namespace ftmpi::logging
