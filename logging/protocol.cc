#include "logging/protocol.h"

#include <stdexcept>

#include "logging/causal.h"
#include "logging/coordinated.h"
#include "logging/optimistic.h"
#include "logging/pessimistic.h"

namespace ftmpi::logging {
namespace {

[[noreturn]] void Refuse(const std::string& what) {
  throw std::invalid_argument("logging protocol: " + what);
}

void Check(const ProtocolConfiguration& configuration) {
  if (configuration.size < 1) Refuse("size is " + std::to_string(configuration.size));
  if (configuration.rank < 0 || configuration.rank >= configuration.size) {
    Refuse("rank " + std::to_string(configuration.rank) + " is not in 0.." +
           std::to_string(configuration.size - 1));
  }
  if (configuration.unit.size() != static_cast<std::size_t>(configuration.size)) {
    Refuse("failure units are given for " + std::to_string(configuration.unit.size()) + " of " +
           std::to_string(configuration.size) + " ranks");
  }
  if (configuration.causal_f < 0) {
    Refuse("causal_f is " + std::to_string(configuration.causal_f));
  }
  constexpr std::uint64_t kLeast = 64;
  if (configuration.maximum_control < kLeast) {
    Refuse("maximum_control is " + std::to_string(configuration.maximum_control) +
           " bytes, at least " + std::to_string(kLeast) + " are needed");
  }
}

}  // namespace

std::unique_ptr<Protocol> MakeProtocol(const ProtocolConfiguration& configuration,
                                       ProtocolHost* host) {
  Check(configuration);
  switch (configuration.mode) {
    case Mode::kPessimistic:
      return std::make_unique<PessimisticProtocol>(configuration, host);
    case Mode::kOptimistic:
      return std::make_unique<OptimisticProtocol>(configuration, host);
    case Mode::kCausal:
      return std::make_unique<CausalProtocol>(configuration, host);
    case Mode::kCoordinated:
      return std::make_unique<CoordinatedProtocol>(configuration);
    case Mode::kOff:
      break;
  }
  Refuse("mode " + std::to_string(static_cast<int>(configuration.mode)) + " logs no messages");
}

}  // namespace ftmpi::logging
