// The Zstandard filter as a plug-in: HDF5 programs that find it by HDF5_PLUGIN_PATH read compressed
// checkpoints (checkpoint/FORMAT.md).
#include <H5PLextern.h>

#include "checkpoint/zstd_filter.h"

extern "C" {

H5PL_type_t H5PLget_plugin_type(void) { return H5PL_TYPE_FILTER; }

const void* H5PLget_plugin_info(void) { return ftmpi::checkpoint::ZstdFilterClass(); }
}
