#include "checkpoint/image/descriptors.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "checkpoint/image/codec.h"
#include "checkpoint/image/image_error.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/proc_files.h"

namespace ftmpi::image {
namespace {

enum class FileKind : std::uint32_t { kRegular = 1, kDirectory = 2, kDevice = 3 };

struct OpenFile {
  int descriptor = -1;
  int shares_with = -1;  // a lower descriptor with the same offset and flags, else -1
  FileKind kind = FileKind::kRegular;
  int flags = 0;             // F_GETFL
  int descriptor_flags = 0;  // F_GETFD
  std::int64_t offset = 0;
  std::uint64_t size = 0;
  timespec changed = {};  // of files that the program can only read
  std::string path;
};

// By descriptor: the file that a library has there, 0: none. Descriptors from this number on are
// taken for the program's. No lock: close() may be called in a signal handler, and in a child of a
// process that has other threads.
constexpr int kDescriptors = 1 << 16;
std::atomic<std::uint64_t> g_foreign[kDescriptors];

std::vector<int>& OpenBefore() {
  static auto& descriptors = *new std::vector<int>;
  return descriptors;
}

// Tells files apart; 0: there is none.
std::uint64_t Identity(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0) return 0;
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;
  const std::uint64_t identity = (status.st_dev * kOdd) ^ (status.st_ino * 2 + 1);
  return identity != 0 ? identity : 1;
}

std::vector<int> OpenDescriptors() { return ListNumbers("/proc/self/fd"); }

void NoteForeign(int descriptor) {
  if (descriptor < 0 || descriptor >= kDescriptors) return;
  const int error = errno;
  g_foreign[descriptor] = Identity(descriptor);
  errno = error;
}

bool IsForeign(int descriptor) {
  if (descriptor < 0 || descriptor >= kDescriptors) return false;
  const std::uint64_t identity = g_foreign[descriptor];
  return identity != 0 && identity == Identity(descriptor);
}

// True if both are one open file with one offset.
bool SameOpenFile(int one, int other) {
  const long pid = getpid();
  return syscall(SYS_kcmp, pid, pid, KCMP_FILE, one, other) == 0;
}

std::string Describe(int descriptor, const std::string& path) {
  return "descriptor " + std::to_string(descriptor) + " (" + path + ")";
}

// False: there is a reason against it, or nothing to restore.
bool Examine(int descriptor, OpenFile* file, std::vector<std::string>* reasons) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0) return false;
  file->descriptor = descriptor;
  file->path = ReadLink("/proc/self/fd/" + std::to_string(descriptor));
  file->flags = fcntl(descriptor, F_GETFL);
  file->descriptor_flags = fcntl(descriptor, F_GETFD);
  const std::string what = Describe(descriptor, file->path);
  const bool named =
      file->path.starts_with('/') && !file->path.ends_with(" (deleted)") && status.st_nlink > 0;
  if (S_ISREG(status.st_mode) && named) {
    file->kind = FileKind::kRegular;
  } else if (S_ISDIR(status.st_mode) && named) {
    file->kind = FileKind::kDirectory;
  } else if (S_ISCHR(status.st_mode) && named) {
    file->kind = FileKind::kDevice;
  } else if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
    reasons->push_back(what + " is a file that was deleted");
    return false;
  } else {
    const char* kind = S_ISSOCK(status.st_mode)   ? "a socket"
                       : S_ISFIFO(status.st_mode) ? "a pipe"
                                                  : "no file";
    reasons->push_back(what + " is " + kind + ", which can't be restored");
    return false;
  }
  if (file->kind != FileKind::kDevice) file->offset = lseek(descriptor, 0, SEEK_CUR);
  file->size = static_cast<std::uint64_t>(status.st_size);
  file->changed = status.st_mtim;
  return true;
}

std::vector<OpenFile> Decode(std::span<const std::byte> state) {
  Decoder decoder(state, "list of open files");
  std::vector<OpenFile> files(decoder.Count(16));
  for (OpenFile& file : files) {
    file.descriptor = decoder.Value<int>();
    file.shares_with = decoder.Value<int>();
    file.kind = decoder.Value<FileKind>();
    file.flags = decoder.Value<int>();
    file.descriptor_flags = decoder.Value<int>();
    file.offset = decoder.Value<std::int64_t>();
    file.size = decoder.Value<std::uint64_t>();
    file.changed = decoder.Value<timespec>();
    file.path = decoder.Text();
  }
  return files;
}

[[noreturn]] void Unusable(const OpenFile& file, const std::string& why) {
  throw ImageError("the file " + file.path + ", which the program had open as descriptor " +
                   std::to_string(file.descriptor) + ", " + why);
}

bool OnlyRead(const OpenFile& file) { return (file.flags & O_ACCMODE) == O_RDONLY; }

void Check(const OpenFile& file) {
  struct stat status {};
  if (stat(file.path.c_str(), &status) != 0)
    Unusable(file, std::string("can't be found: ") + std::strerror(errno));
  if (file.kind != FileKind::kRegular) return;
  if (!S_ISREG(status.st_mode)) Unusable(file, "is no regular file any more");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size < file.size)
    Unusable(file, "has " + std::to_string(size) + " bytes; at the checkpoint it had " +
                       std::to_string(file.size));
  if (OnlyRead(file) && size != file.size)
    Unusable(file, "was changed since the checkpoint: it has " + std::to_string(size) +
                       " bytes instead of " + std::to_string(file.size));
}

int Open(const OpenFile& file) {
  constexpr int kCreation = O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY;
  const int descriptor = open(file.path.c_str(), (file.flags & ~kCreation) | O_NOCTTY | O_CLOEXEC);
  if (descriptor < 0) Unusable(file, std::string("can't be opened: ") + std::strerror(errno));
  return descriptor;
}

// Puts an open file at the number that it must have.
void Place(int descriptor, const OpenFile& file) {
  if (descriptor != file.descriptor) {
    if (dup3(descriptor, file.descriptor, O_CLOEXEC) < 0)
      Unusable(file, std::string("can't be given its descriptor: ") + std::strerror(errno));
    close(descriptor);
  }
  fcntl(file.descriptor, F_SETFD, file.descriptor_flags);
  // It was opened here on the program's behalf.
  ForgetDescriptor(file.descriptor);
}

}  // namespace

void NoteInheritedDescriptors() {
  const LibraryScope scope;
  for (const int descriptor : OpenDescriptors()) NoteForeign(descriptor);
}

void LibraryOpens() {
  const LibraryScope scope;
  OpenBefore() = OpenDescriptors();
}

void LibraryOpened() {
  const LibraryScope scope;
  const std::vector<int>& before = OpenBefore();
  for (const int descriptor : OpenDescriptors())
    if (!std::binary_search(before.begin(), before.end(), descriptor)) NoteForeign(descriptor);
}

void NoteLibraryDescriptor(int descriptor) { NoteForeign(descriptor); }

void ForgetDescriptor(int descriptor) {
  if (descriptor >= 0 && descriptor < kDescriptors) g_foreign[descriptor] = 0;
}

std::vector<std::byte> CaptureDescriptors(std::vector<std::string>* reasons) {
  std::vector<OpenFile> files;
  for (const int descriptor : OpenDescriptors()) {
    if (IsForeign(descriptor)) continue;
    OpenFile file;
    if (!Examine(descriptor, &file, reasons)) continue;
    for (const OpenFile& other : files) {
      if (other.path == file.path && SameOpenFile(other.descriptor, descriptor)) {
        file.shares_with = other.descriptor;
        break;
      }
    }
    files.push_back(std::move(file));
  }
  Encoder encoder;
  encoder.Value<std::uint64_t>(files.size());
  for (const OpenFile& file : files) {
    encoder.Value(file.descriptor).Value(file.shares_with).Value(file.kind).Value(file.flags);
    encoder.Value(file.descriptor_flags).Value(file.offset).Value(file.size).Value(file.changed);
    encoder.Text(file.path);
  }
  return encoder.Take();
}

void ReserveDescriptors(std::span<const std::byte> state) {
  for (const OpenFile& file : Decode(state)) {
    Check(file);
    if (fcntl(file.descriptor, F_GETFD) != -1) {
      // Standard streams are there already, and will be replaced.
      if (file.descriptor <= STDERR_FILENO) continue;
      Unusable(file, "can't be given its descriptor: it is in use in the new process for " +
                         ReadLink("/proc/self/fd/" + std::to_string(file.descriptor)));
    }
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0)
      throw ImageError(std::string("/dev/null can't be opened: ") + std::strerror(errno));
    if (null == file.descriptor) continue;
    const int placed = dup3(null, file.descriptor, O_CLOEXEC);
    const int error = errno;
    close(null);
    if (placed < 0)
      Unusable(file, std::string("can't be given its descriptor: ") + std::strerror(error));
  }
}

void RestoreDescriptors(std::span<const std::byte> state) {
  for (const OpenFile& file : Decode(state)) {
    if (file.shares_with >= 0) {
      const int descriptor = fcntl(file.shares_with, F_DUPFD_CLOEXEC, 0);
      if (descriptor < 0)
        Unusable(file, std::string("can't be duplicated: ") + std::strerror(errno));
      Place(descriptor, file);
      continue;
    }
    Check(file);
    const int descriptor = Open(file);
    if (file.kind == FileKind::kRegular && !OnlyRead(file) &&
        ftruncate(descriptor, static_cast<off_t>(file.size)) != 0)
      Unusable(file, std::string("can't be cut back: ") + std::strerror(errno));
    if (file.kind != FileKind::kDevice && lseek(descriptor, file.offset, SEEK_SET) < 0)
      Unusable(file, std::string("can't be positioned: ") + std::strerror(errno));
    Place(descriptor, file);
  }
}

}  // namespace ftmpi::image
