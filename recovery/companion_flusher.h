// Writes a rank's own determinants to stable storage (optimistic logging, thesis ch. 4:
// asynchronously, in blocks), in a thread of its own since a sync may take long.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "logging/event_log.h"
#include "logging/rank_status.h"

namespace ftmpi::recovery {

class Flusher {
 public:
  struct Options {
    std::string event_log;  // path of the rank's event log in the node-local directory
    std::string directory;  // JOBDIR/log
    int rank = 0;
    std::uint64_t job = 0;
    std::uint32_t epoch = 0;
  };
  // `status` outlives the flusher. `failed` is called once, from the flusher's thread, with the
  // reason when it has to give up; status->stable then stays where it is.
  Flusher(const Options& options, logging::RankStatus* status,
          std::function<void(const std::string&)> failed);
  ~Flusher();
  Flusher(const Flusher&) = delete;
  Flusher& operator=(const Flusher&) = delete;

  // Somebody waits for what is logged so far: flush now.
  void Hurry();
  // Flushes what is in the log and ends the thread. The rank is gone.
  void Finish();

 private:
  void Run();
  // True: something was written.
  bool FlushOnce();

  Options options_;
  logging::RankStatus* status_;
  std::function<void(const std::string&)> failed_;
  int wake_ = -1;  // eventfd
  std::atomic<bool> finish_{false};
  std::unique_ptr<logging::EventLogReader> reader_;
  std::unique_ptr<logging::EventBlockWriter> writer_;
  std::uint64_t records_read_ = 0;
  std::thread thread_;
};

}  // namespace ftmpi::recovery
