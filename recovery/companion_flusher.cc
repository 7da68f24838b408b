#include "recovery/companion_flusher.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "logging/environment.h"
#include "logging/log_error.h"

namespace ftmpi::recovery {
namespace {

constexpr int kShortestWait = 1;       // ms, while events come
constexpr int kLongestWait = 20;       // ms, when none have come for a while
constexpr std::size_t kBlock = 65536;  // records

}  // namespace

Flusher::Flusher(const Options& options, logging::RankStatus* status,
                 std::function<void(const std::string&)> failed)
    : options_(options),
      status_(status),
      failed_(std::move(failed)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { Run(); }) {}

Flusher::~Flusher() {
  Finish();
  close(wake_);
}

void Flusher::Hurry() {
  const std::uint64_t one = 1;
  (void)!write(wake_, &one, sizeof one);
}

void Flusher::Finish() {
  if (!thread_.joinable()) return;
  finish_.store(true);
  Hurry();
  thread_.join();
}

void Flusher::Run() {
  try {
    int wait = kShortestWait;
    std::uint64_t seen = 0;
    for (;;) {
      const bool last = finish_.load();
      const std::uint64_t logged = status_->logged_events.load(std::memory_order_acquire);
      bool wrote = false;
      if (logged != seen || (last && logged != 0)) {
        while (FlushOnce()) wrote = true;
        if (wrote) seen = logged;
      }
      if (last) return;
      wait = wrote ? kShortestWait : std::min(2 * wait, kLongestWait);
      pollfd wake{wake_, POLLIN, 0};
      if (poll(&wake, 1, wait) > 0) {
        std::uint64_t count = 0;
        (void)!read(wake_, &count, sizeof count);
      }
    }
  } catch (const std::exception& error) {
    failed_(error.what());
  }
}

bool Flusher::FlushOnce() {
  logging::Environment* environment = logging::Environment::Posix();
  if (!reader_) {
    reader_ = std::make_unique<logging::EventLogReader>(environment, options_.event_log);
    records_read_ = 0;
  }
  const std::vector<logging::Determinant> records = reader_->Read(records_read_, kBlock);
  if (records.empty()) return false;
  std::vector<logging::Determinant> own;
  for (const logging::Determinant& record : records) {
    if (record.rank == options_.rank) own.push_back(record);
  }
  if (!own.empty()) {
    if (!writer_) {
      logging::EventLogOptions to;
      to.directory = options_.directory;
      to.rank = options_.rank;
      to.job = options_.job;
      to.epoch = options_.epoch;
      to.base_interval = reader_->header().base_interval;
      writer_ = std::make_unique<logging::EventBlockWriter>(environment, to);
    }
    writer_->Append(own);
    status_->stable.store(own.back().index, std::memory_order_release);
  }
  records_read_ += records.size();
  return true;
}

}  // namespace ftmpi::recovery
