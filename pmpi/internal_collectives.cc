#include "pmpi/internal_collectives.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <tuple>
#include <utility>

#include "pmpi/engine.h"
#include "pmpi/message.h"

namespace ftmpi {
namespace {

// Messages are sent as bytes, in pieces that an int can count.
constexpr std::size_t kPiece = std::size_t{1} << 30;

void Finish(Request* request) {
  engine::Wait(request);
  const int error = request->error;
  engine::DeleteRequest(request);
  FTMPI_CHECK(error == MPI_SUCCESS);
}

int CountOf(std::size_t bytes) { return static_cast<int>(std::min(bytes, kPiece)); }

// One process to another and back; `to` or `from` -1: only the one way. Every message has at least
// one piece, so that an empty one synchronises too.
void Transfer(Communicator* communicator, int tag, const void* data, std::size_t bytes, int to,
              void* received, std::size_t received_bytes, int from) {
  const auto* out = static_cast<const std::byte*>(data);
  auto* in = static_cast<std::byte*>(received);
  bool sending = to >= 0;
  bool receiving = from >= 0;
  while (sending || receiving) {
    Request* receive = nullptr;
    Request* send = nullptr;
    const int in_count = CountOf(received_bytes);
    const int out_count = CountOf(bytes);
    if (receiving) {
      receive = engine::CollectiveReceive(in, in_count, MPI_BYTE, from, tag, communicator, nullptr);
    }
    if (sending) {
      send = engine::CollectiveSend(out, out_count, MPI_BYTE, to, tag, communicator, Lane::kProgram,
                                    nullptr);
    }
    if (receive != nullptr) {
      Finish(receive);
      in += in_count;
      received_bytes -= static_cast<std::size_t>(in_count);
      receiving = received_bytes > 0;
    }
    if (send != nullptr) {
      Finish(send);
      out += out_count;
      bytes -= static_cast<std::size_t>(out_count);
      sending = bytes > 0;
    }
  }
}

}  // namespace

Party::Party(Communicator* communicator)
    : communicator_(communicator),
      me_(communicator->rank),
      size_(communicator->size),
      tag_(static_cast<int>(communicator->collective_sequence++)) {
  FTMPI_CHECK(!communicator->inter);
}

Party::Party(Communicator* communicator, std::vector<int> ranks, int tag)
    : communicator_(communicator),
      ranks_(std::move(ranks)),
      me_(-1),
      size_(static_cast<int>(ranks_.size())),
      tag_(tag) {
  for (int member = 0; member < size_; ++member) {
    if (RankOf(member) == communicator->rank) me_ = member;
  }
  FTMPI_CHECK(!communicator->inter && me_ >= 0);
}

void Party::Send(const void* data, std::size_t bytes, int member) const {
  Transfer(communicator_, tag_, data, bytes, RankOf(member), nullptr, 0, -1);
}

void Party::Receive(void* data, std::size_t bytes, int member) const {
  Transfer(communicator_, tag_, nullptr, 0, -1, data, bytes, RankOf(member));
}

void Party::SendReceive(const void* data, std::size_t bytes, int to, void* received,
                        std::size_t received_bytes, int from) const {
  Transfer(communicator_, tag_, data, bytes, RankOf(to), received, received_bytes, RankOf(from));
}

void Party::Barrier() const {
  for (int distance = 1; distance < size_; distance *= 2) {
    SendReceive(nullptr, 0, (me_ + distance) % size_, nullptr, 0, (me_ - distance + size_) % size_);
  }
}

void Party::Broadcast(void* data, std::size_t bytes, int root) const {
  const int relative = (me_ - root + size_) % size_;
  int mask = 1;
  while (mask < size_ && (relative & mask) == 0) mask *= 2;
  if (relative != 0) Receive(data, bytes, (relative - mask + root) % size_);
  for (mask /= 2; mask > 0; mask /= 2) {
    if (relative + mask < size_) Send(data, bytes, (relative + mask + root) % size_);
  }
}

void Party::BroadcastVector(std::vector<int>* data, int root) const {
  std::uint64_t length = data->size();
  Broadcast(&length, sizeof length, root);
  data->resize(length);
  if (length > 0) Broadcast(data->data(), length * sizeof(int), root);
}

void Party::Allgather(const void* mine, std::size_t block, void* all) const {
  // Gathered[i] is the block of member (me + i) mod size.
  std::vector<std::byte> gathered(block * static_cast<std::size_t>(size_));
  std::memcpy(gathered.data(), mine, block);
  for (int have = 1; have < size_; have *= 2) {
    const int more = std::min(have, size_ - have);
    const std::size_t bytes = block * static_cast<std::size_t>(more);
    SendReceive(gathered.data(), bytes, (me_ - have + size_) % size_,
                gathered.data() + block * static_cast<std::size_t>(have), bytes,
                (me_ + have) % size_);
  }
  auto* out = static_cast<std::byte*>(all);
  const std::size_t first = block * static_cast<std::size_t>(size_ - me_);
  std::memcpy(out + block * static_cast<std::size_t>(me_), gathered.data(), first);
  std::memcpy(out, gathered.data() + first, gathered.size() - first);
}

std::vector<Party::Parcel> Party::Exchange(std::vector<Parcel> parcels) const {
  for (int distance = 1; distance < size_; distance *= 2) {
    // A parcel goes on in this round if its remaining way has this bit.
    const auto goes = std::stable_partition(
        parcels.begin(), parcels.end(), [this, distance](const Parcel& parcel) {
          return (((parcel.destination - me_ + size_) % size_) & distance) == 0;
        });
    const std::vector<Parcel> out(goes, parcels.end());
    parcels.erase(goes, parcels.end());
    const int to = (me_ + distance) % size_;
    const int from = (me_ - distance + size_) % size_;
    const std::uint64_t out_count = out.size();
    std::uint64_t in_count = 0;
    SendReceive(&out_count, sizeof out_count, to, &in_count, sizeof in_count, from);
    const std::size_t kept = parcels.size();
    parcels.resize(kept + in_count);
    SendReceive(out.data(), out_count * sizeof(Parcel), to, parcels.data() + kept,
                in_count * sizeof(Parcel), from);
  }
  std::sort(parcels.begin(), parcels.end(), [](const Parcel& left, const Parcel& right) {
    return std::tie(left.source, left.order, left.kind) <
           std::tie(right.source, right.order, right.kind);
  });
  return parcels;
}

std::vector<int> ExchangeWithPeer(Communicator* communicator, int peer, int tag,
                                  const std::vector<int>& mine) {
  const std::uint64_t out_length = mine.size();
  std::uint64_t in_length = 0;
  Transfer(communicator, tag, &out_length, sizeof out_length, peer, &in_length, sizeof in_length,
           peer);
  std::vector<int> theirs(in_length);
  Transfer(communicator, tag, mine.data(), mine.size() * sizeof(int), peer, theirs.data(),
           theirs.size() * sizeof(int), peer);
  return theirs;
}

std::vector<int> ExchangeWithRemoteGroup(Communicator* intercommunicator,
                                         const std::vector<int>& mine) {
  const int tag = static_cast<int>(intercommunicator->collective_sequence++);
  std::vector<int> theirs;
  if (intercommunicator->rank == 0) theirs = ExchangeWithPeer(intercommunicator, 0, tag, mine);
  Party(intercommunicator->local_communicator.get()).BroadcastVector(&theirs, 0);
  return theirs;
}

int GroupTag(int program_tag) { return INT_MIN + (program_tag & 0x3fffffff); }

int IntercommunicatorTag(int program_tag) {
  return INT_MIN + 0x40000000 + (program_tag & 0x1fffffff);
}

}  // namespace ftmpi
