// np: 4
// notice: MPI_Open_port,MPI_Comm_accept,MPI_Comm_connect
// One half of the ranks accepts a connection of the other half.
#include "check.h"

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  const int server = rank < 2;
  MPI_Comm half, inter;
  MPI_Comm_split(MPI_COMM_WORLD, server, rank, &half);
  char port[MPI_MAX_PORT_NAME] = "";
  if (rank == 0) {
    MPI_Open_port(MPI_INFO_NULL, port);
    MPI_Send(port, MPI_MAX_PORT_NAME, MPI_CHAR, 2, 1, MPI_COMM_WORLD);
  } else if (rank == 2) {
    MPI_Recv(port, MPI_MAX_PORT_NAME, MPI_CHAR, 0, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  }
  if (server) {
    MPI_Comm_accept(port, MPI_INFO_NULL, 0, half, &inter);
  } else {
    MPI_Comm_connect(port, MPI_INFO_NULL, 0, half, &inter);
  }
  int me, theirs = -1;
  MPI_Comm_rank(half, &me);
  MPI_Sendrecv(&rank, 1, MPI_INT, me, 0, &theirs, 1, MPI_INT, me, 0, inter, MPI_STATUS_IGNORE);
  CHECK_EQUAL(theirs, server ? rank + 2 : rank - 2);
  MPI_Comm_disconnect(&inter);
  if (rank == 0) MPI_Close_port(port);
  MPI_Comm_free(&half);
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) printf("connected: ok\n");
  MPI_Finalize();
  return 0;
}
