// FT_Exclude: memory of the program that no image need hold (checkpoint/REGISTERED.md, hints).
#pragma once

#include <cstddef>

namespace ftmpi::excluded {

// Remembers the range, in place of an earlier one that begins at `pointer`; 0 bytes: forgets that.
// Expects the engine's lock.
void Set(void* pointer, std::size_t bytes);

// In the copy of the process that writes the image: gives up the whole pages of the ranges, so that
// they read as zero, or as their file.
void GiveUp();

}  // namespace ftmpi::excluded
