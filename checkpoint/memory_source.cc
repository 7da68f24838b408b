#include "checkpoint/memory_source.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
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

ProcessMemory::ProcessMemory(pid_t process)
    : process_(process), descriptor_(static_cast<int>(::syscall(SYS_pidfd_open, process, 0))) {
  if (descriptor_ < 0) {
    const int error = errno;
    throw StoreError("cannot watch process " + std::to_string(process) + ": " +
                         std::strerror(error) + Remedy(error),
                     error);
  }
}

ProcessMemory::~ProcessMemory() { ::close(descriptor_); }

void ProcessMemory::RequireAlive() const {
  pollfd ended{descriptor_, POLLIN, 0};
  if (::poll(&ended, 1, 0) <= 0) return;
  throw StoreError(
      "process " + std::to_string(process_) + " has ended before its checkpoint was complete",
      ESRCH);
}

bool ProcessMemory::Write(std::uint64_t address, std::span<const std::byte> bytes) {
  RequireAlive();
  const iovec local{const_cast<std::byte*>(bytes.data()), bytes.size()};
  const iovec remote{reinterpret_cast<void*>(address), bytes.size()};
  return ::process_vm_writev(process_, &local, 1, &remote, 1, 0) ==
         static_cast<ssize_t>(bytes.size());
}

void ProcessMemory::Read(std::span<const MemoryExtent> extents, std::span<std::byte> buffer) {
  // A call takes IOV_MAX stretches; what it leaves is gone on with.
  constexpr std::size_t kBatch = 512;
  std::array<iovec, kBatch> remote;
  std::uint64_t skip = 0;  // bytes of the first extent that have been read
  while (!extents.empty()) {
    const std::size_t count = std::min(extents.size(), kBatch);
    std::uint64_t wanted = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t done = i == 0 ? skip : 0;
      remote[i] = {reinterpret_cast<void*>(extents[i].address + done), extents[i].length - done};
      wanted += remote[i].iov_len;
    }
    const iovec local{buffer.data(), wanted};
    const ssize_t result = ::process_vm_readv(process_, &local, 1, remote.data(), count, 0);
    if (result <= 0 && wanted > 0) {
      if (result < 0 && errno == EINTR) continue;
      const int error = result < 0 ? errno : EFAULT;
      char where[32];
      std::snprintf(where, sizeof where, "0x%" PRIx64, extents.front().address + skip);
      throw StoreError("cannot read the memory of process " + std::to_string(process_) + " at " +
                           where + ": " + std::strerror(error) + Remedy(error),
                       error);
    }
    buffer = buffer.subspan(static_cast<std::size_t>(result));
    skip += static_cast<std::uint64_t>(result);
    while (!extents.empty() && skip >= extents.front().length) {
      skip -= extents.front().length;
      extents = extents.subspan(1);
    }
  }
  RequireAlive();
}

}  // namespace ftmpi::checkpoint
