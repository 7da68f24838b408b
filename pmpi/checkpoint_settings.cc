#include "pmpi/checkpoint_settings.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <iterator>

#include "checkpoint/kind_names.h"
#include "pmpi/environment_value.h"

namespace ftmpi {
namespace {

using checkpoint::CheckpointKind;
using checkpoint::MtvStrategy;
using checkpoint::Transit;

// Seconds, with a fraction or without, as nanoseconds.
bool ParseSeconds(const std::string& value, std::uint64_t* nanoseconds) {
  double seconds = 0;
  auto [rest, code] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  constexpr double kMost = 1e9;
  if (code != std::errc() || rest != value.data() + value.size() || !(seconds >= 0) ||
      seconds > kMost) {
    return false;
  }
  *nanoseconds = static_cast<std::uint64_t>(seconds * 1e9);
  return true;
}

bool ReadInterval(CheckpointSettings* settings, std::string* error) {
  if (const std::string value = EnvironmentValue("FT_MTBF"); !value.empty()) {
    if (!ParseSeconds(value, &settings->mtbf) || settings->mtbf == 0) {
      return Complain(error, "FT_MTBF", value,
                      "use the seconds between two failures of the whole job, more than 0");
    }
  }
  const std::string value = EnvironmentValue("FT_CKPT_INTERVAL");
  if (value.empty()) return true;
  if (value == "auto") {
    if (settings->mtbf == 0) {
      *error =
          "FT_CKPT_INTERVAL=auto needs FT_MTBF: set it to the mean seconds between two failures of "
          "the whole job";
      return false;
    }
    settings->automatic = true;
    return true;
  }
  if (!ParseSeconds(value, &settings->interval))
    return Complain(error, "FT_CKPT_INTERVAL", value, "use seconds, such as 30 or 0.5, or auto");
  return true;
}

bool ReadSignal(CheckpointSettings* settings, std::string* error) {
  const std::string value = EnvironmentValue("FT_CKPT_SIGNAL");
  if (value.empty()) return true;
  if (value == "USR1" || value == "SIGUSR1") {
    settings->signal = SIGUSR1;
  } else if (value == "USR2" || value == "SIGUSR2") {
    settings->signal = SIGUSR2;
  } else {
    return Complain(error, "FT_CKPT_SIGNAL", value,
                    "use USR1 or USR2, which mpirun passes on to the ranks");
  }
  return true;
}

bool ReadKind(CheckpointSettings* settings, std::string* error) {
  const std::string value = EnvironmentValue("FT_CKPT");
  if (value.empty() || value == "coordinated") return true;
  if (value != "independent")
    return Complain(error, "FT_CKPT", value, "use coordinated or independent");
  settings->kind = CheckpointKind::kIndependent;
  for (const char* name : {"FT_CKPT_TRANSIT", "FT_MTV_STRATEGY"}) {
    if (const std::string other = EnvironmentValue(name); !other.empty()) {
      return Complain(
          error, name, other,
          ("with FT_CKPT=" + value + " no messages in transit are saved; leave it out").c_str());
    }
  }
  if (settings->automatic) {
    *error = "FT_CKPT_INTERVAL=auto does not go with FT_CKPT=" + value + ": give seconds";
    return false;
  }
  return true;
}

bool ReadProtocol(CheckpointSettings* settings, std::string* error) {
  const std::string transit = EnvironmentValue("FT_CKPT_TRANSIT");
  if (transit == "ack") {
    settings->transit = Transit::kAck;
  } else if (!transit.empty() && transit != "mtv") {
    return Complain(error, "FT_CKPT_TRANSIT", transit, "use mtv or ack");
  }
  const std::string strategy = EnvironmentValue("FT_MTV_STRATEGY");
  if (strategy.empty()) return true;
  if (strategy == "optimistic") {
    settings->strategy = MtvStrategy::kOptimistic;
  } else if (strategy != "pessimistic") {
    return Complain(error, "FT_MTV_STRATEGY", strategy, "use pessimistic or optimistic");
  }
  if (settings->transit == Transit::kAck) {
    return Complain(error, "FT_MTV_STRATEGY", strategy,
                    "with FT_CKPT_TRANSIT=ack there are no message transit vectors; leave it out");
  }
  return true;
}

constexpr const char* kLevelsAllowed =
    "use levels of local, partner, shared, in this order and with shared among them, each with the "
    "number of checkpoints after which it is due (the first: every one), as in "
    "local,partner:4,shared:16";

}  // namespace

checkpoint::Level LevelOf(const CheckpointLevels& levels, std::uint64_t csn) {
  if (levels.shared != 0 && csn % levels.shared == 0) return checkpoint::Level::kShared;
  if (levels.partner != 0 && csn % levels.partner == 0) return checkpoint::Level::kPartner;
  return checkpoint::Level::kLocal;
}

bool ReadCheckpointLevels(CheckpointLevels* levels, std::string* error) {
  const std::string value = EnvironmentValue("FT_CKPT_LEVELS");
  if (value.empty()) return true;
  constexpr std::uint32_t kPartnerDefault = 4;
  constexpr std::uint32_t kSharedDefault = 16;
  constexpr std::uint32_t kMost = 1'000'000;
  struct Known {
    const char* name;
    std::uint32_t usual;
    std::uint32_t* number;
  };
  CheckpointLevels read{0, 0, 0};
  const Known known[] = {{"local", 1, &read.local},
                         {"partner", kPartnerDefault, &read.partner},
                         {"shared", kSharedDefault, &read.shared}};
  std::size_t next = 0;
  bool lowest = true;
  for (std::size_t at = 0; at <= value.size();) {
    const std::size_t comma = std::min(value.find(',', at), value.size());
    const std::string part = value.substr(at, comma - at);
    const std::size_t colon = std::min(part.find(':'), part.size());
    while (next < std::size(known) && part.substr(0, colon) != known[next].name) ++next;
    if (next == std::size(known)) return Complain(error, "FT_CKPT_LEVELS", value, kLevelsAllowed);
    std::uint32_t number = lowest ? 1 : known[next].usual;
    if (colon < part.size()) {
      const char* const end = part.data() + part.size();
      auto [rest, code] = std::from_chars(part.data() + colon + 1, end, number);
      if (code != std::errc() || rest != end || number < 1 || number > kMost ||
          (lowest && number != 1)) {
        return Complain(error, "FT_CKPT_LEVELS", value, kLevelsAllowed);
      }
    }
    *known[next++].number = number;
    lowest = false;
    at = comma + 1;
  }
  if (read.shared == 0) return Complain(error, "FT_CKPT_LEVELS", value, kLevelsAllowed);
  *levels = read;
  return true;
}

bool ReadCheckpointSettings(CheckpointSettings* settings, std::string* error) {
  if (!ReadInterval(settings, error)) return false;
  if (!ReadCheckpointLevels(&settings->levels, error)) return false;
  if (const std::string value = EnvironmentValue("FT_CKPT_TIMEOUT"); !value.empty()) {
    if (!ParseSeconds(value, &settings->timeout) || settings->timeout == 0)
      return Complain(error, "FT_CKPT_TIMEOUT", value, "use seconds, more than 0");
  }
  if (const std::string value = EnvironmentValue("FT_CKPT_EVERY"); !value.empty()) {
    auto [rest, code] = std::from_chars(value.data(), value.data() + value.size(), settings->every);
    if (code != std::errc() || rest != value.data() + value.size() || settings->every == 0) {
      return Complain(error, "FT_CKPT_EVERY", value,
                      "use a number of messages that a rank sends, at least 1");
    }
  }
  return ReadSignal(settings, error) && ReadKind(settings, error) && ReadProtocol(settings, error);
}

std::string AgreedCheckpointValues(const CheckpointSettings& settings) {
  std::string text = std::string(" FT_CKPT=") + checkpoint::KindName(settings.kind);
  text += " FT_CKPT_INTERVAL=";
  text += settings.automatic ? "auto" : std::to_string(settings.interval) + "ns";
  text += " FT_CKPT_TIMEOUT=" + std::to_string(settings.timeout) + "ns";
  text += " FT_MTBF=" + std::to_string(settings.mtbf) + "ns";
  text += " FT_CKPT_EVERY=" + std::to_string(settings.every);
  text += " FT_CKPT_SIGNAL=" + std::to_string(settings.signal);
  text += " FT_CKPT_LEVELS=local:" + std::to_string(settings.levels.local) +
          ",partner:" + std::to_string(settings.levels.partner) +
          ",shared:" + std::to_string(settings.levels.shared);
  text += settings.transit == Transit::kMtv ? " FT_CKPT_TRANSIT=mtv" : " FT_CKPT_TRANSIT=ack";
  text += settings.strategy == MtvStrategy::kPessimistic ? " FT_MTV_STRATEGY=pessimistic"
                                                         : " FT_MTV_STRATEGY=optimistic";
  return text;
}

}  // namespace ftmpi
