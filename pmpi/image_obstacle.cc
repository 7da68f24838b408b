#include "pmpi/image_obstacle.h"

#include <mpi.h>

#include "pmpi/message.h"
#include "pmpi/saved_state.h"

namespace ftmpi::image_obstacle {
namespace {

FTMPI_SAVED const char* g_reason = nullptr;

// The process's own. Never destroyed: exit handlers would find it gone.
std::string& AtStart() {
  static auto& reason = *new std::string;
  return reason;
}

}  // namespace

void NoteAtStart(const std::string& reason) { AtStart() = reason; }

bool AgreeOnImages(bool can) {
  int rank = 0;
  int size = 0;
  PMPI_Comm_rank(MPI_COMM_WORLD, &rank);
  PMPI_Comm_size(MPI_COMM_WORLD, &size);
  int first = can ? size : rank;
  PMPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
  if (first == rank) {
    Message(
        "no checkpoints are taken, since no image can be taken of this program: %s; it runs on and "
        "is recovered by replay from its beginning (see mpi-ft-check)",
        AtStart().empty() ? "it was not started by its own main program, or not as a rank"
                          : AtStart().c_str());
  }
  return first == size;
}

void Note(const char* reason) {
  if (g_reason == nullptr) g_reason = reason;
}

const char* Found() { return g_reason; }

}  // namespace ftmpi::image_obstacle
