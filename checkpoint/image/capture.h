// Taking an image of the process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/image/page_tracker.h"
#include "checkpoint/image/source.h"

namespace ftmpi::image {

enum class Outcome : std::uint8_t {
  kCaptured,  // the process goes on; its frozen copy hands the image to the sink
  kRestored,  // this is another process, later: the image has been mapped, and the call returns
              // anew
};

// Captures the process and returns as soon as its memory is frozen (copy-on-write). *writer is the
// process that holds the frozen copy: it ends with status 0 once the sink has been given the image,
// else with 1, sends no SIGCHLD and is waited for with WaitForWriter.
//
// Called by the main thread on the program's stack, while in a library (library_scope.h), at a
// point at which all that the host has on that stack may be used again later in another process:
// after kRestored the host's static memory and heap are those of the new process.
// Throws ImageError if the process can't be captured, with every reason.
//
// `tracker`: the image lists only pages that were written since the last one taken with the same
// tracker; nullptr, or the first time: all pages. If a writer fails, call tracker->Reset().
// Threads of libraries must not write to the program's memory during the call.
Outcome Capture(Sink& sink, pid_t* writer, PageTracker* tracker = nullptr);

// Runs `task` in a frozen copy of the process, as a writer: it may allocate, what it allocates is
// never freed, and there are no other threads. Its end is seen by WriterEnded, with what `task`
// returned as success. -1: the process can't be copied.
pid_t RunInCopy(bool (*task)());

// Waits for the end of a writer. True: the sink reported success.
bool WaitForWriter(pid_t writer);
// True when it has ended; then *success says how.
bool WriterEnded(pid_t writer, bool* success);

// Whether images can be taken of this process: set by the start of the process.
bool CanCapture();

}  // namespace ftmpi::image
