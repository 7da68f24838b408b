#include "recovery/inventory.h"

#include <fmt/format.h>
#include <signal.h>
#include <filesystem>

#include <charconv>
#include <cstring>
#include <map>
#include <set>
#include <span>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include "logging/environment.h"
#include "logging/event_log.h"
#include "logging/log_error.h"
#include "logging/payload_log_format.h"
#include "recovery/payload_scan.h"

namespace ftmpi::recovery {
namespace {

using logging::Determinant;
using logging::Environment;
using logging::RankPhase;
using logging::RankStatus;

constexpr std::uint64_t kMagic = 0x314e45564e495446;  // "FTINVEN1"
constexpr std::uint32_t kVersion = 2;

StatusInventory ReadStatus(Environment* environment, const std::string& path, std::uint64_t job,
                           int rank) {
  StatusInventory found;
  if (!environment->Exists(path)) return found;
  found.present = true;
  try {
    const auto page = logging::RankStatusPage::Open(environment, path, job, rank);
    const RankStatus* status = page->status();
    found.pid = status->pid;
    found.pid_start_time = status->pid_start_time;
    found.alive = ProcessRuns(found.pid, found.pid_start_time);
    found.phase = status->phase.load();
    found.exit_code = status->exit_code.load();
    found.epoch = status->epoch;
    found.interval = status->interval.load();
    found.poll_failures = status->poll_failures.load();
    found.stdout_released = status->stdout_released.load();
    found.stderr_released = status->stderr_released.load();
  } catch (const logging::LogError& error) {
    found.damaged = error.what();
  }
  return found;
}

EventInventory ReadEvents(Environment* environment, const std::string& path,
                          const InventoryOptions& options, int rank) {
  EventInventory found;
  if (!environment->Exists(path)) return found;
  found.present = true;
  try {
    logging::EventLogContents contents = logging::ReadEventLog(environment, path);
    if (contents.job != options.job || contents.rank != rank || contents.epoch != options.epoch) {
      found.damaged = fmt::format("{}: belongs to rank {}, epoch {} of job {:016x}", path,
                                  contents.rank, contents.epoch, contents.job);
      return found;
    }
    found.damaged = contents.damaged;
    found.base_interval = contents.base_interval;
    found.trimmed_records = contents.trim.records;
    found.trimmed_interval = contents.trim.interval;
    found.trimmed_csn = contents.trim.csn;
    found.determinants = std::move(contents.determinants);
  } catch (const logging::LogError& error) {
    found.damaged = error.what();
  }
  return found;
}

// The rank in "rank-<r>.<anything>", or -1.
int RankOfFile(std::string_view name) {
  constexpr std::string_view kPrefix = "rank-";
  if (!name.starts_with(kPrefix)) return -1;
  name.remove_prefix(kPrefix.size());
  int rank = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), rank);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return -1;
  return rank;
}

class Writer {
 public:
  template <typename T>
  void Number(T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void Flag(bool value) { Number<std::uint8_t>(value ? 1 : 0); }
  void String(std::string_view value) {
    Number(static_cast<std::uint32_t>(value.size()));
    bytes_.append(value);
  }
  void Bytes(const void* data, std::size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
  }
  std::string bytes_;
};

class Reader {
 public:
  Reader(std::string_view bytes, const std::string& source) : left_(bytes), source_(source) {}

  template <typename T>
  T Number() {
    T value;
    std::memcpy(&value, Take(sizeof value).data(), sizeof value);
    return value;
  }
  bool Flag() {
    const auto value = Number<std::uint8_t>();
    if (value > 1) Fail("a flag that is neither 0 nor 1");
    return value == 1;
  }
  std::string String() { return std::string(Take(Number<std::uint32_t>())); }
  // The number of a list's entries, each of at least `size` bytes.
  std::size_t Entries(std::size_t size) {
    const auto entries = Number<std::uint64_t>();
    if (entries > left_.size() / size) Fail("a list that is longer than the file");
    return static_cast<std::size_t>(entries);
  }
  std::string_view Take(std::size_t size) {
    if (size > left_.size()) Fail("cut off");
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }
  void End() {
    if (!left_.empty()) Fail("something behind its end");
  }
  [[noreturn]] void Fail(const std::string& reason) const {
    throw InventoryError(source_ + ": the inventory can't be used: " + reason +
                         "; run mpi-ft-recover again");
  }

 private:
  std::string_view left_;
  const std::string& source_;
};

void PutRank(Writer* writer, const RankInventory& rank) {
  writer->Number(rank.rank);
  const StatusInventory& status = rank.status;
  writer->Flag(status.present);
  writer->String(status.damaged);
  writer->Number(status.pid);
  writer->Number(status.pid_start_time);
  writer->Flag(status.alive);
  writer->Number(static_cast<std::uint32_t>(status.phase));
  writer->Number(status.exit_code);
  writer->Number(status.epoch);
  writer->Number(status.interval);
  writer->Number(status.poll_failures);
  writer->Number(status.stdout_released);
  writer->Number(status.stderr_released);
  writer->Flag(rank.payload.present);
  writer->String(rank.payload.damaged);
  writer->Number(rank.payload.records);
  writer->Number(static_cast<std::uint64_t>(rank.payload.channels.size()));
  for (const ChannelInventory& channel : rank.payload.channels) {
    writer->Number(channel.destination);
    writer->Number(channel.before);
    writer->Number(channel.messages);
    writer->Number(channel.bytes);
    writer->Number(channel.last_ssn);
    writer->Number(channel.last_interval);
  }
  writer->Flag(rank.events.present);
  writer->String(rank.events.damaged);
  writer->Number(rank.events.base_interval);
  writer->Number(rank.events.trimmed_records);
  writer->Number(rank.events.trimmed_interval);
  writer->Number(rank.events.trimmed_csn);
  writer->Number(static_cast<std::uint64_t>(rank.events.determinants.size()));
  writer->Bytes(rank.events.determinants.data(),
                rank.events.determinants.size() * sizeof(Determinant));
}

RankInventory GetRank(Reader* reader) {
  RankInventory rank;
  rank.rank = reader->Number<std::int32_t>();
  StatusInventory& status = rank.status;
  status.present = reader->Flag();
  status.damaged = reader->String();
  status.pid = reader->Number<std::int32_t>();
  status.pid_start_time = reader->Number<std::uint64_t>();
  status.alive = reader->Flag();
  status.phase = static_cast<RankPhase>(reader->Number<std::uint32_t>());
  status.exit_code = reader->Number<std::int32_t>();
  status.epoch = reader->Number<std::uint32_t>();
  status.interval = reader->Number<std::uint64_t>();
  status.poll_failures = reader->Number<std::uint64_t>();
  status.stdout_released = reader->Number<std::uint64_t>();
  status.stderr_released = reader->Number<std::uint64_t>();
  rank.payload.present = reader->Flag();
  rank.payload.damaged = reader->String();
  rank.payload.records = reader->Number<std::uint64_t>();
  constexpr std::size_t kChannelBytes = 4 + 5 * 8;
  rank.payload.channels.resize(reader->Entries(kChannelBytes));
  for (ChannelInventory& channel : rank.payload.channels) {
    channel.destination = reader->Number<std::int32_t>();
    channel.before = reader->Number<std::uint64_t>();
    channel.messages = reader->Number<std::uint64_t>();
    channel.bytes = reader->Number<std::uint64_t>();
    channel.last_ssn = reader->Number<std::uint64_t>();
    channel.last_interval = reader->Number<std::uint64_t>();
  }
  rank.events.present = reader->Flag();
  rank.events.damaged = reader->String();
  rank.events.base_interval = reader->Number<std::uint64_t>();
  rank.events.trimmed_records = reader->Number<std::uint64_t>();
  rank.events.trimmed_interval = reader->Number<std::uint64_t>();
  rank.events.trimmed_csn = reader->Number<std::uint64_t>();
  rank.events.determinants.resize(reader->Entries(sizeof(Determinant)));
  const std::size_t size = rank.events.determinants.size() * sizeof(Determinant);
  if (size > 0) std::memcpy(rank.events.determinants.data(), reader->Take(size).data(), size);
  return rank;
}

}  // namespace

bool ProcessRuns(std::int32_t pid, std::uint64_t start_time) {
  if (pid <= 0) return false;
  std::string stat;
  try {
    const std::vector<std::byte> bytes =
        Environment::Posix()->ReadFile(fmt::format("/proc/{}/stat", pid));
    stat.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  } catch (const logging::LogError&) {
    return false;  // gone
  }
  // "pid (name) state ppid ...": the name may hold anything, so count from its last parenthesis.
  std::size_t at = stat.rfind(") ");
  if (at == std::string::npos) return false;
  at += 2;
  const char state = at < stat.size() ? stat[at] : 'X';
  if (state == 'Z' || state == 'X') return false;
  constexpr int kStateField = 3;
  constexpr int kStartField = 22;
  for (int field = kStateField; field < kStartField; ++field) {
    at = stat.find(' ', at);
    if (at == std::string::npos) return false;
    ++at;
  }
  std::uint64_t started = 0;
  std::from_chars(stat.data() + at, stat.data() + stat.size(), started);
  return start_time == 0 || started == start_time;
}

NodeInventory CollectInventory(Environment* environment, const InventoryOptions& options) {
  NodeInventory inventory;
  inventory.node = options.node;
  inventory.job = options.job;
  inventory.epoch = options.epoch;
  inventory.directory = options.directory;
  if (!environment->Exists(options.directory)) return inventory;
  std::set<int> ranks;
  for (const std::string& name : environment->List(options.directory)) {
    const int rank = RankOfFile(name);
    if (rank < 0) continue;
    if (rank >= options.ranks) {
      inventory.remarks.push_back(fmt::format("{} is of no rank of this job ({} ranks)",
                                              logging::JoinPath(options.directory, name),
                                              options.ranks));
      continue;
    }
    ranks.insert(rank);
  }
  // The ranks left a link to where they spilled; the caller's word counts where there is none.
  std::error_code no_link;
  const std::filesystem::path linked = std::filesystem::read_symlink(
      logging::JoinPath(options.directory, logging::kSpillLink), no_link);
  const std::string spill_directory = no_link ? options.spill_directory : linked.string();
  for (const int rank : ranks) {
    if (options.on_rank) options.on_rank(rank);
    RankInventory found;
    found.rank = rank;
    found.status = ReadStatus(
        environment, logging::JoinPath(options.directory, logging::RankStatusFileName(rank)),
        options.job, rank);
    found.payload =
        ScanPayloadLog(environment, options.directory, spill_directory, options.job, rank);
    found.events = ReadEvents(
        environment,
        logging::JoinPath(options.directory, logging::EventLog::FileName(rank, options.epoch)),
        options, rank);
    inventory.ranks.push_back(std::move(found));
  }
  return inventory;
}

std::string EncodeInventory(const NodeInventory& inventory) {
  Writer writer;
  writer.Number(kMagic);
  writer.Number(kVersion);
  const std::size_t size_at = writer.bytes_.size();
  writer.Number(std::uint64_t{0});
  writer.Number(inventory.job);
  writer.Number(inventory.epoch);
  writer.String(inventory.node);
  writer.String(inventory.directory);
  writer.Number(static_cast<std::uint64_t>(inventory.remarks.size()));
  for (const std::string& remark : inventory.remarks) writer.String(remark);
  writer.Number(static_cast<std::uint64_t>(inventory.ranks.size()));
  for (const RankInventory& rank : inventory.ranks) PutRank(&writer, rank);
  const std::uint64_t size = writer.bytes_.size() + sizeof(std::uint64_t);
  std::memcpy(writer.bytes_.data() + size_at, &size, sizeof size);
  writer.Number(
      static_cast<std::uint64_t>(XXH3_64bits(writer.bytes_.data(), writer.bytes_.size())));
  return std::move(writer.bytes_);
}

NodeInventory DecodeInventory(std::string_view bytes, const std::string& source) {
  Reader reader(bytes, source);
  if (reader.Number<std::uint64_t>() != kMagic) reader.Fail("it is no inventory file");
  if (const auto version = reader.Number<std::uint32_t>(); version != kVersion) {
    reader.Fail(
        fmt::format("it has version {} of the format, this program reads {}", version, kVersion));
  }
  if (const auto size = reader.Number<std::uint64_t>(); size != bytes.size()) {
    reader.Fail(fmt::format("it has {} bytes instead of {}", bytes.size(), size));
  }
  constexpr std::size_t kChecksumBytes = sizeof(std::uint64_t);
  std::uint64_t checksum = 0;
  const std::size_t body = bytes.size() - kChecksumBytes;
  std::memcpy(&checksum, bytes.data() + body, sizeof checksum);
  if (checksum != XXH3_64bits(bytes.data(), body)) reader.Fail("its checksum is wrong");
  NodeInventory inventory;
  inventory.job = reader.Number<std::uint64_t>();
  inventory.epoch = reader.Number<std::uint32_t>();
  inventory.node = reader.String();
  inventory.directory = reader.String();
  inventory.remarks.resize(reader.Entries(sizeof(std::uint32_t)));
  for (std::string& remark : inventory.remarks) remark = reader.String();
  const std::size_t ranks = reader.Entries(sizeof(std::int32_t));
  std::int32_t previous = -1;
  for (std::size_t i = 0; i < ranks; ++i) {
    inventory.ranks.push_back(GetRank(&reader));
    if (inventory.ranks.back().rank <= previous) reader.Fail("its ranks are out of order");
    previous = inventory.ranks.back().rank;
  }
  reader.Take(kChecksumBytes);
  reader.End();
  return inventory;
}

std::string InventoryFileName(const std::string& node) {
  std::string name = "inventory-";
  for (const char character : node) name += character == '/' || character == '\0' ? '_' : character;
  return name;
}

}  // namespace ftmpi::recovery
