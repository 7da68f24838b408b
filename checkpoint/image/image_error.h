// Why an image can't be taken or restored. what() names thing, value and remedy.
#pragma once

#include <stdexcept>
#include <string>

namespace ftmpi::image {

class ImageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace ftmpi::image
