// The listening process of the checkpoint server (checkpoint/SERVER.md, Life).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "checkpoint/server_session.h"
#include "logging/environment.h"

namespace ftmpi::checkpoint {

class Server {
 public:
  // Binds and listens. `leader` is the rank that started it. Throws StoreError.
  Server(logging::Environment* environment, ServerRoots roots, std::string socket_path,
         pid_t leader);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves until every process that has ever connected, the leader, and all connections have ended.
  // One thread.
  void Run();

 private:
  struct Watched {
    pid_t pid;
    int descriptor;
  };

  void Watch(pid_t pid);
  void Accept();
  void RemoveEnded();

  logging::Environment* const environment_;
  const ServerRoots roots_;
  const std::string socket_path_;
  int listening_ = -1;
  std::vector<Watched> watched_;
};

}  // namespace ftmpi::checkpoint
