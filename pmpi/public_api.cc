// The functions of ftmpi.h.
#include "pmpi/include/ftmpi.h"

#include "pmpi/capture.h"
#include "pmpi/checkpoint_triggers.h"
#include "pmpi/checkpointing.h"
#include "pmpi/engine.h"

FTMPI_EXPORT int FT_Get_version(int* major, int* minor, int* patch) {
  if (major != nullptr) *major = FTMPI_VERSION_MAJOR;
  if (minor != nullptr) *minor = FTMPI_VERSION_MINOR;
  if (patch != nullptr) *patch = FTMPI_VERSION_PATCH;
  return MPI_SUCCESS;
}

FTMPI_EXPORT int FT_Checkpoint(void) {
  if (!ftmpi::g_active) return FT_ERR_NOT_RUNNING;
  const ftmpi::EngineLock lock;
  if (!ftmpi::checkpointing::g_on) return FT_ERR_NO_CHECKPOINTS;
  ftmpi::checkpoint_triggers::Request();
  return FT_SUCCESS;
}
