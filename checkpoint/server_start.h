// Starts the checkpoint server of this node (checkpoint/SERVER.md, Life). In libftmpi.so, called by
// the rank that leads its node, in MPI_Init, with no other thread of ours about.
#pragma once

#include <cstdint>
#include <string>

namespace ftmpi::checkpoint {

// The server's end of the pipe on which it reports that it listens, or why it doesn't.
inline constexpr int kReadyDescriptor = 3;
inline constexpr const char* kReady = "ready ";  // and the port for partners
// The job's secret for partners, in the server's environment: argument lists are public.
inline constexpr const char* kSecretVariable = "FTMPI_CHECKPOINT_SECRET";

struct ServerFacts {
  std::string job_directory;    // absolute
  std::string local_directory;  // absolute, node-local, exists
  std::uint32_t epoch = 0;
  // What the job's servers know each other by: at most 64 random bytes, none of them 0, the same on
  // all nodes. Empty: no copies on other nodes.
  std::string secret;
};

// The socket at which the ranks of a node find their server.
std::string ServerSocketPath(const std::string& local_directory, std::uint32_t epoch);
// The node-local level's root.
std::string PartnerStoreDirectory(const std::string& local_directory);
std::string LocalStoreDirectory(const std::string& local_directory);

// Returns when the server listens. False: `error` says why not and names the remedy. `program` is
// the path of mpi-ft-checkpoint-server; empty: in ftmpi/ beside the object that holds this code.
// `port`, unless nullptr: where servers of other nodes reach this one; 0 without a secret.
bool StartCheckpointServer(const ServerFacts& facts, const std::string& program,
                           std::uint16_t* port, std::string* error);

}  // namespace ftmpi::checkpoint
