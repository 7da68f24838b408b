#include "recovery/companion_stdin.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "recovery/durable_file.h"
#include "recovery/job_directory.h"
#include "recovery/job_records.h"

namespace ftmpi::recovery {
namespace {

constexpr std::size_t kPiece = std::size_t{64} << 10;
constexpr std::size_t kEarlyLimit = std::size_t{1} << 20;

std::uint64_t RecordChecksum(std::uint64_t job, std::uint64_t offset, std::string_view bytes) {
  const std::uint64_t head[3] = {job, offset, bytes.size()};
  return XXH64(bytes.data(), bytes.size(), XXH64(head, sizeof head, 0));
}

}  // namespace

StdinLog::~StdinLog() {
  if (file_ >= 0) close(file_);
}

void StdinLog::Create(const std::string& path, std::uint64_t job) {
  path_ = path;
  file_ = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file_ < 0) {
    throw JobDirectoryError(path + ": can't be created: " + std::strerror(errno));
  }
  job_ = job;
  const RecordHeader header{kStdinMagic, kRecordVersion, 0, job};
  if (!WriteAll(file_, {reinterpret_cast<const char*>(&header), sizeof header}) ||
      fsync(file_) != 0) {
    throw JobDirectoryError(path + ": can't be written: " + std::strerror(errno));
  }
  end_ = sizeof header;
}

void StdinLog::Open(const std::string& path, std::uint64_t job) {
  path_ = path;
  file_ = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file_ < 0 && errno == ENOENT) {
    Create(path, job);
    return;
  }
  if (file_ < 0) throw JobDirectoryError(path + ": can't be opened: " + std::strerror(errno));
  Load(path, job);
}

void StdinLog::Load(const std::string& path, std::uint64_t job) {
  const auto fail = [&](const std::string& reason) {
    return JobDirectoryError(path + ": " + reason);
  };
  const off_t size = lseek(file_, 0, SEEK_END);
  const auto file_size = static_cast<std::uint64_t>(size);
  RecordHeader header{};
  if (size < 0 || pread(file_, &header, sizeof header, 0) != sizeof header) {
    throw fail("truncated (no header)");
  }
  if (header.magic != kStdinMagic) throw fail("foreign: not a log of standard input");
  if (header.version != kRecordVersion) {
    throw fail("format version " + std::to_string(header.version) +
               ", this program reads version " + std::to_string(kRecordVersion));
  }
  if (header.job != job) throw fail("belongs to another job");
  job_ = job;
  end_ = sizeof header;
  while (end_ < file_size) {
    StdinRecordHeader record{};
    const bool whole_header = end_ + sizeof record <= file_size &&
                              pread(file_, &record, sizeof record, static_cast<off_t>(end_)) ==
                                  static_cast<ssize_t>(sizeof record);
    const bool whole = whole_header && record.length <= file_size - end_ - sizeof record;
    // A record that reaches beyond the end of the file, or is the last one, may have been cut
    // short by the loss of its writer; anything else was changed later.
    const bool last = !whole || end_ + sizeof record + record.length == file_size;
    std::string bytes;
    if (whole) bytes = Read(end_ + sizeof record, static_cast<std::size_t>(record.length));
    if (!whole || record.offset != length_ || ended_ ||
        record.checksum != RecordChecksum(job, record.offset, bytes)) {
      if (!last || ended_) {
        throw fail("damaged at byte " + std::to_string(end_) + " (checksum does not match)");
      }
      if (ftruncate(file_, static_cast<off_t>(end_)) != 0) {
        throw fail(std::string("can't be truncated: ") + std::strerror(errno));
      }
      break;
    }
    end_ += sizeof record;
    if (record.length == 0) {
      ended_ = true;
    } else {
      pieces_.push_back({end_, record.length});
    }
    end_ += record.length;
    length_ += record.length;
  }
}

void StdinLog::Append(std::string_view bytes) {
  const StdinRecordHeader record{length_, bytes.size(), RecordChecksum(job_, length_, bytes)};
  std::string content(reinterpret_cast<const char*>(&record), sizeof record);
  content.append(bytes);
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t written = pwrite(file_, content.data() + done, content.size() - done,
                                   static_cast<off_t>(end_ + done));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      throw JobDirectoryError(path_ + ": can't be written: " + std::strerror(errno));
    }
    done += static_cast<std::size_t>(written);
  }
  if (fdatasync(file_) != 0) {
    throw JobDirectoryError(path_ + ": can't be synced: " + std::strerror(errno));
  }
  if (bytes.empty()) {
    ended_ = true;
  } else {
    pieces_.push_back({end_ + sizeof record, bytes.size()});
  }
  end_ += content.size();
  length_ += bytes.size();
}

std::string StdinLog::Read(std::uint64_t file_offset, std::size_t length) const {
  std::string bytes(length, '\0');
  std::size_t done = 0;
  while (done < length) {
    const ssize_t got =
        pread(file_, bytes.data() + done, length - done, static_cast<off_t>(file_offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw JobDirectoryError(path_ + ": can't be read");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

StdinFeeder::StdinFeeder(int from, int to) : from_(from), to_(to) {
  fcntl(to_, F_SETFL, fcntl(to_, F_GETFL) | O_NONBLOCK);
}

StdinFeeder::~StdinFeeder() {
  CloseFrom();
  CloseTo();
}

void StdinFeeder::CloseFrom() {
  if (from_ >= 0) close(from_);
  from_ = -1;
}

void StdinFeeder::CloseTo() {
  if (to_ >= 0) close(to_);
  to_ = -1;
}

void StdinFeeder::Replay(const std::string& path, std::uint64_t job, std::uint64_t start) {
  log_.Open(path, job);
  if (start > log_.length()) {
    throw JobDirectoryError(path + " has " + std::to_string(log_.length()) + " bytes of input, " +
                            std::to_string(start) +
                            " were read before the checkpoint: use another checkpoint");
  }
  SkipLogged(start);
  fed_ = start;
  if (log_.ended()) {
    end_read_ = true;
    CloseFrom();
  }
}

// The first bytes of the log are not to be fed.
void StdinFeeder::SkipLogged(std::uint64_t bytes) {
  while (bytes > 0) {
    const StdinLog::Piece piece = log_.pieces().front();
    if (bytes < piece.length) {
      window_ = log_.Read(piece.file_offset, static_cast<std::size_t>(piece.length));
      window_fed_ = static_cast<std::size_t>(bytes);
      log_.DropFrontPiece();
      return;
    }
    log_.DropFrontPiece();
    bytes -= piece.length;
  }
}

void StdinFeeder::StartLog(const std::string& path, std::uint64_t job) {
  if (log_.is_open()) return;
  log_.Create(path, job);
  for (std::size_t at = 0; at < early_.size(); at += kPiece) {
    log_.Append(std::string_view(early_).substr(at, kPiece));
  }
  if (end_read_) log_.Append({});
  // What was fed already is done; the rest is fed from the log.
  SkipLogged(early_fed_);
  early_.clear();
  early_.shrink_to_fit();
}

bool StdinFeeder::WantsToRead() const {
  return from_ >= 0 && to_ >= 0 && (log_.is_open() || early_.size() < kEarlyLimit);
}

bool StdinFeeder::WantsToWrite() const {
  if (to_ < 0) return false;
  if (!log_.is_open()) return early_fed_ < early_.size();
  return window_fed_ < window_.size() || !log_.pieces().empty();
}

void StdinFeeder::Take() {
  if (!WantsToRead()) return;
  std::array<char, kPiece> buffer;
  const ssize_t got = read(from_, buffer.data(), buffer.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  // EIO: a terminal that has hung up. Both are the end of input.
  const std::string_view bytes(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  if (log_.is_open()) {
    log_.Append(bytes);
  } else {
    early_.append(bytes);
  }
  if (bytes.empty()) {
    end_read_ = true;
    CloseFrom();
  }
}

void StdinFeeder::Feed() {
  while (to_ >= 0) {
    std::string_view bytes;
    if (!log_.is_open()) {
      bytes = std::string_view(early_).substr(early_fed_);
    } else {
      if (window_fed_ == window_.size() && !log_.pieces().empty()) {
        window_ = log_.Read(log_.pieces().front().file_offset,
                            static_cast<std::size_t>(log_.pieces().front().length));
        window_fed_ = 0;
        log_.DropFrontPiece();
      }
      bytes = std::string_view(window_).substr(window_fed_);
    }
    if (bytes.empty()) {
      if (end_read_) CloseTo();
      return;
    }
    const ssize_t written = write(to_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) return;
    if (written < 0) {  // EPIPE: the rank has closed its standard input
      CloseTo();
      return;
    }
    (log_.is_open() ? window_fed_ : early_fed_) += static_cast<std::size_t>(written);
    fed_ += static_cast<std::uint64_t>(written);
  }
}

std::uint64_t StdinFeeder::Taken() const {
  int unread = 0;
  if (to_ >= 0 && ioctl(to_, FIONREAD, &unread) != 0) unread = 0;
  return fed_ - static_cast<std::uint64_t>(unread);
}

}  // namespace ftmpi::recovery
