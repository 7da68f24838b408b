// The start of a process that gets images, or that is replaced by one.
#pragma once

#include <cstdint>

namespace ftmpi::image {

// The guards of this thread's control block (glibc, x86-64: tcbhead_t): the stack protector's
// canary and what saved code addresses are encrypted with.
struct ThreadGuards {
  std::uint64_t stack;
  std::uint64_t pointer;
};
ThreadGuards ReadThreadGuards();
void SetThreadGuards(const ThreadGuards& guards);

}  // namespace ftmpi::image
