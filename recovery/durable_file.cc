#include "recovery/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "recovery/job_directory.h"

namespace ftmpi::recovery {
namespace {

[[noreturn]] void Fail(const std::string& path, const char* step, int reason) {
  std::string message = path + ": " + step + ": " + std::strerror(reason);
  if (reason == ENOSPC || reason == EDQUOT) message += " (make room, or set FT_DIR elsewhere)";
  if (reason == EACCES || reason == EROFS || reason == EPERM) {
    message += " (set FT_DIR to a directory that you may write)";
  }
  throw JobDirectoryError(message);
}

std::string DirectoryOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

void Replace(const std::string& path, std::string_view content, bool durable) {
  const std::string temporary = path + ".new-" + std::to_string(getpid());
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) Fail(temporary, "can't be created", errno);
  const auto abandon = [&](const char* step) {
    const int reason = errno;
    close(file);
    unlink(temporary.c_str());
    Fail(path, step, reason);
  };
  if (!WriteAll(file, content)) abandon("can't be written");
  if (durable && fsync(file) != 0) abandon("can't be synced");
  if (close(file) != 0) {
    const int reason = errno;
    unlink(temporary.c_str());
    Fail(path, "can't be written", reason);
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    const int reason = errno;
    unlink(temporary.c_str());
    Fail(path, "can't be renamed", reason);
  }
  if (!durable) return;
  const std::string directory = DirectoryOf(path);
  const int parent = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0) Fail(directory, "can't be opened", errno);
  const int synced = fsync(parent);
  const int reason = errno;
  close(parent);
  // Some network file systems can't sync a directory (EINVAL); their renames are synchronous.
  if (synced != 0 && reason != EINVAL) Fail(directory, "can't be synced", reason);
}

}  // namespace

bool WriteAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

std::optional<std::string> ReadWholeFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    if (errno == ENOENT) return std::nullopt;
    Fail(path, "can't be opened", errno);
  }
  std::string content;
  char buffer[16384];
  for (;;) {
    const ssize_t got = read(file, buffer, sizeof buffer);
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int reason = errno;
      close(file);
      Fail(path, "can't be read", reason);
    }
    content.append(buffer, static_cast<std::size_t>(got));
  }
  close(file);
  return content;
}

void ReplaceFile(const std::string& path, std::string_view content) {
  Replace(path, content, true);
}

void ReplaceFileLoosely(const std::string& path, std::string_view content) {
  Replace(path, content, false);
}

void MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0777) == 0) return;
  const int reason = errno;
  struct stat status;
  if (reason == EEXIST && stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return;
  Fail(path, "can't be made a directory", reason == EEXIST ? ENOTDIR : reason);
}

}  // namespace ftmpi::recovery
