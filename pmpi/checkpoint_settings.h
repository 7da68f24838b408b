// The FT_CKPT_* environment variables: what asks for a checkpoint, and how the ranks agree on one.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/coordination.h"
#include "checkpoint/manifest.h"

namespace ftmpi {

struct CheckpointSettings {
  checkpoint::CheckpointKind kind = checkpoint::CheckpointKind::kCoordinated;  // FT_CKPT
  std::uint64_t interval = 0;              // FT_CKPT_INTERVAL, ns; 0: none by time
  bool automatic = false;                  // FT_CKPT_INTERVAL=auto
  std::uint64_t mtbf = 0;                  // FT_MTBF, ns, of the whole job; 0: not given
  std::uint64_t every = 0;                 // FT_CKPT_EVERY, messages; 0: none by messages
  int signal = 0;                          // FT_CKPT_SIGNAL; 0: none
  std::uint64_t timeout = 60'000'000'000;  // FT_CKPT_TIMEOUT, ns
  checkpoint::Transit transit = checkpoint::Transit::kMtv;                   // FT_CKPT_TRANSIT
  checkpoint::MtvStrategy strategy = checkpoint::MtvStrategy::kPessimistic;  // FT_MTV_STRATEGY
};

// Reads them from the environment. False: `error` names the variable, the value and what is
// allowed.
bool ReadCheckpointSettings(CheckpointSettings* settings, std::string* error);

// What all ranks must agree on, as a part of AgreedValues (pmpi/configuration.h).
std::string AgreedCheckpointValues(const CheckpointSettings& settings);

}  // namespace ftmpi
