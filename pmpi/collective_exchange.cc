// The algorithms of MPI_Alltoall and its v and w forms.
//
// Linear: to and from a window of partners at once. Pairwise: one partner after the other. Bruck
// (for small uniform blocks): log2(size) messages of half of the data each; Bruck et al. (1997).
#include <algorithm>

#include "pmpi/collective_alltoall.h"
#include "pmpi/collective_selection.h"

namespace ftmpi {
namespace {

void Direct(Schedule& schedule, const Blocks& send, const Blocks& receive, int window) {
  const int rank = schedule.rank();
  const int peers = schedule.inter() ? schedule.remote_size() : schedule.size();
  int first = 0;
  bool own_block = !schedule.inter();  // still to be copied
  if (own_block) first = 1;
  // In the groups of an intercommunicator, which may differ in size, partner i of a rank counts
  // from 0: both ends of each pair still meet, since no window waits for its sends alone.
  if (schedule.inter()) window = peers;
  for (; first < peers; first += window) {
    const int last = std::min(first + window, peers);
    for (int i = first; i < last; ++i) {
      const int from = schedule.inter() ? i : (rank - i + peers) % peers;
      if (receive.BytesOf(from) > 0) schedule.ReceiveData(receive.At(from), from);
    }
    for (int i = first; i < last; ++i) {
      const int to = (rank + i) % peers;
      if (send.BytesOf(to) > 0) schedule.SendData(send.At(to), to);
    }
    // While the first messages travel.
    if (own_block) schedule.CopyData(send.At(rank), receive.At(rank));
    own_block = false;
    schedule.EndRound();
  }
  if (own_block) schedule.CopyData(send.At(rank), receive.At(rank));
}

// Each pair of ranks swaps its blocks; in step s the partner is s - rank, which is mutual.
void InPlace(Schedule& schedule, const Blocks& blocks) {
  const int size = schedule.size();
  const int rank = schedule.rank();
  std::uint64_t longest = 0;
  for (int i = 0; i < size; ++i) {
    if (i != rank) longest = std::max(longest, blocks.BytesOf(i));
  }
  std::byte* outgoing = schedule.Temporary(longest);
  for (int step = 0; step < size; ++step) {
    const int partner = (step - rank + size) % size;
    if (partner == rank) continue;
    const Data block = blocks.At(partner);
    if (block.bytes() == 0) continue;
    if (block.bytes() > Schedule::kPieceBytes) {
      // As a whole on one end and in pieces on the other would not match: both use the datatype.
      Data copy = block;
      Reduction elements;
      elements.datatype = block.datatype;
      elements.layout = block.layout;
      copy.address = schedule.TemporaryElements(static_cast<std::uint64_t>(block.count), elements);
      schedule.CopyData(block, copy);
      schedule.ReceiveData(block, partner);
      schedule.SendData(copy, partner);
    } else {
      schedule.Pack(block, outgoing);
      schedule.ReceiveData(block, partner);
      schedule.SendBytes(outgoing, block.bytes(), partner);
    }
    schedule.EndRound();
  }
}

void Bruck(Schedule& schedule, const Blocks& send, const Blocks& receive, bool in_place) {
  const int size = schedule.size();
  const int rank = schedule.rank();
  const std::uint64_t block = receive.BytesOf(0);
  const auto at = [block](std::byte* base, int index) {
    return base + static_cast<std::uint64_t>(index) * block;
  };
  std::byte* blocks = schedule.Temporary(block * static_cast<std::uint64_t>(size));
  std::byte* outgoing = schedule.Temporary(block * static_cast<std::uint64_t>((size + 1) / 2));
  std::byte* incoming = schedule.Temporary(block * static_cast<std::uint64_t>((size + 1) / 2));
  const Blocks& source = in_place ? receive : send;
  // blocks[i] is what goes i ranks further.
  for (int i = 0; i < size; ++i) {
    const Data from = source.At((rank + i) % size);
    if (from.layout.contiguous) {
      schedule.CopyBytes(from.begin(), at(blocks, i), block);
    } else {
      schedule.Pack(from, at(blocks, i));
    }
  }
  for (int distance = 1; distance < size; distance *= 2) {
    int number = 0;
    for (int i = distance; i < size; ++i) {
      if ((i & distance) != 0) schedule.CopyBytes(at(blocks, i), at(outgoing, number++), block);
    }
    const std::uint64_t length = static_cast<std::uint64_t>(number) * block;
    schedule.ReceiveBytes(incoming, length, (rank - distance + size) % size);
    schedule.SendBytes(outgoing, length, (rank + distance) % size);
    schedule.EndRound();
    number = 0;
    for (int i = distance; i < size; ++i) {
      if ((i & distance) != 0) schedule.CopyBytes(at(incoming, number++), at(blocks, i), block);
    }
  }
  // blocks[i] has come from i ranks before.
  for (int i = 0; i < size; ++i) {
    const Data to = receive.At((rank - i + size) % size);
    if (to.layout.contiguous) {
      schedule.CopyBytes(at(blocks, i), to.begin(), block);
    } else {
      schedule.Unpack(at(blocks, i), to);
    }
  }
}

}  // namespace

void BuildExchange(Schedule& schedule, const Blocks& send, const Blocks& receive, bool in_place,
                   bool uniform) {
  const int size = schedule.inter() ? schedule.remote_size() : schedule.size();
  const std::uint64_t block = uniform ? receive.BytesOf(0) : 0;
  const Algorithm algorithm = uniform ? SelectAlltoall(size, block) : SelectAlltoallv(size);
  if (algorithm == Algorithm::kBruck && !schedule.inter() && size > 1) {
    if (block > 0) Bruck(schedule, send, receive, in_place);
  } else if (in_place) {
    InPlace(schedule, receive);
  } else {
    Direct(schedule, send, receive, algorithm == Algorithm::kPairwise ? 1 : ExchangeWindow());
  }
}

}  // namespace ftmpi
