// A queue in one array that grows by doubling and never shrinks: pushing and popping in a steady
// state allocates nothing.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace ftmpi::logging {

template <typename T>
class RingQueue {
 public:
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::size_t size() const { return count_; }
  // Element `position` behind the front, which is 0.
  [[nodiscard]] T& operator[](std::size_t position) { return items_[(first_ + position) & mask_]; }
  [[nodiscard]] const T& operator[](std::size_t position) const {
    return items_[(first_ + position) & mask_];
  }
  [[nodiscard]] T& front() { return (*this)[0]; }
  [[nodiscard]] const T& front() const { return (*this)[0]; }
  [[nodiscard]] T& back() { return (*this)[count_ - 1]; }
  [[nodiscard]] const T& back() const { return (*this)[count_ - 1]; }

  void push_back(const T& item) {
    if (count_ == items_.size()) Grow();
    items_[(first_ + count_) & mask_] = item;
    ++count_;
  }
  void pop_front() {
    first_ = (first_ + 1) & mask_;
    --count_;
  }
  void pop_back() { --count_; }
  void clear() { first_ = count_ = 0; }

 private:
  void Grow() {
    std::vector<T> larger(items_.empty() ? 8 : items_.size() * 2);
    for (std::size_t i = 0; i < count_; ++i) larger[i] = std::move((*this)[i]);
    items_ = std::move(larger);
    mask_ = items_.size() - 1;
    first_ = 0;
  }

  std::vector<T> items_;
  std::size_t mask_ = 0;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace ftmpi::logging
