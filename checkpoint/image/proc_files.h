// Files below /proc.
#pragma once

#include <string>
#include <vector>

namespace ftmpi::image {

// The whole file. Throws ImageError.
std::string ReadProcFile(const char* path);
// The numbers among a directory's names, ascending ("/proc/self/fd", "/proc/self/task"), without
// the descriptor that this function needs itself. Throws ImageError.
std::vector<int> ListNumbers(const char* directory);
// Where a symbolic link points, empty if it can't be read.
std::string ReadLink(const std::string& path);

}  // namespace ftmpi::image
