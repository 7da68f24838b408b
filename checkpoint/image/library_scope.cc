#include "checkpoint/image/library_scope.h"

namespace ftmpi::image {

__thread int t_library_depth = 0;

}  // namespace ftmpi::image
