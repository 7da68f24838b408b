#include "logging/environment.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "logging/log_error.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14; refused with EINVAL before
#endif

namespace ftmpi::logging {
namespace {

[[noreturn]] void ThrowErrno(const char* what, const std::string& path, int error) {
  throw LogError(std::string("cannot ") + what + " " + path + ": " + std::strerror(error), error);
}

// A descriptor that is closed when it goes out of scope.
class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] int get() const { return descriptor_; }
  int Release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

// Descriptors of the program start at 0: a program that closed its standard streams must not find
// one of ours in their place, so ours are moved above them.
Descriptor Open(const std::string& path, int flags, const char* what) {
  int descriptor;
  do {
    descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) ThrowErrno(what, path, errno);
  if (descriptor <= 2) {
    const int moved = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
    const int error = errno;
    ::close(descriptor);
    if (moved < 0) ThrowErrno(what, path, error);
    descriptor = moved;
  }
  return Descriptor(descriptor);
}

std::uint64_t SizeOf(int descriptor, const std::string& path) {
  struct stat status;
  if (::fstat(descriptor, &status) != 0) ThrowErrno("examine", path, errno);
  if (!S_ISREG(status.st_mode)) throw LogError(path + " is not a regular file");
  return static_cast<std::uint64_t>(status.st_size);
}

// Puts memory or disk behind the bytes of a file; returns errno.
int AllocateRange(int descriptor, off_t begin, off_t length) {
  int error;
  do {  // tmpfs gives up with EINTR when a signal is pending
    error = ::fallocate(descriptor, 0, begin, length) == 0 ? 0 : errno;
  } while (error == EINTR);
  if (error != EOPNOTSUPP) return error;
  do {  // a file system without it: glibc writes to each block
    error = ::posix_fallocate(descriptor, begin, length);
  } while (error == EINTR);
  return error;
}

void SyncData(int descriptor, const std::string& path) {
  int result;
  do {
    result = ::fdatasync(descriptor);
  } while (result != 0 && errno == EINTR);
  if (result != 0) ThrowErrno("write to stable storage", path, errno);
}

void CloseFile(Descriptor* file, const std::string& path) {
  const int descriptor = file->Release();
  // On Linux the descriptor is gone also when close reports an interruption.
  if (descriptor >= 0 && ::close(descriptor) != 0 && errno != EINTR) {
    ThrowErrno("close", path, errno);
  }
}

// Fewer bytes than asked for only at the end of the file.
std::size_t ReadFully(int descriptor, const std::string& path, std::uint64_t offset,
                      std::span<std::byte> buffer) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t got = ::pread(descriptor, buffer.data() + done, buffer.size() - done,
                                static_cast<off_t>(offset + done));
    if (got < 0) {
      if (errno == EINTR) continue;
      ThrowErrno("read", path, errno);
    }
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

class PosixMappedFile final : public MappedFile {
 public:
  PosixMappedFile(std::string path, Descriptor descriptor, std::uint64_t capacity,
                  std::uint64_t allocated, MapMode mode)
      : path_(std::move(path)),
        descriptor_(std::move(descriptor)),
        capacity_(capacity),
        allocated_(allocated) {
    void* address = ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE,
                           mode == MapMode::kShared ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE,
                           descriptor_.get(), 0);
    if (address == MAP_FAILED) ThrowErrno("map", path_, errno);
    data_ = static_cast<std::byte*>(address);
  }
  ~PosixMappedFile() override { ::munmap(data_, capacity_); }

  std::byte* data() override { return data_; }
  std::uint64_t capacity() const override { return capacity_; }
  std::uint64_t allocated() const override { return allocated_; }

  void Allocate(std::uint64_t size) override {
    if (size > capacity_) throw LogError(path_ + ": more bytes asked for than were mapped");
    if (size <= allocated_) return;
    const auto begin = static_cast<off_t>(allocated_);
    const auto length = static_cast<off_t>(size - allocated_);
    const int error = AllocateRange(descriptor_.get(), begin, length);
    if (error != 0) {
      // What was allocated of it goes back, and the size with it.
      (void)!::ftruncate(descriptor_.get(), begin);
      ThrowErrno("allocate space for", path_, error);
    }
    allocated_ = size;
  }

  void Populate(std::uint64_t begin, std::uint64_t end) override {
    const std::uint64_t page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    begin -= begin % page;
    end = std::min(end, allocated_);
    if (begin >= end) return;
    int error;
    do {
      error = ::madvise(data_ + begin, end - begin, MADV_POPULATE_WRITE) == 0 ? 0 : errno;
    } while (error == EINTR || error == EAGAIN);
    if (error == EINVAL) {  // an older kernel: write each page's first byte to itself
      for (std::uint64_t at = begin; at < end; at += page) {
        std::atomic_ref<unsigned char>(*reinterpret_cast<unsigned char*>(data_ + at)).fetch_or(0);
      }
    } else if (error != 0) {
      ThrowErrno("get memory for", path_, error);
    }
  }

  void Truncate(std::uint64_t size) override {
    if (size >= allocated_) return;
    int result;
    do {
      result = ::ftruncate(descriptor_.get(), static_cast<off_t>(size));
    } while (result != 0 && errno == EINTR);
    if (result != 0) ThrowErrno("truncate", path_, errno);
    allocated_ = size;
  }

  void Discard(std::uint64_t begin, std::uint64_t end) override {
    const std::uint64_t page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    begin = (begin + page - 1) / page * page;
    end = std::min(end, allocated_) / page * page;
    if (begin >= end) return;
    int result;
    do {
      result = ::madvise(data_ + begin, end - begin, MADV_REMOVE);
    } while (result != 0 && errno == EINTR);
    if (result != 0 && errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS) {
      ThrowErrno("give memory back of", path_, errno);
    }
  }

  void Remap(std::uint64_t capacity) override {
    void* address = ::mremap(data_, capacity_, capacity, MREMAP_MAYMOVE);
    if (address == MAP_FAILED) ThrowErrno("map", path_, errno);
    data_ = static_cast<std::byte*>(address);
    capacity_ = capacity;
  }

 private:
  std::string path_;
  Descriptor descriptor_;
  std::byte* data_ = nullptr;
  std::uint64_t capacity_;
  std::uint64_t allocated_;
};

class PosixWritableFile final : public WritableFile {
 public:
  PosixWritableFile(std::string path, Descriptor descriptor)
      : path_(std::move(path)), descriptor_(std::move(descriptor)) {}

  void Append(std::span<const std::byte> data) override {
    // A single write carries at most about 2 GiB.
    while (!data.empty()) {
      const std::size_t part = std::min<std::size_t>(data.size(), std::size_t{1} << 30);
      const ssize_t written = ::write(descriptor_.get(), data.data(), part);
      if (written < 0) {
        if (errno == EINTR) continue;
        ThrowErrno("write to", path_, errno);
      }
      data = data.subspan(static_cast<std::size_t>(written));
    }
  }

  void Sync() override { SyncData(descriptor_.get(), path_); }

  void Truncate(std::uint64_t size) override {
    if (::ftruncate(descriptor_.get(), static_cast<off_t>(size)) != 0 ||
        ::lseek(descriptor_.get(), static_cast<off_t>(size), SEEK_SET) < 0) {
      ThrowErrno("truncate", path_, errno);
    }
  }

  void Close() override { CloseFile(&descriptor_, path_); }

 private:
  std::string path_;
  Descriptor descriptor_;
};

class PosixUpdatableFile final : public UpdatableFile {
 public:
  PosixUpdatableFile(std::string path, Descriptor descriptor)
      : path_(std::move(path)), descriptor_(std::move(descriptor)) {}

  void WriteAt(std::uint64_t offset, std::span<const std::byte> data) override {
    while (!data.empty()) {
      const std::size_t part = std::min<std::size_t>(data.size(), std::size_t{1} << 30);
      const ssize_t written =
          ::pwrite(descriptor_.get(), data.data(), part, static_cast<off_t>(offset));
      if (written < 0) {
        if (errno == EINTR) continue;
        ThrowErrno("write to", path_, errno);
      }
      data = data.subspan(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    }
  }

  std::size_t ReadAt(std::uint64_t offset, std::span<std::byte> buffer) override {
    return ReadFully(descriptor_.get(), path_, offset, buffer);
  }

  void Truncate(std::uint64_t size) override {
    int result;
    do {
      result = ::ftruncate(descriptor_.get(), static_cast<off_t>(size));
    } while (result != 0 && errno == EINTR);
    if (result != 0) ThrowErrno("truncate", path_, errno);
  }

  void StartWriting(std::uint64_t begin, std::uint64_t length) noexcept override {
    ::sync_file_range(descriptor_.get(), static_cast<off_t>(begin), static_cast<off_t>(length),
                      SYNC_FILE_RANGE_WRITE);
  }

  void Sync() override { SyncData(descriptor_.get(), path_); }
  void Close() override { CloseFile(&descriptor_, path_); }

 private:
  std::string path_;
  Descriptor descriptor_;
};

class PosixReadableFile final : public ReadableFile {
 public:
  PosixReadableFile(std::string path, Descriptor descriptor)
      : path_(std::move(path)), descriptor_(std::move(descriptor)) {}

  std::size_t ReadAt(std::uint64_t offset, std::span<std::byte> buffer) override {
    return ReadFully(descriptor_.get(), path_, offset, buffer);
  }

  std::uint64_t Size() override { return SizeOf(descriptor_.get(), path_); }

 private:
  std::string path_;
  Descriptor descriptor_;
};

std::uint64_t Nanoseconds(clockid_t clock) {
  timespec now;
  ::clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000000000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

class PosixEnvironment final : public Environment {
 public:
  std::unique_ptr<MappedFile> CreateMapped(const std::string& path,
                                           std::uint64_t capacity) override {
    if (capacity == 0) throw LogError("cannot map " + path + ": no bytes asked for");
    Descriptor descriptor = Open(path, O_RDWR | O_CREAT | O_EXCL, "create");
    try {
      return std::make_unique<PosixMappedFile>(path, std::move(descriptor), capacity, 0,
                                               MapMode::kShared);
    } catch (const LogError&) {
      ::unlink(path.c_str());
      throw;
    }
  }

  std::unique_ptr<MappedFile> OpenMapped(const std::string& path, MapMode mode) override {
    Descriptor descriptor = Open(path, mode == MapMode::kShared ? O_RDWR : O_RDONLY, "open");
    const std::uint64_t size = SizeOf(descriptor.get(), path);
    if (size == 0) throw LogError("cannot map " + path + ": the file is empty");
    if (mode == MapMode::kShared) {
      // In shared memory even reading a hole needs a page, and is a SIGBUS when there is none.
      const int error = AllocateRange(descriptor.get(), 0, static_cast<off_t>(size));
      if (error != 0) ThrowErrno("allocate space for", path, error);
    }
    return std::make_unique<PosixMappedFile>(path, std::move(descriptor), size, size, mode);
  }

  std::unique_ptr<WritableFile> CreateWritable(const std::string& path) override {
    return std::make_unique<PosixWritableFile>(path,
                                               Open(path, O_WRONLY | O_CREAT | O_EXCL, "create"));
  }

  std::unique_ptr<UpdatableFile> CreateUpdatable(const std::string& path) override {
    return std::make_unique<PosixUpdatableFile>(path,
                                                Open(path, O_RDWR | O_CREAT | O_EXCL, "create"));
  }

  std::unique_ptr<ReadableFile> OpenReadable(const std::string& path) override {
    return std::make_unique<PosixReadableFile>(path, Open(path, O_RDONLY, "open"));
  }

  void Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) {
      const int error = errno;
      throw LogError("cannot rename " + from + " to " + to + ": " + std::strerror(error), error);
    }
  }

  void Remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) ThrowErrno("remove", path, errno);
  }

  void MakeDirectory(const std::string& path) override {
    if (::mkdir(path.c_str(), 0700) == 0) return;
    const int error = errno;
    struct stat status;
    if (error == EEXIST && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return;
    ThrowErrno("create directory", path, error);
  }

  void RemoveDirectory(const std::string& path) override {
    if (::rmdir(path.c_str()) != 0) ThrowErrno("remove directory", path, errno);
  }

  std::vector<std::string> List(const std::string& directory) override {
    DIR* stream = ::opendir(directory.c_str());
    if (stream == nullptr) ThrowErrno("list", directory, errno);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
      errno = 0;
    }
    const int error = errno;
    ::closedir(stream);
    if (error != 0) ThrowErrno("list", directory, error);
    std::sort(names.begin(), names.end());
    return names;
  }

  bool Exists(const std::string& path) override {
    struct stat status;
    if (::stat(path.c_str(), &status) == 0) return true;
    if (errno != ENOENT && errno != ENOTDIR) ThrowErrno("examine", path, errno);
    return false;
  }

  std::uint64_t FileSize(const std::string& path) override {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0) ThrowErrno("examine", path, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

  void SyncDirectory(const std::string& directory) override {
    const Descriptor descriptor = Open(directory, O_RDONLY | O_DIRECTORY, "open");
    // Some network file systems can't sync a directory and say so with EINVAL; their renames are
    // on the server when they return.
    if (::fsync(descriptor.get()) != 0 && errno != EINVAL) {
      ThrowErrno("write to stable storage", directory, errno);
    }
  }

  std::uint64_t MonotonicNanoseconds() override { return Nanoseconds(CLOCK_MONOTONIC); }
  std::uint64_t WallClockNanoseconds() override { return Nanoseconds(CLOCK_REALTIME); }

  std::string HostName() override {
    char name[256];
    if (::gethostname(name, sizeof(name)) != 0) ThrowErrno("ask for", "the host's name", errno);
    name[sizeof(name) - 1] = '\0';
    return name;
  }
};

}  // namespace

Environment* Environment::Posix() {
  static PosixEnvironment* const environment = new PosixEnvironment;
  return environment;
}

std::vector<std::byte> Environment::ReadFile(const std::string& path, std::uint64_t limit) {
  const std::unique_ptr<ReadableFile> file = OpenReadable(path);
  // Not by size: files under /proc have none.
  std::vector<std::byte> content;
  std::size_t step = static_cast<std::size_t>(std::min<std::uint64_t>(file->Size(), limit)) + 1;
  for (;;) {
    const std::size_t have = content.size();
    content.resize(have + step);
    const std::size_t got = file->ReadAt(have, std::span(content).subspan(have));
    content.resize(have + got);
    if (content.size() > limit) {
      throw LogError(path + " is larger than the " + std::to_string(limit) +
                     " bytes that are expected");
    }
    if (got < step) return content;
    step = std::max<std::size_t>(step, 4096);
  }
}

void Environment::WriteAtomically(const std::string& path, std::span<const std::byte> data) {
  const std::string temporary = path + ".new";
  if (Exists(temporary)) Remove(temporary);  // of a writer that died
  try {
    const std::unique_ptr<WritableFile> file = CreateWritable(temporary);
    file->Append(data);
    file->Sync();
    file->Close();
    Rename(temporary, path);
  } catch (const LogError&) {
    RemoveQuietly(this, temporary);
    throw;
  }
  SyncDirectory(DirectoryOf(path));
}

std::string JoinPath(const std::string& directory, const std::string& name) {
  if (directory.empty()) return name;
  return directory.back() == '/' ? directory + name : directory + "/" + name;
}

std::string DirectoryOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

void RemoveQuietly(Environment* environment, const std::string& path) noexcept {
  try {
    if (environment->Exists(path)) environment->Remove(path);
  } catch (const std::exception&) {
    // The error that led here is the one to report.
  }
}

void ReplaceLoosely(Environment* environment, const std::string& path,
                    std::span<const std::byte> content) {
  const std::string temporary = path + ".new";
  if (environment->Exists(temporary)) environment->Remove(temporary);
  try {
    const std::unique_ptr<WritableFile> file = environment->CreateWritable(temporary);
    file->Append(content);
    file->Close();
    environment->Rename(temporary, path);
  } catch (const LogError&) {
    RemoveQuietly(environment, temporary);
    throw;
  }
}

}  // namespace ftmpi::logging
