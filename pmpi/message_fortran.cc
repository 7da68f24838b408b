// Fortran's integers for the handles of matched messages (MPI_Message_c2f, MPI_Message_f2c).
#include <algorithm>
#include <vector>

#include "pmpi/capture.h"
#include "pmpi/engine.h"
#include "pmpi/match_queue.h"

namespace ftmpi {
namespace {

// Above what Open MPI gives its own.
constexpr MPI_Fint kFirst = MPI_Fint{1} << 30;

// By index - kFirst. The addresses of messages come from a free list and come back, with the same
// index: the table stays as small as the number of messages that were matched at one time.
std::vector<MPI_Message>& Table() {
  static auto* const table = new std::vector<MPI_Message>;
  return *table;
}

bool IsOurs(MPI_Message message) {
  return message != nullptr && message != MPI_MESSAGE_NULL && message != MPI_MESSAGE_NO_PROC &&
         reinterpret_cast<const UnexpectedMessage*>(message)->magic == UnexpectedMessage::kMagic;
}

}  // namespace
}  // namespace ftmpi

using namespace ftmpi;  // NOLINT(google-build-using-namespace)

FTMPI_EXPORT MPI_Fint MPI_Message_c2f(MPI_Message message) {
  FTMPI_PASS_THROUGH(PMPI_Message_c2f(message));
  const EngineLock lock;
  if (!IsOurs(message)) return PMPI_Message_c2f(message);
  std::vector<MPI_Message>& table = Table();
  auto found = std::find(table.begin(), table.end(), message);
  if (found == table.end()) found = table.insert(table.end(), message);
  return kFirst + static_cast<MPI_Fint>(found - table.begin());
}

FTMPI_EXPORT MPI_Message MPI_Message_f2c(MPI_Fint message) {
  FTMPI_PASS_THROUGH(PMPI_Message_f2c(message));
  const EngineLock lock;
  if (message < kFirst) return PMPI_Message_f2c(message);
  const auto index = static_cast<std::size_t>(message - kFirst);
  if (index >= Table().size() || !IsOurs(Table()[index])) return MPI_MESSAGE_NULL;
  return Table()[index];
}
