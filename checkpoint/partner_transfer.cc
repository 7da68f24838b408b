#include "checkpoint/partner_transfer.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/rank_file_writer.h"
#include "checkpoint/sealed_file.h"
#include "checkpoint/store_error.h"

namespace ftmpi::checkpoint {
namespace {

using logging::Environment;

constexpr std::uint64_t kTransferMagic = 0x3152455053435446;  // "FTCSPER1"
constexpr std::uint32_t kPush = 1;
constexpr std::uint32_t kFetch = 2;
constexpr std::size_t kPart = std::size_t{1} << 20;
// A partner that is silent for so long is lost.
constexpr int kSilenceSeconds = 60;

struct TransferRequest {
  std::uint64_t magic;
  std::uint32_t operation;
  CheckpointKind kind;
  std::uint64_t csn;
  std::uint64_t length;  // push: bytes that follow
  std::int32_t rank;
  std::uint32_t reserved;
  char secret[kMaximumSecret];  // filled up with zeros
};
static_assert(sizeof(TransferRequest) == 104);

struct TransferAnswer {
  std::int32_t failed;  // 0, or errno, or -1
  std::uint32_t reserved;
  std::uint64_t length;  // fetch: bytes that follow
  char text[1024];       // why, zero-terminated
};

// A connected socket.
class Connection {
 public:
  Connection(int socket, std::string peer) : socket_(socket), peer_(std::move(peer)) {
    const timeval silence{kSilenceSeconds, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof silence);
  }
  ~Connection() { close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Send(const void* data, std::size_t length) {
    const auto* at = static_cast<const std::byte*>(data);
    while (length > 0) {
      const ssize_t sent = send(socket_, at, length, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) Fail(errno);
      at += sent;
      length -= static_cast<std::size_t>(sent);
    }
  }

  void Receive(void* data, std::size_t length) {
    auto* at = static_cast<std::byte*>(data);
    while (length > 0) {
      const ssize_t got = recv(socket_, at, length, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) Fail(got == 0 ? ECONNRESET : errno);
      at += got;
      length -= static_cast<std::size_t>(got);
    }
  }

  // Takes what the other side still sends, so that it gets to read our answer.
  void Drain() {
    shutdown(socket_, SHUT_WR);
    std::vector<std::byte> part(kPart);
    ssize_t got;
    do {
      got = recv(socket_, part.data(), part.size(), 0);
    } while (got > 0 || (got < 0 && errno == EINTR));
  }

  void SendFile(Environment* environment, const std::string& path, std::uint64_t length) {
    const std::unique_ptr<logging::ReadableFile> file = environment->OpenReadable(path);
    std::vector<std::byte> part(kPart);
    for (std::uint64_t done = 0; done < length;) {
      const std::size_t wanted = std::min<std::uint64_t>(kPart, length - done);
      if (file->ReadAt(done, std::span(part).first(wanted)) != wanted) {
        throw StoreError(path + ": it became shorter while it was read");
      }
      Send(part.data(), wanted);
      done += wanted;
    }
  }

 private:
  [[noreturn]] void Fail(int error) const {
    throw StoreError("the connection with the checkpoint server of " + peer_ +
                         " broke: " + (error == EAGAIN ? "no answer" : std::strerror(error)),
                     error);
  }

  const int socket_;
  const std::string peer_;
};

std::unique_ptr<Connection> Connect(const Partner& partner) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(partner.port);
  const std::string name = partner.host + ":" + port;
  const int failed = getaddrinfo(partner.host.c_str(), port.c_str(), &hints, &found);
  if (failed != 0) {
    throw StoreError("the checkpoint server of " + name +
                     " can't be found: " + gai_strerror(failed));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, freeaddrinfo);
  int error = EADDRNOTAVAIL;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    const int socket = ::socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC, 0);
    if (socket < 0) {
      error = errno;
      continue;
    }
    auto connection = std::make_unique<Connection>(socket, name);  // with timeouts
    if (connect(socket, each->ai_addr, each->ai_addrlen) == 0) return connection;
    error = errno;
  }
  throw StoreError(
      "the checkpoint server of " + name + " can't be reached: " + std::strerror(error), error);
}

TransferRequest MakeRequest(std::uint32_t operation, const CopyName& name, const Partner& partner,
                            std::uint64_t length) {
  TransferRequest request{};
  request.magic = kTransferMagic;
  request.operation = operation;
  request.kind = name.kind;
  request.csn = name.csn;
  request.length = length;
  request.rank = name.rank;
  std::copy_n(partner.secret.data(), std::min(partner.secret.size(), sizeof request.secret),
              request.secret);
  return request;
}

TransferAnswer TakeAnswer(Connection* connection, const Partner& partner) {
  TransferAnswer answer;
  connection->Receive(&answer, sizeof answer);
  answer.text[sizeof answer.text - 1] = '\0';
  if (answer.failed != 0) {
    throw StoreError("the checkpoint server of " + partner.host + ": " + answer.text,
                     std::max(answer.failed, 0));
  }
  return answer;
}

// Receives a file durably; it must be whole, and the one that is named.
void ReceiveFile(Environment* environment, Connection* connection, const std::string& root,
                 const CopyName& name, std::uint64_t length) {
  const std::string path = PathOf(root, name.kind, name.csn, name.rank);
  const std::string directory = logging::DirectoryOf(path);
  const std::string temporary = TemporaryName(path);
  environment->MakeDirectory(root);
  if (!environment->Exists(directory)) {
    environment->MakeDirectory(directory);
    environment->SyncDirectory(root);
  }
  if (environment->Exists(temporary)) environment->Remove(temporary);  // of a transfer that broke
  try {
    {
      const std::unique_ptr<logging::WritableFile> file = environment->CreateWritable(temporary);
      std::vector<std::byte> part(kPart);
      for (std::uint64_t done = 0; done < length;) {
        const std::size_t wanted = std::min<std::uint64_t>(kPart, length - done);
        connection->Receive(part.data(), wanted);
        file->Append(std::span(part).first(wanted));
        done += wanted;
      }
      file->Sync();
      file->Close();
    }
    SealedReader copy(environment, temporary);
    const FileIdentity& of = copy.identity();
    if (of.type != FileType::kRank || of.csn != name.csn || of.rank != name.rank ||
        of.kind != name.kind) {
      throw StoreError(temporary + ": not the file that was announced");
    }
    copy.CheckAll();
    environment->Rename(temporary, path);
  } catch (const logging::LogError&) {
    logging::RemoveQuietly(environment, temporary);
    throw;
  }
  environment->SyncDirectory(directory);
}

bool IsValid(const TransferRequest& request) {
  return request.magic == kTransferMagic &&
         (request.operation == kPush || request.operation == kFetch) &&
         request.kind >= CheckpointKind::kCoordinated &&
         request.kind <= CheckpointKind::kFailureTime && request.csn > 0 &&
         request.csn <= kMaximumCsn && request.rank >= 0 &&
         request.length <= (std::uint64_t{1} << 57);
}

// Without telling by the time taken how much of it was right.
bool IsSecret(const std::string& secret, const char (&given)[kMaximumSecret]) {
  char expected[kMaximumSecret] = {};
  std::copy_n(secret.data(), std::min(secret.size(), sizeof expected), expected);
  unsigned char difference = secret.empty() ? 1 : 0;
  for (std::size_t i = 0; i < sizeof expected; ++i) {
    difference = static_cast<unsigned char>(difference | (expected[i] ^ given[i]));
  }
  return difference == 0;
}

void Serve(Environment* environment, const std::string& root, const std::string& secret,
           Connection* connection) {
  TransferRequest request;
  connection->Receive(&request, sizeof request);
  if (!IsValid(request) || !IsSecret(secret, request.secret)) return;
  const CopyName name{request.csn, request.rank, request.kind};
  TransferAnswer answer{};
  try {
    if (request.operation == kPush) {
      ReceiveFile(environment, connection, root, name, request.length);
      connection->Send(&answer, sizeof answer);
      return;
    }
    answer.length =
        SealedReader(environment, PathOf(root, name.kind, name.csn, name.rank)).file_length();
  } catch (const logging::LogError& error) {
    answer.failed = error.error_number() == 0 ? -1 : error.error_number();
    std::strncpy(answer.text, error.what(), sizeof answer.text - 1);
    connection->Send(&answer, sizeof answer);
    connection->Drain();
    return;
  }
  connection->Send(&answer, sizeof answer);
  // What fails now breaks the connection; a part of a file has no seal.
  connection->SendFile(environment, PathOf(root, name.kind, name.csn, name.rank), answer.length);
}

}  // namespace

std::uint64_t PushCopy(Environment* environment, const std::string& root, const CopyName& name,
                       const Partner& partner) {
  const std::string path = PathOf(root, name.kind, name.csn, name.rank);
  const std::uint64_t length = SealedReader(environment, path).file_length();
  const std::unique_ptr<Connection> connection = Connect(partner);
  const TransferRequest request = MakeRequest(kPush, name, partner, length);
  connection->Send(&request, sizeof request);
  connection->SendFile(environment, path, length);
  TakeAnswer(connection.get(), partner);
  return length;
}

std::uint64_t FetchCopy(Environment* environment, const std::string& root, const CopyName& name,
                        const Partner& partner) {
  const std::unique_ptr<Connection> connection = Connect(partner);
  const TransferRequest request = MakeRequest(kFetch, name, partner, 0);
  connection->Send(&request, sizeof request);
  const TransferAnswer answer = TakeAnswer(connection.get(), partner);
  ReceiveFile(environment, connection.get(), root, name, answer.length);
  return answer.length;
}

void ServePartner(Environment* environment, const std::string& root, const std::string& secret,
                  int socket) {
  Connection connection(socket, "a partner");
  try {
    Serve(environment, root, secret, &connection);
  } catch (const logging::LogError&) {
    // The connection broke: the other side sees that too, and has the user's ear.
  }
}

int ListenForPartners(std::uint16_t* port) {
  // Both IPv6 and IPv4; IPv4 alone where there is no IPv6.
  int listening = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_storage address{};
  socklen_t length = sizeof(sockaddr_in6);
  address.ss_family = AF_INET6;
  const int both = 0;
  if (listening >= 0) {
    setsockopt(listening, IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof both);
  }
  if (listening < 0 || bind(listening, reinterpret_cast<sockaddr*>(&address), length) != 0) {
    if (listening >= 0) close(listening);
    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    address = {};
    address.ss_family = AF_INET;
    length = sizeof(sockaddr_in);
    if (listening >= 0 && bind(listening, reinterpret_cast<sockaddr*>(&address), length) != 0) {
      const int error = errno;
      close(listening);
      throw StoreError(std::string("cannot listen for partners: ") + std::strerror(error), error);
    }
  }
  if (listening < 0 || listen(listening, SOMAXCONN) != 0 ||
      getsockname(listening, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    const int error = errno;
    if (listening >= 0) close(listening);
    throw StoreError(std::string("cannot listen for partners: ") + std::strerror(error), error);
  }
  *port = ntohs(address.ss_family == AF_INET6
                    ? reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port
                    : reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
  return listening;
}

}  // namespace ftmpi::checkpoint
