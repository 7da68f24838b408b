#include "logging/causal.h"

#include <algorithm>

#include "logging/protocol_check.h"

namespace ftmpi::logging {
namespace {

// So many determinants that are not known to be stable make them be pushed to other units: bounds
// memory where messages flow one way and bring no acknowledgements.
constexpr std::size_t kPushAt = 4096;

}  // namespace

CausalProtocol::CausalProtocol(const ProtocolConfiguration& configuration, ProtocolHost* host)
    : configuration_(configuration),
      host_(host),
      units_(configuration.unit, configuration.rank),
      f_(std::min(configuration.causal_f, units_.count() - 1)),
      reader_(configuration.size),
      push_at_(kPushAt),
      position_(configuration.interval) {
  configuration_.unit = {};
  own_ = Find(configuration.rank);
  own_->covered = own_->stable = configuration.interval;
}

CausalProtocol::Creator* CausalProtocol::Find(int rank) {
  Creator*& found = creator_of_[rank];
  if (found == nullptr) {
    creators_.push_back(std::make_unique<Creator>());
    found = creators_.back().get();
    found->rank = rank;
    // Holders for certain: the creator's unit by its event log, and the own unit.
    found->needed = f_ + 1 - (units_.same(rank) ? 1 : 2);
  }
  return found;
}

void CausalProtocol::OnEvent(const Determinant& determinant, int /*message_source*/) {
  ProtocolCheck(determinant.index == own_->covered + 1, "events are counted without gaps");
  own_->covered = determinant.index;
  ++position_;
  if (own_->needed <= 0) {
    own_->stable = own_->covered;
    return;
  }
  own_->unstable.push_back(determinant);
  event_positions_.push_back(position_);
  ++unstable_;
  if (!own_->active) {
    own_->active = true;
    active_.push_back(own_);
  }
  piggyback_pending_ = true;
  if (unstable_ >= push_at_) Push();
}

// Adds all determinants that `destination` is not known to have.
bool CausalProtocol::AddDeterminants(int destination) {
  bool any = false;
  for (Creator* creator : active_) {
    if (creator->rank == destination) continue;
    Knowledge& knowledge = creator->peers[destination];
    if (knowledge.sent >= creator->covered) continue;
    // In order of index: the first of interest is found by bisection.
    std::size_t low = 0;
    std::size_t high = creator->unstable.size();
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (creator->unstable[middle].index <= knowledge.sent) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    for (; low < creator->unstable.size(); ++low) {
      writer_.Add(creator->unstable[low]);
      any = true;
    }
    PeerHas(creator, destination, &knowledge, creator->covered);
  }
  return any;
}

// Adds acknowledgements and news of stability for `destination`.
bool CausalProtocol::AddNotes(int destination) {
  if (notes_count_ == 0) return false;
  CreatorList* notes = notes_.Find(destination);
  if (notes == nullptr || notes->empty()) return false;
  bool any = false;
  for (Creator* creator : *notes) {
    Knowledge& knowledge = creator->peers[destination];
    if (knowledge.owed) writer_.AddHeld(creator->rank, creator->covered);
    if (knowledge.stable_due && creator->stable > knowledge.stable_told) {
      writer_.AddStable(creator->rank, creator->stable);
      knowledge.stable_told = creator->stable;
      any = true;
    }
    any = any || knowledge.owed;
    knowledge.owed = false;
    knowledge.stable_due = false;
    knowledge.listed = false;
  }
  notes_count_ -= notes->size();
  notes->clear();
  return any;
}

std::span<const std::byte> CausalProtocol::TakePiggyback(int destination) {
  if (destination == configuration_.rank) return {};
  writer_.Begin();
  const bool determinants = AddDeterminants(destination);
  const bool notes = AddNotes(destination);
  UpdateFlags();
  if (!determinants && !notes) return {};
  return writer_.FinishRiding(host_, destination, configuration_.maximum_piggyback,
                              configuration_.maximum_control);
}

void CausalProtocol::SendNotes(int destination) {
  writer_.Begin();
  if (AddNotes(destination)) {
    writer_.FinishAlone(host_, destination, configuration_.maximum_control);
  }
}

void CausalProtocol::OnDelivery(int source, std::uint64_t interval) {
  if (source != configuration_.rank) dependencies_.Raise(source, interval);
}

bool CausalProtocol::Valid(int source, const ProtocolData& data) {
  if (!data.dependencies.empty() || !data.requests.empty() || !data.answered.empty()) return false;
  if (source == configuration_.rank) return false;
  int rank = -1;
  std::uint64_t index = 0;
  for (const Determinant& determinant : data.determinants) {
    if (determinant.rank == configuration_.rank) return false;
    if (determinant.rank == rank && determinant.index <= index) return false;
    rank = determinant.rank;
    index = determinant.index;
  }
  const auto known = [&](const RankAndIndex& pair) {
    return pair.rank != configuration_.rank || pair.index <= own_->covered;
  };
  return std::all_of(data.held.begin(), data.held.end(), known) &&
         std::all_of(data.stable.begin(), data.stable.end(), known);
}

bool CausalProtocol::OnData(int source, std::span<const std::byte> bytes) {
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
  // Determinants come creator by creator; what goes with a creator is done once.
  for (std::size_t i = 0; i < data.determinants.size();) {
    Creator* creator = Find(data.determinants[i].rank);
    std::size_t end = i;
    for (; end < data.determinants.size() && data.determinants[end].rank == creator->rank; ++end) {
      Learn(creator, data.determinants[end]);
    }
    Knowledge& knowledge = creator->peers[source];
    knowledge.owed = true;
    NotePeer(creator, source, &knowledge);
    PeerHolds(creator, source, data.determinants[end - 1].index);
    i = end;
  }
  for (const RankAndIndex& held : data.held) PeerHolds(Find(held.rank), source, held.index);
  for (const RankAndIndex& stable : data.stable) {
    Creator* creator = Find(stable.rank);
    Knowledge& knowledge = creator->peers[source];
    knowledge.stable_told = std::max(knowledge.stable_told, stable.index);
    LearnStable(creator, stable.index);
  }
  if ((data.flags & kAcknowledgeAtOnce) != 0) SendNotes(source);
  if (unstable_ >= push_at_) Push();
  UpdateFlags();
  return true;
}

// Another rank's determinant arrived.
void CausalProtocol::Learn(Creator* creator, const Determinant& determinant) {
  if (determinant.index <= creator->covered) return;
  if (!units_.same(creator->rank)) host_->Hold(determinant);
  creator->covered = determinant.index;
  if (creator->needed <= 0) {
    creator->stable = creator->covered;
    return;
  }
  creator->unstable.push_back(determinant);
  ++unstable_;
  creator->waiting.Raise(own_->covered, ++position_, determinant.index);
  if (!creator->active) {
    creator->active = true;
    active_.push_back(creator);
  }
}

// `peer` has the creator's determinants up to `index`, or will before anything else from here.
void CausalProtocol::PeerHas(Creator* creator, int peer, Knowledge* knowledge,
                             std::uint64_t index) {
  knowledge->sent = std::max(knowledge->sent, index);
  if (knowledge->caring || creator->needed <= 0) return;
  knowledge->caring = true;
  // To a peer of another unit than the creator's, that has them, f >= 2 leaves some to be wished
  // for.
  const bool same = units_.unit(peer) == units_.unit(creator->rank);
  if (f_ + 1 - (same ? 1 : 2) > 0) creator->caring.push_back(peer);
}

// `peer` holds the creator's determinants up to `index`, as far as they are not stable.
void CausalProtocol::PeerHolds(Creator* creator, int peer, std::uint64_t index) {
  PeerHas(creator, peer, &creator->peers[peer], index);
  if (creator->needed <= 0) return;
  const int unit = units_.unit(peer);
  if (unit != units_.own() && unit != units_.unit(creator->rank)) {
    // The `needed` units that hold most are enough to know: an index only grows, and when a unit
    // comes to be one of them, that is through news of it.
    auto& holders = creator->holders;
    auto found = std::find_if(holders.begin(), holders.end(),
                              [unit](const UnitHolds& holds) { return holds.unit == unit; });
    if (found != holders.end()) {
      found->index = std::max(found->index, index);
    } else if (holders.size() < static_cast<std::size_t>(creator->needed)) {
      holders.push_back({unit, index});
    } else {
      found = std::min_element(
          holders.begin(), holders.end(),
          [](const UnitHolds& x, const UnitHolds& y) { return x.index < y.index; });
      if (found->index < index) *found = {unit, index};
    }
  }
  FindStable(creator);
}

void CausalProtocol::FindStable(Creator* creator) {
  if (creator->holders.size() < static_cast<std::size_t>(creator->needed)) return;
  std::uint64_t all = creator->covered;
  for (const UnitHolds& holds : creator->holders) all = std::min(all, holds.index);
  LearnStable(creator, all);
}

void CausalProtocol::LearnStable(Creator* creator, std::uint64_t index) {
  if (index <= creator->stable) return;
  creator->stable = index;
  creator->covered = std::max(creator->covered, index);
  if (creator->needed <= 0) return;
  while (!creator->unstable.empty() && creator->unstable.front().index <= index) {
    creator->unstable.pop_front();
    --unstable_;
    if (creator == own_) event_positions_.pop_front();
  }
  creator->waiting.Settle(index);
  if (creator->unstable.empty() && creator->active) {
    creator->active = false;
    std::erase(active_, creator);
  }
  // Those who may still pass them on are told, when a message goes there.
  for (const int peer : creator->caring) {
    Knowledge& knowledge = creator->peers[peer];
    if (knowledge.sent <= knowledge.stable_told) continue;
    knowledge.stable_due = true;
    NotePeer(creator, peer, &knowledge);
  }
}

void CausalProtocol::NotePeer(Creator* creator, int peer, Knowledge* knowledge) {
  if (knowledge->listed) return;
  knowledge->listed = true;
  notes_[peer].push_back(creator);
  ++notes_count_;
  piggyback_pending_ = true;
}

// Sends all that is not known to be stable to so many units that it will be, and has them
// acknowledge. Each gets everything, as a message would bring it: a rank that holds the determinant
// of an event then also holds those of the events before it.
void CausalProtocol::Push() {
  push_at_ = unstable_ + kPushAt;
  if (active_.empty()) return;
  // With the creator's own unit, f others do; where the creator is in one of these, this unit is
  // the one more.
  const auto& others = units_.others();
  const auto targets = static_cast<std::size_t>(f_);
  for (std::size_t i = 0; i < targets; ++i) {
    const int target = others[i];
    bool due = false;
    for (Creator* creator : active_) {
      if (creator->rank == target) continue;
      Knowledge& knowledge = creator->peers[target];
      due = due || knowledge.demanded < creator->covered;
      knowledge.demanded = creator->covered;
    }
    if (!due) continue;
    writer_.Begin();
    writer_.AddFlag(kAcknowledgeAtOnce);
    AddDeterminants(target);
    AddNotes(target);
    writer_.FinishAlone(host_, target, configuration_.maximum_control, true);
  }
}

void CausalProtocol::Flush() {
  Push();
  UpdateFlags();
}

void CausalProtocol::UpdateFlags() {
  piggyback_pending_ = !active_.empty() || notes_count_ > 0;
  if (unstable_ + kPushAt < push_at_) push_at_ = unstable_ + kPushAt;
}

std::uint64_t CausalProtocol::CommittableInterval() const {
  std::uint64_t committable = own_->stable;
  for (const Creator* creator : active_) {
    const std::uint64_t first = creator->waiting.first_interval();
    if (first <= committable) committable = first == 0 ? 0 : first - 1;
  }
  return committable;
}

std::uint64_t CausalProtocol::CommittablePosition() const {
  std::uint64_t committable = event_positions_.empty() ? position_ : event_positions_.front() - 1;
  for (const Creator* creator : active_) {
    const std::uint64_t first = creator->waiting.first_position();
    if (first <= committable) committable = first - 1;
  }
  return committable;
}

}  // namespace ftmpi::logging
