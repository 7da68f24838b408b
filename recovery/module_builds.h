// The builds of program and libraries: a checkpoint fits only into the very same.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ftmpi::recovery {

// Compares what a checkpoint says of its files ("engine/builds", checkpoint/FORMAT.md) with the
// files of this node. Each text names a file, what it was and what it is. A file that is not here,
// or that can't be read, is named too.
std::vector<std::string> DifferingBuilds(std::string_view builds);

}  // namespace ftmpi::recovery
