// Unix socket addresses for paths of any length.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

namespace ftmpi::checkpoint {

// A socket address has room for about 100 bytes, so the path's directory goes by a descriptor that
// is returned and must be closed when the address has been used. -1: errno. No heap, no locks.
int MakeSocketAddress(const char* path, sockaddr_un* address);

}  // namespace ftmpi::checkpoint
