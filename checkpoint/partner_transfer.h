// Copies of checkpoint files on another node: between the checkpoint servers of two nodes, over TCP
// (checkpoint/SERVER.md, Partner copies). Errors: StoreError, LogError.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/manifest.h"
#include "logging/environment.h"

namespace ftmpi::checkpoint {

// Where a partner's server listens, and what it wants to hear first: the job's secret.
struct Partner {
  std::string host;
  std::uint16_t port = 0;
  std::string secret;
};

// Which file.
struct CopyName {
  std::uint64_t csn = 0;
  std::int32_t rank = 0;
  CheckpointKind kind = CheckpointKind::kCoordinated;
};

// Sends the file of `root` to the partner; returns when the partner has it on its storage. The
// number of bytes.
std::uint64_t PushCopy(logging::Environment* environment, const std::string& root,
                       const CopyName& name, const Partner& partner);
// Gets the copy that the partner holds and puts it into `root`, durably. The number of bytes.
std::uint64_t FetchCopy(logging::Environment* environment, const std::string& root,
                        const CopyName& name, const Partner& partner);

// The partner's side: serves one connection. `root` is the directory for others' copies; made when
// needed.
void ServePartner(logging::Environment* environment, const std::string& root,
                  const std::string& secret, int socket);

// A TCP socket that listens on all interfaces; its port. Throws StoreError.
int ListenForPartners(std::uint16_t* port);

inline constexpr std::size_t kMaximumSecret = 64;

}  // namespace ftmpi::checkpoint
