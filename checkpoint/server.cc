#include "checkpoint/server.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "checkpoint/partner_transfer.h"
#include "checkpoint/server_protocol.h"
#include "checkpoint/socket_address.h"
#include "checkpoint/store_error.h"

namespace ftmpi::checkpoint {
namespace {

[[noreturn]] void ThrowErrno(const std::string& what, int error) {
  throw StoreError(what + ": " + std::strerror(error), error);
}

int Listen(const std::string& path) {
  sockaddr_un address;
  const int directory = MakeSocketAddress(path.c_str(), &address);
  if (directory < 0) ThrowErrno("cannot listen at " + path, errno);
  const int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  // What is there is of a server that died: the path is this job's, and this epoch's.
  unlink(path.c_str());
  const mode_t mask = umask(0077);
  const bool bound =
      listening >= 0 &&
      bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      listen(listening, SOMAXCONN) == 0;
  const int error = errno;
  umask(mask);
  close(directory);
  if (!bound) {
    if (listening >= 0) close(listening);
    ThrowErrno("cannot listen at " + path, error);
  }
  return listening;
}

// To a client that can't be served. What can't be sent at once is not sent.
void Refuse(int connection, const std::string& why, int error) {
  struct {
    MessageHeader header;
    Reply reply;
  } message{};
  message.header = {kServerMagic, kServerVersion, MessageType::kReply, sizeof message.reply};
  message.reply.failed = error;
  std::strncpy(message.reply.text, why.c_str(), sizeof message.reply.text - 1);
  (void)!send(connection, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

Server::Server(logging::Environment* environment, ServerRoots roots, std::string socket_path,
               pid_t leader)
    : environment_(environment),
      roots_(std::move(roots)),
      socket_path_(std::move(socket_path)),
      listening_(Listen(socket_path_)),
      spare_(open("/dev/null", O_RDONLY | O_CLOEXEC)) {
  // Children are watched by pidfd; nobody asks for their exit codes.
  signal(SIGCHLD, SIG_IGN);
  if (!roots_.secret.empty()) partners_ = ListenForPartners(&port_);
  Watch(leader);
}

Server::~Server() {
  unlink(socket_path_.c_str());
  close(listening_);
  if (partners_ >= 0) close(partners_);
  if (spare_ >= 0) close(spare_);
  for (const Watched& each : watched_) close(each.descriptor);
}

void Server::Watch(pid_t pid) {
  RemoveEnded();
  if (std::any_of(watched_.begin(), watched_.end(),
                  [pid](const Watched& each) { return each.pid == pid; })) {
    return;
  }
  const int descriptor = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (descriptor >= 0) {
    watched_.push_back({pid, descriptor});
  } else if (errno != ESRCH) {
    ThrowErrno("cannot watch process " + std::to_string(pid), errno);
  }
}

void Server::RemoveEnded() {
  std::erase_if(watched_, [](const Watched& each) {
    pollfd ended{each.descriptor, POLLIN, 0};
    if (poll(&ended, 1, 0) <= 0) return false;
    close(each.descriptor);
    return true;
  });
}

int Server::TakeConnection(int listening) {
  const int connection = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
  if (connection >= 0 || (errno != EMFILE && errno != ENFILE) || spare_ < 0) return connection;
  // Out of descriptors: what can't be served must not wait, and we must not be woken by it for
  // ever.
  close(spare_);
  const int refused = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
  if (refused >= 0) {
    Refuse(refused, "checkpoint server: it has no descriptor left (ulimit -n)", EMFILE);
    close(refused);
  }
  spare_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
  return -1;
}

void Server::Accept() {
  const int connection = TakeConnection(listening_);
  if (connection < 0) return;
  ucred peer{};
  socklen_t length = sizeof peer;
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 ||
      peer.uid != getuid()) {
    Refuse(connection, "checkpoint server: it serves its own user only", EPERM);
    close(connection);
    return;
  }
  try {
    Watch(peer.pid);
    Serve(connection, [&] { ServeConnection(environment_, roots_, connection, peer.pid); });
  } catch (const StoreError& error) {
    Refuse(connection, std::string("checkpoint server: ") + error.what(), error.error_number());
  }
  close(connection);
}

void Server::AcceptPartner() {
  const int connection = TakeConnection(partners_);
  if (connection < 0) return;
  try {
    Serve(connection,
          [&] { ServePartner(environment_, roots_.partner, roots_.secret, dup(connection)); });
  } catch (const StoreError&) {
    // The partner sees that the connection ends.
  }
  close(connection);
}

void Server::Serve(int connection, const std::function<void()>& serve) {
  const pid_t child = fork();
  if (child < 0) ThrowErrno("cannot start a process", errno);
  if (child == 0) {
    close(listening_);
    if (partners_ >= 0) close(partners_);
    for (const Watched& each : watched_) close(each.descriptor);
    try {
      serve();
    } catch (...) {
      // Nothing of the listening process's may be unwound here. The client sees the end.
      _exit(1);
    }
    close(connection);
    _exit(0);
  }
  try {
    Watch(child);
  } catch (const StoreError&) {
    // It serves its client all the same; only we may end before it does, which it survives.
  }
}

void Server::Run() {
  for (;;) {
    RemoveEnded();
    if (watched_.empty()) return;
    // A negative descriptor is passed over.
    std::vector<pollfd> wait{{listening_, POLLIN, 0}, {partners_, POLLIN, 0}};
    for (const Watched& each : watched_) wait.push_back({each.descriptor, POLLIN, 0});
    if (poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR) {
      ThrowErrno("cannot wait for connections", errno);
    }
    if ((wait[0].revents & POLLIN) != 0) Accept();
    if ((wait[1].revents & POLLIN) != 0) AcceptPartner();
  }
}

}  // namespace ftmpi::checkpoint
