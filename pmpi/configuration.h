// The FT_* environment variables, read and checked once, in MPI_Init.
#pragma once

#include <cstdint>
#include <string>

#include "logging/protocol.h"
#include "pmpi/checkpoint_settings.h"

namespace ftmpi {

enum class FailureUnit : std::uint8_t { kNode, kRank };
enum class SavedState : std::uint8_t {
  kNone,        // no checkpoints: a recovery replays from the initial state
  kImage,       // the program's memory, without its help
  kRegistered,  // what the program names, at points that it names (pmpi/registered.h)
};

// How FT_INCREMENTAL finds the pages that were written since the last checkpoint.
enum class PageTracking : std::uint8_t { kOff, kAuto, kUserfault, kHash };

struct Configuration {
  logging::Mode mode = logging::Mode::kOff;
  FailureUnit failure_unit = FailureUnit::kNode;      // FT_FAILURE_UNIT
  int causal_f = 1;                                   // FT_CAUSAL_F
  bool log_time = true;                               // FT_LOG_TIME
  bool keep = false;                                  // FT_KEEP
  bool flush_events = false;                          // FT_FLUSH_EVENTS
  std::uint64_t log_memory = std::uint64_t{1} << 30;  // FT_LOG_MEMORY, bytes per rank
  std::uint64_t log_prepare = std::uint64_t{8}
                              << 20;              // FT_LOG_PREPARE, bytes made ready in MPI_Init
  std::string job_directory;                      // FT_DIR; empty: ./ftmpi-<job name>
  std::string local_directory;                    // FT_LOCAL; empty: /dev/shm/ftmpi-<job name>
  std::string spill_directory;                    // FT_SPILL_DIR
  std::string inject;                             // FT_INJECT, as given
  SavedState state = SavedState::kNone;           // FT_STATE
  CheckpointSettings checkpoints;                 // FT_CKPT_*, FT_MTBF, FT_MTV_STRATEGY
  int compression = 0;                            // FT_COMPRESS, level of zstd; 0: none
  PageTracking incremental = PageTracking::kOff;  // FT_INCREMENTAL
  int full_every = 10;                            // FT_FULL_EVERY, checkpoints
  int checkpoint_keep = 2;                        // FT_CKPT_KEEP, permanent checkpoints that stay
};

// FT_MODE alone, for the decision whether ftmpi is on at all. An unknown value is kOff with `error`
// set to a message.
logging::Mode ModeFromEnvironment(std::string* error);

// FT_STATE alone, for the decision how the process starts. Where FT_STATE is not set: kImage if
// something asks for checkpoints (FT_CKPT_INTERVAL, FT_CKPT_EVERY, FT_CKPT_SIGNAL), else kNone. An
// unknown value is kNone with `error` set to a message.
SavedState StateFromEnvironment(std::string* error);

// All variables. False: `error` names the variable, the value and what is allowed.
bool ReadConfiguration(Configuration* configuration, std::string* error);

// "none", "image", "registered".
const char* StateName(SavedState state);
// "pessimistic" ...
const char* ModeName(logging::Mode mode);

// A size with an optional suffix K, M, G or T (powers of 1024).
bool ParseBytes(const std::string& text, std::uint64_t* bytes);

// The values that all ranks must agree on, as one line of text ("FT_MODE=causal ...").
std::string AgreedValues(const Configuration& configuration);

}  // namespace ftmpi
