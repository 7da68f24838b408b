// One connection of the checkpoint server: serves its requests until the client goes
// (checkpoint/SERVER.md). Runs in a process of its own.
#pragma once

#include <sys/types.h>

#include <string>

#include "logging/environment.h"

namespace ftmpi::checkpoint {

struct ServerRoots {
  std::string shared;   // JOBDIR
  std::string local;    // the node-local store; made when it is first written to
  std::string partner;  // copies for other nodes; made when the first one comes
  std::string secret;   // of the job, for partners; empty: no copies on other nodes
};

// `client` is the process at the other end. Returns when the connection has ended.
void ServeConnection(logging::Environment* environment, const ServerRoots& roots, int socket,
                     pid_t client);

}  // namespace ftmpi::checkpoint
