// Invariants of checkpoint coordination, checked in release builds too.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace ftmpi::checkpoint {

// Ends the process when `good` is false: the caller or the state machine itself is broken, and
// going on could spoil a checkpoint. What comes from outside is refused with a return value
// instead.
inline void CoordinationCheck(bool good, const char* invariant) {
  if (__builtin_expect(good, 1)) return;
  std::fprintf(stderr, "ftmpi: checkpoint coordination: violated: %s\n", invariant);
  std::abort();
}

}  // namespace ftmpi::checkpoint
