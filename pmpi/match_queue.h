// Matching of one (communicator, context) at one rank: posted receives and unexpected messages.
//
// MPI's rule: a message goes to the first posted receive whose source and tag match it; a receive
// takes the first arrived message that it matches (non-overtaking, MPI-3.1 3.5). Both are kept per
// source, so that a match with a named source looks at that source's list only.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "logging/wire_header.h"
#include "pmpi/communicator.h"
#include "pmpi/request.h"

namespace ftmpi {

// A message that arrived before its receive was posted, or was taken out of the queue by a matched
// probe. Inline payload is copied behind the object.
struct UnexpectedMessage {
  static constexpr std::uint32_t kMagic = 0x47534d55;
  std::uint32_t magic = kMagic;
  bool large_block = false;  // which pool it came from
  int source = -1;           // world rank
  logging::WireHeader header{};
  Communicator* communicator = nullptr;  // set when a matched probe took it
  UnexpectedMessage* whole = nullptr;    // ... and its payload was received since: both are here
  UnexpectedMessage* next = nullptr;     // of the same source
  UnexpectedMessage* previous = nullptr;
  UnexpectedMessage* arrival_next = nullptr;  // of all sources, in order of arrival
  UnexpectedMessage* arrival_previous = nullptr;
  [[nodiscard]] std::byte* payload() { return reinterpret_cast<std::byte*>(this + 1); }
};

// The posted receives and unexpected messages of one source.
struct MatchBucket {
  Request* posted_head = nullptr;
  Request* posted_tail = nullptr;
  UnexpectedMessage* unexpected_head = nullptr;
  UnexpectedMessage* unexpected_tail = nullptr;
};

struct MatchQueue {
  std::uint64_t communicator_id = 0;
  Context context = Context::kPointToPoint;
  int references = 0;    // communicators that use it (0: messages came before it was made)
  MatchBucket wildcard;  // posted_*: receives from MPI_ANY_SOURCE
  UnexpectedMessage* arrival_head = nullptr;
  UnexpectedMessage* arrival_tail = nullptr;
  std::unordered_map<int, std::unique_ptr<MatchBucket>> buckets;  // by world rank of the source
  int last_source = -1;
  MatchBucket* last_bucket = nullptr;

  MatchBucket* BucketOf(int source) {
    if (source == last_source) return last_bucket;
    return FindBucket(source);
  }
  MatchBucket* FindBucket(int source);

  void Post(Request* request);
  void Unpost(Request* request);
  void AddUnexpected(UnexpectedMessage* message);
  // Puts it among its source's messages by SSN, and in front of all arrivals.
  void AddUnexpectedInOrder(UnexpectedMessage* message);
  void RemoveUnexpected(UnexpectedMessage* message);
  // Puts `other`, of the same source, in the place of `message`.
  void ReplaceUnexpected(UnexpectedMessage* message, UnexpectedMessage* other);

  // The posted receive that a message from `source` with `tag` goes to, or null.
  Request* MatchPosted(int source, int tag);
  // The unexpected message that a receive from `source` (world rank, or -1 for any) with `tag`
  // takes.
  UnexpectedMessage* MatchUnexpected(int source, int tag);
};

inline bool TagMatches(int wanted, int tag) { return wanted == tag || wanted == MPI_ANY_TAG; }

inline Request* MatchQueue::MatchPosted(int source, int tag) {
  Request* named = BucketOf(source)->posted_head;
  while (named != nullptr && !TagMatches(named->tag, tag)) named = named->next;
  Request* any = wildcard.posted_head;
  if (__builtin_expect(any == nullptr, 1)) return named;
  while (any != nullptr && !TagMatches(any->tag, tag)) any = any->next;
  if (named == nullptr) return any;
  if (any == nullptr) return named;
  return named->post_order < any->post_order ? named : any;
}

namespace engine {

// The queue of a communicator; made when the first message for it arrives or a member makes it.
MatchQueue* AcquireMatchQueue(std::uint64_t communicator_id, Context context);
void ReleaseMatchQueue(MatchQueue* queue);
// The same without a reference, for an arriving message.
extern MatchQueue* g_last_queue;  // that was found
MatchQueue* LookUpMatchQueue(std::uint64_t communicator_id, Context context);
inline MatchQueue* FindMatchQueue(std::uint64_t communicator_id, Context context) {
  MatchQueue* const last = g_last_queue;
  if (__builtin_expect(
          last != nullptr && last->communicator_id == communicator_id && last->context == context,
          1)) {
    return last;
  }
  return LookUpMatchQueue(communicator_id, context);
}
// Calls `visit` for each queue (end of replay).
void ForEachMatchQueue(const std::function<void(MatchQueue*)>& visit);
void DestroyMatchQueues();

// Messages that matched probes took out of their queues, until they are received.
void AddTaken(UnexpectedMessage* message);
void RemoveTaken(UnexpectedMessage* message);
// The first whose payload is not here, or null.
UnexpectedMessage* FirstLargeTaken();

UnexpectedMessage* NewUnexpected(std::size_t payload_bytes);
void DeleteUnexpected(UnexpectedMessage* message);

}  // namespace engine
}  // namespace ftmpi
