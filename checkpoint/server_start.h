// Starts the checkpoint server of this node (checkpoint/SERVER.md, Life). In libftmpi.so, called by
// the rank that leads its node, in MPI_Init, with no other thread of ours about.
#pragma once

#include <cstdint>
#include <string>

namespace ftmpi::checkpoint {

// The server's end of the pipe on which it reports that it listens, or why it doesn't.
inline constexpr int kReadyDescriptor = 3;
inline constexpr const char* kReady = "ready";

struct ServerFacts {
  std::string job_directory;    // absolute
  std::string local_directory;  // absolute, node-local, exists
  std::uint32_t epoch = 0;
};

// The socket at which the ranks of a node find their server.
std::string ServerSocketPath(const std::string& local_directory, std::uint32_t epoch);
// The node-local level's root.
std::string LocalStoreDirectory(const std::string& local_directory);

// Returns when the server listens. False: `error` says why not and names the remedy. `program` is
// the path of mpi-ft-checkpoint-server; empty: in ftmpi/ beside the object that holds this code.
bool StartCheckpointServer(const ServerFacts& facts, const std::string& program,
                           std::string* error);

}  // namespace ftmpi::checkpoint
