// A checkpoint file is missing, damaged, foreign, of another version or doesn't belong to the
// others; or it can't be written. what() names the file, the reason and, where there is one, the
// remedy.
#pragma once

#include <string>

#include "logging/log_error.h"

namespace ftmpi::checkpoint {

class StoreError : public logging::LogError {
 public:
  explicit StoreError(const std::string& message, int error_number = 0)
      : LogError(message, error_number) {}
};

}  // namespace ftmpi::checkpoint
