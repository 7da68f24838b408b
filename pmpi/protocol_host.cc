#include "pmpi/protocol_host.h"

#include "pmpi/engine_state.h"
#include "pmpi/message.h"

namespace ftmpi::engine {

void WireProtocolHost::SendControl(int destination, std::span<const std::byte> message) {
  logging::WireHeader header{};
  header.version = logging::kWireVersion;
  header.kind = logging::MessageKind::kProtocol;
  header.interval = g.interval;
  header.payload_length = message.size();
  TransmitCopy(PeerOf(destination), header, message.data(), message.size());
}

void WireProtocolHost::Hold(const logging::Determinant& determinant) {
  OrFatal([&] { g.event_log->Append(determinant); });
}

}  // namespace ftmpi::engine
