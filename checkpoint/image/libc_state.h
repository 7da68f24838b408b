// State inside libc that the program's results or its further run depend on: random sequences,
// getopt's and strtok's places, the environment, errno, the current locale of the thread, streams
// that the program opened (they lie in the arena, libc's list of streams does not), modes and
// unread input of the three standard streams.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace ftmpi::image {

// Before the program runs: finds where libc keeps the states of random() and drand48(). Leaves the
// sequences as they were.
void NoteLibcState();

// `error_number`: errno as the program had it.
std::vector<std::byte> CaptureLibcState(int error_number);

// After memory. Returns the program's errno.
int RestoreLibcState(std::span<const std::byte> state);

}  // namespace ftmpi::image
