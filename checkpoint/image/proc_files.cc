#include "checkpoint/image/proc_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "checkpoint/image/image_error.h"

namespace ftmpi::image {
namespace {

[[noreturn]] void Unreadable(const char* path) {
  throw ImageError(std::string(path) + " can't be read: " + std::strerror(errno));
}

}  // namespace

std::string ReadProcFile(const char* path) {
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) Unreadable(path);
  std::string text;
  char buffer[16384];
  ssize_t got = 0;
  while ((got = read(descriptor, buffer, sizeof buffer)) > 0)
    text.append(buffer, static_cast<std::size_t>(got));
  const int error = errno;
  close(descriptor);
  errno = error;
  if (got < 0) Unreadable(path);
  return text;
}

std::vector<int> ListNumbers(const char* directory) {
  DIR* stream = opendir(directory);
  if (stream == nullptr) Unreadable(directory);
  std::vector<int> numbers;
  while (const dirent* entry = readdir(stream)) {
    char* end = nullptr;
    const long number = std::strtol(entry->d_name, &end, 10);
    if (end != entry->d_name && *end == '\0' && number != dirfd(stream))
      numbers.push_back(static_cast<int>(number));
  }
  closedir(stream);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::string ReadLink(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t length = readlink(path.c_str(), target, sizeof target);
  if (length <= 0 || length >= static_cast<ssize_t>(sizeof target)) return {};
  return {target, static_cast<std::size_t>(length)};
}

}  // namespace ftmpi::image
