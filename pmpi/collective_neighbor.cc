// MPI_Neighbor_allgather(v), MPI_Neighbor_alltoall(v,w) and their non-blocking forms.
//
// One message from each source and one to each destination of this rank in the communicator's
// topology, in the order of the topology's lists, which a pair of ranks that are neighbours several
// times relies on. In a Cartesian topology what leaves in the positive direction arrives from the
// negative one (MPI-4.0, 8.6), also where both neighbours are the same rank (periodic dimension of
// size 1 or 2): there the two sends of each dimension change places.
#include <vector>

#include "pmpi/collective.h"
#include "pmpi/topology.h"

namespace ftmpi {
namespace {

struct NeighborLists {
  std::vector<int> sources;
  std::vector<int> destinations;
  bool cartesian = false;
};

int FindNeighbors(const Communicator& communicator, NeighborLists* neighbors) {
  if (communicator.inter) return MPI_ERR_COMM;
  if (!Neighbors(communicator, &neighbors->sources, &neighbors->destinations)) {
    return MPI_ERR_TOPOLOGY;
  }
  neighbors->cartesian = communicator.topology->kind == MPI_CART;
  return MPI_SUCCESS;
}

void BuildNeighborExchange(Schedule& schedule, const NeighborLists& neighbors, const Blocks& send,
                           bool same_block, const Blocks& receive) {
  const int rank = schedule.rank();
  const auto& sources = neighbors.sources;
  const auto& destinations = neighbors.destinations;
  const auto block = [&](std::size_t index) {
    return send.At(same_block ? 0 : static_cast<int>(index));
  };
  // Messages to oneself: the n-th block sent is the n-th received.
  std::vector<std::size_t> to_self;
  for (std::size_t i = 0; i < destinations.size(); ++i) {
    const std::size_t index = neighbors.cartesian ? i ^ 1 : i;
    if (destinations[index] == rank) to_self.push_back(index);
  }
  std::size_t next_self = 0;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (sources[i] == MPI_PROC_NULL) continue;
    const Data data = receive.At(static_cast<int>(i));
    if (sources[i] == rank) {
      if (next_self < to_self.size()) schedule.CopyData(block(to_self[next_self++]), data);
    } else {
      schedule.ReceiveData(data, sources[i]);
    }
  }
  for (std::size_t i = 0; i < destinations.size(); ++i) {
    const std::size_t index = neighbors.cartesian ? i ^ 1 : i;
    if (destinations[index] == MPI_PROC_NULL || destinations[index] == rank) continue;
    schedule.SendData(block(index), destinations[index]);
  }
  schedule.EndRound();
}

struct NeighborAllgatherCall {
  const void* sendbuf;
  int sendcount;
  MPI_Datatype sendtype;
  void* recvbuf;
  int recvcount;
  const int* recvcounts;  // v form, with displs
  const int* displs;
  MPI_Datatype recvtype;
  bool v;
  NeighborLists neighbors = {};
  Blocks send = {};
  Blocks receive = {};

  int Check(const Communicator& communicator) {
    const int found = FindNeighbors(communicator, &neighbors);
    if (found != MPI_SUCCESS) return found;
    if (sendbuf == MPI_IN_PLACE || recvbuf == MPI_IN_PLACE) return MPI_ERR_ARG;
    const int error = PrepareBlocks(sendbuf, sendcount, sendtype, &send);
    if (error != MPI_SUCCESS) return error;
    const int number = static_cast<int>(neighbors.sources.size());
    return v ? PrepareBlocksV(recvbuf, recvcounts, displs, recvtype, number, &receive)
             : PrepareBlocks(recvbuf, recvcount, recvtype, &receive);
  }
  void Build(Schedule& schedule) const {
    BuildNeighborExchange(schedule, neighbors, send, true, receive);
  }
};

struct NeighborAlltoallCall {
  const void* sendbuf;
  int sendcount;
  MPI_Datatype sendtype;
  void* recvbuf;
  int recvcount;
  MPI_Datatype recvtype;
  NeighborLists neighbors = {};
  Blocks send = {};
  Blocks receive = {};

  int Check(const Communicator& communicator) {
    const int found = FindNeighbors(communicator, &neighbors);
    if (found != MPI_SUCCESS) return found;
    if (sendbuf == MPI_IN_PLACE || recvbuf == MPI_IN_PLACE) return MPI_ERR_ARG;
    const int error = PrepareBlocks(sendbuf, sendcount, sendtype, &send);
    if (error != MPI_SUCCESS) return error;
    return PrepareBlocks(recvbuf, recvcount, recvtype, &receive);
  }
  void Build(Schedule& schedule) const {
    BuildNeighborExchange(schedule, neighbors, send, false, receive);
  }
};

struct NeighborAlltoallvCall {
  const void* sendbuf;
  const int* sendcounts;
  const int* sdispls;
  MPI_Datatype sendtype;
  void* recvbuf;
  const int* recvcounts;
  const int* rdispls;
  MPI_Datatype recvtype;
  NeighborLists neighbors = {};
  Blocks send = {};
  Blocks receive = {};

  int Check(const Communicator& communicator) {
    const int found = FindNeighbors(communicator, &neighbors);
    if (found != MPI_SUCCESS) return found;
    if (sendbuf == MPI_IN_PLACE || recvbuf == MPI_IN_PLACE) return MPI_ERR_ARG;
    const int outgoing = static_cast<int>(neighbors.destinations.size());
    const int incoming = static_cast<int>(neighbors.sources.size());
    const int error = PrepareBlocksV(sendbuf, sendcounts, sdispls, sendtype, outgoing, &send);
    if (error != MPI_SUCCESS) return error;
    return PrepareBlocksV(recvbuf, recvcounts, rdispls, recvtype, incoming, &receive);
  }
  void Build(Schedule& schedule) const {
    BuildNeighborExchange(schedule, neighbors, send, false, receive);
  }
};

struct NeighborAlltoallwCall {
  const void* sendbuf;
  const int* sendcounts;
  const MPI_Aint* sdispls;
  const MPI_Datatype* sendtypes;
  void* recvbuf;
  const int* recvcounts;
  const MPI_Aint* rdispls;
  const MPI_Datatype* recvtypes;
  NeighborLists neighbors = {};
  Blocks send = {};
  Blocks receive = {};

  int Check(const Communicator& communicator) {
    const int found = FindNeighbors(communicator, &neighbors);
    if (found != MPI_SUCCESS) return found;
    if (sendbuf == MPI_IN_PLACE || recvbuf == MPI_IN_PLACE) return MPI_ERR_ARG;
    const int outgoing = static_cast<int>(neighbors.destinations.size());
    const int incoming = static_cast<int>(neighbors.sources.size());
    const int error =
        PrepareBlocksNeighborW(sendbuf, sendcounts, sdispls, sendtypes, outgoing, &send);
    if (error != MPI_SUCCESS) return error;
    return PrepareBlocksNeighborW(recvbuf, recvcounts, rdispls, recvtypes, incoming, &receive);
  }
  void Build(Schedule& schedule) const {
    BuildNeighborExchange(schedule, neighbors, send, false, receive);
  }
};

}  // namespace
}  // namespace ftmpi

FTMPI_EXPORT int MPI_Neighbor_allgather(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                                        void* recvbuf, int recvcount, MPI_Datatype recvtype,
                                        MPI_Comm comm) {
  FTMPI_PASS_THROUGH(
      PMPI_Neighbor_allgather(sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype, comm));
  return ftmpi::RunCollective(
      comm, "MPI_Neighbor_allgather",
      ftmpi::NeighborAllgatherCall{sendbuf, sendcount, sendtype, recvbuf, recvcount, nullptr,
                                   nullptr, recvtype, false},
      [&](MPI_Comm foreign) {
        return PMPI_Neighbor_allgather(sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype,
                                       foreign);
      });
}

FTMPI_EXPORT int MPI_Ineighbor_allgather(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                                         void* recvbuf, int recvcount, MPI_Datatype recvtype,
                                         MPI_Comm comm, MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Ineighbor_allgather(sendbuf, sendcount, sendtype, recvbuf, recvcount,
                                              recvtype, comm, request));
  return ftmpi::StartCollective(
      comm, "MPI_Ineighbor_allgather", request,
      ftmpi::NeighborAllgatherCall{sendbuf, sendcount, sendtype, recvbuf, recvcount, nullptr,
                                   nullptr, recvtype, false},
      [&](MPI_Comm foreign, MPI_Request* started) {
        return PMPI_Ineighbor_allgather(sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype,
                                        foreign, started);
      });
}

FTMPI_EXPORT int MPI_Neighbor_allgatherv(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                                         void* recvbuf, const int recvcounts[], const int displs[],
                                         MPI_Datatype recvtype, MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Neighbor_allgatherv(sendbuf, sendcount, sendtype, recvbuf, recvcounts,
                                              displs, recvtype, comm));
  return ftmpi::RunCollective(comm, "MPI_Neighbor_allgatherv",
                              ftmpi::NeighborAllgatherCall{sendbuf, sendcount, sendtype, recvbuf, 0,
                                                           recvcounts, displs, recvtype, true},
                              [&](MPI_Comm foreign) {
                                return PMPI_Neighbor_allgatherv(sendbuf, sendcount, sendtype,
                                                                recvbuf, recvcounts, displs,
                                                                recvtype, foreign);
                              });
}

FTMPI_EXPORT int MPI_Ineighbor_allgatherv(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                                          void* recvbuf, const int recvcounts[], const int displs[],
                                          MPI_Datatype recvtype, MPI_Comm comm,
                                          MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Ineighbor_allgatherv(sendbuf, sendcount, sendtype, recvbuf, recvcounts,
                                               displs, recvtype, comm, request));
  return ftmpi::StartCollective(comm, "MPI_Ineighbor_allgatherv", request,
                                ftmpi::NeighborAllgatherCall{sendbuf, sendcount, sendtype, recvbuf,
                                                             0, recvcounts, displs, recvtype, true},
                                [&](MPI_Comm foreign, MPI_Request* started) {
                                  return PMPI_Ineighbor_allgatherv(sendbuf, sendcount, sendtype,
                                                                   recvbuf, recvcounts, displs,
                                                                   recvtype, foreign, started);
                                });
}

FTMPI_EXPORT int MPI_Neighbor_alltoall(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                                       void* recvbuf, int recvcount, MPI_Datatype recvtype,
                                       MPI_Comm comm) {
  FTMPI_PASS_THROUGH(
      PMPI_Neighbor_alltoall(sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype, comm));
  return ftmpi::RunCollective(
      comm, "MPI_Neighbor_alltoall",
      ftmpi::NeighborAlltoallCall{sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype},
      [&](MPI_Comm foreign) {
        return PMPI_Neighbor_alltoall(sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype,
                                      foreign);
      });
}

FTMPI_EXPORT int MPI_Ineighbor_alltoall(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                                        void* recvbuf, int recvcount, MPI_Datatype recvtype,
                                        MPI_Comm comm, MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Ineighbor_alltoall(sendbuf, sendcount, sendtype, recvbuf, recvcount,
                                             recvtype, comm, request));
  return ftmpi::StartCollective(
      comm, "MPI_Ineighbor_alltoall", request,
      ftmpi::NeighborAlltoallCall{sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype},
      [&](MPI_Comm foreign, MPI_Request* started) {
        return PMPI_Ineighbor_alltoall(sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype,
                                       foreign, started);
      });
}

FTMPI_EXPORT int MPI_Neighbor_alltoallv(const void* sendbuf, const int sendcounts[],
                                        const int sdispls[], MPI_Datatype sendtype, void* recvbuf,
                                        const int recvcounts[], const int rdispls[],
                                        MPI_Datatype recvtype, MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Neighbor_alltoallv(sendbuf, sendcounts, sdispls, sendtype, recvbuf,
                                             recvcounts, rdispls, recvtype, comm));
  return ftmpi::RunCollective(comm, "MPI_Neighbor_alltoallv",
                              ftmpi::NeighborAlltoallvCall{sendbuf, sendcounts, sdispls, sendtype,
                                                           recvbuf, recvcounts, rdispls, recvtype},
                              [&](MPI_Comm foreign) {
                                return PMPI_Neighbor_alltoallv(sendbuf, sendcounts, sdispls,
                                                               sendtype, recvbuf, recvcounts,
                                                               rdispls, recvtype, foreign);
                              });
}

FTMPI_EXPORT int MPI_Ineighbor_alltoallv(const void* sendbuf, const int sendcounts[],
                                         const int sdispls[], MPI_Datatype sendtype, void* recvbuf,
                                         const int recvcounts[], const int rdispls[],
                                         MPI_Datatype recvtype, MPI_Comm comm,
                                         MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Ineighbor_alltoallv(sendbuf, sendcounts, sdispls, sendtype, recvbuf,
                                              recvcounts, rdispls, recvtype, comm, request));
  return ftmpi::StartCollective(
      comm, "MPI_Ineighbor_alltoallv", request,
      ftmpi::NeighborAlltoallvCall{sendbuf, sendcounts, sdispls, sendtype, recvbuf, recvcounts,
                                   rdispls, recvtype},
      [&](MPI_Comm foreign, MPI_Request* started) {
        return PMPI_Ineighbor_alltoallv(sendbuf, sendcounts, sdispls, sendtype, recvbuf, recvcounts,
                                        rdispls, recvtype, foreign, started);
      });
}

FTMPI_EXPORT int MPI_Neighbor_alltoallw(const void* sendbuf, const int sendcounts[],
                                        const MPI_Aint sdispls[], const MPI_Datatype sendtypes[],
                                        void* recvbuf, const int recvcounts[],
                                        const MPI_Aint rdispls[], const MPI_Datatype recvtypes[],
                                        MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Neighbor_alltoallw(sendbuf, sendcounts, sdispls, sendtypes, recvbuf,
                                             recvcounts, rdispls, recvtypes, comm));
  return ftmpi::RunCollective(comm, "MPI_Neighbor_alltoallw",
                              ftmpi::NeighborAlltoallwCall{sendbuf, sendcounts, sdispls, sendtypes,
                                                           recvbuf, recvcounts, rdispls, recvtypes},
                              [&](MPI_Comm foreign) {
                                return PMPI_Neighbor_alltoallw(sendbuf, sendcounts, sdispls,
                                                               sendtypes, recvbuf, recvcounts,
                                                               rdispls, recvtypes, foreign);
                              });
}

FTMPI_EXPORT int MPI_Ineighbor_alltoallw(const void* sendbuf, const int sendcounts[],
                                         const MPI_Aint sdispls[], const MPI_Datatype sendtypes[],
                                         void* recvbuf, const int recvcounts[],
                                         const MPI_Aint rdispls[], const MPI_Datatype recvtypes[],
                                         MPI_Comm comm, MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Ineighbor_alltoallw(sendbuf, sendcounts, sdispls, sendtypes, recvbuf,
                                              recvcounts, rdispls, recvtypes, comm, request));
  return ftmpi::StartCollective(
      comm, "MPI_Ineighbor_alltoallw", request,
      ftmpi::NeighborAlltoallwCall{sendbuf, sendcounts, sdispls, sendtypes, recvbuf, recvcounts,
                                   rdispls, recvtypes},
      [&](MPI_Comm foreign, MPI_Request* started) {
        return PMPI_Ineighbor_alltoallw(sendbuf, sendcounts, sdispls, sendtypes, recvbuf,
                                        recvcounts, rdispls, recvtypes, foreign, started);
      });
}
