#include "checkpoint/server_session.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/commit.h"
#include "checkpoint/deletion.h"
#include "checkpoint/image_chain.h"
#include "checkpoint/partner_transfer.h"
#include "checkpoint/server_protocol.h"
#include "checkpoint/store_error.h"

namespace ftmpi::checkpoint {
namespace {

using logging::Environment;

// The client is gone, or what it says is no request: the connection ends, nobody is told.
struct ConnectionEnded : std::exception {};

class Session {
 public:
  Session(Environment* environment, const ServerRoots& roots, int socket, pid_t client)
      : environment_(environment), roots_(roots), socket_(socket), memory_(client) {}

  void ServeAll() {
    const Hello hello{getpid()};
    SendMessage(MessageType::kHello, &hello, sizeof hello);
    for (;;) {
      MessageHeader header;
      Receive(&header, sizeof header);
      if (header.magic != kServerMagic || header.version != kServerVersion) throw ConnectionEnded();
      Reply reply{};
      try {
        if (Serve(header, &reply)) continue;
      } catch (const logging::LogError& error) {
        Fail(&reply, error.what(), error.error_number());
      } catch (const std::bad_alloc&) {
        Fail(&reply, "the checkpoint server has not enough memory", ENOMEM);
      }
      SendMessage(MessageType::kReply, &reply, sizeof reply);
    }
  }

 private:
  static void Fail(Reply* reply, const char* text, int error) {
    *reply = {};
    reply->failed = error == 0 ? -1 : error;
    SetText(reply, text);
  }

  static void SetText(Reply* reply, const std::string& text) {
    const std::size_t length = std::min(text.size(), sizeof reply->text - 1);
    std::memcpy(reply->text, text.data(), length);
    reply->text[length] = '\0';
  }

  void Receive(void* data, std::uint64_t length) {
    auto* at = static_cast<std::byte*>(data);
    while (length > 0) {
      const ssize_t got = recv(socket_, at, length, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) throw ConnectionEnded();
      at += got;
      length -= static_cast<std::uint64_t>(got);
    }
  }

  void Send(const void* data, std::uint64_t length) {
    const auto* at = static_cast<const std::byte*>(data);
    while (length > 0) {
      const ssize_t sent = send(socket_, at, length, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) throw ConnectionEnded();
      at += sent;
      length -= static_cast<std::uint64_t>(sent);
    }
  }

  void SendMessage(MessageType type, const void* body, std::uint64_t length) {
    const MessageHeader header{kServerMagic, kServerVersion, type, length};
    Send(&header, sizeof header);
    Send(body, length);
  }

  template <typename Body>
  Body ReceiveBody(const MessageHeader& header) {
    if (header.length != sizeof(Body)) throw ConnectionEnded();
    Body body;
    Receive(&body, sizeof body);
    return body;
  }

  const std::string& Root(Level level, bool make) {
    if (level == Level::kShared) return roots_.shared;
    if (level != Level::kLocal && level != Level::kPartner) throw ConnectionEnded();
    const std::string& root = level == Level::kLocal ? roots_.local : roots_.partner;
    if (make) environment_->MakeDirectory(root);
    return root;
  }

  // Whether the request has been answered; if not, `reply` is the answer.
  bool Serve(const MessageHeader& header, Reply* reply) {
    switch (header.type) {
      case MessageType::kWrite:
        Write(header, reply);
        return false;
      case MessageType::kPermanent:
        Commit(ReceiveBody<CommitRequest>(header), reply);
        return false;
      case MessageType::kAbort: {
        const auto request = ReceiveBody<CommitRequest>(header);
        AbortCheckpoint(environment_, Root(request.level, false), request.csn);
        return false;
      }
      case MessageType::kDiscard: {
        const auto request = ReceiveBody<DiscardRequest>(header);
        DiscardOwnCheckpoints(environment_, Root(request.level, false), request.rank,
                              request.keep_from);
        return false;
      }
      case MessageType::kPush:
      case MessageType::kFetch:
        Copy(header.type, ReceiveBody<CopyRequest>(header), reply);
        return false;
      case MessageType::kOpen:
        Open(ReceiveBody<OpenRequest>(header));
        return true;
      case MessageType::kReadSection:
        SendSection(ReceiveBody<ReadRequest>(header));
        return true;
      case MessageType::kReadDataset:
        SendDataset(ReceiveBody<ReadRequest>(header));
        return true;
      case MessageType::kPing:
        if (header.length != 0) throw ConnectionEnded();
        return false;
      default:
        throw ConnectionEnded();
    }
  }

  void Write(const MessageHeader& header, Reply* reply) {
    WriteRequest request;
    if (header.length < sizeof request) throw ConnectionEnded();
    Receive(&request, sizeof request);
    if (request.section_count > kMaximumSections || request.dataset_count > kMaximumDatasets ||
        header.length != sizeof request + request.section_count * sizeof(Section) +
                             request.dataset_count * sizeof(Dataset)) {
      throw ConnectionEnded();
    }
    Manifest manifest;
    manifest.attributes = request.attributes;
    manifest.sections.resize(request.section_count);
    manifest.datasets.resize(request.dataset_count);
    Receive(manifest.sections.data(), std::span(manifest.sections).size_bytes());
    Receive(manifest.datasets.data(), std::span(manifest.datasets).size_bytes());
    const WrittenFile written =
        WriteCheckpoint(environment_, Root(request.level, true), std::move(manifest), &memory_,
                        std::clamp(request.compression, 0, 22));
    reply->numbers[0] = written.file_bytes;
    reply->numbers[1] = written.data_bytes;
    reply->numbers[2] = written.zero_bytes;
    reply->numbers[3] = written.seal;
  }

  void Commit(const CommitRequest& request, Reply* reply) {
    const std::string& root = Root(request.level, false);
    constexpr std::int32_t kMaximumRanks = std::int32_t{1} << 24;
    if (request.np < 1 || request.np > kMaximumRanks) throw ConnectionEnded();
    std::vector<std::int32_t> ranks;
    if (request.level == Level::kShared) {
      ranks.resize(static_cast<std::size_t>(request.np));
      std::iota(ranks.begin(), ranks.end(), 0);
    } else {
      for (const CheckpointListing& each : ListCheckpoints(environment_, root)) {
        if (each.csn == request.csn) ranks = each.ranks;
      }
      if (ranks.size() != static_cast<std::size_t>(std::max(request.local_ranks, 0))) {
        throw StoreError(CheckpointDirectory(root, request.csn) + ": files of " +
                         std::to_string(ranks.size()) + " ranks are there, not of " +
                         std::to_string(request.local_ranks));
      }
    }
    const CommitResult result = MakePermanent(environment_, root, request.job, request.csn,
                                              request.np, ranks, request.keep);
    std::string remarks;
    for (const std::string& each : result.remarks) remarks += each + "\n";
    SetText(reply, remarks);
  }

  void Copy(MessageType type, CopyRequest request, Reply* reply) {
    request.host[sizeof request.host - 1] = '\0';
    if (!KindIsKnown(request.kind) || request.csn == 0 || request.rank < 0 || request.port == 0 ||
        request.port > 65535 ||
        !(request.level == Level::kLocal ||
          (request.level == Level::kPartner && type == MessageType::kPush))) {
      throw ConnectionEnded();
    }
    if (roots_.secret.empty()) {
      throw StoreError("the checkpoint server was started without partners (FT_CKPT_LEVELS)");
    }
    const Partner partner{request.host, static_cast<std::uint16_t>(request.port), roots_.secret};
    const CopyName name{request.csn, request.rank, request.kind};
    reply->numbers[0] = type == MessageType::kPush
                            ? PushCopy(environment_, Root(request.level, false), name, partner)
                            : FetchCopy(environment_, roots_.local, name, partner);
  }

  void Open(const OpenRequest& request) {
    chain_.reset();
    if (KindIsKnown(request.kind) && request.csn > 0 && request.rank >= 0) {
      chain_ = std::make_unique<ImageChain>(environment_, Root(request.level, false), request.kind,
                                            request.csn, request.rank);
    } else {
      throw ConnectionEnded();
    }
    RankFileReader& newest = chain_->newest();
    if (newest.attributes().job != request.job) {
      chain_.reset();
      throw StoreError(PathOf(Root(request.level, false), request.kind, request.csn, request.rank) +
                       ": a checkpoint of another job");
    }
    std::vector<Section> sections;
    for (const StoredSection& each : newest.sections()) sections.push_back(each.section);
    const ManifestHeader manifest{newest.attributes(), static_cast<std::uint32_t>(sections.size()),
                                  static_cast<std::uint32_t>(newest.datasets().size())};
    const std::span<const Dataset> datasets(newest.datasets());
    const std::uint64_t section_bytes = std::span(sections).size_bytes();
    const MessageHeader header{kServerMagic, kServerVersion, MessageType::kManifest,
                               sizeof manifest + section_bytes + datasets.size_bytes()};
    Send(&header, sizeof header);
    Send(&manifest, sizeof manifest);
    Send(sections.data(), section_bytes);
    Send(datasets.data(), datasets.size_bytes());
  }

  static bool KindIsKnown(CheckpointKind kind) {
    return kind >= CheckpointKind::kCoordinated && kind <= CheckpointKind::kFailureTime;
  }

  RankFileReader& Opened() {
    if (!chain_) throw ConnectionEnded();
    return chain_->newest();
  }

  // Writes the bytes to where the client wants them; where that is not allowed they go over the
  // socket.
  void SendRun(std::uint64_t target, std::uint64_t offset, std::span<const std::byte> bytes) {
    Run run{offset, bytes.size(), RunKind::kBytes};
    if (client_is_writable_) {
      client_is_writable_ = memory_.Write(target + offset, bytes);
      if (client_is_writable_) run.kind = RunKind::kInPlace;
    }
    SendMessage(MessageType::kRun, &run, sizeof run);
    if (run.kind == RunKind::kBytes) Send(bytes.data(), bytes.size());
  }

  void SendEnd() {
    const Run end{0, 0, RunKind::kBytes};
    SendMessage(MessageType::kRun, &end, sizeof end);
  }

  // We write into the client: never more than it has made room for.
  void RequireLength(std::uint64_t length, const ReadRequest& request) {
    if (length == request.length) return;
    throw StoreError(Opened().path() + ": " + std::to_string(request.length) +
                     " bytes are asked for of something that has " + std::to_string(length));
  }

  void SendSection(const ReadRequest& request) {
    if (request.index >= Opened().sections().size()) throw ConnectionEnded();
    RequireLength(Opened().sections()[request.index].section.length, request);
    // Small pieces, of an incremental chain, are put together.
    run_.resize(kMaximumRun);
    std::uint64_t run_offset = 0;
    std::uint64_t filled = 0;
    const auto flush = [&] {
      if (filled > 0) SendRun(request.target, run_offset, std::span(run_).first(filled));
      filled = 0;
    };
    for (const ImageChain::Piece& piece : chain_->Resolve(request.index)) {
      if (piece.zero) {
        flush();
        const Run run{piece.offset, piece.length, RunKind::kZero};
        SendMessage(MessageType::kRun, &run, sizeof run);
        continue;
      }
      for (std::uint64_t done = 0; done < piece.length;) {
        if (filled == 0) run_offset = piece.offset + done;
        const std::uint64_t part = std::min(piece.length - done, kMaximumRun - filled);
        chain_->Read(piece, done, std::span(run_).subspan(filled, part));
        filled += part;
        done += part;
        if (filled == kMaximumRun) flush();
      }
    }
    flush();
    SendEnd();
  }

  void SendDataset(const ReadRequest& request) {
    RankFileReader& file = Opened();
    if (request.index >= file.datasets().size()) throw ConnectionEnded();
    const Dataset& dataset = file.datasets()[request.index];
    const std::uint64_t bytes = dataset.count * ElementSize(dataset.type);
    RequireLength(bytes, request);
    run_.resize(kMaximumRun);
    for (std::uint64_t offset = 0; offset < bytes;) {
      const std::span<std::byte> part =
          std::span(run_).first(std::min(kMaximumRun, bytes - offset));
      file.ReadDataset(request.index, offset, part);
      SendRun(request.target, offset, part);
      offset += part.size();
    }
    SendEnd();
  }

  Environment* const environment_;
  const ServerRoots& roots_;
  const int socket_;
  ProcessMemory memory_;  // the client's
  std::unique_ptr<ImageChain> chain_;
  std::vector<std::byte> run_;
  bool client_is_writable_ = true;
};

}  // namespace

void ServeConnection(Environment* environment, const ServerRoots& roots, int socket, pid_t client) {
  try {
    Session(environment, roots, socket, client).ServeAll();
  } catch (const ConnectionEnded&) {
    // As it should.
  } catch (const StoreError&) {
    // The client ended before it could be served.
  }
}

}  // namespace ftmpi::checkpoint
