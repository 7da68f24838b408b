#include "logging/protocol_units.h"

#include <algorithm>

namespace ftmpi::logging {

FailureUnits::FailureUnits(const std::vector<int>& unit, int rank) : unit_(unit) {
  std::vector<int> numbers = unit;
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  count_ = static_cast<int>(numbers.size());
  std::vector<int> members(numbers.size(), 0);  // how many ranks each unit has
  int place = 0;                                // this rank's place in its unit
  for (std::size_t r = 0; r < unit_.size(); ++r) {
    const auto at = std::lower_bound(numbers.begin(), numbers.end(), unit_[r]);
    unit_[r] = static_cast<int>(at - numbers.begin());
    if (static_cast<int>(r) == rank) {
      own_ = unit_[r];
      place = members[static_cast<std::size_t>(own_)];
    }
    ++members[static_cast<std::size_t>(unit_[r])];
  }
  // Second pass: the rank at place (place mod size) of each unit.
  std::vector<int> wanted(numbers.size());
  std::vector<int> chosen(numbers.size(), -1);
  for (std::size_t u = 0; u < numbers.size(); ++u) wanted[u] = place % members[u];
  for (std::size_t r = 0; r < unit_.size(); ++r) {
    const auto u = static_cast<std::size_t>(unit_[r]);
    if (wanted[u]-- == 0) chosen[u] = static_cast<int>(r);
  }
  for (int step = 1; step < count_; ++step) {
    others_.push_back(chosen[static_cast<std::size_t>((own_ + step) % count_)]);
  }
}

}  // namespace ftmpi::logging
