// MPI_Gather(v), MPI_Scatter(v) and their non-blocking forms.
//
// Linear: the root exchanges one message with every rank, a window of them at a time. Binomial (for
// small uniform blocks): subtrees travel as one message, in the order of ranks relative to the
// root.
#include <algorithm>

#include "pmpi/collective.h"
#include "pmpi/collective_selection.h"

namespace ftmpi {
namespace {

// Ranks in the subtree of the binomial tree below relative rank `relative`, itself included.
int SubtreeSize(int relative, int size) {
  if (relative == 0) return size;
  return std::min(relative & -relative, size - relative);
}

// --- Gather -------------------------------------------------------------------------------------

void ReceiveAll(Schedule& schedule, const Blocks& blocks, int number, int except) {
  int under_way = 0;
  for (int i = 0; i < number; ++i) {
    if (i == except || blocks.BytesOf(i) == 0) continue;
    schedule.ReceiveData(blocks.At(i), i);
    if (++under_way == ExchangeWindow()) {
      schedule.EndRound();
      under_way = 0;
    }
  }
  schedule.EndRound();
}

void SendAll(Schedule& schedule, const Blocks& blocks, int number, int except) {
  int under_way = 0;
  for (int i = 0; i < number; ++i) {
    if (i == except || blocks.BytesOf(i) == 0) continue;
    schedule.SendData(blocks.At(i), i);
    if (++under_way == ExchangeWindow()) {
      schedule.EndRound();
      under_way = 0;
    }
  }
  schedule.EndRound();
}

void GatherBinomial(Schedule& schedule, const Data& own, bool in_place, const Blocks& blocks,
                    int root) {
  const int size = schedule.size();
  const int rank = schedule.rank();
  const int relative = (rank - root + size) % size;
  const int subtree = SubtreeSize(relative, size);
  const std::uint64_t block = rank == root ? blocks.BytesOf(root) : own.bytes();
  const auto parent = [&] { return ((relative & (relative - 1)) + root) % size; };
  if (subtree == 1 && rank != root) {
    schedule.SendData(own, parent());
    schedule.EndRound();
    return;
  }
  const bool direct = rank == root && root == 0 && blocks.InOneRow();
  std::byte* all = direct ? blocks.At(0).begin()
                          : schedule.Temporary(block * static_cast<std::uint64_t>(subtree));
  if (rank != root) schedule.CopyData(own, Data{all, static_cast<int>(block)});
  for (int mask = 1; mask < subtree; mask *= 2) {
    const int child = relative + mask;
    if (child >= size) break;
    schedule.ReceiveBytes(all + static_cast<std::uint64_t>(mask) * block,
                          block * static_cast<std::uint64_t>(SubtreeSize(child, size)),
                          (child + root) % size);
  }
  if (rank == root && !in_place) schedule.CopyData(own, blocks.At(root));
  schedule.EndRound();
  if (rank != root) {
    schedule.SendBytes(all, block * static_cast<std::uint64_t>(subtree), parent());
    schedule.EndRound();
  } else if (!direct) {
    for (int i = 1; i < size; ++i) {
      schedule.CopyData(Data{all + static_cast<std::uint64_t>(i) * block, static_cast<int>(block)},
                        blocks.At((i + root) % size));
    }
  }
}

void ScatterBinomial(Schedule& schedule, const Blocks& blocks, const Data& own, bool in_place,
                     int root) {
  const int size = schedule.size();
  const int rank = schedule.rank();
  const int relative = (rank - root + size) % size;
  const int subtree = SubtreeSize(relative, size);
  const std::uint64_t block = rank == root ? blocks.BytesOf(root) : own.bytes();
  const int parent = ((relative & (relative - 1)) + root) % size;
  if (subtree == 1 && rank != root) {
    schedule.ReceiveData(own, parent);
    schedule.EndRound();
    return;
  }
  const bool direct = rank == root && root == 0 && blocks.InOneRow();
  std::byte* all = direct ? blocks.At(0).begin()
                          : schedule.Temporary(block * static_cast<std::uint64_t>(subtree));
  if (rank != root) {
    schedule.ReceiveBytes(all, block * static_cast<std::uint64_t>(subtree), parent);
    schedule.EndRound();
  } else if (!direct) {
    for (int i = 1; i < size; ++i) {
      schedule.CopyData(blocks.At((i + root) % size),
                        Data{all + static_cast<std::uint64_t>(i) * block, static_cast<int>(block)});
    }
  }
  // The largest subtree first: it has the longest way.
  for (int mask = 1 << 30; mask > 0; mask /= 2) {
    const int child = relative + mask;
    if (mask >= subtree || child >= size) continue;
    schedule.SendBytes(all + static_cast<std::uint64_t>(mask) * block,
                       block * static_cast<std::uint64_t>(SubtreeSize(child, size)),
                       (child + root) % size);
  }
  if (rank != root) {
    schedule.CopyData(Data{all, static_cast<int>(block)}, own);
  } else if (!in_place) {
    schedule.CopyData(blocks.At(root), own);
  }
  schedule.EndRound();
}

// --- Calls --------------------------------------------------------------------------------------

struct GatherCall {
  const void* sendbuf;
  int sendcount;
  MPI_Datatype sendtype;
  void* recvbuf;
  int recvcount;
  const int* recvcounts;  // v form, with displs
  const int* displs;
  MPI_Datatype recvtype;
  int root;
  bool v;
  Data own = {};
  Blocks blocks = {};
  bool in_place = false;

  int Check(const Communicator& communicator) {
    const int root_error = CheckRoot(communicator, root);
    if (root_error != MPI_SUCCESS) return root_error;
    const RootRole role = RoleOf(communicator, root);
    if (!role.takes_part) return MPI_SUCCESS;
    in_place = sendbuf == MPI_IN_PLACE;
    if (in_place && (communicator.inter || !role.is_root)) return MPI_ERR_ARG;
    if (role.is_root && recvbuf == MPI_IN_PLACE) return MPI_ERR_ARG;
    if (!in_place && !(communicator.inter && role.is_root)) {
      const int error = PrepareData(sendbuf, sendcount, sendtype, &own);
      if (error != MPI_SUCCESS) return error;
    }
    if (!role.is_root) return MPI_SUCCESS;
    return v ? PrepareBlocksV(recvbuf, recvcounts, displs, recvtype, communicator.remote_size(),
                              &blocks)
             : PrepareBlocks(recvbuf, recvcount, recvtype, &blocks);
  }

  void Build(Schedule& schedule) const {
    if (schedule.inter()) {
      if (root == MPI_PROC_NULL) return;
      if (root == MPI_ROOT) {
        ReceiveAll(schedule, blocks, schedule.remote_size(), -1);
      } else if (own.bytes() > 0) {
        schedule.SendData(own, root);
        schedule.EndRound();
      }
      return;
    }
    const bool is_root = schedule.rank() == root;
    if (!v) {
      const std::uint64_t block = is_root ? blocks.BytesOf(root) : own.bytes();
      if (block == 0) return;
      if (SelectGather(schedule.size(), block) == Algorithm::kBinomial) {
        GatherBinomial(schedule, own, in_place, blocks, root);
        return;
      }
    }
    if (!is_root) {
      if (own.bytes() > 0) schedule.SendData(own, root);
      schedule.EndRound();
      return;
    }
    if (!in_place) schedule.CopyData(own, blocks.At(root));
    ReceiveAll(schedule, blocks, schedule.size(), root);
  }
};

struct ScatterCall {
  const void* sendbuf;
  int sendcount;
  const int* sendcounts;  // v form, with displs
  const int* displs;
  MPI_Datatype sendtype;
  void* recvbuf;
  int recvcount;
  MPI_Datatype recvtype;
  int root;
  bool v;
  Data own = {};
  Blocks blocks = {};
  bool in_place = false;

  int Check(const Communicator& communicator) {
    const int root_error = CheckRoot(communicator, root);
    if (root_error != MPI_SUCCESS) return root_error;
    const RootRole role = RoleOf(communicator, root);
    if (!role.takes_part) return MPI_SUCCESS;
    in_place = recvbuf == MPI_IN_PLACE;
    if (in_place && (communicator.inter || !role.is_root)) return MPI_ERR_ARG;
    if (role.is_root && sendbuf == MPI_IN_PLACE) return MPI_ERR_ARG;
    if (!in_place && !(communicator.inter && role.is_root)) {
      const int error = PrepareData(recvbuf, recvcount, recvtype, &own);
      if (error != MPI_SUCCESS) return error;
    }
    if (!role.is_root) return MPI_SUCCESS;
    return v ? PrepareBlocksV(sendbuf, sendcounts, displs, sendtype, communicator.remote_size(),
                              &blocks)
             : PrepareBlocks(sendbuf, sendcount, sendtype, &blocks);
  }

  void Build(Schedule& schedule) const {
    if (schedule.inter()) {
      if (root == MPI_PROC_NULL) return;
      if (root == MPI_ROOT) {
        SendAll(schedule, blocks, schedule.remote_size(), -1);
      } else if (own.bytes() > 0) {
        schedule.ReceiveData(own, root);
        schedule.EndRound();
      }
      return;
    }
    const bool is_root = schedule.rank() == root;
    if (!v) {
      const std::uint64_t block = is_root ? blocks.BytesOf(root) : own.bytes();
      if (block == 0) return;
      if (SelectScatter(schedule.size(), block) == Algorithm::kBinomial) {
        ScatterBinomial(schedule, blocks, own, in_place, root);
        return;
      }
    }
    if (!is_root) {
      if (own.bytes() > 0) schedule.ReceiveData(own, root);
      schedule.EndRound();
      return;
    }
    SendAll(schedule, blocks, schedule.size(), root);
    if (!in_place) schedule.CopyData(blocks.At(root), own);
  }
};

}  // namespace

void BuildScatterElements(Schedule& schedule, const Reduction& reduction, const void* vector,
                          const int* counts, int uniform_count, void* result, int root) {
  const int size = schedule.size();
  const int rank = schedule.rank();
  const auto count_of = [&](int i) {
    return static_cast<std::uint64_t>(counts != nullptr ? counts[i] : uniform_count);
  };
  if (rank != root) {
    if (count_of(rank) > 0) schedule.ReceiveElements(result, count_of(rank), reduction, root);
    schedule.EndRound();
    return;
  }
  std::uint64_t offset = 0;
  int under_way = 0;
  for (int i = 0; i < size; ++i) {
    const void* block = reduction.At(vector, offset);
    offset += count_of(i);
    if (count_of(i) == 0) continue;
    if (i == root) {
      schedule.CopyElements(block, result, count_of(i), reduction);
      continue;
    }
    schedule.SendElements(block, count_of(i), reduction, i);
    if (++under_way % ExchangeWindow() == 0) schedule.EndRound();
  }
  schedule.EndRound();
}

}  // namespace ftmpi

using ftmpi::GatherCall;
using ftmpi::RunCollective;
using ftmpi::ScatterCall;
using ftmpi::StartCollective;

FTMPI_EXPORT int MPI_Gather(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                            void* recvbuf, int recvcount, MPI_Datatype recvtype, int root,
                            MPI_Comm comm) {
  FTMPI_PASS_THROUGH(
      PMPI_Gather(sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype, root, comm));
  return RunCollective(comm, "MPI_Gather",
                       GatherCall{sendbuf, sendcount, sendtype, recvbuf, recvcount, nullptr,
                                  nullptr, recvtype, root, false},
                       [&](MPI_Comm foreign) {
                         return PMPI_Gather(sendbuf, sendcount, sendtype, recvbuf, recvcount,
                                            recvtype, root, foreign);
                       });
}

FTMPI_EXPORT int MPI_Igather(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                             void* recvbuf, int recvcount, MPI_Datatype recvtype, int root,
                             MPI_Comm comm, MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Igather(sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype, root,
                                  comm, request));
  return StartCollective(comm, "MPI_Igather", request,
                         GatherCall{sendbuf, sendcount, sendtype, recvbuf, recvcount, nullptr,
                                    nullptr, recvtype, root, false},
                         [&](MPI_Comm foreign, MPI_Request* started) {
                           return PMPI_Igather(sendbuf, sendcount, sendtype, recvbuf, recvcount,
                                               recvtype, root, foreign, started);
                         });
}

FTMPI_EXPORT int MPI_Gatherv(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                             void* recvbuf, const int recvcounts[], const int displs[],
                             MPI_Datatype recvtype, int root, MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Gatherv(sendbuf, sendcount, sendtype, recvbuf, recvcounts, displs,
                                  recvtype, root, comm));
  return RunCollective(comm, "MPI_Gatherv",
                       GatherCall{sendbuf, sendcount, sendtype, recvbuf, 0, recvcounts, displs,
                                  recvtype, root, true},
                       [&](MPI_Comm foreign) {
                         return PMPI_Gatherv(sendbuf, sendcount, sendtype, recvbuf, recvcounts,
                                             displs, recvtype, root, foreign);
                       });
}

FTMPI_EXPORT int MPI_Igatherv(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                              void* recvbuf, const int recvcounts[], const int displs[],
                              MPI_Datatype recvtype, int root, MPI_Comm comm,
                              MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Igatherv(sendbuf, sendcount, sendtype, recvbuf, recvcounts, displs,
                                   recvtype, root, comm, request));
  return StartCollective(comm, "MPI_Igatherv", request,
                         GatherCall{sendbuf, sendcount, sendtype, recvbuf, 0, recvcounts, displs,
                                    recvtype, root, true},
                         [&](MPI_Comm foreign, MPI_Request* started) {
                           return PMPI_Igatherv(sendbuf, sendcount, sendtype, recvbuf, recvcounts,
                                                displs, recvtype, root, foreign, started);
                         });
}

FTMPI_EXPORT int MPI_Scatter(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                             void* recvbuf, int recvcount, MPI_Datatype recvtype, int root,
                             MPI_Comm comm) {
  FTMPI_PASS_THROUGH(
      PMPI_Scatter(sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype, root, comm));
  return RunCollective(comm, "MPI_Scatter",
                       ScatterCall{sendbuf, sendcount, nullptr, nullptr, sendtype, recvbuf,
                                   recvcount, recvtype, root, false},
                       [&](MPI_Comm foreign) {
                         return PMPI_Scatter(sendbuf, sendcount, sendtype, recvbuf, recvcount,
                                             recvtype, root, foreign);
                       });
}

FTMPI_EXPORT int MPI_Iscatter(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                              void* recvbuf, int recvcount, MPI_Datatype recvtype, int root,
                              MPI_Comm comm, MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Iscatter(sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype, root,
                                   comm, request));
  return StartCollective(comm, "MPI_Iscatter", request,
                         ScatterCall{sendbuf, sendcount, nullptr, nullptr, sendtype, recvbuf,
                                     recvcount, recvtype, root, false},
                         [&](MPI_Comm foreign, MPI_Request* started) {
                           return PMPI_Iscatter(sendbuf, sendcount, sendtype, recvbuf, recvcount,
                                                recvtype, root, foreign, started);
                         });
}

FTMPI_EXPORT int MPI_Scatterv(const void* sendbuf, const int sendcounts[], const int displs[],
                              MPI_Datatype sendtype, void* recvbuf, int recvcount,
                              MPI_Datatype recvtype, int root, MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Scatterv(sendbuf, sendcounts, displs, sendtype, recvbuf, recvcount,
                                   recvtype, root, comm));
  return RunCollective(comm, "MPI_Scatterv",
                       ScatterCall{sendbuf, 0, sendcounts, displs, sendtype, recvbuf, recvcount,
                                   recvtype, root, true},
                       [&](MPI_Comm foreign) {
                         return PMPI_Scatterv(sendbuf, sendcounts, displs, sendtype, recvbuf,
                                              recvcount, recvtype, root, foreign);
                       });
}

FTMPI_EXPORT int MPI_Iscatterv(const void* sendbuf, const int sendcounts[], const int displs[],
                               MPI_Datatype sendtype, void* recvbuf, int recvcount,
                               MPI_Datatype recvtype, int root, MPI_Comm comm,
                               MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Iscatterv(sendbuf, sendcounts, displs, sendtype, recvbuf, recvcount,
                                    recvtype, root, comm, request));
  return StartCollective(comm, "MPI_Iscatterv", request,
                         ScatterCall{sendbuf, 0, sendcounts, displs, sendtype, recvbuf, recvcount,
                                     recvtype, root, true},
                         [&](MPI_Comm foreign, MPI_Request* started) {
                           return PMPI_Iscatterv(sendbuf, sendcounts, displs, sendtype, recvbuf,
                                                 recvcount, recvtype, root, foreign, started);
                         });
}
