#include "checkpoint/memory_source.h"

#include <sys/uio.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "checkpoint/store_error.h"

namespace ftmpi::checkpoint {
namespace {

const char* Remedy(int error) {
  switch (error) {
    case EPERM:
      return " (it may not be read by the checkpoint server: is it setuid, without core dumps by "
             "prctl(PR_SET_DUMPABLE), or in another user namespace?)";
    case ESRCH:
      return " (the process has ended before its checkpoint was complete)";
    case EFAULT:
      return " (nothing is mapped there, or it can't be read)";
    default:
      return "";
  }
}

}  // namespace

void ProcessMemory::Read(std::uint64_t address, std::span<std::byte> buffer) {
  while (!buffer.empty()) {
    const iovec local{buffer.data(), buffer.size()};
    const iovec remote{reinterpret_cast<void*>(address), buffer.size()};
    const ssize_t got = ::process_vm_readv(process_, &local, 1, &remote, 1, 0);
    if (got <= 0) {
      if (got < 0 && errno == EINTR) continue;
      const int error = got < 0 ? errno : EFAULT;
      char where[32];
      std::snprintf(where, sizeof where, "0x%llx", static_cast<unsigned long long>(address));
      throw StoreError("cannot read the memory of process " + std::to_string(process_) + " at " +
                           where + ": " + std::strerror(error) + Remedy(error),
                       error);
    }
    buffer = buffer.subspan(static_cast<std::size_t>(got));
    address += static_cast<std::uint64_t>(got);
  }
}

}  // namespace ftmpi::checkpoint
