#include "checkpoint/server_client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "checkpoint/socket_address.h"

namespace ftmpi::checkpoint {
namespace {

constexpr int kHelloMilliseconds = 30000;

}  // namespace

bool ServerConnection::Fail(const char* what, int error) {
  // strerror may allocate; strerrordesc_np gives a constant.
  const char* reason = error == 0 ? nullptr : strerrordesc_np(error);
  std::snprintf(text_, sizeof text_, "checkpoint server: %s%s%s", what,
                reason == nullptr ? "" : ": ", reason == nullptr ? "" : reason);
  Close();
  return false;
}

void ServerConnection::Close() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

bool ServerConnection::SendAll(const void* data, std::uint64_t length) {
  const char* at = static_cast<const char*>(data);
  while (length > 0) {
    const ssize_t sent = send(socket_, at, length, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      return Fail("the connection broke", errno);
    }
    at += sent;
    length -= static_cast<std::uint64_t>(sent);
  }
  return true;
}

bool ServerConnection::ReceiveAll(void* data, std::uint64_t length) {
  char* at = static_cast<char*>(data);
  while (length > 0) {
    const ssize_t got = recv(socket_, at, length, 0);
    if (got == 0) return Fail("it ended in the middle of a request", 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      return Fail("the connection broke", errno);
    }
    at += got;
    length -= static_cast<std::uint64_t>(got);
  }
  return true;
}

bool ServerConnection::Send(MessageType type, const void* body, std::uint64_t length) {
  if (!connected()) return Fail("not connected", 0);
  const MessageHeader header{kServerMagic, kServerVersion, type, length};
  return SendAll(&header, sizeof header) && SendAll(body, length);
}

bool ServerConnection::ReceiveHeader(MessageHeader* header) {
  if (!ReceiveAll(header, sizeof *header)) return false;
  if (header->magic != kServerMagic || header->version != kServerVersion) {
    return Fail("it is of another version of ftmpi; install libftmpi.so and ftmpi/ together", 0);
  }
  return true;
}

bool ServerConnection::ReceiveReply(const MessageHeader& header, Reply* reply) {
  if (header.type != MessageType::kReply || header.length != sizeof *reply) {
    return Fail("it gave an answer that makes no sense", 0);
  }
  if (!ReceiveAll(reply, sizeof *reply)) return false;
  reply->text[sizeof reply->text - 1] = '\0';
  std::memcpy(text_, reply->text, sizeof text_);
  return reply->failed == 0;
}

bool ServerConnection::TakeReply(std::uint64_t* numbers) {
  MessageHeader header;
  if (!ReceiveHeader(&header) || !ReceiveReply(header, &reply_)) return false;
  if (numbers != nullptr) std::memcpy(numbers, reply_.numbers, sizeof reply_.numbers);
  return true;
}

bool ServerConnection::Ask(MessageType type, const void* body, std::uint64_t length) {
  return Send(type, body, length) && TakeReply(nullptr);
}

bool ServerConnection::Connect(const char* socket_path) {
  Close();
  sockaddr_un address;
  const int directory = MakeSocketAddress(socket_path, &address);
  if (directory < 0) return Fail(socket_path, errno);
  socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int result;
  do {
    result = socket_ < 0
                 ? -1
                 : connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (result != 0 && errno == EINTR);
  const int error = errno;
  close(directory);
  if (result != 0) return Fail(socket_path, error);
  if (socket_ <= 2) {  // the program closed its standard streams: not in their place
    const int moved = fcntl(socket_, F_DUPFD_CLOEXEC, 3);
    Close();
    if (moved < 0) return Fail("no descriptor is left (ulimit -n)", 0);
    socket_ = moved;
  }
  pollfd ready{socket_, POLLIN, 0};
  do {
    result = poll(&ready, 1, kHelloMilliseconds);
  } while (result < 0 && errno == EINTR);
  if (result <= 0) return Fail("it does not answer", result < 0 ? errno : ETIMEDOUT);
  MessageHeader header;
  Hello hello;
  if (!ReceiveHeader(&header)) return false;
  if (header.type == MessageType::kReply) {
    ReceiveReply(header, &reply_);
    Close();
    return false;
  }
  if (header.type != MessageType::kHello || header.length != sizeof hello) {
    return Fail("it gave an answer that makes no sense", 0);
  }
  if (!ReceiveAll(&hello, sizeof hello)) return false;
  // EINVAL: a kernel without Yama, where nothing need be allowed.
  prctl(PR_SET_PTRACER, static_cast<unsigned long>(hello.pid), 0, 0, 0);
  text_[0] = '\0';
  return true;
}

bool ServerConnection::Write(const CheckpointAttributes& attributes,
                             std::span<const Section> sections, std::span<const Dataset> datasets,
                             Level level, int compression, WriteAnswer* answer) {
  if (!connected()) return Fail("not connected", 0);
  if (sections.size() > kMaximumSections || datasets.size() > kMaximumDatasets) {
    return Fail("too many sections or datasets", 0);
  }
  const WriteRequest request{attributes, level, compression,
                             static_cast<std::uint32_t>(sections.size()),
                             static_cast<std::uint32_t>(datasets.size())};
  const MessageHeader header{kServerMagic, kServerVersion, MessageType::kWrite,
                             sizeof request + sections.size_bytes() + datasets.size_bytes()};
  if (!SendAll(&header, sizeof header) || !SendAll(&request, sizeof request) ||
      !SendAll(sections.data(), sections.size_bytes()) ||
      !SendAll(datasets.data(), datasets.size_bytes())) {
    return false;
  }
  std::uint64_t numbers[4];
  if (!TakeReply(numbers)) return false;
  if (answer != nullptr) *answer = {numbers[0], numbers[1], numbers[2], numbers[3]};
  return true;
}

bool ServerConnection::MakePermanent(std::uint64_t job, std::uint64_t csn, int np, Level level,
                                     int local_ranks, int keep) {
  const CommitRequest request{job, csn, np, local_ranks, level, static_cast<std::uint32_t>(keep)};
  return Ask(MessageType::kPermanent, &request, sizeof request);
}

bool ServerConnection::Abort(std::uint64_t job, std::uint64_t csn, int np, Level level) {
  const CommitRequest request{job, csn, np, 0, level, 0};
  return Ask(MessageType::kAbort, &request, sizeof request);
}

bool ServerConnection::Discard(int rank, std::uint64_t keep_from, Level level) {
  const DiscardRequest request{keep_from, rank, level};
  return Ask(MessageType::kDiscard, &request, sizeof request);
}

bool ServerConnection::Push(const CopyRequest& request) {
  return Ask(MessageType::kPush, &request, sizeof request);
}

bool ServerConnection::Fetch(const CopyRequest& request) {
  return Ask(MessageType::kFetch, &request, sizeof request);
}

bool ServerConnection::Ping() { return Ask(MessageType::kPing, nullptr, 0); }

bool ServerConnection::Open(const OpenRequest& request, CheckpointAttributes* attributes,
                            std::uint32_t* section_count, std::uint32_t* dataset_count) {
  MessageHeader header;
  if (!Send(MessageType::kOpen, &request, sizeof request) || !ReceiveHeader(&header)) return false;
  if (header.type != MessageType::kManifest) {
    ReceiveReply(header, &reply_);
    return false;
  }
  ManifestHeader manifest;
  if (header.length < sizeof manifest) return Fail("it gave an answer that makes no sense", 0);
  if (!ReceiveAll(&manifest, sizeof manifest)) return false;
  if (manifest.section_count > kMaximumSections || manifest.dataset_count > kMaximumDatasets ||
      header.length != sizeof manifest + manifest.section_count * sizeof(Section) +
                           manifest.dataset_count * sizeof(Dataset)) {
    return Fail("it gave an answer that makes no sense", 0);
  }
  *attributes = manifest.attributes;
  *section_count = manifest.section_count;
  *dataset_count = manifest.dataset_count;
  return true;
}

bool ServerConnection::TakeManifest(std::span<Section> sections, std::span<Dataset> datasets) {
  return ReceiveAll(sections.data(), sections.size_bytes()) &&
         ReceiveAll(datasets.data(), datasets.size_bytes());
}

bool ServerConnection::ReadRuns(MessageType type, std::uint32_t index, void* target,
                                std::uint64_t length, bool target_is_zero) {
  const ReadRequest request{index, reinterpret_cast<std::uint64_t>(target), length};
  if (!Send(type, &request, sizeof request)) return false;
  std::uint64_t next = 0;
  for (;;) {
    MessageHeader header;
    if (!ReceiveHeader(&header)) return false;
    if (header.type == MessageType::kReply) {
      ReceiveReply(header, &reply_);
      return false;
    }
    Run run;
    if (header.type != MessageType::kRun || header.length != sizeof run) {
      return Fail("it gave an answer that makes no sense", 0);
    }
    if (!ReceiveAll(&run, sizeof run)) return false;
    if (run.length == 0) break;
    if (run.offset != next || run.length > length - next) {
      return Fail("it sends other bytes than were asked for", 0);
    }
    char* at = static_cast<char*>(target) + next;
    if (run.kind == RunKind::kBytes) {
      if (!ReceiveAll(at, run.length)) return false;
    } else if (run.kind == RunKind::kZero && !target_is_zero) {
      std::memset(at, 0, run.length);
    }
    next += run.length;
  }
  return next == length || Fail("it sends other bytes than were asked for", 0);
}

bool ServerConnection::ReadSection(std::uint32_t index, void* target, std::uint64_t length,
                                   bool target_is_zero) {
  return ReadRuns(MessageType::kReadSection, index, target, length, target_is_zero);
}

bool ServerConnection::ReadDataset(std::uint32_t index, void* target, std::uint64_t bytes) {
  return ReadRuns(MessageType::kReadDataset, index, target, bytes, false);
}

}  // namespace ftmpi::checkpoint
