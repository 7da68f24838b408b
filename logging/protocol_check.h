// Invariants of the protocols, checked in release builds too.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace ftmpi::logging {

// Ends the process when `good` is false: the caller or the protocol itself is broken, and going on
// could lose data. Anything that comes from outside is refused with a return value instead.
inline void ProtocolCheck(bool good, const char* invariant) {
  if (__builtin_expect(good, 1)) return;
  std::fprintf(stderr, "ftmpi: logging protocol: violated: %s\n", invariant);
  std::abort();
}

}  // namespace ftmpi::logging
