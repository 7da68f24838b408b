// When a checkpoint is due: by time, by messages, on request; and the best time between two
// (FT_CKPT_INTERVAL=auto). Pure: times are nanoseconds that the caller gives.
#pragma once

#include <cstdint>
#include <optional>

namespace ftmpi::checkpoint {

enum class Reason : std::uint8_t { kInterval = 1, kMessages = 2, kRequest = 3, kOutput = 4 };

// Time of useful work between two checkpoints that loses least time to checkpoints and to repeated
// work after failures. `cost`: time that a checkpoint takes from the program; `mtbf`: mean time
// between failures of the whole job.
//
// J. W. Young, "A first order approximation to the optimum checkpoint interval", CACM 17 (1974):
// sqrt(2 cost mtbf).
double YoungInterval(double cost, double mtbf);
// J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", FGCS
// 22 (2006), equation 37: for cost < 2 mtbf
//   sqrt(2 cost mtbf) (1 + 1/3 sqrt(cost / (2 mtbf)) + 1/9 (cost / (2 mtbf))) - cost,
// else mtbf.
double DalyInterval(double cost, double mtbf);

// Chooses the interval from measured costs.
class IntervalChooser {
 public:
  // `mtbf`: ns, of the whole job, > 0 (FT_MTBF). `first`: ns until the first checkpoint, whose cost
  // is not known. Throws std::invalid_argument when mtbf is 0.
  IntervalChooser(std::uint64_t mtbf, std::uint64_t first);

  // A checkpoint was taken: `blocked` ns the program stood still for it, `duration` ns it took
  // from its start until it was committed.
  void OnCheckpoint(std::uint64_t blocked, std::uint64_t duration);
  // From the start of one checkpoint to the start of the next, ns: Daly's interval plus the
  // cost; never less than twice what a checkpoint takes until it is committed, so that as long as
  // they are written in the background the storage is idle half of the time.
  [[nodiscard]] std::uint64_t Interval() const;

 private:
  double mtbf_;
  std::uint64_t first_;
  bool measured_ = false;
  double blocked_ = 0;   // smoothed
  double duration_ = 0;  // smoothed
};

// Remembers what asks for a checkpoint.
class CheckpointTrigger {
 public:
  // `interval`: ns between the starts of two checkpoints, 0: none by time; `every`: messages, 0:
  // none by messages; `phase`: ns by which the first interval is shorter.
  CheckpointTrigger(std::uint64_t interval, std::uint64_t every, std::uint64_t phase = 0)
      : interval_(interval), every_(every), phase_(phase) {}

  void SetInterval(std::uint64_t interval) { interval_ = interval; }
  void Request(Reason reason) {
    if (!requested_) requested_ = reason;
  }
  // `messages`: so many in all. The first call only sets the clock. A clock that goes back delays.
  [[nodiscard]] std::optional<Reason> Due(std::uint64_t now, std::uint64_t messages);
  // A checkpoint is started, for whatever reason: requests made so far are met.
  void OnStart(std::uint64_t now, std::uint64_t messages);
  void DropRequests() { requested_.reset(); }

 private:
  std::uint64_t interval_;
  std::uint64_t every_;
  std::uint64_t phase_;
  bool clock_set_ = false;
  std::uint64_t last_ = 0;  // start of the last one
  std::uint64_t messages_at_last_ = 0;
  std::optional<Reason> requested_;
};

}  // namespace ftmpi::checkpoint
