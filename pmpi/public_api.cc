// The functions of ftmpi.h.
#include "pmpi/include/ftmpi.h"

#include "pmpi/capture.h"
#include "pmpi/checkpoint_triggers.h"
#include "pmpi/checkpointing.h"
#include "pmpi/engine.h"
#include "pmpi/excluded.h"
#include "pmpi/registered.h"

FTMPI_EXPORT int FT_Get_version(int* major, int* minor, int* patch) {
  if (major != nullptr) *major = FTMPI_VERSION_MAJOR;
  if (minor != nullptr) *minor = FTMPI_VERSION_MINOR;
  if (patch != nullptr) *patch = FTMPI_VERSION_PATCH;
  return MPI_SUCCESS;
}

FTMPI_EXPORT int FT_Checkpoint(void) {
  if (!ftmpi::g_active) return FT_ERR_NOT_RUNNING;
  const ftmpi::EngineLock lock;
  if (ftmpi::registered::g_on) return ftmpi::registered::Checkpoint();
  if (!ftmpi::checkpointing::g_on) return FT_ERR_NO_CHECKPOINTS;
  ftmpi::checkpoint_triggers::Request();
  return FT_SUCCESS;
}

FTMPI_EXPORT int FT_Protect(const char* name, void* pointer, int count, MPI_Datatype datatype) {
  if (!ftmpi::g_active) return FT_ERR_NOT_RUNNING;
  const ftmpi::EngineLock lock;
  if (!ftmpi::registered::g_on) return FT_ERR_NO_CHECKPOINTS;
  return ftmpi::registered::Protect(name, pointer, count, datatype);
}

FTMPI_EXPORT int FT_Unprotect(const char* name) {
  if (!ftmpi::g_active) return FT_ERR_NOT_RUNNING;
  const ftmpi::EngineLock lock;
  if (!ftmpi::registered::g_on) return FT_ERR_NO_CHECKPOINTS;
  return ftmpi::registered::Unprotect(name);
}

FTMPI_EXPORT int FT_Restored(int* flag) {
  if (flag != nullptr) *flag = 0;
  if (!ftmpi::g_active) return FT_ERR_NOT_RUNNING;
  const ftmpi::EngineLock lock;
  if (!ftmpi::registered::g_on) return FT_ERR_NO_CHECKPOINTS;
  return ftmpi::registered::Restored(flag);
}

FTMPI_EXPORT int FT_Exclude(void* pointer, size_t bytes) {
  if (!ftmpi::g_active) return FT_ERR_NOT_RUNNING;
  const ftmpi::EngineLock lock;
  if (!ftmpi::checkpointing::g_on) return FT_ERR_NO_CHECKPOINTS;
  ftmpi::excluded::Set(pointer, bytes);
  return FT_SUCCESS;
}
