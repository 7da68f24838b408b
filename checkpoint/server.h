// The listening process of the checkpoint server (checkpoint/SERVER.md, Life).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
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

  // Where servers of other nodes reach this one; 0: it has no partners.
  [[nodiscard]] std::uint16_t port() const { return port_; }

  // Serves until every process that has ever connected, the leader, and all connections have ended.
  // One thread.
  void Run();

 private:
  struct Watched {
    pid_t pid;
    int descriptor;
  };

  void Watch(pid_t pid);
  // The next connection; -1: none, or it can't be served.
  int TakeConnection(int listening);
  void Accept();
  void AcceptPartner();
  // Forks a process for a connection, watches it, closes the connection here; in the child it runs
  // `serve` and ends. Throws StoreError.
  void Serve(int connection, const std::function<void()>& serve);
  void RemoveEnded();

  logging::Environment* const environment_;
  const ServerRoots roots_;
  const std::string socket_path_;
  int listening_ = -1;
  int spare_ = -1;     // given up to tell a client that there are no descriptors
  int partners_ = -1;  // TCP; -1: none
  std::uint16_t port_ = 0;
  std::vector<Watched> watched_;
};

}  // namespace ftmpi::checkpoint
