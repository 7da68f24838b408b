// Reduction by recursive halving of the vector (Rabenseifner, "Optimization of Collective Reduction
// Operations", 2004), for Reduce and Allreduce of long vectors.
//
// The vector is cut into as many blocks as the largest power of two <= size. Ranks combine with
// neighbours at distance 1, 2, 4, ..., and keep one half of what they had: every step combines
// neighbouring ranges of ranks, so the order of the ranks is kept and the operation need not be
// commutative. Ranks beyond a power of two hand their vector to a neighbour first.
#pragma once

#include <algorithm>
#include <array>
#include <bit>

#include "pmpi/reduction.h"
#include "pmpi/schedule.h"

namespace ftmpi {

class HalvingReduction {
 public:
  HalvingReduction(Schedule& schedule, const Reduction& reduction, std::uint64_t count)
      : schedule_(schedule), reduction_(reduction), count_(count) {
    const auto size = static_cast<unsigned>(schedule.size());
    power_ = static_cast<int>(std::bit_floor(size));
    pairs_ = schedule.size() - power_;
    const int rank = schedule.rank();
    if (rank >= 2 * pairs_) {
      place_ = rank - pairs_;
    } else {
      place_ = rank % 2 == 0 ? rank / 2 : -1;
    }
  }

  // The first 2 * pairs ranks work in pairs: the odd one hands its vector over and stands aside.
  [[nodiscard]] bool aside() const { return place_ < 0; }
  [[nodiscard]] bool has_aside() const { return schedule_.rank() < 2 * pairs_ && !aside(); }
  // Position of a rank among the `power` that go on, and back. An aside rank has its partner's.
  [[nodiscard]] int PlaceOf(int rank) const { return rank < 2 * pairs_ ? rank / 2 : rank - pairs_; }
  [[nodiscard]] int RankAt(int place) const { return place < pairs_ ? 2 * place : place + pairs_; }

  // Hands over and takes in; afterwards everything is in the power-of-two ranks' accumulators.
  void Fold(Accumulator& accumulator) {
    accumulator.SetRange(0, count_);
    if (aside()) {
      schedule_.SendElements(accumulator.At(0), count_, reduction_, schedule_.rank() - 1);
      schedule_.EndRound();
    } else if (has_aside()) {
      schedule_.ReceiveElements(accumulator.OperandAt(false), count_, reduction_,
                                schedule_.rank() + 1);
      schedule_.EndRound();
      accumulator.Combine(false);
    }
  }

  // Leaves the reduced elements [begin(), end()) in the accumulator. Not for aside ranks.
  void Halve(Accumulator& accumulator) {
    int low = 0;
    int high = power_;
    for (int mask = 1; mask < power_; mask *= 2) {
      const int partner = place_ ^ mask;
      const bool left = partner < place_;
      const int middle = (low + high) / 2;
      const std::uint64_t keep_begin = Offset(left ? middle : low);
      const std::uint64_t keep_end = Offset(left ? high : middle);
      const std::uint64_t give_begin = Offset(left ? low : middle);
      const std::uint64_t give_end = Offset(left ? middle : high);
      accumulator.SetRange(keep_begin, keep_end);
      schedule_.ReceiveElements(accumulator.OperandAt(left), keep_end - keep_begin, reduction_,
                                RankAt(partner));
      schedule_.SendElements(accumulator.At(give_begin), give_end - give_begin, reduction_,
                             RankAt(partner));
      schedule_.EndRound();
      accumulator.Combine(left);
      given_[static_cast<std::size_t>(steps_++)] = {give_begin, give_end};
      (left ? low : high) = middle;
    }
    begin_ = Offset(low);
    end_ = Offset(high);
  }

  // All blocks to all power-of-two ranks, in `vector`, which holds this rank's own.
  void AllgatherBack(void* vector) {
    std::uint64_t begin = begin_;
    std::uint64_t end = end_;
    for (int step = steps_ - 1; step >= 0; --step) {
      const int partner = RankAt(place_ ^ (1 << step));
      const Range given = given_[static_cast<std::size_t>(step)];
      schedule_.ReceiveElements(reduction_.At(vector, given.begin), given.end - given.begin,
                                reduction_, partner);
      schedule_.SendElements(reduction_.At(vector, begin), end - begin, reduction_, partner);
      schedule_.EndRound();
      begin = std::min(begin, given.begin);
      end = std::max(end, given.end);
    }
  }

  // All blocks to the power-of-two rank at `root_place`.
  void GatherBack(void* vector, int root_place) {
    std::uint64_t begin = begin_;
    std::uint64_t end = end_;
    for (int step = steps_ - 1; step >= 0; --step) {
      const int partner = RankAt(place_ ^ (1 << step));
      const Range given = given_[static_cast<std::size_t>(step)];
      if (((place_ ^ root_place) & (1 << step)) != 0) {
        schedule_.SendElements(reduction_.At(vector, begin), end - begin, reduction_, partner);
        schedule_.EndRound();
        return;
      }
      schedule_.ReceiveElements(reduction_.At(vector, given.begin), given.end - given.begin,
                                reduction_, partner);
      schedule_.EndRound();
      begin = std::min(begin, given.begin);
      end = std::max(end, given.end);
    }
  }

 private:
  struct Range {
    std::uint64_t begin;
    std::uint64_t end;
  };
  [[nodiscard]] std::uint64_t Offset(int block) const {
    const auto blocks = static_cast<std::uint64_t>(power_);
    const auto index = static_cast<std::uint64_t>(block);
    return count_ / blocks * index + std::min(index, count_ % blocks);
  }

  Schedule& schedule_;
  const Reduction& reduction_;
  std::uint64_t count_;
  int power_ = 1;
  int pairs_ = 0;
  int place_ = 0;
  int steps_ = 0;
  std::array<Range, 32> given_{};
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace ftmpi
