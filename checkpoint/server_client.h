// The rank's side of the checkpoint server (checkpoint/SERVER.md). libc only: system calls and
// memory of the object itself, no heap, no locks, no exceptions; so it works in a forked child of a
// process with threads, and in a restart that overwrites the process around it (keep the object
// outside of what is overwritten). One thread at a time.
#pragma once

#include <cstdint>
#include <span>

#include "checkpoint/manifest.h"
#include "checkpoint/section.h"
#include "checkpoint/server_protocol.h"

namespace ftmpi::checkpoint {

struct WriteAnswer {
  std::uint64_t file_bytes = 0;
  std::uint64_t data_bytes = 0;
  std::uint64_t zero_bytes = 0;
  std::uint64_t seal = 0;
};

class ServerConnection {
 public:
  ServerConnection() = default;
  ~ServerConnection() { Close(); }
  ServerConnection(const ServerConnection&) = delete;
  ServerConnection& operator=(const ServerConnection&) = delete;

  // Every function returns whether it worked; if not, error() says why, for people, and the
  // connection is closed unless the server itself refused.

  // Connects and lets the serving process read this process's memory. A path of any length.
  bool Connect(const char* socket_path);
  void Close();
  [[nodiscard]] bool connected() const { return socket_ >= 0; }

  // The server reads sections and datasets out of this process and answers when the file is
  // durable. Nothing that they name may change meanwhile.
  bool Write(const CheckpointAttributes& attributes, std::span<const Section> sections,
             std::span<const Dataset> datasets, Level level, int compression, WriteAnswer* answer);
  // Rank 0 (level kShared), or one rank of each node (kLocal). remarks(): what could not be tidied
  // up.
  bool MakePermanent(std::uint64_t job, std::uint64_t csn, int np, Level level, int local_ranks,
                     int keep = 1);
  bool Abort(std::uint64_t job, std::uint64_t csn, int np, Level level);
  // Of this rank's own checkpoints, those before `keep_from` that no kept one builds on.
  bool Discard(int rank, std::uint64_t keep_from, Level level);
  // Copies this rank's file, of the level that the request names, to the server of another node, or
  // gets it from there (to the local level). CopyRequest::port is what StartCheckpointServer told
  // on that node.
  bool Push(const CopyRequest& request);
  bool Fetch(const CopyRequest& request);
  bool Ping();

  // Opens a rank's checkpoint. Then TakeManifest, once, into arrays of at least these sizes; then
  // sections and datasets in any order.
  bool Open(const OpenRequest& request, CheckpointAttributes* attributes,
            std::uint32_t* section_count, std::uint32_t* dataset_count);
  bool TakeManifest(std::span<Section> sections, std::span<Dataset> datasets);
  // The section's bytes, to `target`. With `target_is_zero` zeros are not written.
  bool ReadSection(std::uint32_t index, void* target, std::uint64_t length, bool target_is_zero);
  bool ReadDataset(std::uint32_t index, void* target, std::uint64_t bytes);

  [[nodiscard]] const char* error() const { return text_; }
  [[nodiscard]] const char* remarks() const { return text_; }  // "" if there are none

 private:
  bool Fail(const char* what, int error);
  bool SendAll(const void* data, std::uint64_t length);
  bool ReceiveAll(void* data, std::uint64_t length);
  bool Send(MessageType type, const void* body, std::uint64_t length);
  bool ReceiveHeader(MessageHeader* header);
  bool ReceiveReply(const MessageHeader& header, Reply* reply);
  bool TakeReply(std::uint64_t* numbers);  // header and body
  bool Ask(MessageType type, const void* body, std::uint64_t length);
  bool ReadRuns(MessageType type, std::uint32_t index, void* target, std::uint64_t length,
                bool target_is_zero);

  int socket_ = -1;
  char text_[sizeof(Reply::text)] = "";
  Reply reply_{};
};

}  // namespace ftmpi::checkpoint
