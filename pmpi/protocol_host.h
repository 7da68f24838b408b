// What a logging protocol asks of the engine (logging/protocol.h).
#pragma once

#include "logging/protocol.h"

namespace ftmpi::engine {

class WireProtocolHost final : public logging::ProtocolHost {
 public:
  void SendControl(int destination, std::span<const std::byte> message) override;
  void Hold(const logging::Determinant& determinant) override;
};

}  // namespace ftmpi::engine
