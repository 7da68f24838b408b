#include "logging/coordinated.h"

#include <algorithm>

namespace ftmpi::logging {

CoordinatedProtocol::CoordinatedProtocol(const ProtocolConfiguration& configuration)
    : needed_(configuration.interval), permanent_(configuration.interval) {}

void CoordinatedProtocol::OnEvent(const Determinant& determinant, int /*message_source*/) {
  needed_ = std::max(needed_, determinant.index);
}

void CoordinatedProtocol::OnDelivery(int /*source*/, std::uint64_t interval) {
  needed_ = std::max(needed_, interval);
}

void CoordinatedProtocol::OnStable(std::uint64_t index) {
  permanent_ = std::max(permanent_, index);
}

}  // namespace ftmpi::logging
