#include "pmpi/match_queue.h"

#include <array>
#include <cstdlib>
#include <new>

#include "pmpi/message.h"
#include "pmpi/saved_state.h"

namespace ftmpi {

MatchBucket* MatchQueue::FindBucket(int source) {
  std::unique_ptr<MatchBucket>& bucket = buckets[source];
  if (!bucket) bucket = std::make_unique<MatchBucket>();
  last_source = source;
  last_bucket = bucket.get();
  return last_bucket;
}

void MatchQueue::Post(Request* request) {
  MatchBucket* bucket = request->wildcard ? &wildcard : BucketOf(request->peer_world);
  request->posted = true;
  request->next = nullptr;
  request->previous = bucket->posted_tail;
  (bucket->posted_tail != nullptr ? bucket->posted_tail->next : bucket->posted_head) = request;
  bucket->posted_tail = request;
}

void MatchQueue::Unpost(Request* request) {
  MatchBucket* bucket = request->wildcard ? &wildcard : BucketOf(request->peer_world);
  (request->previous != nullptr ? request->previous->next : bucket->posted_head) = request->next;
  (request->next != nullptr ? request->next->previous : bucket->posted_tail) = request->previous;
  request->next = nullptr;
  request->previous = nullptr;
  request->posted = false;
}

void MatchQueue::AddUnexpected(UnexpectedMessage* message) {
  MatchBucket* bucket = BucketOf(message->source);
  message->next = nullptr;
  message->previous = bucket->unexpected_tail;
  (bucket->unexpected_tail != nullptr ? bucket->unexpected_tail->next : bucket->unexpected_head) =
      message;
  bucket->unexpected_tail = message;
  message->arrival_next = nullptr;
  message->arrival_previous = arrival_tail;
  (arrival_tail != nullptr ? arrival_tail->arrival_next : arrival_head) = message;
  arrival_tail = message;
}

void MatchQueue::AddUnexpectedInOrder(UnexpectedMessage* message) {
  MatchBucket* bucket = BucketOf(message->source);
  UnexpectedMessage* after = nullptr;  // the last one that was sent before it
  for (UnexpectedMessage* m = bucket->unexpected_head;
       m != nullptr && m->header.ssn < message->header.ssn; m = m->next) {
    after = m;
  }
  message->previous = after;
  message->next = after != nullptr ? after->next : bucket->unexpected_head;
  (message->previous != nullptr ? message->previous->next : bucket->unexpected_head) = message;
  (message->next != nullptr ? message->next->previous : bucket->unexpected_tail) = message;
  message->arrival_previous = nullptr;
  message->arrival_next = arrival_head;
  (arrival_head != nullptr ? arrival_head->arrival_previous : arrival_tail) = message;
  arrival_head = message;
}

void MatchQueue::RemoveUnexpected(UnexpectedMessage* message) {
  MatchBucket* bucket = BucketOf(message->source);
  (message->previous != nullptr ? message->previous->next : bucket->unexpected_head) =
      message->next;
  (message->next != nullptr ? message->next->previous : bucket->unexpected_tail) =
      message->previous;
  (message->arrival_previous != nullptr ? message->arrival_previous->arrival_next : arrival_head) =
      message->arrival_next;
  (message->arrival_next != nullptr ? message->arrival_next->arrival_previous : arrival_tail) =
      message->arrival_previous;
  message->next = message->previous = nullptr;
  message->arrival_next = message->arrival_previous = nullptr;
}

void MatchQueue::ReplaceUnexpected(UnexpectedMessage* message, UnexpectedMessage* other) {
  MatchBucket* bucket = BucketOf(message->source);
  other->next = message->next;
  other->previous = message->previous;
  (other->previous != nullptr ? other->previous->next : bucket->unexpected_head) = other;
  (other->next != nullptr ? other->next->previous : bucket->unexpected_tail) = other;
  other->arrival_next = message->arrival_next;
  other->arrival_previous = message->arrival_previous;
  (other->arrival_previous != nullptr ? other->arrival_previous->arrival_next : arrival_head) =
      other;
  (other->arrival_next != nullptr ? other->arrival_next->arrival_previous : arrival_tail) = other;
  message->next = message->previous = nullptr;
  message->arrival_next = message->arrival_previous = nullptr;
}

UnexpectedMessage* MatchQueue::MatchUnexpected(int source, int tag) {
  if (source >= 0) {
    UnexpectedMessage* message = BucketOf(source)->unexpected_head;
    while (message != nullptr && !TagMatches(tag, message->header.tag)) message = message->next;
    return message;
  }
  UnexpectedMessage* message = arrival_head;
  while (message != nullptr && !TagMatches(tag, message->header.tag))
    message = message->arrival_next;
  return message;
}

namespace engine {

FTMPI_SAVED MatchQueue* g_last_queue = nullptr;

namespace {

struct QueueKey {
  std::uint64_t id;
  Context context;
  bool operator==(const QueueKey&) const = default;
};
struct QueueKeyHash {
  std::size_t operator()(const QueueKey& key) const {
    return key.id * 2 + static_cast<std::size_t>(key.context);
  }
};
FTMPI_SAVED std::unordered_map<QueueKey, std::unique_ptr<MatchQueue>, QueueKeyHash> g_queues;

// Blocks of two sizes are kept for reuse; larger ones go back to the heap.
constexpr std::size_t kSmallPayload = 256;
constexpr std::size_t kLargePayload = 4096;
FTMPI_SAVED UnexpectedMessage* g_free_small = nullptr;
FTMPI_SAVED UnexpectedMessage* g_free_large = nullptr;
FTMPI_SAVED std::size_t g_free_small_count = 0;
FTMPI_SAVED std::size_t g_free_large_count = 0;
constexpr std::size_t kKeptSmall = 4096;
constexpr std::size_t kKeptLarge = 256;

}  // namespace

MatchQueue* LookUpMatchQueue(std::uint64_t communicator_id, Context context) {
  std::unique_ptr<MatchQueue>& queue = g_queues[QueueKey{communicator_id, context}];
  if (!queue) {
    queue = std::make_unique<MatchQueue>();
    queue->communicator_id = communicator_id;
    queue->context = context;
  }
  g_last_queue = queue.get();
  return g_last_queue;
}

MatchQueue* AcquireMatchQueue(std::uint64_t communicator_id, Context context) {
  MatchQueue* queue = FindMatchQueue(communicator_id, context);
  ++queue->references;
  return queue;
}

void ReleaseMatchQueue(MatchQueue* queue) {
  if (queue == nullptr) return;
  FTMPI_CHECK(queue->references > 0);
  if (--queue->references > 0) return;
  // Messages nobody will receive any more: the program freed the communicator under them.
  while (queue->arrival_head != nullptr) {
    UnexpectedMessage* message = queue->arrival_head;
    queue->RemoveUnexpected(message);
    DeleteUnexpected(message);
  }
  if (g_last_queue == queue) g_last_queue = nullptr;
  g_queues.erase(QueueKey{queue->communicator_id, queue->context});
}

void ForEachMatchQueue(const std::function<void(MatchQueue*)>& visit) {
  for (auto& [key, queue] : g_queues) visit(queue.get());
}

void DestroyMatchQueues() {
  for (auto& [key, queue] : g_queues) {
    while (queue->arrival_head != nullptr) {
      UnexpectedMessage* message = queue->arrival_head;
      queue->RemoveUnexpected(message);
      DeleteUnexpected(message);
    }
  }
  g_queues.clear();
  g_last_queue = nullptr;
  for (UnexpectedMessage** list : {&g_free_small, &g_free_large}) {
    while (*list != nullptr) {
      UnexpectedMessage* message = *list;
      *list = message->next;
      ::operator delete(message);
    }
  }
  g_free_small_count = g_free_large_count = 0;
}

namespace {

FTMPI_SAVED UnexpectedMessage* g_taken = nullptr;

}  // namespace

void AddTaken(UnexpectedMessage* message) {
  message->previous = nullptr;
  message->next = g_taken;
  if (g_taken != nullptr) g_taken->previous = message;
  g_taken = message;
}

void RemoveTaken(UnexpectedMessage* message) {
  (message->previous != nullptr ? message->previous->next : g_taken) = message->next;
  if (message->next != nullptr) message->next->previous = message->previous;
}

UnexpectedMessage* FirstLargeTaken() {
  UnexpectedMessage* message = g_taken;
  while (message != nullptr &&
         (message->header.kind != logging::MessageKind::kRendezvous || message->whole != nullptr))
    message = message->next;
  return message;
}

UnexpectedMessage* NewUnexpected(std::size_t payload_bytes) {
  UnexpectedMessage* message = nullptr;
  bool large = false;
  if (payload_bytes <= kSmallPayload && g_free_small != nullptr) {
    message = g_free_small;
    g_free_small = message->next;
    --g_free_small_count;
  } else if (payload_bytes > kSmallPayload && payload_bytes <= kLargePayload &&
             g_free_large != nullptr) {
    message = g_free_large;
    g_free_large = message->next;
    --g_free_large_count;
    large = true;
  }
  if (message == nullptr) {
    std::size_t capacity = payload_bytes;
    if (payload_bytes <= kSmallPayload) {
      capacity = kSmallPayload;
    } else if (payload_bytes <= kLargePayload) {
      capacity = kLargePayload;
      large = true;
    }
    message = static_cast<UnexpectedMessage*>(
        ::operator new(sizeof(UnexpectedMessage) + capacity, std::nothrow));
    if (message == nullptr)
      Fatal("no memory for an unexpected message of %zu bytes", payload_bytes);
  }
  new (message) UnexpectedMessage();
  message->large_block = large;
  message->header.payload_length = payload_bytes;
  return message;
}

void DeleteUnexpected(UnexpectedMessage* message) {
  const std::uint64_t bytes = message->header.kind == logging::MessageKind::kRendezvous
                                  ? 0
                                  : message->header.payload_length;
  message->magic = 0;
  if (!message->large_block && bytes <= kSmallPayload && g_free_small_count < kKeptSmall) {
    message->next = g_free_small;
    g_free_small = message;
    ++g_free_small_count;
  } else if (message->large_block && g_free_large_count < kKeptLarge) {
    message->next = g_free_large;
    g_free_large = message;
    ++g_free_large_count;
  } else {
    ::operator delete(message);
  }
}

}  // namespace engine
}  // namespace ftmpi
