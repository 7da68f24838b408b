// Small blocking collectives by which the members of new communicators agree. Deterministic: every
// receive names its source. They run on the message engine, so they are logged and replayed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pmpi/communicator.h"

namespace ftmpi {

// The processes that take part, each by its rank in the remote group of `communicator`, and the tag
// (in Context::kCollective) that belongs to this agreement alone.
class Party {
 public:
  // All of an intracommunicator. Takes a collective sequence number: each member must make one.
  explicit Party(Communicator* communicator);
  // Some members (with this process) under a tag of their own; see GroupTag.
  Party(Communicator* communicator, std::vector<int> ranks, int tag);

  [[nodiscard]] int me() const { return me_; }
  [[nodiscard]] int size() const { return size_; }

  void Barrier() const;
  // `bytes` bytes from the member `root` to all. Binomial tree.
  void Broadcast(void* data, std::size_t bytes, int root) const;
  // The same for a vector whose length only the root knows.
  void BroadcastVector(std::vector<int>* data, int root) const;
  // `block` bytes of each member to all, in the order of members. Bruck's algorithm.
  void Allgather(const void* mine, std::size_t block, void* all) const;

  // A few numbers for one member.
  struct Parcel {
    int destination;  // member
    int source;       // member
    int order;        // of the parcel at its source
    int kind;
    int value[2];
  };
  // Brings each parcel to its destination; returns those for this process, by (source, order).
  // Bruck's algorithm: ceil(log2(size)) messages each way, whatever the pattern.
  [[nodiscard]] std::vector<Parcel> Exchange(std::vector<Parcel> parcels) const;

 private:
  void Send(const void* data, std::size_t bytes, int member) const;
  void Receive(void* data, std::size_t bytes, int member) const;
  void SendReceive(const void* data, std::size_t bytes, int to, void* received,
                   std::size_t received_bytes, int from) const;
  [[nodiscard]] int RankOf(int member) const {
    return ranks_.empty() ? member : ranks_[static_cast<std::size_t>(member)];
  }

  Communicator* communicator_;
  std::vector<int> ranks_;  // empty: all
  int me_;
  int size_;
  int tag_;
};

// Sends `mine` to rank `peer` of the remote group and receives what it sent, each a vector of any
// length; for the leaders of two groups.
std::vector<int> ExchangeWithPeer(Communicator* communicator, int peer, int tag,
                                  const std::vector<int>& mine);

// What rank 0 of the local group says to the other group of an intercommunicator, and what the
// other one says: `mine` is looked at there only, the result is the same at all members of this
// side. Collective over the intercommunicator.
std::vector<int> ExchangeWithRemoteGroup(Communicator* intercommunicator,
                                         const std::vector<int>& mine);

// Tags of agreements that are not collective over the communicator, by the program's tag. They are
// negative, apart from collective sequence numbers, and never MPI_ANY_TAG.
int GroupTag(int program_tag);              // MPI_Comm_create_group
int IntercommunicatorTag(int program_tag);  // MPI_Intercomm_create, between the leaders

}  // namespace ftmpi
