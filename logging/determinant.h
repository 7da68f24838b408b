// A determinant: the record of one event, a non-deterministic outcome at a rank.
//
// Alvisi & Marzullo: for a delivery, #m = <m.source, m.ssn, m.dest, m.rsn>. Here an event's index
// is the index of the state interval that it starts (Johnson 2.1.1), counted from 1 at each rank;
// the initial state is interval 0. Only non-deterministic outcomes are events: a receive that names
// its source is determined by program order.
#pragma once

#include <compare>
#include <cstdint>

namespace ftmpi::logging {

enum class EventKind : std::uint8_t {
  kDelivery = 1,  // a wildcard receive was matched: ordinal = which wildcard receive of the rank
                  // (from 1, in posting order), source = world rank, value = the message's SSN
  kPoll = 2,      // a polling call (Test*, Waitany, Waitsome, Iprobe, Improbe, Request_get_status,
              // Test_cancelled ...) said yes: ordinal = which polling call of the rank (from 1),
              // detail = index or count that it answered, source and value = what a wildcard
              // probe found (source world rank, SSN), else -1 and 0
  kPollFailures = 3,  // value = number of consecutive polling calls, ending with call `ordinal`,
                      // that said no
  kPollMore = 4,    // a further index answered by the polling call `ordinal` (Testsome, Waitsome):
                    // detail = the index
  kProbe = 5,       // a blocking wildcard probe: ordinal = which, source, value = SSN
  kValue = 6,       // a value from outside (time): ordinal = which, value = its 64 bits
  kDependency = 7,  // an increase of the rank's dependency vector by a delivery (thesis 2.1.1):
                    // source = the other rank, value = that rank's state interval. Only in
                    // optimistic mode with several failure units. It advances the rank's state
                    // interval as events do (index = ++interval; indices stay contiguous), as
                    // each delivery does in the thesis: what the rank sends afterwards then names
                    // an interval that implies the dependency. (Without that, s in interval 0
                    // passes on what it got from a lost interval of r by a named receive, and
                    // the receiver's "s, interval 0" would not show it to be an orphan.)
                    // Nothing is answered from it in a replay, which skips and does not count it.
};

// Whether a byte from outside is a kind that is known here.
constexpr bool IsEventKind(EventKind kind) {
  return kind >= EventKind::kDelivery && kind <= EventKind::kDependency;
}

struct Determinant {
  std::int32_t rank = -1;  // the rank at which the event happened
  EventKind kind = EventKind::kDelivery;
  std::uint8_t reserved[3] = {0, 0, 0};
  std::uint64_t index = 0;    // state interval index that the event starts
  std::uint64_t ordinal = 0;  // see EventKind
  std::uint64_t value = 0;    // see EventKind
  std::int32_t source = -1;   // see EventKind
  std::int32_t detail = 0;    // see EventKind

  bool operator==(const Determinant&) const = default;
};
static_assert(sizeof(Determinant) == 40);

}  // namespace ftmpi::logging
