// The heap of the forked child that writes an image. The child is a copy of one thread: libc's heap
// may be locked for ever by a thread that was not copied, so the child allocates from memory of its
// own, which it never gives back.
#pragma once

#include <cstddef>

namespace ftmpi::image::capture_heap {

// In the child, first of all. False: no memory.
bool Start();
bool Started();
// nullptr: no memory.
void* Allocate(std::size_t size, std::size_t alignment);
bool Owns(const void* block);
std::size_t Size(const void* block);

}  // namespace ftmpi::image::capture_heap
