// Pessimistic logging: sender-based message logging (Johnson ch. 3; Johnson & Zwaenepoel 1987).
//
// The determinant of an event goes to the sender of the message that it delivered (the RSN
// returned, 3.2.3), or, when that rank would be lost together with this one or the event is no
// delivery, to a rank of the next failure unit. Its receiver holds it and acknowledges. No message
// leaves before all own determinants are acknowledged, except one to the rank that all the
// unacknowledged ones are meant for: they travel before it or on it (3.2.5). So whatever another
// rank depends on is held in two failure units, and the loss of any one unit makes no orphan.
//
// Determinants and acknowledgements are postponed for piggybacking (3.2.5), consecutive ones share
// a record. What is postponed goes out at once when it is needed: determinants when a message is
// held because of them, with a demand (kAcknowledgeAtOnce) that the answer shall not be postponed
// either. A rank whose determinants go to several others, as a master's do, demands so from the
// start: a worker that computes cannot answer later. Nothing waits for Poll(), which only uses idle
// time.
//
// With one failure unit the node-local logs are all there is: then no message and no wait.
#pragma once

#include <vector>

#include "logging/dependency_vector.h"
#include "logging/protocol.h"
#include "logging/protocol_data.h"
#include "logging/protocol_units.h"
#include "logging/rank_map.h"
#include "logging/ring_queue.h"

namespace ftmpi::logging {

class PessimisticProtocol final : public Protocol {
 public:
  PessimisticProtocol(const ProtocolConfiguration& configuration, ProtocolHost* host);

  void OnEvent(const Determinant& determinant, int message_source) override;
  bool MaySend(int destination) override;
  std::span<const std::byte> TakePiggyback(int destination) override;
  void OnDelivery(int source, std::uint64_t interval) override;
  bool OnPiggyback(int source, std::span<const std::byte> data) override {
    return OnData(source, data);
  }
  bool OnControl(int source, std::span<const std::byte> data) override {
    return OnData(source, data);
  }
  void OnStable(std::uint64_t index) override;
  void Flush() override;
  void Poll() override;
  [[nodiscard]] std::uint64_t CommittableInterval() const override;
  // Only events can keep output waiting here: positions are intervals.
  [[nodiscard]] std::uint64_t OutputPosition() const override { return interval_; }
  [[nodiscard]] std::uint64_t CommittablePosition() const override { return CommittableInterval(); }
  [[nodiscard]] std::vector<std::pair<int, std::uint64_t>> DependencyVector() const override {
    return dependencies_.Entries();
  }
  [[nodiscard]] std::uint64_t known_interval(int source) const override {
    return dependencies_[source];
  }

 private:
  struct Own {
    Determinant determinant;
    std::int32_t destination = -1;
    bool safe = false;
  };
  struct Peer {
    // Own determinants meant for this rank that are not acknowledged, by index; the last `unsent`
    // of them have not gone out.
    RingQueue<std::uint64_t> unacknowledged;
    std::size_t unsent = 0;
    std::uint64_t demanded = 0;      // an immediate acknowledgement was asked for, up to this index
    std::uint64_t sent = 0;          // greatest own index that went out to this rank
    std::uint64_t received = 0;      // greatest index of this rank's determinants that came here
    std::uint64_t acknowledged = 0;  // ... of which it was told
    bool listed_unsent = false;      // in unsent_peers_
    bool listed_owed = false;        // in owed_peers_
  };

  bool OnData(int source, std::span<const std::byte> data);
  bool Valid(int source, const ProtocolData& data) const;
  Own& At(std::uint64_t index) { return own_[index - own_.front().determinant.index]; }
  void Acknowledged(Peer* peer, std::uint64_t index);
  void DropSafe();
  void AddDeterminants(Peer* peer);
  bool AddAcknowledgement(int source, Peer* peer);
  void SendNow(int destination, Peer* peer, bool demand);
  void DemandAll();
  void SendPostponed();
  void UpdateFlags();

  ProtocolConfiguration configuration_;
  ProtocolHost* host_;
  FailureUnits units_;
  class DependencyVector dependencies_;
  ProtocolDataWriter writer_;
  ProtocolDataReader reader_;
  RankMap<Peer> peers_;
  std::vector<int> unsent_peers_;
  std::vector<int> owed_peers_;
  RingQueue<Own> own_;              // from the first that is not safe, in order of index
  std::size_t unacknowledged_ = 0;  // how many of own_ are not safe
  std::uint64_t interval_;
  std::uint64_t demanded_ = 0;      // acknowledgement at once was demanded of all up to this index
  std::uint64_t urgent_until_ = 0;  // determinants below this index demand acknowledgement at once
  int last_destination_ = -1;
  unsigned idle_polls_ = 0;
};

}  // namespace ftmpi::logging
