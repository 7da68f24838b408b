// The integers by which Fortran names objects whose C handles are addresses (MPI_Comm_c2f, ...).
#pragma once

#include <cstddef>
#include <vector>

namespace ftmpi {

// `Object` has a member `int fortran_index`, kNone until it is asked for. Indices below kFirst are
// Open MPI's predefined handles. Expects the engine's lock.
template <typename Object>
class FortranTable {
 public:
  static constexpr int kNone = -1;
  static constexpr int kFirst = 16;

  int IndexOf(Object* object) {
    if (object->fortran_index != kNone) return object->fortran_index;
    std::size_t slot = objects_.size();
    if (!free_.empty()) {
      slot = free_.back();
      free_.pop_back();
      objects_[slot] = object;
    } else {
      objects_.push_back(object);
    }
    object->fortran_index = kFirst + static_cast<int>(slot);
    return object->fortran_index;
  }

  // The object with this index, or null.
  [[nodiscard]] Object* Find(int index) const {
    if (index < kFirst) return nullptr;
    const auto slot = static_cast<std::size_t>(index - kFirst);
    return slot < objects_.size() ? objects_[slot] : nullptr;
  }

  void Remove(Object* object) {
    if (object->fortran_index == kNone) return;
    const auto slot = static_cast<std::size_t>(object->fortran_index - kFirst);
    objects_[slot] = nullptr;
    free_.push_back(slot);
    object->fortran_index = kNone;
  }

 private:
  std::vector<Object*> objects_;
  std::vector<std::size_t> free_;
};

}  // namespace ftmpi
