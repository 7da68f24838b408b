// What a program sees of its process beside memory and files: signal handlers, mask and pending
// signals, interval timers, umask, working directory, limits, locale.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/image/modules.h"

namespace ftmpi::image {

// Before main(): what the program has not changed is left as each new process has it.
void NoteProcessState();

// Adds to `reasons` what can't be restored (POSIX timers). Throws ImageError when /proc can't be
// read.
std::vector<std::byte> CaptureProcessState(const std::vector<Module>& modules,
                                           std::vector<std::string>* reasons);

// At the start of the process to restore: limits that the program raised.
void RaiseLimits(std::span<const std::byte> state);
// Before memory and files are restored: locale (libc allocates), working directory.
void RestoreEarlyProcessState(std::span<const std::byte> state);
// Last of all: from here on signals may arrive. Throws ImageError.
void RestoreLateProcessState(std::span<const std::byte> state, const std::vector<Module>& modules);

}  // namespace ftmpi::image
