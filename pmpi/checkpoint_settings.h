// The FT_CKPT_* environment variables: what asks for a checkpoint, and how the ranks agree on one.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/coordination.h"
#include "checkpoint/manifest.h"
#include "checkpoint/server_protocol.h"

namespace ftmpi {

// FT_CKPT_LEVELS: every so many-th checkpoint has this level (checkpoint/LEVELS.md); 0: none.
struct CheckpointLevels {
  std::uint32_t local = 0;
  std::uint32_t partner = 0;
  std::uint32_t shared = 1;
  // Whether all are of level shared.
  [[nodiscard]] bool shared_only() const { return local == 0 && partner == 0; }
};

// The highest level whose number divides the CSN.
checkpoint::Level LevelOf(const CheckpointLevels& levels, std::uint64_t csn);

// Reads FT_CKPT_LEVELS. False: `error` names the value and what is allowed.
bool ReadCheckpointLevels(CheckpointLevels* levels, std::string* error);

struct CheckpointSettings {
  checkpoint::CheckpointKind kind = checkpoint::CheckpointKind::kCoordinated;  // FT_CKPT
  std::uint64_t interval = 0;              // FT_CKPT_INTERVAL, ns; 0: none by time
  bool automatic = false;                  // FT_CKPT_INTERVAL=auto
  std::uint64_t mtbf = 0;                  // FT_MTBF, ns, of the whole job; 0: not given
  std::uint64_t every = 0;                 // FT_CKPT_EVERY, messages; 0: none by messages
  int signal = 0;                          // FT_CKPT_SIGNAL; 0: none
  std::uint64_t timeout = 60'000'000'000;  // FT_CKPT_TIMEOUT, ns
  CheckpointLevels levels;                 // FT_CKPT_LEVELS
  checkpoint::Transit transit = checkpoint::Transit::kMtv;                   // FT_CKPT_TRANSIT
  checkpoint::MtvStrategy strategy = checkpoint::MtvStrategy::kPessimistic;  // FT_MTV_STRATEGY
};

// Reads them from the environment. False: `error` names the variable, the value and what is
// allowed.
bool ReadCheckpointSettings(CheckpointSettings* settings, std::string* error);

// What all ranks must agree on, as a part of AgreedValues (pmpi/configuration.h).
std::string AgreedCheckpointValues(const CheckpointSettings& settings);

}  // namespace ftmpi
