// Everything that logging/ asks of the operating system: files, clocks, the host's name. The model
// is leveldb's Env: code that stores something gets an Environment, tests hand it one that fails.
//
// Every function that fails throws LogError with the file's name and errno's text; what it was for
// and what to do about it is added by the caller. Paths are used as given. Thread-safe as the
// system calls are; one object (file, mapping) belongs to one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ftmpi::logging {

// A file mapped into memory. The mapping covers `capacity` bytes from the file's start; only the
// first `allocated` of them, the file's size, may be touched: they have memory or disk behind them,
// so that a full file system is an error from Allocate and never a SIGBUS.
class MappedFile {
 public:
  virtual ~MappedFile() = default;  // unmaps and closes; the file stays
  MappedFile() = default;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] virtual std::byte* data() = 0;
  [[nodiscard]] virtual std::uint64_t capacity() const = 0;
  [[nodiscard]] virtual std::uint64_t allocated() const = 0;

  // Extends the file to `size` <= capacity bytes, all of them allocated (zero). No effect when it
  // is that long already.
  virtual void Allocate(std::uint64_t size) = 0;
  // Brings allocated pages of [begin, end) into this process's page table at one go; their content
  // is unchanged. Later accesses fault no more.
  virtual void Populate(std::uint64_t begin, std::uint64_t end) = 0;
  // Cuts the file to `size` <= allocated bytes and gives its memory back.
  virtual void Truncate(std::uint64_t size) = 0;
  // Gives the memory of the whole pages in [begin, end) back; they read as zeros from then on.
  // Where the file system can't do that nothing happens.
  virtual void Discard(std::uint64_t begin, std::uint64_t end) = 0;
  // Maps `capacity` bytes instead. The mapping may move.
  virtual void Remap(std::uint64_t capacity) = 0;
};

enum class MapMode : std::uint8_t {
  kShared,   // writes reach the file
  kPrivate,  // writes stay in this process
};

// A file that is written from its start to its end.
class WritableFile {
 public:
  virtual ~WritableFile() = default;  // closes, ignoring errors: call Close where they matter
  WritableFile() = default;
  WritableFile(const WritableFile&) = delete;
  WritableFile& operator=(const WritableFile&) = delete;

  virtual void Append(std::span<const std::byte> data) = 0;  // all of it, or throws
  virtual void Sync() = 0;                                   // fdatasync
  virtual void Truncate(std::uint64_t size) = 0;             // and go on writing there
  virtual void Close() = 0;
};

// A file that is written in any order.
class UpdatableFile {
 public:
  virtual ~UpdatableFile() = default;  // closes, ignoring errors: call Close where they matter
  UpdatableFile() = default;
  UpdatableFile(const UpdatableFile&) = delete;
  UpdatableFile& operator=(const UpdatableFile&) = delete;

  virtual void WriteAt(std::uint64_t offset,
                       std::span<const std::byte> data) = 0;  // all, or throws
  // Reads up to buffer.size() bytes at `offset`; fewer only at the end of the file.
  virtual std::size_t ReadAt(std::uint64_t offset, std::span<std::byte> buffer) = 0;
  virtual void Truncate(std::uint64_t size) = 0;  // cuts or extends (with zeros)
  // A hint: these bytes won't change any more, the disk may start on them. Never fails.
  virtual void StartWriting(std::uint64_t begin, std::uint64_t length) noexcept = 0;
  virtual void Sync() = 0;  // fdatasync
  virtual void Close() = 0;
};

class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  ReadableFile() = default;
  ReadableFile(const ReadableFile&) = delete;
  ReadableFile& operator=(const ReadableFile&) = delete;

  // Reads up to buffer.size() bytes at `offset`; fewer only at the end of the file.
  virtual std::size_t ReadAt(std::uint64_t offset, std::span<std::byte> buffer) = 0;
  [[nodiscard]] virtual std::uint64_t Size() = 0;
};

class Environment {
 public:
  virtual ~Environment() = default;

  // The operating system. Never deleted.
  static Environment* Posix();

  // A new, empty file (an existing one is an error), mapped shared with `capacity` bytes.
  virtual std::unique_ptr<MappedFile> CreateMapped(const std::string& path,
                                                   std::uint64_t capacity) = 0;
  // An existing file; capacity = allocated = its size, which must not be 0.
  virtual std::unique_ptr<MappedFile> OpenMapped(const std::string& path, MapMode mode) = 0;
  // A new file; an existing one is an error.
  virtual std::unique_ptr<WritableFile> CreateWritable(const std::string& path) = 0;
  virtual std::unique_ptr<UpdatableFile> CreateUpdatable(const std::string& path) = 0;  // the same
  virtual std::unique_ptr<ReadableFile> OpenReadable(const std::string& path) = 0;

  virtual void Rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
  virtual void Remove(const std::string& path) = 0;
  virtual void MakeDirectory(const std::string& path) = 0;    // an existing directory is fine
  virtual void RemoveDirectory(const std::string& path) = 0;  // an empty one
  // Names in a directory, without "." and "..", sorted.
  virtual std::vector<std::string> List(const std::string& directory) = 0;
  virtual bool Exists(const std::string& path) = 0;
  virtual std::uint64_t FileSize(const std::string& path) = 0;
  virtual void SyncDirectory(const std::string& directory) = 0;

  virtual std::uint64_t MonotonicNanoseconds() = 0;
  virtual std::uint64_t WallClockNanoseconds() = 0;  // since 1970-01-01 UTC
  virtual std::string HostName() = 0;

  // The whole file. More than `limit` bytes are an error.
  std::vector<std::byte> ReadFile(const std::string& path,
                                  std::uint64_t limit = std::uint64_t{1} << 40);
  // Puts `data` at `path` so that at every moment, also after a crash of the machine, either the
  // old file or the whole new one is there: temporary name, sync, rename, sync of the directory.
  // When it fails the temporary file is removed.
  void WriteAtomically(const std::string& path, std::span<const std::byte> data);
};

// "directory/name"
std::string JoinPath(const std::string& directory, const std::string& name);
// The directory part of a path, "." if it has none.
std::string DirectoryOf(const std::string& path);

// What a caller does about an exception while it cleans up: nothing more can be done.
void RemoveQuietly(Environment* environment, const std::string& path) noexcept;
// Replaces the file at once, but not durably: for what lies in shared memory. Throws LogError; the
// file is then as it was.
void ReplaceLoosely(Environment* environment, const std::string& path,
                    std::span<const std::byte> content);

}  // namespace ftmpi::logging
