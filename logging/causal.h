// Causal logging (Alvisi & Marzullo: Message Logging: Pessimistic, Optimistic, Causal, and Optimal;
// family-based logging with parameter f).
//
// A determinant is stable when f+1 failure units hold it: no loss of f units can lose it. As long
// as a rank does not know one to be stable, the determinant rides on every message to a rank that
// is not known to have it, so that whoever depends on an event holds its determinant:
//     for all m: not stable(m) implies Depend(m) is a subset of Log(m).
// Nobody waits for anybody, and there are no messages but the program's, with these exceptions:
// data that does not fit on a message goes just before it; and when many determinants are not known
// to be stable (kPushAt), or output waits, they are sent to f other units, which acknowledge.
//
// What a rank knows of a creator's determinants is one number, since they come in order and each
// message brings all that the sender holds and does not know to be stable: `covered`, up to which
// all are held here or stable. The same number says what a peer holds (its acknowledgement, or that
// the peer sent them itself), and what was sent to it, which on an ordered channel need not be sent
// again. The own event log counts as held by the creator's unit; ranks of the creator's unit keep
// no copy of their own, since their logs would be lost with the creator's, but pass determinants
// on.
//
// For f = 1 a determinant is stable as soon as it reaches another unit, whose ranks never pass it
// on. f is at most the number of other units; with one unit nothing rides.
//
// Output is committable when all own determinants and all that the rank holds of others are stable
// (local output commit): Flush() pushes them.
#pragma once

#include <memory>
#include <vector>

#include "logging/dependency_vector.h"
#include "logging/protocol.h"
#include "logging/protocol_data.h"
#include "logging/protocol_units.h"
#include "logging/rank_map.h"
#include "logging/ring_queue.h"

namespace ftmpi::logging {

class CausalProtocol final : public Protocol {
 public:
  CausalProtocol(const ProtocolConfiguration& configuration, ProtocolHost* host);

  void OnEvent(const Determinant& determinant, int message_source) override;
  bool MaySend(int /*destination*/) override { return true; }
  std::span<const std::byte> TakePiggyback(int destination) override;
  void OnDelivery(int source, std::uint64_t interval) override;
  bool OnPiggyback(int source, std::span<const std::byte> data) override {
    return OnData(source, data);
  }
  bool OnControl(int source, std::span<const std::byte> data) override {
    return OnData(source, data);
  }
  // Stable storage does not count here: an event that is there may depend on one of the same
  // failure unit that is not, and then be out of reach after the loss of the unit.
  void OnStable(std::uint64_t /*index*/) override {}
  void Flush() override;
  [[nodiscard]] std::uint64_t CommittableInterval() const override;
  [[nodiscard]] std::uint64_t OutputPosition() const override { return position_; }
  [[nodiscard]] std::uint64_t CommittablePosition() const override;
  [[nodiscard]] std::vector<std::pair<int, std::uint64_t>> DependencyVector() const override {
    return dependencies_.Entries();
  }
  [[nodiscard]] std::uint64_t known_interval(int source) const override {
    return dependencies_[source];
  }

 private:
  // What a peer and this rank know of each other with respect to one creator's determinants.
  struct Knowledge {
    std::uint64_t sent = 0;         // up to here they were sent to the peer, or it has them anyhow
    std::uint64_t demanded = 0;     // up to here acknowledgement at once was asked for
    std::uint64_t stable_told = 0;  // up to here the peer knows that they are stable
    bool owed = false;              // the peer sent some: it is to be told what is covered here
    bool stable_due = false;        // it is to be told what is stable
    bool caring = false;            // in `caring` of the creator
    bool listed = false;            // in the peer's notes
  };
  struct UnitHolds {
    int unit = -1;
    std::uint64_t index = 0;
  };
  struct Creator {
    int rank = -1;
    int needed = 0;             // other units, beside the creator's and the own, that must hold
    bool active = false;        // in active_: some are not known to be stable
    std::uint64_t covered = 0;  // all up to here are held here or stable
    std::uint64_t stable = 0;   // all up to here are known to be stable
    RingQueue<Determinant> unstable;  // those between, that are held here
    std::vector<UnitHolds> holders;   // at most `needed` other units that hold most
    RankMap<Knowledge> peers;
    std::vector<int> caring;   // peers that have some and may not know that they are stable
    WaitingIntervals waiting;  // own intervals that wait for these to become stable
  };
  using CreatorList = std::vector<Creator*>;

  Creator* Find(int rank);
  bool OnData(int source, std::span<const std::byte> data);
  bool Valid(int source, const ProtocolData& data);
  void Learn(Creator* creator, const Determinant& determinant);
  void PeerHolds(Creator* creator, int peer, std::uint64_t index);
  void PeerHas(Creator* creator, int peer, Knowledge* knowledge, std::uint64_t index);
  void FindStable(Creator* creator);
  void LearnStable(Creator* creator, std::uint64_t index);
  void NotePeer(Creator* creator, int peer, Knowledge* knowledge);
  bool AddDeterminants(int destination);
  bool AddNotes(int destination);
  void SendNotes(int destination);
  void Push();
  void UpdateFlags();

  ProtocolConfiguration configuration_;
  ProtocolHost* host_;
  FailureUnits units_;
  int f_;
  class DependencyVector dependencies_;
  ProtocolDataWriter writer_;
  ProtocolDataReader reader_;
  RankMap<Creator*> creator_of_;
  std::vector<std::unique_ptr<Creator>> creators_;
  Creator* own_;
  CreatorList active_;
  RankMap<CreatorList> notes_;  // per peer: creators of which it is to be told something
  std::size_t notes_count_ = 0;
  std::size_t unstable_ = 0;  // determinants in all the queues
  std::size_t push_at_;       // so many are pushed without output waiting
  std::uint64_t position_;
  RingQueue<std::uint64_t> event_positions_;  // of the own unstable events
};

}  // namespace ftmpi::logging
