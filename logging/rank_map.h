// A map from rank to a small value, for the few ranks that a rank deals with: its size follows the
// number of entries, not the number of ranks. Open addressing, linear probing; a look-up allocates
// nothing. References stay valid until the next insertion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ftmpi::logging {

template <typename T>
class RankMap {
 public:
  struct Slot {
    std::int32_t rank = -1;  // -1: empty
    T value{};
  };

  [[nodiscard]] const T* Find(int rank) const {
    if (slots_.empty()) return nullptr;
    for (std::size_t at = Hash(rank);; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.rank == rank) return &slot.value;
      if (slot.rank < 0) return nullptr;
    }
  }
  [[nodiscard]] T* Find(int rank) { return const_cast<T*>(std::as_const(*this).Find(rank)); }

  // The value of `rank` (>= 0), made if it isn't there.
  T& operator[](int rank) {
    if (T* found = Find(rank)) return *found;
    if ((count_ + 1) * 4 > slots_.size() * 3) Grow();
    ++count_;
    Slot& slot = Place(rank);
    slot.rank = rank;
    return slot.value;
  }

  template <typename Visit>
  void ForEach(Visit visit) {
    for (Slot& slot : slots_) {
      if (slot.rank >= 0) visit(slot.rank, slot.value);
    }
  }
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (const Slot& slot : slots_) {
      if (slot.rank >= 0) visit(slot.rank, slot.value);
    }
  }

  [[nodiscard]] std::size_t size() const { return count_; }

 private:
  [[nodiscard]] std::size_t Hash(int rank) const {
    // Fibonacci hashing: neighbours, the usual peers, don't collide.
    return static_cast<std::size_t>((static_cast<std::uint64_t>(rank) * 0x9E3779B97F4A7C15u) >>
                                    32) &
           mask_;
  }
  Slot& Place(int rank) {
    std::size_t at = Hash(rank);
    while (slots_[at].rank >= 0) at = (at + 1) & mask_;
    return slots_[at];
  }
  void Grow() {
    std::vector<Slot> old = std::move(slots_);
    slots_ = std::vector<Slot>(old.empty() ? 8 : old.size() * 2);
    mask_ = slots_.size() - 1;
    for (Slot& slot : old) {
      if (slot.rank >= 0) Place(slot.rank) = std::move(slot);
    }
  }

  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  std::size_t count_ = 0;
};

}  // namespace ftmpi::logging
