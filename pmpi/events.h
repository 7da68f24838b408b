// Events of this rank: non-deterministic outcomes, recorded as determinants when they happen and
// answered from determinants when they are replayed (logging/determinant.h).
#pragma once

#include <cstdint>

#include "logging/replay_log.h"
#include "logging/wire_header.h"
#include "pmpi/engine.h"
#include "pmpi/match_queue.h"
#include "pmpi/request.h"

namespace ftmpi::events {

// --- polling calls: Test*, Waitany, Waitsome, Iprobe, ...
// -----------------------------------------
enum class PollAnswer : std::uint8_t { kLive, kNo, kYes };
struct Poll {
  PollAnswer answer = PollAnswer::kLive;
  std::uint64_t ordinal = 0;
  int detail = 0;   // kYes: what the call answered
  int source = -1;  // kYes, probes: world rank and SSN of the message found
  std::uint64_t ssn = 0;
};
// Counts a polling call. While events are replayed says how it ended; kLive: find out, then call
// PollNo or PollYes.
Poll BeginPoll();
void PollNo();
void PollYes(const Poll& poll, int detail, int source = -1, std::uint64_t ssn = 0);
// Further indices answered by the call (Testsome, Waitsome): record, and replay (false: no more).
void PollMore(const Poll& poll, int index);
bool NextMore(const Poll& poll, int* index);

// --- blocking wildcard probes ---

// Counts one. True: replayed, it found (source, ssn). False: live, report with ProbeFound.
bool BeginProbe(std::uint64_t* ordinal, int* source, std::uint64_t* ssn);
void ProbeFound(std::uint64_t ordinal, int source, std::uint64_t ssn);

// --- waiting for a live answer ---

// Waits for what a live answer needs. False: meanwhile the process was restored from an image, so
// that the replay may have the answer: the call is to begin its poll or probe again.
template <typename Done>
bool WaitLive(Done done) {
  const std::uint16_t epoch = engine::Epoch();
  engine::WaitUntil([&] { return engine::Epoch() != epoch || done(); });
  return engine::Epoch() == epoch;
}
// The same poll or probe, after WaitLive said no.
Poll BeginPollAgain();
bool BeginProbeAgain(std::uint64_t* ordinal, int* source, std::uint64_t* ssn);

// --- values from outside
// -------------------------------------------------------------------------- The value of `read()`,
// logged; or the logged one.
std::uint64_t LogValue(std::uint64_t (*read)());

// --- wildcard receives
// ---------------------------------------------------------------------------- A wildcard receive
// was matched with (source, ssn): records the delivery, or counts it as replayed.
void WildcardMatched(Request* request, int source, std::uint64_t ssn);

// The dependency vector grows by a delivery (kDependency: it advances the state interval).
void RecordDependency(int source, std::uint64_t interval);

// Coordinated mode, where an interval is the checkpoint that output waits for
// (logging/coordinated.h): it is at least this one.
void RaiseInterval(std::uint64_t interval);

// Makes a determinant of the polling calls that said no; before each send.
void FlushPollFailures();
// Publishes what the protocol lets out (RankStatus::committable).
void PublishCommittable();

// --- replay
// --------------------------------------------------------------------------------------- The
// determinants to answer from; empty: no replay.
// `from`: the state interval that the rank is in already (that of its checkpoint, 0: initial
// state).
void StartReplay(const logging::ReplayLog& log, std::uint64_t from);
// While replaying: the posted receive that an arrived message goes to (null: none may take it now),
// and the unexpected message that a new receive takes.
Request* ReplayMatchPosted(MatchQueue* queue, int source, const logging::WireHeader& header);
UnexpectedMessage* ReplayMatchUnexpected(MatchQueue* queue, Request* request);
// Waits until all events are replayed: what comes now is new.
void WaitForReplay();
// Ends the replay when the last event has been answered; called where no match is under way.
void FinishReplayIfDone();

}  // namespace ftmpi::events
