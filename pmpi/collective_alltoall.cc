// MPI_Alltoall(v,w) and their non-blocking forms.
#include "pmpi/collective_alltoall.h"

namespace ftmpi {
namespace {

struct AlltoallCall {
  const void* sendbuf;
  int sendcount;
  MPI_Datatype sendtype;
  void* recvbuf;
  int recvcount;
  MPI_Datatype recvtype;
  Blocks send = {};
  Blocks receive = {};
  bool in_place = false;

  int Check(const Communicator& communicator) {
    in_place = sendbuf == MPI_IN_PLACE;
    if (in_place && communicator.inter) return MPI_ERR_ARG;
    if (recvbuf == MPI_IN_PLACE) return MPI_ERR_ARG;
    if (!in_place) {
      const int error = PrepareBlocks(sendbuf, sendcount, sendtype, &send);
      if (error != MPI_SUCCESS) return error;
    }
    return PrepareBlocks(recvbuf, recvcount, recvtype, &receive);
  }
  void Build(Schedule& schedule) const {
    // The two directions of an intercommunicator may carry blocks of different sizes.
    BuildExchange(schedule, send, receive, in_place, !schedule.inter());
  }
};

struct AlltoallvCall {
  const void* sendbuf;
  const int* sendcounts;
  const int* sdispls;
  MPI_Datatype sendtype;
  void* recvbuf;
  const int* recvcounts;
  const int* rdispls;
  MPI_Datatype recvtype;
  Blocks send = {};
  Blocks receive = {};
  bool in_place = false;

  int Check(const Communicator& communicator) {
    const int number = communicator.remote_size();
    in_place = sendbuf == MPI_IN_PLACE;
    if (in_place && communicator.inter) return MPI_ERR_ARG;
    if (recvbuf == MPI_IN_PLACE) return MPI_ERR_ARG;
    if (!in_place) {
      const int error = PrepareBlocksV(sendbuf, sendcounts, sdispls, sendtype, number, &send);
      if (error != MPI_SUCCESS) return error;
    }
    return PrepareBlocksV(recvbuf, recvcounts, rdispls, recvtype, number, &receive);
  }
  void Build(Schedule& schedule) const { BuildExchange(schedule, send, receive, in_place, false); }
};

struct AlltoallwCall {
  const void* sendbuf;
  const int* sendcounts;
  const int* sdispls;
  const MPI_Datatype* sendtypes;
  void* recvbuf;
  const int* recvcounts;
  const int* rdispls;
  const MPI_Datatype* recvtypes;
  Blocks send = {};
  Blocks receive = {};
  bool in_place = false;

  int Check(const Communicator& communicator) {
    const int number = communicator.remote_size();
    in_place = sendbuf == MPI_IN_PLACE;
    if (in_place && communicator.inter) return MPI_ERR_ARG;
    if (recvbuf == MPI_IN_PLACE) return MPI_ERR_ARG;
    if (!in_place) {
      const int error = PrepareBlocksW(sendbuf, sendcounts, sdispls, sendtypes, number, &send);
      if (error != MPI_SUCCESS) return error;
    }
    return PrepareBlocksW(recvbuf, recvcounts, rdispls, recvtypes, number, &receive);
  }
  void Build(Schedule& schedule) const { BuildExchange(schedule, send, receive, in_place, false); }
};

}  // namespace
}  // namespace ftmpi

using ftmpi::AlltoallCall;
using ftmpi::AlltoallvCall;
using ftmpi::AlltoallwCall;
using ftmpi::RunCollective;
using ftmpi::StartCollective;

FTMPI_EXPORT int MPI_Alltoall(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                              void* recvbuf, int recvcount, MPI_Datatype recvtype, MPI_Comm comm) {
  FTMPI_PASS_THROUGH(
      PMPI_Alltoall(sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype, comm));
  return RunCollective(comm, "MPI_Alltoall",
                       AlltoallCall{sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype},
                       [&](MPI_Comm foreign) {
                         return PMPI_Alltoall(sendbuf, sendcount, sendtype, recvbuf, recvcount,
                                              recvtype, foreign);
                       });
}

FTMPI_EXPORT int MPI_Ialltoall(const void* sendbuf, int sendcount, MPI_Datatype sendtype,
                               void* recvbuf, int recvcount, MPI_Datatype recvtype, MPI_Comm comm,
                               MPI_Request* request) {
  FTMPI_PASS_THROUGH(
      PMPI_Ialltoall(sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype, comm, request));
  return StartCollective(comm, "MPI_Ialltoall", request,
                         AlltoallCall{sendbuf, sendcount, sendtype, recvbuf, recvcount, recvtype},
                         [&](MPI_Comm foreign, MPI_Request* started) {
                           return PMPI_Ialltoall(sendbuf, sendcount, sendtype, recvbuf, recvcount,
                                                 recvtype, foreign, started);
                         });
}

FTMPI_EXPORT int MPI_Alltoallv(const void* sendbuf, const int sendcounts[], const int sdispls[],
                               MPI_Datatype sendtype, void* recvbuf, const int recvcounts[],
                               const int rdispls[], MPI_Datatype recvtype, MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Alltoallv(sendbuf, sendcounts, sdispls, sendtype, recvbuf, recvcounts,
                                    rdispls, recvtype, comm));
  return RunCollective(
      comm, "MPI_Alltoallv",
      AlltoallvCall{sendbuf, sendcounts, sdispls, sendtype, recvbuf, recvcounts, rdispls, recvtype},
      [&](MPI_Comm foreign) {
        return PMPI_Alltoallv(sendbuf, sendcounts, sdispls, sendtype, recvbuf, recvcounts, rdispls,
                              recvtype, foreign);
      });
}

FTMPI_EXPORT int MPI_Ialltoallv(const void* sendbuf, const int sendcounts[], const int sdispls[],
                                MPI_Datatype sendtype, void* recvbuf, const int recvcounts[],
                                const int rdispls[], MPI_Datatype recvtype, MPI_Comm comm,
                                MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Ialltoallv(sendbuf, sendcounts, sdispls, sendtype, recvbuf, recvcounts,
                                     rdispls, recvtype, comm, request));
  return StartCollective(
      comm, "MPI_Ialltoallv", request,
      AlltoallvCall{sendbuf, sendcounts, sdispls, sendtype, recvbuf, recvcounts, rdispls, recvtype},
      [&](MPI_Comm foreign, MPI_Request* started) {
        return PMPI_Ialltoallv(sendbuf, sendcounts, sdispls, sendtype, recvbuf, recvcounts, rdispls,
                               recvtype, foreign, started);
      });
}

FTMPI_EXPORT int MPI_Alltoallw(const void* sendbuf, const int sendcounts[], const int sdispls[],
                               const MPI_Datatype sendtypes[], void* recvbuf,
                               const int recvcounts[], const int rdispls[],
                               const MPI_Datatype recvtypes[], MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Alltoallw(sendbuf, sendcounts, sdispls, sendtypes, recvbuf, recvcounts,
                                    rdispls, recvtypes, comm));
  return RunCollective(comm, "MPI_Alltoallw",
                       AlltoallwCall{sendbuf, sendcounts, sdispls, sendtypes, recvbuf, recvcounts,
                                     rdispls, recvtypes},
                       [&](MPI_Comm foreign) {
                         return PMPI_Alltoallw(sendbuf, sendcounts, sdispls, sendtypes, recvbuf,
                                               recvcounts, rdispls, recvtypes, foreign);
                       });
}

FTMPI_EXPORT int MPI_Ialltoallw(const void* sendbuf, const int sendcounts[], const int sdispls[],
                                const MPI_Datatype sendtypes[], void* recvbuf,
                                const int recvcounts[], const int rdispls[],
                                const MPI_Datatype recvtypes[], MPI_Comm comm,
                                MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Ialltoallw(sendbuf, sendcounts, sdispls, sendtypes, recvbuf, recvcounts,
                                     rdispls, recvtypes, comm, request));
  return StartCollective(comm, "MPI_Ialltoallw", request,
                         AlltoallwCall{sendbuf, sendcounts, sdispls, sendtypes, recvbuf, recvcounts,
                                       rdispls, recvtypes},
                         [&](MPI_Comm foreign, MPI_Request* started) {
                           return PMPI_Ialltoallw(sendbuf, sendcounts, sdispls, sendtypes, recvbuf,
                                                  recvcounts, rdispls, recvtypes, foreign, started);
                         });
}
