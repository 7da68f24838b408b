#include "pmpi/image_obstacle.h"

#include "pmpi/saved_state.h"

namespace ftmpi::image_obstacle {
namespace {

FTMPI_SAVED const char* g_reason = nullptr;

}  // namespace

void Note(const char* reason) {
  if (g_reason == nullptr) g_reason = reason;
}

const char* Found() { return g_reason; }

}  // namespace ftmpi::image_obstacle
