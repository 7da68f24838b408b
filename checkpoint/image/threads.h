// The threads of the process, and their keys (pthread_key_create).
//
// A thread belongs to a library if it was started while in one, or runs code of one. Threads of the
// program can't be captured: when there are any at a capture, that is a reason against it.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace ftmpi::image {

// OpenMP's pool threads are ended where there are any (omp_pause_resource_all), as between parallel
// regions they may be. Then adds the threads that are still there to `reasons`.
void EndOrNameThreads(std::vector<std::string>* reasons);

// Keys that the program made: numbers, destructors, the main thread's values.
std::vector<std::byte> CaptureThreadKeys();
// At the start of the process to restore: makes the keys with the same numbers. Throws ImageError.
void ReserveThreadKeys(std::span<const std::byte> state);
// After memory.
void RestoreThreadKeys(std::span<const std::byte> state);

}  // namespace ftmpi::image
