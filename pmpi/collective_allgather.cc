// MPI_Allgather(v) and their non-blocking forms.
//
// Between the members of one group, blocks travel as bytes in a row: in the receive buffer itself
// where its blocks are contiguous, else in a temporary that is unpacked at the end. Bruck: Bruck,
// Ho, Kipnis, Upfal, Weathersby, "Efficient Algorithms for All-to-All Communications in Multiport
// Message-Passing Systems" (1997).
#include <algorithm>

#include "pmpi/collective.h"
#include "pmpi/collective_selection.h"

namespace ftmpi {
namespace {

// Where the blocks of all ranks lie as bytes: offsets[i] .. offsets[i + 1], in the order of ranks;
// but in the program's buffer each at its own place.
struct Layout {
  const std::uint64_t* offsets;
  int size;
  [[nodiscard]] std::uint64_t Length(int block) const {
    return offsets[block + 1] - offsets[block];
  }
};

Layout PackedLayout(Schedule& schedule, const Blocks& blocks) {
  const int size = schedule.size();
  auto* offsets = reinterpret_cast<std::uint64_t*>(
      schedule.Temporary((static_cast<std::uint64_t>(size) + 1) * sizeof(std::uint64_t)));
  offsets[0] = 0;
  for (int i = 0; i < size; ++i) offsets[i + 1] = offsets[i] + blocks.BytesOf(i);
  return Layout{offsets, size};
}

// `own` is this rank's block as bytes, or null: it lies in its place in `blocks` already.
void Bruck(Schedule& schedule, const std::byte* own, const Blocks& blocks) {
  const int size = schedule.size();
  const int rank = schedule.rank();
  // Blocks in the order rank, rank + 1, ... (mod size).
  auto* offsets = reinterpret_cast<std::uint64_t*>(
      schedule.Temporary((static_cast<std::uint64_t>(size) + 1) * sizeof(std::uint64_t)));
  offsets[0] = 0;
  for (int i = 0; i < size; ++i) offsets[i + 1] = offsets[i] + blocks.BytesOf((rank + i) % size);
  std::byte* all = schedule.Temporary(offsets[size]);
  if (own == nullptr) {
    const Data mine = blocks.At(rank);
    if (mine.bytes() > 0) schedule.Pack(mine, all);
  } else {
    schedule.CopyBytes(own, all, offsets[1]);
  }
  for (int distance = 1; distance < size; distance *= 2) {
    const int number = std::min(distance, size - distance);
    const int to = (rank - distance + size) % size;
    const int from = (rank + distance) % size;
    const std::uint64_t incoming = offsets[distance + number] - offsets[distance];
    if (incoming > 0) schedule.ReceiveBytes(all + offsets[distance], incoming, from);
    if (offsets[number] > 0) schedule.SendBytes(all, offsets[number], to);
    schedule.EndRound();
  }
  for (int i = own == nullptr ? 1 : 0; i < size; ++i) {
    const Data to = blocks.At((rank + i) % size);
    if (to.bytes() == 0) continue;
    if (to.layout.contiguous) {
      schedule.CopyBytes(all + offsets[i], to.begin(), to.bytes());
    } else {
      schedule.Unpack(all + offsets[i], to);
    }
  }
}

// For a number of ranks that is a power of two; uniform blocks in a row at `all`, own block there.
void RecursiveDoubling(Schedule& schedule, std::byte* all, std::uint64_t block) {
  const int size = schedule.size();
  const int rank = schedule.rank();
  for (int mask = 1; mask < size; mask *= 2) {
    const int partner = rank ^ mask;
    const auto mine = static_cast<std::uint64_t>(rank & ~(mask - 1));
    const auto theirs = static_cast<std::uint64_t>(partner & ~(mask - 1));
    const std::uint64_t length = static_cast<std::uint64_t>(mask) * block;
    schedule.ReceiveBytes(all + theirs * block, length, partner);
    schedule.SendBytes(all + mine * block, length, partner);
    schedule.EndRound();
  }
}

// `place(i)` is where block i lies as bytes; own block there.
template <typename Place>
void Ring(Schedule& schedule, const Place& place, const Layout& layout) {
  const int size = schedule.size();
  const int rank = schedule.rank();
  const int right = (rank + 1) % size;
  const int left = (rank - 1 + size) % size;
  for (int step = 0; step < size - 1; ++step) {
    const int outgoing = (rank - step + size) % size;
    const int incoming = (rank - step - 1 + 2 * size) % size;
    if (layout.Length(incoming) > 0) {
      schedule.ReceiveBytes(place(incoming), layout.Length(incoming), left);
    }
    if (layout.Length(outgoing) > 0) {
      schedule.SendBytes(place(outgoing), layout.Length(outgoing), right);
    }
    schedule.EndRound();
  }
}

struct AllgatherCall {
  const void* sendbuf;
  int sendcount;
  MPI_Datatype sendtype;
  void* recvbuf;
  int recvcount;
  const int* recvcounts;  // v form, with displs
  const int* displs;
  MPI_Datatype recvtype;
  bool v;
  Data own = {};
  Blocks blocks = {};
  bool in_place = false;

  int Check(const Communicator& communicator) {
    in_place = sendbuf == MPI_IN_PLACE;
    if (in_place && communicator.inter) return MPI_ERR_ARG;
    if (recvbuf == MPI_IN_PLACE) return MPI_ERR_ARG;
    if (!in_place) {
      const int error = PrepareData(sendbuf, sendcount, sendtype, &own);
      if (error != MPI_SUCCESS) return error;
    }
    return v ? PrepareBlocksV(recvbuf, recvcounts, displs, recvtype, communicator.remote_size(),
                              &blocks)
             : PrepareBlocks(recvbuf, recvcount, recvtype, &blocks);
  }

  // Every rank sends its block to all of the other group.
  void BuildInter(Schedule& schedule) const {
    const int remote = schedule.remote_size();
    for (int i = 0; i < remote; ++i) {
      if (blocks.BytesOf(i) > 0) schedule.ReceiveData(blocks.At(i), i);
    }
    for (int i = 0; i < remote && own.bytes() > 0; ++i) {
      schedule.SendData(own, (schedule.rank() + i) % remote);
    }
    schedule.EndRound();
  }

  void Build(Schedule& schedule) const {
    if (schedule.inter()) {
      BuildInter(schedule);
      return;
    }
    const int size = schedule.size();
    const int rank = schedule.rank();
    std::uint64_t total = 0;
    if (v) {
      for (int i = 0; i < size; ++i) total += blocks.BytesOf(i);
    } else {
      total = blocks.BytesOf(0) * static_cast<std::uint64_t>(size);
    }
    if (total == 0) return;
    const Algorithm algorithm =
        v ? SelectAllgatherv(size, total) : SelectAllgather(size, blocks.BytesOf(0));
    if (algorithm == Algorithm::kBruck && size > 1) {
      const bool pack = !in_place && own.bytes() > 0;
      Bruck(schedule, in_place ? nullptr : pack ? schedule.Packed(own) : kNothing, blocks);
      return;
    }
    if (!blocks.layout.contiguous) {
      BuildPacked(schedule, algorithm);
      return;
    }
    if (!in_place) schedule.CopyData(own, blocks.At(rank));
    if (size == 1) return;
    if (algorithm == Algorithm::kRecursiveDoubling) {
      RecursiveDoubling(schedule, blocks.At(0).begin(), blocks.BytesOf(0));
    } else {
      Ring(
          schedule, [this](int i) { return blocks.At(i).begin(); }, PackedLayout(schedule, blocks));
    }
  }

  void BuildPacked(Schedule& schedule, Algorithm algorithm) const {
    const int size = schedule.size();
    const int rank = schedule.rank();
    const Layout layout = PackedLayout(schedule, blocks);
    std::byte* all = schedule.Temporary(layout.offsets[size]);
    const Data mine = in_place ? blocks.At(rank) : own;
    if (mine.bytes() > 0) schedule.Pack(mine, all + layout.offsets[rank]);
    if (algorithm == Algorithm::kRecursiveDoubling) {
      RecursiveDoubling(schedule, all, layout.Length(0));
    } else {
      Ring(
          schedule, [all, &layout](int i) { return all + layout.offsets[i]; }, layout);
    }
    for (int i = 0; i < size; ++i) {
      if (layout.Length(i) == 0 || (in_place && i == rank)) continue;
      schedule.Unpack(all + layout.offsets[i], blocks.At(i));
    }
  }

  static constexpr std::byte kNothing[1] = {};
};

}  // namespace
}  // namespace ftmpi

using ftmpi::AllgatherCall;
using ftmpi::RunCollective;
using ftmpi::StartCollective;

FTMPI_EXPORT int MPI_Allgather(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                               void* recvbuf, int recvcount, MPI_Datatype recvtype, MPI_Comm comm) {
  FTMPI_PASS_THROUGH(
      PMPI_Allgather(sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype, comm));
  return RunCollective(comm, "MPI_Allgather",
                       AllgatherCall{sendbuf, sendcount, sendtype, recvbuf, recvcount, nullptr,
                                     nullptr, recvtype, false},
                       [&](MPI_Comm foreign) {
                         return PMPI_Allgather(sendbuf, sendcount, sendtype, recvbuf, recvcount,
                                               recvtype, foreign);
                       });
}

FTMPI_EXPORT int MPI_Iallgather(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                                void* recvbuf, int recvcount, MPI_Datatype recvtype, MPI_Comm comm,
                                MPI_Request* request) {
  FTMPI_PASS_THROUGH(
      PMPI_Iallgather(sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype, comm, request));
  return StartCollective(comm, "MPI_Iallgather", request,
                         AllgatherCall{sendbuf, sendcount, sendtype, recvbuf, recvcount, nullptr,
                                       nullptr, recvtype, false},
                         [&](MPI_Comm foreign, MPI_Request* started) {
                           return PMPI_Iallgather(sendbuf, sendcount, sendtype, recvbuf, recvcount,
                                                  recvtype, foreign, started);
                         });
}

FTMPI_EXPORT int MPI_Allgatherv(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                                void* recvbuf, const int recvcounts[], const int displs[],
                                MPI_Datatype recvtype, MPI_Comm comm) {
  FTMPI_PASS_THROUGH(
      PMPI_Allgatherv(sendbuf, sendcount, sendtype, recvbuf, recvcounts, displs, recvtype, comm));
  return RunCollective(
      comm, "MPI_Allgatherv",
      AllgatherCall{sendbuf, sendcount, sendtype, recvbuf, 0, recvcounts, displs, recvtype, true},
      [&](MPI_Comm foreign) {
        return PMPI_Allgatherv(sendbuf, sendcount, sendtype, recvbuf, recvcounts, displs, recvtype,
                               foreign);
      });
}

FTMPI_EXPORT int MPI_Iallgatherv(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                                 void* recvbuf, const int recvcounts[], const int displs[],
                                 MPI_Datatype recvtype, MPI_Comm comm, MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Iallgatherv(sendbuf, sendcount, sendtype, recvbuf, recvcounts, displs,
                                      recvtype, comm, request));
  return StartCollective(
      comm, "MPI_Iallgatherv", request,
      AllgatherCall{sendbuf, sendcount, sendtype, recvbuf, 0, recvcounts, displs, recvtype, true},
      [&](MPI_Comm foreign, MPI_Request* started) {
        return PMPI_Iallgatherv(sendbuf, sendcount, sendtype, recvbuf, recvcounts, displs, recvtype,
                                foreign, started);
      });
}
