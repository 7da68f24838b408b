// The error of the storage formats: what comes from outside (files, disks, limits) went wrong.
#pragma once

#include <stdexcept>
#include <string>

namespace ftmpi::logging {

// what() names file, value and remedy, ready to be shown to the user.
class LogError : public std::runtime_error {
 public:
  explicit LogError(const std::string& message, int error_number = 0)
      : std::runtime_error(message), error_number_(error_number) {}

  // errno of the system call that failed, 0 when the error is not one of a system call.
  [[nodiscard]] int error_number() const { return error_number_; }

 private:
  int error_number_;
};

}  // namespace ftmpi::logging
