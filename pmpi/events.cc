#include "pmpi/events.h"

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "pmpi/checkpointing.h"
#include "pmpi/engine.h"
#include "pmpi/engine_state.h"
#include "pmpi/message.h"

namespace ftmpi::events {
namespace {

using engine::g;
using logging::Determinant;
using logging::EventKind;

struct MessageName {
  int source;
  std::uint64_t ssn;
  bool operator==(const MessageName&) const = default;
};
struct MessageNameHash {
  std::size_t operator()(const MessageName& name) const {
    return (name.ssn * 0x9e3779b97f4a7c15ULL) ^ static_cast<std::size_t>(name.source) * 0xc2b2ae3dU;
  }
};

// What is left to be replayed. Kinds have ordinals of their own, so the order in which the rank
// comes to them again need not be the order of their indices.
struct Replay {
  std::unordered_map<std::uint64_t, Determinant> deliveries;  // by ordinal of the wildcard receive
  std::unordered_set<MessageName, MessageNameHash> reserved;  // the messages of these
  std::vector<Determinant> polls;                             // in order of index
  std::size_t next_poll = 0;
  std::unordered_map<std::uint64_t, Determinant> probes;  // by ordinal
  std::unordered_map<std::uint64_t, Determinant> values;  // by ordinal
  std::uint64_t left = 0;
  bool finish_pending = false;
};
Replay g_replay;

// Coordinated mode: an event after the cut of a checkpoint is in the next one.
void NoteUnlogged() {
  const std::uint64_t next = checkpointing::NextCsn();
  if (g.interval >= next) return;
  RaiseInterval(next);
  Determinant determinant;
  determinant.rank = g.rank;
  determinant.index = next;
  g.protocol->OnEvent(determinant, -1);
  PublishCommittable();
}

void RecordEvent(EventKind kind, std::uint64_t ordinal, int source, std::uint64_t value, int detail,
                 int message_source) {
  FTMPI_CHECK(!g.replaying);
  if (__builtin_expect(!g.event_log, 0)) {
    NoteUnlogged();
    return;
  }
  Determinant determinant;
  determinant.rank = g.rank;
  determinant.kind = kind;
  determinant.index = ++g.interval;
  determinant.ordinal = ordinal;
  determinant.value = value;
  determinant.source = source;
  determinant.detail = detail;
  OrFatal([&] { g.event_log->Append(determinant); });
  g.status->interval.store(g.interval, std::memory_order_release);
  g.status->logged_events.fetch_add(1, std::memory_order_relaxed);
  g.protocol->OnEvent(determinant, message_source);
  PublishCommittable();
}

// An event was answered from its determinant.
void Replayed() {
  FTMPI_CHECK(g_replay.left > 0);
  --g_replay.left;
  g.status->replay_done.fetch_add(1, std::memory_order_relaxed);
  if (g_replay.left == 0) g_replay.finish_pending = true;
}

// All events are replayed: receives that had to wait take what has arrived, in order of arrival.
void FinishReplay() {
  g_replay.finish_pending = false;
  g.replaying = false;
  engine::ForEachMatchQueue([](MatchQueue* queue) {
    UnexpectedMessage* message = queue->arrival_head;
    while (message != nullptr) {
      UnexpectedMessage* next = message->arrival_next;
      if (Request* request = queue->MatchPosted(message->source, message->header.tag)) {
        queue->Unpost(request);
        engine::DeliverUnexpected(request, queue, message);
      }
      message = next;
    }
  });
}

// Does a determinant that is still to be replayed name this message? Messages of schedules have
// numbers of their own kind, which are not SSNs.
bool IsReserved(int source, const logging::WireHeader& header) {
  return (header.flags & logging::kFlagSchedule) == 0 &&
         g_replay.reserved.contains(MessageName{source, header.ssn});
}

}  // namespace

void FinishReplayIfDone() {
  if (g_replay.finish_pending) FinishReplay();
}

void PublishCommittable() {
  g.status->output_position.store(g.protocol->OutputPosition(), std::memory_order_release);
  g.status->committable.store(g.protocol->CommittablePosition(), std::memory_order_release);
}

void RaiseInterval(std::uint64_t interval) {
  if (g.interval >= interval) return;
  g.interval = interval;
  g.status->interval.store(interval, std::memory_order_release);
}

void FlushPollFailures() {
  if (g.poll_failures == 0) return;
  const std::uint64_t failures = g.poll_failures;
  g.poll_failures = 0;
  RecordEvent(EventKind::kPollFailures, g.last_failed_poll, -1, failures, 0, -1);
  g.status->poll_failures.store(0, std::memory_order_release);
}

Poll BeginPoll() {
  Poll poll;
  if (__builtin_expect(!g.replaying, 1)) {
    poll.ordinal = ++g.poll_ordinal;
    return poll;
  }
  FinishReplayIfDone();
  poll.ordinal = ++g.poll_ordinal;
  if (!g.replaying) return poll;
  while (g_replay.next_poll < g_replay.polls.size()) {
    const Determinant& next = g_replay.polls[g_replay.next_poll];
    if (next.kind == EventKind::kPollMore) {
      Fatal(
          "the replay does not fit the program: polling call %lu came where the log has more "
          "answers of call %lu; "
          "the program is not deterministic between events",
          static_cast<unsigned long>(poll.ordinal), static_cast<unsigned long>(next.ordinal));
    }
    if (next.kind == EventKind::kPollFailures) {
      FTMPI_CHECK(poll.ordinal + next.value > next.ordinal);
      if (poll.ordinal == next.ordinal) {
        ++g_replay.next_poll;
        Replayed();
        FinishReplayIfDone();
      }
      poll.answer = PollAnswer::kNo;
      return poll;
    }
    if (next.ordinal != poll.ordinal) {
      Fatal(
          "the replay does not fit the program: polling call %lu came where the log has an answer "
          "of call %lu; the "
          "program is not deterministic between events",
          static_cast<unsigned long>(poll.ordinal), static_cast<unsigned long>(next.ordinal));
    }
    poll.answer = PollAnswer::kYes;
    poll.detail = next.detail;
    poll.source = next.source;
    poll.ssn = next.value;
    ++g_replay.next_poll;
    Replayed();
    return poll;
  }
  WaitForReplay();
  return poll;
}

void PollNo() {
  if (__builtin_expect(!g.event_log, 0)) {
    NoteUnlogged();
    return;
  }
  ++g.poll_failures;
  g.last_failed_poll = g.poll_ordinal;
  g.status->poll_failures.store(g.poll_failures, std::memory_order_relaxed);
  if (g.status->output_waiting.load(std::memory_order_relaxed) != 0) FlushPollFailures();
}

void PollYes(const Poll& poll, int detail, int source, std::uint64_t ssn) {
  FlushPollFailures();
  RecordEvent(EventKind::kPoll, poll.ordinal, source, ssn, detail, -1);
}

void PollMore(const Poll& poll, int index) {
  RecordEvent(EventKind::kPollMore, poll.ordinal, -1, 0, index, -1);
}

bool NextMore(const Poll& poll, int* index) {
  if (g_replay.next_poll >= g_replay.polls.size()) return false;
  const Determinant& next = g_replay.polls[g_replay.next_poll];
  if (next.kind != EventKind::kPollMore || next.ordinal != poll.ordinal) return false;
  *index = next.detail;
  ++g_replay.next_poll;
  Replayed();
  return true;
}

bool BeginProbe(std::uint64_t* ordinal, int* source, std::uint64_t* ssn) {
  *ordinal = ++g.probe_ordinal;
  if (!g.replaying) return false;
  const auto found = g_replay.probes.find(*ordinal);
  if (found == g_replay.probes.end()) {
    WaitForReplay();
    return false;
  }
  *source = found->second.source;
  *ssn = found->second.value;
  g_replay.probes.erase(found);
  Replayed();
  return true;
}

Poll BeginPollAgain() {
  --g.poll_ordinal;
  return BeginPoll();
}

bool BeginProbeAgain(std::uint64_t* ordinal, int* source, std::uint64_t* ssn) {
  --g.probe_ordinal;
  return BeginProbe(ordinal, source, ssn);
}

void ProbeFound(std::uint64_t ordinal, int source, std::uint64_t ssn) {
  FlushPollFailures();
  RecordEvent(EventKind::kProbe, ordinal, source, ssn, 0, -1);
}

std::uint64_t LogValue(std::uint64_t (*read)()) {
  const std::uint64_t ordinal = ++g.value_ordinal;
  if (g.replaying) {
    const auto found = g_replay.values.find(ordinal);
    if (found != g_replay.values.end()) {
      const std::uint64_t value = found->second.value;
      g_replay.values.erase(found);
      Replayed();
      FinishReplayIfDone();
      return value;
    }
    WaitForReplay();
  }
  const std::uint64_t value = read();
  FlushPollFailures();
  RecordEvent(EventKind::kValue, ordinal, -1, value, 0, -1);
  return value;
}

void WildcardMatched(Request* request, int source, std::uint64_t ssn) {
  if (g.replaying) {
    const auto found = g_replay.deliveries.find(request->wildcard_ordinal);
    FTMPI_CHECK(found != g_replay.deliveries.end());
    FTMPI_CHECK(found->second.source == source && found->second.value == ssn);
    g_replay.reserved.erase(MessageName{source, ssn});
    g_replay.deliveries.erase(found);
    Replayed();
    return;
  }
  FlushPollFailures();
  RecordEvent(EventKind::kDelivery, request->wildcard_ordinal, source, ssn, 0, source);
}

void RecordDependency(int source, std::uint64_t interval) {
  if (g.replaying) return;  // the state intervals to be replayed imply it
  FlushPollFailures();
  RecordEvent(EventKind::kDependency, 0, source, interval, 0, -1);
}

void StartReplay(const logging::ReplayLog& log, std::uint64_t from) {
  for (const Determinant& determinant : log.determinants) {
    if (determinant.index <= from) continue;
    switch (determinant.kind) {
      case EventKind::kDelivery:
        g_replay.deliveries[determinant.ordinal] = determinant;
        g_replay.reserved.insert(MessageName{determinant.source, determinant.value});
        break;
      case EventKind::kPoll:
      case EventKind::kPollFailures:
      case EventKind::kPollMore:
        g_replay.polls.push_back(determinant);
        break;
      case EventKind::kProbe:
        g_replay.probes[determinant.ordinal] = determinant;
        break;
      case EventKind::kValue:
        g_replay.values[determinant.ordinal] = determinant;
        break;
      default:
        continue;
    }
    ++g_replay.left;
  }
  g.replaying = g_replay.left > 0;
  g.status->replay_total.store(g_replay.left, std::memory_order_relaxed);
  g.status->replay_done.store(0, std::memory_order_relaxed);
}

Request* ReplayMatchPosted(MatchQueue* queue, int source, const logging::WireHeader& header) {
  // Walk the source's and the wildcard receives together, in the order in which they were posted.
  Request* named = queue->BucketOf(source)->posted_head;
  Request* any = queue->wildcard.posted_head;
  const bool reserved = IsReserved(source, header);
  while (named != nullptr || any != nullptr) {
    const bool take_named =
        any == nullptr || (named != nullptr && named->post_order < any->post_order);
    if (take_named) {
      if (TagMatches(named->tag, header.tag) && !reserved) return named;
      named = named->next;
      continue;
    }
    if (TagMatches(any->tag, header.tag)) {
      const auto found = g_replay.deliveries.find(any->wildcard_ordinal);
      // Without a determinant it was matched after the last event to be replayed, or never: it, and
      // whoever was posted behind it, has to wait.
      if (found == g_replay.deliveries.end()) {
        if (!reserved) return nullptr;
      } else if (found->second.source == source && found->second.value == header.ssn) {
        return any;
      }
    }
    any = any->next;
  }
  return nullptr;
}

UnexpectedMessage* ReplayMatchUnexpected(MatchQueue* queue, Request* request) {
  if (request->wildcard) {
    const auto found = g_replay.deliveries.find(request->wildcard_ordinal);
    if (found == g_replay.deliveries.end()) return nullptr;  // not before the replay has ended
    UnexpectedMessage* message = queue->BucketOf(found->second.source)->unexpected_head;
    while (message != nullptr && (message->header.ssn != found->second.value ||
                                  (message->header.flags & logging::kFlagSchedule) != 0)) {
      message = message->next;
    }
    return message;
  }
  UnexpectedMessage* message = queue->BucketOf(request->peer_world)->unexpected_head;
  for (; message != nullptr; message = message->next) {
    if (!TagMatches(request->tag, message->header.tag)) continue;
    if (IsReserved(message->source, message->header)) continue;
    // A wildcard receive that was posted before and waits for the end of the replay comes first.
    for (Request* any = queue->wildcard.posted_head; any != nullptr; any = any->next) {
      if (TagMatches(any->tag, message->header.tag) &&
          !g_replay.deliveries.contains(any->wildcard_ordinal)) {
        return nullptr;
      }
    }
    return message;
  }
  return nullptr;
}

void WaitForReplay() {
  engine::WaitUntil([] {
    FinishReplayIfDone();
    return !g.replaying;
  });
}

}  // namespace ftmpi::events
