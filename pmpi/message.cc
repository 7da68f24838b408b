#include "pmpi/message.h"

#include <mpi.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>

namespace ftmpi {
namespace {

char g_identity[300] = "ftmpi: ";

void Write(const char* format, va_list arguments) {
  char line[2048];
  int length = std::snprintf(line, sizeof line, "%s", g_identity);
  length += std::vsnprintf(line + length, sizeof line - static_cast<std::size_t>(length) - 1,
                           format, arguments);
  if (length > static_cast<int>(sizeof line) - 2) length = static_cast<int>(sizeof line) - 2;
  line[length++] = '\n';
  const char* next = line;
  while (length > 0) {
    const ssize_t written = write(STDERR_FILENO, next, static_cast<std::size_t>(length));
    if (written <= 0) return;  // stderr is gone: there is nobody to tell
    next += written;
    length -= static_cast<int>(written);
  }
}

}  // namespace

void SetMessageIdentity(int rank, const char* node) {
  std::snprintf(g_identity, sizeof g_identity, "ftmpi: rank %d on %s: ", rank, node);
}

void Message(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Write(format, arguments);
  va_end(arguments);
}

void Fatal(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Write(format, arguments);
  va_end(arguments);
  int initialized = 0;
  int finalized = 0;
  PMPI_Initialized(&initialized);
  PMPI_Finalized(&finalized);
  if (initialized != 0 && finalized == 0) PMPI_Abort(MPI_COMM_WORLD, 1);
  _exit(1);
}

}  // namespace ftmpi
