// The environment of the process: the program's variables are those of the image, the libraries'
// (Host::IsLibraryVariable: where the launcher is, which process this is) those of the new process.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace ftmpi::image {

std::vector<std::byte> CaptureEnvironment();

// After memory. `started_with`: the variables of the new process, "NAME=value".
void RestoreEnvironment(std::span<const std::byte> state,
                        const std::vector<std::string>& started_with);

std::vector<std::string> ReadEnvironment();

}  // namespace ftmpi::image
