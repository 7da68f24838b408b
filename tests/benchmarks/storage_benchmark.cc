// What logging costs: a message into the payload log (Reserve, header, copy of the payload,
// Commit), with memory that was used before and with fresh shared memory; a determinant into the
// event log. The copy alone, into warm memory, is the baseline.
#include <benchmark/benchmark.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "logging/environment.h"
#include "logging/event_log.h"
#include "logging/log_error.h"
#include "logging/payload_log.h"

namespace ftmpi::logging {
namespace {

class Directory {
 public:
  Directory() {
    if (::mkdtemp(path_.data()) == nullptr) throw LogError("cannot create " + path_);
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = "/dev/shm/ftmpi-benchmark-XXXXXX";
};

void Log(PayloadLog* log, const std::vector<std::byte>& message, std::uint64_t ssn) {
  LogRecord* const record = log->Reserve(message.size(), 1);
  record->header = {};
  record->header.version = kWireVersion;
  record->header.kind = MessageKind::kInline;
  record->header.communicator = 1;
  record->header.ssn = ssn;
  record->header.payload_length = message.size();
  std::memcpy(record->payload(), message.data(), message.size());
  log->Commit(record, message.size());
}

// The log is trimmed when the region that stays in the cache (or not) was written once.
void BM_PayloadLogWarm(benchmark::State& state) {
  const Directory directory;
  PayloadLogOptions options;
  options.directory = directory.path();
  options.segment_size = static_cast<std::uint64_t>(state.range(1)) << 20;
  const std::unique_ptr<PayloadLog> log = PayloadLog::Create(Environment::Posix(), options);
  const std::vector<std::byte> message(static_cast<std::size_t>(state.range(0)), std::byte{1});
  std::uint64_t ssn = 0;
  const auto trim = [&] {
    if (log->bytes() > 2 * options.segment_size) log->TrimBefore(log->end_position(), {{1, ssn}});
  };
  while (ssn * (message.size() + 88) < 8 * options.segment_size) {  // every page is touched
    Log(log.get(), message, ++ssn);
    trim();
  }
  std::uint32_t since_trim = 0;
  for (auto _ : state) {
    Log(log.get(), message, ++ssn);
    if ((++since_trim & 63) == 0) trim();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_PayloadLogWarm)
    ->ArgNames({"bytes", "segment_MiB"})
    ->ArgsProduct({{8, 1024, 65536, 1048576}, {1, 16}});

void BM_PayloadLogFresh(benchmark::State& state) {
  const Directory directory;
  PayloadLogOptions options;
  options.directory = directory.path();
  options.memory = std::uint64_t{512} << 20;
  std::unique_ptr<PayloadLog> log = PayloadLog::Create(Environment::Posix(), options);
  const std::vector<std::byte> message(static_cast<std::size_t>(state.range(0)), std::byte{1});
  std::uint64_t ssn = 0;
  for (auto _ : state) {
    if (log->bytes_in_memory() > options.memory - (32 << 20)) {
      state.PauseTiming();
      log->Remove();
      log = PayloadLog::Create(Environment::Posix(), options);
      state.ResumeTiming();
    }
    Log(log.get(), message, ++ssn);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_PayloadLogFresh)->ArgName("bytes")->Arg(1024)->Arg(65536)->Arg(1048576);

// Into memory of the same size as the log's, round and round.
void BM_CopyOnly(benchmark::State& state) {
  const std::vector<std::byte> message(static_cast<std::size_t>(state.range(0)), std::byte{1});
  const std::size_t step = (message.size() + 88 + 63) / 64 * 64;
  std::vector<std::byte> target(static_cast<std::size_t>(state.range(1)) * 3 << 20, std::byte{2});
  std::size_t at = 0;
  for (auto _ : state) {
    if (at + step > target.size()) at = 0;
    std::memcpy(target.data() + at + 88, message.data(), message.size());
    benchmark::ClobberMemory();
    at += step;
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_CopyOnly)
    ->ArgNames({"bytes", "segment_MiB"})
    ->ArgsProduct({{8, 1024, 65536, 1048576}, {1, 16}});

void BM_EventLog(benchmark::State& state) {
  const Directory directory;
  EventLogOptions options;
  options.directory = directory.path();
  std::unique_ptr<EventLog> log = EventLog::Create(Environment::Posix(), options);
  Determinant determinant;
  determinant.rank = 0;
  for (auto _ : state) {
    ++determinant.index;
    log->Append(determinant);
    if (log->record_count() == 1 << 20) {
      state.PauseTiming();
      log->Remove();
      log.reset();
      log = EventLog::Create(Environment::Posix(), options);
      state.ResumeTiming();
    }
  }
}
BENCHMARK(BM_EventLog);

}  // namespace
}  // namespace ftmpi::logging

BENCHMARK_MAIN();
