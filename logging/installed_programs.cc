#include "logging/installed_programs.h"

#include <dlfcn.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

namespace ftmpi::logging {

bool InstalledPrograms(std::string* directory, std::string* error) {
  Dl_info info{};
  char resolved[PATH_MAX];
  if (dladdr(reinterpret_cast<const void*>(&InstalledPrograms), &info) == 0 ||
      info.dli_fname == nullptr) {
    *error = "ftmpi can't find out where it is installed";
    return false;
  }
  const char* own = std::strchr(info.dli_fname, '/') != nullptr ? info.dli_fname : "/proc/self/exe";
  if (realpath(own, resolved) == nullptr) {
    *error = std::string(own) + ": " + std::strerror(errno);
    return false;
  }
  *directory = resolved;
  directory->resize(directory->rfind('/'));
  *directory += "/ftmpi";
  return true;
}

}  // namespace ftmpi::logging
