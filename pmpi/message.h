// Messages to the user from inside the process: one line each on stderr, with rank and node.
#pragma once

#include <exception>

namespace ftmpi {

// Sets what every line begins with ("ftmpi: rank 3 on node7: ").
void SetMessageIdentity(int rank, const char* node);
// Writes one line (printf form). Never through stdio: stdio's buffers belong to the program.
void Message(const char* format, ...) __attribute__((format(printf, 1, 2)));
// The same, then ends the job (PMPI_Abort with code 1 when MPI is up, else _exit).
[[noreturn]] void Fatal(const char* format, ...) __attribute__((format(printf, 1, 2)));

// An invariant, checked in release builds too.
#define FTMPI_CHECK(condition)                                                                    \
  do {                                                                                            \
    if (__builtin_expect(!(condition), 0))                                                        \
      ::ftmpi::Fatal("internal error: %s does not hold (%s:%d)", #condition, __FILE__, __LINE__); \
  } while (0)

// Calls `work`; an error of the storage ends the job with its message. Inside MPI calls nothing may
// throw: the program's frames are C.
template <typename Work>
[[gnu::always_inline]] inline auto OrFatal(Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& error) {
    Fatal("%s", error.what());
  }
}

}  // namespace ftmpi
