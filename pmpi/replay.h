// Replay on the sender's side: messages that an earlier incarnation logged are sent again from the
// log at once, in windows, and the re-executed sends are compared with them and suppressed
// (Johnson 3.2.4; the sender need not wait for its own re-execution).
#pragma once

#include <cstdint>
#include <functional>

#include "pmpi/engine_state.h"

namespace ftmpi::engine {

// Of a destination (world rank): a count of messages on the channel to it, since the job's start.
using CountOf = std::function<std::uint64_t(int)>;

// Builds the peers' replay channels from a recovered payload log. The destination has the first
// `received_at` messages in its own restored state; the first `sent_at` are in this rank's, so that
// it will not send them again (both 0 from the initial state).
void IndexPayloadLog(const CountOf& received_at, const CountOf& sent_at);

// Ranks go back to cuts of their own, so a receiver may have a synchronous message of a send that
// is to be executed again. Tells each rank which of its messages are here and not matched: of the
// others that are here it need not wait for an answer. Collective, after IndexPayloadLog.
void ExchangeUnmatched();

// A re-executed send: true when the earlier incarnation made it already; then it has been compared
// (a difference ends the job with a message: the program is not deterministic between events) and
// everything up to it is on its way.
bool ReplaySend(Peer* peer, Request* request, std::uint64_t bytes);

// Forgets the channels whose messages have all been sent again and compared.
void DropFinishedReplay();

// A replay, of events or of sends, is under way.
bool ReplayUnderWay();

// Sends logged records as far as the windows allow. True: something was sent.
bool PushReplay();

}  // namespace ftmpi::engine
