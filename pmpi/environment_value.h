// What the readers of the FT_* environment variables share.
#pragma once

#include <cstdlib>
#include <string>

namespace ftmpi {

// Empty: not set.
inline std::string EnvironmentValue(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// Sets the message for a value that is not allowed. False, for the caller to return.
inline bool Complain(std::string* error, const char* name, const std::string& value,
                     const char* allowed) {
  *error = std::string(name) + "=" + value + " is not valid: " + allowed;
  return false;
}

}  // namespace ftmpi
