#include "pmpi/configuration.h"

#include <charconv>

#include "checkpoint/kind_names.h"
#include "pmpi/environment_value.h"

namespace ftmpi {
namespace {

using logging::Mode;

bool ReadFlag(const char* name, bool* flag, std::string* error) {
  const std::string value = EnvironmentValue(name);
  if (value.empty()) return true;
  if (value != "0" && value != "1") return Complain(error, name, value, "use 0 or 1");
  *flag = value == "1";
  return true;
}

}  // namespace

const char* ModeName(Mode mode) {
  switch (mode) {
    case Mode::kOff:
      return "off";
    case Mode::kPessimistic:
      return "pessimistic";
    case Mode::kOptimistic:
      return "optimistic";
    case Mode::kCausal:
      return "causal";
    case Mode::kCoordinated:
      return "coordinated";
  }
  return "unknown";
}

Mode ModeFromEnvironment(std::string* error) {
  error->clear();
  const std::string value = EnvironmentValue("FT_MODE");
  if (value.empty() || value == "off") return Mode::kOff;
  if (value == "pessimistic") return Mode::kPessimistic;
  if (value == "optimistic") return Mode::kOptimistic;
  if (value == "causal") return Mode::kCausal;
  if (value == "coordinated") return Mode::kCoordinated;
  Complain(error, "FT_MODE", value, "use off, pessimistic, optimistic, causal or coordinated");
  return Mode::kOff;
}

const char* StateName(SavedState state) {
  switch (state) {
    case SavedState::kNone:
      return "none";
    case SavedState::kImage:
      return "image";
    case SavedState::kRegistered:
      return "registered";
  }
  return "unknown";
}

SavedState StateFromEnvironment(std::string* error) {
  error->clear();
  const std::string value = EnvironmentValue("FT_STATE");
  if (value == "image") return SavedState::kImage;
  if (value == "registered") return SavedState::kRegistered;
  if (value == "none") return SavedState::kNone;
  if (!value.empty()) {
    Complain(error, "FT_STATE", value, "use image, registered or none");
    return SavedState::kNone;
  }
  for (const char* trigger : {"FT_CKPT_INTERVAL", "FT_CKPT_EVERY", "FT_CKPT_SIGNAL"}) {
    const std::string asked = EnvironmentValue(trigger);
    if (!asked.empty() && asked != "0") return SavedState::kImage;
  }
  return SavedState::kNone;
}

bool ParseBytes(const std::string& text, std::uint64_t* bytes) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  auto [rest, code] = std::from_chars(text.data(), end, number);
  if (code != std::errc() || rest == text.data()) return false;
  int shift = 0;
  if (rest != end) {
    switch (*rest) {
      case 'K':
      case 'k':
        shift = 10;
        break;
      case 'M':
      case 'm':
        shift = 20;
        break;
      case 'G':
      case 'g':
        shift = 30;
        break;
      case 'T':
      case 't':
        shift = 40;
        break;
      default:
        return false;
    }
    if (++rest != end) return false;
  }
  if (number > (UINT64_MAX >> 1) >> shift) return false;
  *bytes = number << shift;
  return true;
}

namespace {

bool ReadCompression(int* level, std::string* error) {
  const std::string value = EnvironmentValue("FT_COMPRESS");
  if (value.empty() || value == "none") return true;
  constexpr int kDefaultLevel = 3;
  constexpr int kGreatestLevel = 19;
  *level = kDefaultLevel;
  if (value == "zstd") return true;
  if (value.starts_with("zstd:")) {
    const char* const end = value.data() + value.size();
    auto [rest, code] = std::from_chars(value.data() + 5, end, *level);
    if (code == std::errc() && rest == end && *level >= 1 && *level <= kGreatestLevel) return true;
  }
  return Complain(error, "FT_COMPRESS", value, "use none, zstd, or zstd:1 to zstd:19");
}

bool ReadIncremental(PageTracking* tracking, std::string* error) {
  const std::string value = EnvironmentValue("FT_INCREMENTAL");
  if (value.empty() || value == "off") return true;
  if (value == "auto") {
    *tracking = PageTracking::kAuto;
  } else if (value == "uffd") {
    *tracking = PageTracking::kUserfault;
  } else if (value == "hash") {
    *tracking = PageTracking::kHash;
  } else if (value == "mprotect") {
    return Complain(error, "FT_INCREMENTAL", value,
                    "it is not offered, since system calls that write to protected memory would "
                    "fail; use auto, uffd, hash or off");
  } else {
    return Complain(error, "FT_INCREMENTAL", value, "use auto, uffd, hash or off");
  }
  return true;
}

bool ReadCount(const char* name, int least, int most, int* count, std::string* error) {
  const std::string value = EnvironmentValue(name);
  if (value.empty()) return true;
  int number = 0;
  auto [rest, code] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (code != std::errc() || rest != value.data() + value.size() || number < least ||
      number > most) {
    return Complain(
        error, name, value,
        ("use a number from " + std::to_string(least) + " to " + std::to_string(most)).c_str());
  }
  *count = number;
  return true;
}

}  // namespace

bool ReadConfiguration(Configuration* configuration, std::string* error) {
  configuration->mode = ModeFromEnvironment(error);
  if (!error->empty()) return false;

  if (const std::string value = EnvironmentValue("FT_FAILURE_UNIT"); !value.empty()) {
    if (value == "node") {
      configuration->failure_unit = FailureUnit::kNode;
    } else if (value == "rank") {
      configuration->failure_unit = FailureUnit::kRank;
    } else {
      return Complain(error, "FT_FAILURE_UNIT", value, "use node or rank");
    }
  }
  if (const std::string value = EnvironmentValue("FT_CAUSAL_F"); !value.empty()) {
    int number = 0;
    auto [rest, code] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (code != std::errc() || rest != value.data() + value.size() || number < 1) {
      return Complain(error, "FT_CAUSAL_F", value,
                      "use the number of failure units whose loss is to be survived, at least 1");
    }
    configuration->causal_f = number;
  }
  if (const std::string value = EnvironmentValue("FT_LOG_MEMORY"); !value.empty()) {
    if (!ParseBytes(value, &configuration->log_memory) || configuration->log_memory < (4U << 20)) {
      return Complain(error, "FT_LOG_MEMORY", value,
                      "use bytes per rank, at least 4M, with an optional suffix K, M, G or T");
    }
  }
  if (const std::string value = EnvironmentValue("FT_LOG_PREPARE"); !value.empty()) {
    if (!ParseBytes(value, &configuration->log_prepare)) {
      return Complain(error, "FT_LOG_PREPARE", value,
                      "use bytes per rank, with an optional suffix K, M, G or T");
    }
  }
  if (!ReadFlag("FT_LOG_TIME", &configuration->log_time, error)) return false;
  if (!ReadFlag("FT_KEEP", &configuration->keep, error)) return false;
  if (!ReadFlag("FT_FLUSH_EVENTS", &configuration->flush_events, error)) return false;
  if (configuration->flush_events && configuration->mode == Mode::kCausal) {
    // Only a rank's own determinants would be flushed, not those that it depends on.
    *error =
        "FT_FLUSH_EVENTS=1 does not go with FT_MODE=causal: leave it out, or use "
        "FT_MODE=pessimistic or optimistic";
    return false;
  }
  configuration->state = StateFromEnvironment(error);
  if (!error->empty()) return false;
  if (!ReadCompression(&configuration->compression, error)) return false;
  if (!ReadIncremental(&configuration->incremental, error)) return false;
  if (!ReadCount("FT_FULL_EVERY", 1, 4000, &configuration->full_every, error)) return false;
  if (!ReadCount("FT_CKPT_KEEP", 1, 1000, &configuration->checkpoint_keep, error)) return false;
  if (!ReadCheckpointSettings(&configuration->checkpoints, error)) return false;
  const CheckpointSettings& settings = configuration->checkpoints;
  if (configuration->state == SavedState::kRegistered &&
      (settings.automatic || settings.every != 0 || settings.signal != 0)) {
    *error =
        "FT_CKPT_INTERVAL=auto, FT_CKPT_EVERY and FT_CKPT_SIGNAL do not go with "
        "FT_STATE=registered, where the program says when: leave them out";
    return false;
  }
  if (!settings.levels.shared_only()) {
    const char* obstacle = nullptr;
    if (configuration->mode == Mode::kCoordinated) {
      obstacle = "FT_MODE=coordinated, where output that was shown needs its checkpoint";
    } else if (configuration->state == SavedState::kRegistered) {
      obstacle = "FT_STATE=registered";
    } else if (settings.kind != checkpoint::CheckpointKind::kCoordinated) {
      obstacle = "FT_CKPT=independent";
    } else if (configuration->incremental != PageTracking::kOff) {
      obstacle = "FT_INCREMENTAL";
    }
    if (obstacle != nullptr) {
      *error = std::string("FT_CKPT_LEVELS with local or partner does not go with ") + obstacle +
               ": leave one of them out";
      return false;
    }
  }
  if (settings.kind != checkpoint::CheckpointKind::kCoordinated) {
    const std::string kind = checkpoint::KindName(settings.kind);
    if (configuration->mode == Mode::kCoordinated) {
      *error = "FT_CKPT=" + kind +
               " needs message logs, and FT_MODE=coordinated has none: use FT_MODE=pessimistic, "
               "optimistic or causal, or leave FT_CKPT out";
      return false;
    }
    if (configuration->state != SavedState::kImage) {
      *error = "FT_CKPT=" + kind +
               " says how process images are taken, and none are: set FT_STATE=image, or leave "
               "FT_CKPT out";
      return false;
    }
  }
  if (configuration->mode == Mode::kCoordinated) {
    if (configuration->state != SavedState::kImage) {
      *error =
          "FT_MODE=coordinated protects by checkpoints alone: set FT_STATE=image, or use "
          "pessimistic, optimistic or causal";
      return false;
    }
    if (configuration->flush_events) {
      *error = "FT_FLUSH_EVENTS=1 does not go with FT_MODE=coordinated, which logs no events";
      return false;
    }
  }
  configuration->job_directory = EnvironmentValue("FT_DIR");
  configuration->local_directory = EnvironmentValue("FT_LOCAL");
  configuration->spill_directory = EnvironmentValue("FT_SPILL_DIR");
  configuration->inject = EnvironmentValue("FT_INJECT");
  return true;
}

std::string AgreedValues(const Configuration& configuration) {
  std::string text = "FT_MODE=";
  text += ModeName(configuration.mode);
  text += configuration.failure_unit == FailureUnit::kNode ? " FT_FAILURE_UNIT=node"
                                                           : " FT_FAILURE_UNIT=rank";
  text += " FT_CAUSAL_F=" + std::to_string(configuration.causal_f);
  text += std::string(" FT_LOG_TIME=") + (configuration.log_time ? "1" : "0");
  text += std::string(" FT_FLUSH_EVENTS=") + (configuration.flush_events ? "1" : "0");
  text += std::string(" FT_STATE=") + StateName(configuration.state);
  text += " FT_CKPT_KEEP=" + std::to_string(configuration.checkpoint_keep);
  text += AgreedCheckpointValues(configuration.checkpoints);
  text += " FT_DIR=" + configuration.job_directory;
  text += " FT_LOCAL=" + configuration.local_directory;
  return text;
}

}  // namespace ftmpi
