#include "recovery/companion_gate.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string>

// GCC 12 sees an overflow in xxhash's streaming state that its own checks exclude.
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wrestrict"
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace ftmpi::recovery {
namespace {

constexpr std::uint64_t kMemoryLimit = std::uint64_t{64} << 20;
constexpr std::size_t kPiece = std::size_t{64} << 10;  // read or written at a time
constexpr std::size_t kTakenAtOnce = std::size_t{1}
                                     << 20;  // then the other descriptors have a turn
constexpr std::uint64_t kFull = std::uint64_t{1} << 20;
// More than a pipe holds: what its reader may leave unread.
constexpr std::size_t kRecent = std::size_t{128} << 10;

// In place of the hash of all output, when a part of it was not printed by this incarnation.
constexpr std::uint64_t kUnknownHash = 0;

struct Position {
  std::uint64_t interval = 0;
  bool open = false;
};

// Where the rank is now; with bytes read before, they were written there or earlier. The rank
// raises `output_position` before it clears `poll_failures`.
Position Where(const logging::RankStatus* status) {
  Position position;
  if (status == nullptr) return position;
  position.open = status->poll_failures.load(std::memory_order_acquire) != 0;
  position.interval = status->output_position.load(std::memory_order_acquire);
  return position;
}

std::uint64_t Committable(const logging::RankStatus* status) {
  return status == nullptr ? 0 : status->committable.load(std::memory_order_acquire);
}

// A description of our own for the same file, so that O_NONBLOCK doesn't reach others that share
// it.
int OpenAnew(int descriptor) {
  const std::string name = "/proc/self/fd/" + std::to_string(descriptor);
  return open(name.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

}  // namespace

struct OutputGate::Hashes {
  XXH64_state_t all;     // of all bytes released
  XXH64_state_t before;  // of those but recent_: to go back to
};

OutputGate::OutputGate(int from, int to)
    : from_(from), to_(to), held_(kMemoryLimit), hashes_(std::make_unique<Hashes>()) {
  XXH64_reset(&hashes_->all, 0);
  XXH64_reset(&hashes_->before, 0);
  fcntl(from_, F_SETFL, fcntl(from_, F_GETFL) | O_NONBLOCK);
  struct stat status {};
  if (fstat(to_, &status) == 0 && S_ISSOCK(status.st_mode)) {
    to_is_socket_ = true;
  } else if (!S_ISREG(status.st_mode)) {
    const int own = OpenAnew(to_);
    if (own >= 0) {
      close(to_);
      to_ = own;
    } else {
      to_blocks_ = true;
    }
  }
}

OutputGate::~OutputGate() {
  CloseFrom();
  CloseTo();
}

void OutputGate::CloseFrom() {
  if (from_ >= 0) close(from_);
  from_ = -1;
}

void OutputGate::CloseTo() {
  if (to_ >= 0) close(to_);
  to_ = -1;
}

void OutputGate::Swallow(std::uint64_t bytes, std::uint64_t hash) {
  swallow_left_ = bytes > start_ ? bytes - start_ : 0;
  swallow_hash_ = hash;
  released_ = bytes;
  has_hash_ = bytes == 0;
}

void OutputGate::StartAt(std::uint64_t start) {
  start_ = start;
  taken_ = start;
}

void OutputGate::ShowFirst(std::string_view bytes) { held_.Append(bytes, 0, false); }

std::string_view OutputGate::SwallowFrom(std::string_view bytes) {
  const std::size_t here =
      static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), swallow_left_));
  XXH64_update(&hashes_->all, bytes.data(), here);
  swallow_left_ -= here;
  if (swallow_left_ == 0) {
    hashes_->before = hashes_->all;
    different_ = start_ == 0 && swallow_hash_ != kUnknownHash &&
                 XXH64_digest(&hashes_->all) != swallow_hash_;
    has_hash_ = true;
  }
  return bytes.substr(here);
}

bool OutputGate::Take(const logging::RankStatus* status) {
  std::array<char, kPiece> buffer;
  std::size_t taken = 0;
  while (from_ >= 0 && taken < kTakenAtOnce) {
    const ssize_t got = read(from_, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return true;
    // EIO: the last descriptor of the pty's other side was closed. Linux looks for bytes first and
    // for the closing after that, so what was written in between is left: only a read that began
    // when the other side was closed can tell that nothing is.
    if (got < 0 && errno == EIO && !other_side_closed_) {
      other_side_closed_ = true;
      continue;
    }
    if (got <= 0) {
      CloseFrom();
      return false;
    }
    taken += static_cast<std::size_t>(got);
    if (dropping_) continue;
    taken_ += static_cast<std::uint64_t>(got);
    std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
    if (swallow_left_ > 0) bytes = SwallowFrom(bytes);
    const Position position = Where(status);
    held_.Append(bytes, position.interval, position.open);
  }
  return from_ >= 0;
}

void OutputGate::Release(const logging::RankStatus* status, bool everything,
                         const std::function<void()>& count) {
  if (broken_) {
    Discard();
    return;
  }
  full_pipe_ = false;
  for (;;) {
    const Position position = Where(status);
    if (!position.open) held_.Close(position.interval);
    std::string_view piece =
        held_.Front(everything ? UINT64_MAX : Committable(status), to_blocks_ ? PIPE_BUF : kPiece);
    if (piece.empty()) return;
    if (to_blocks_) {
      pollfd writable{to_, POLLOUT, 0};
      if (poll(&writable, 1, 0) <= 0) {
        full_pipe_ = true;
        return;
      }
    }
    Count(piece);
    count();
    ssize_t written = -1;
    do {
      written = to_is_socket_ ? send(to_, piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                              : write(to_, piece.data(), piece.size());
    } while (written < 0 && errno == EINTR);
    const bool again = written < 0 && errno == EAGAIN;
    const std::size_t shown = written < 0 ? 0 : static_cast<std::size_t>(written);
    const std::size_t missing = piece.size() - shown;
    held_.Remove(shown);
    if (missing > 0) {
      TakeBack(missing);
      count();
    }
    if (written < 0 && !again) {
      broken_ = true;
      Discard();
      return;
    }
    if (missing > 0) {
      full_pipe_ = true;
      return;
    }
  }
}

void OutputGate::Discard() { held_.Remove(static_cast<std::size_t>(held_.bytes())); }

bool OutputGate::Waiting(const logging::RankStatus* status) const {
  return !broken_ && !held_.AllReleasable(Committable(status));
}

bool OutputGate::WantsToWrite(const logging::RankStatus* status) const {
  return !broken_ && full_pipe_ && held_.Releasable(Committable(status));
}

bool OutputGate::Full(const logging::RankStatus* status) const {
  return held_.bytes() > kFull && held_.AllReleasable(Committable(status));
}

std::uint64_t OutputGate::hash() const {
  if (start_ > 0) return kUnknownHash;
  // While bytes are being swallowed, what has been shown is what was shown before.
  if (!has_hash_) return swallow_hash_;
  return XXH64_digest(&hashes_->all);
}

void OutputGate::Count(std::string_view bytes) {
  released_ += bytes.size();
  XXH64_update(&hashes_->all, bytes.data(), bytes.size());
  recent_.append(bytes);
  if (recent_.size() > 2 * kRecent) {
    const std::size_t old = recent_.size() - kRecent;
    XXH64_update(&hashes_->before, recent_.data(), old);
    recent_.erase(0, old);
  }
}

void OutputGate::TakeBack(std::size_t bytes) {
  released_ -= bytes;
  recent_.resize(recent_.size() - bytes);
  hashes_->all = hashes_->before;
  XXH64_update(&hashes_->all, recent_.data(), recent_.size());
}

void OutputGate::TakeBackUnread() {
  int unread = 0;
  struct stat status {};
  // A pipe keeps what is in it when its reader goes, as long as we have it open.
  if (to_ < 0 || fstat(to_, &status) != 0 || !S_ISFIFO(status.st_mode) ||
      ioctl(to_, FIONREAD, &unread) != 0 || unread <= 0) {
    return;
  }
  TakeBack(std::min(static_cast<std::size_t>(unread), recent_.size()));
}

}  // namespace ftmpi::recovery
