// Putting an image in the place of a process that has just started. Two steps, since the libraries
// that are not part of it (MPI) start between them.
#pragma once

#include "checkpoint/image/source.h"
#include "checkpoint/image/startup.h"

namespace ftmpi::image {

// Before anything else runs: compares the modules with the image's, reserves addresses, descriptors
// and keys that the image needs. Returns the guards that the thread must take over. Throws
// ImageError.
ThreadGuards PrepareRestore(Source& source);

// Maps the image and goes on in it: Capture() returns kRestored. Throws ImageError if the image
// turns out to be unusable; the process can't go on then.
[[noreturn]] void CompleteRestore(Source& source);

}  // namespace ftmpi::image
