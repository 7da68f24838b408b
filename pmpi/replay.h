// Replay on the sender's side: messages that an earlier incarnation logged are sent again from the
// log at once, in windows, and the re-executed sends are compared with them and suppressed
// (Johnson 3.2.4; the sender need not wait for its own re-execution).
#pragma once

#include <cstdint>

#include "pmpi/engine_state.h"

namespace ftmpi::engine {

// Builds the peers' replay channels from a recovered payload log.
void IndexPayloadLog();

// A re-executed send: true when the earlier incarnation made it already; then it has been compared
// (a difference ends the job with a message: the program is not deterministic between events) and
// everything up to it is on its way.
bool ReplaySend(Peer* peer, Request* request, std::uint64_t bytes);

// Sends logged records as far as the windows allow. True: something was sent.
bool PushReplay();

}  // namespace ftmpi::engine
