#include "recovery/companion_held_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>

namespace ftmpi::recovery {
namespace {
constexpr std::size_t kLargestMergedChunk = std::size_t{1} << 18;
}

HeldOutput::~HeldOutput() {
  if (spill_ >= 0) close(spill_);
}

void HeldOutput::Append(std::string_view bytes, std::uint64_t interval, bool open) {
  if (bytes.empty()) return;
  const std::uint64_t mark = open ? interval + 1 : interval;
  bytes_ += bytes.size();
  if (in_memory_ + bytes.size() > memory_limit_) {
    const std::uint64_t offset = Spill(bytes);
    if (offset != kInMemory) {
      if (!chunks_.empty() && chunks_.back().offset != kInMemory &&
          chunks_.back().offset + chunks_.back().length == offset && chunks_.back().mark == mark &&
          chunks_.back().open == open) {
        chunks_.back().length += bytes.size();
        return;
      }
      chunks_.push_back({mark, bytes.size(), offset, open, std::string()});
      if (open) ++open_chunks_;
      return;
    }
  }
  in_memory_ += bytes.size();
  if (!chunks_.empty() && chunks_.back().offset == kInMemory && chunks_.back().mark == mark &&
      chunks_.back().open == open && chunks_.back().length < kLargestMergedChunk) {
    chunks_.back().bytes.append(bytes);
    chunks_.back().length += bytes.size();
    return;
  }
  chunks_.push_back({mark, bytes.size(), kInMemory, open, std::string(bytes)});
  if (open) ++open_chunks_;
}

void HeldOutput::Close(std::uint64_t interval) {
  if (open_chunks_ == 0) return;
  for (Chunk& chunk : chunks_) {
    if (!chunk.open) continue;
    chunk.mark = std::min(chunk.mark, interval);
    chunk.open = false;
  }
  open_chunks_ = 0;
}

std::string_view HeldOutput::Front(std::uint64_t committable, std::size_t limit) {
  if (!Releasable(committable)) return {};
  const Chunk& chunk = chunks_.front();
  const std::size_t length =
      static_cast<std::size_t>(std::min<std::uint64_t>(limit, chunk.length - front_taken_));
  if (chunk.offset == kInMemory) return std::string_view(chunk.bytes).substr(front_taken_, length);
  window_.resize(std::min(length, kLargestMergedChunk));
  ssize_t got = -1;
  do {
    got = pread(spill_, window_.data(), window_.size(),
                static_cast<off_t>(chunk.offset + front_taken_));
  } while (got < 0 && errno == EINTR);
  if (got <= 0) throw std::runtime_error("output that was held back on disk can't be read again");
  return std::string_view(window_).substr(0, static_cast<std::size_t>(got));
}

std::string HeldOutput::Copy() const {
  std::string all;
  for (const Chunk& chunk : chunks_) {
    if (chunk.offset == kInMemory) {
      all += chunk.bytes;
      continue;
    }
    const std::size_t begin = all.size();
    all.resize(begin + chunk.length);
    std::size_t done = 0;
    while (done < chunk.length) {
      const ssize_t got = pread(spill_, all.data() + begin + done, chunk.length - done,
                                static_cast<off_t>(chunk.offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0)
        throw std::runtime_error("output that was held back on disk can't be read again");
      done += static_cast<std::size_t>(got);
    }
  }
  all.erase(0, front_taken_);
  return all;
}

void HeldOutput::Remove(std::size_t bytes) {
  while (bytes > 0) {
    Chunk& chunk = chunks_.front();
    const std::uint64_t here = std::min<std::uint64_t>(bytes, chunk.length - front_taken_);
    front_taken_ += here;
    bytes -= here;
    bytes_ -= here;
    if (front_taken_ < chunk.length) break;
    if (chunk.offset == kInMemory) in_memory_ -= chunk.length;
    if (chunk.open) --open_chunks_;
    chunks_.pop_front();
    front_taken_ = 0;
  }
  if (chunks_.empty() && spill_end_ > 0) {
    if (ftruncate(spill_, 0) == 0) spill_end_ = 0;
  }
}

bool HeldOutput::Releasable(std::uint64_t committable) const {
  return !chunks_.empty() && chunks_.front().mark <= committable;
}

bool HeldOutput::AllReleasable(std::uint64_t committable) const {
  // Marks never fall towards the back.
  return chunks_.empty() || chunks_.back().mark <= committable;
}

// Where the bytes lie in the spill file; kInMemory when it can't be written (then memory has to
// do).
std::uint64_t HeldOutput::Spill(std::string_view bytes) {
  if (spill_directory_.empty()) return kInMemory;
  if (spill_ < 0) {
    spill_ = open(spill_directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spill_ < 0) {
      std::string name = spill_directory_ + "/held-output-XXXXXX";
      spill_ = mkostemp(name.data(), O_CLOEXEC);
      if (spill_ < 0) return kInMemory;
      unlink(name.c_str());
    }
  }
  const std::uint64_t offset = spill_end_;
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t written =
        pwrite(spill_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return kInMemory;
    done += static_cast<std::size_t>(written);
  }
  spill_end_ = offset + bytes.size();
  return offset;
}

}  // namespace ftmpi::recovery
