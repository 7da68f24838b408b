#include "checkpoint/socket_address.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace ftmpi::checkpoint {

int MakeSocketAddress(const char* path, sockaddr_un* address) {
  const char* slash = std::strrchr(path, '/');
  char directory[4096] = ".";
  if (slash != nullptr) {
    const auto length = static_cast<std::size_t>(slash - path);
    if (length >= sizeof directory) {
      errno = ENAMETOOLONG;
      return -1;
    }
    std::memcpy(directory, path, length);
    directory[length] = '\0';
    if (length == 0) std::memcpy(directory, "/", 2);
  }
  const int descriptor = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return -1;
  *address = {};
  address->sun_family = AF_UNIX;
  const int length =
      std::snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", descriptor,
                    slash == nullptr ? path : slash + 1);
  if (length < 0 || static_cast<std::size_t>(length) >= sizeof address->sun_path) {
    close(descriptor);
    errno = ENAMETOOLONG;
    return -1;
  }
  return descriptor;
}

}  // namespace ftmpi::checkpoint
