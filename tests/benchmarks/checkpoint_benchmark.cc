// Cost of the checkpoint store, pair by pair: an image written by the checkpoint server against
// `dd conv=fsync` of the same bytes to the same place, an incremental one with some of the pages,
// and the restart against reading the bytes. Prints each round and the medians.
//   checkpoint_benchmark [MIB [ROUNDS [DIRECTORY]]]      (1024, 3, the working directory)
// DIRECTORY needs room for three images, /dev/shm for one, memory for two.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/server_client.h"
#include "checkpoint/server_start.h"

namespace {

using namespace ftmpi::checkpoint;  // NOLINT(google-build-using-namespace)

constexpr std::uint64_t kJob = 1;
constexpr std::uint64_t kDirtyEvery = 20;  // 5 % of the pages

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "checkpoint_benchmark: %s\n", why.c_str());
  std::exit(1);
}

template <typename Action>
double Seconds(Action action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Fills pages with numbers that don't compress.
void Fill(std::byte* memory, std::uint64_t bytes, std::uint64_t seed) {
  std::uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (std::uint64_t at = 0; at < bytes; at += sizeof state) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    std::memcpy(memory + at, &state, sizeof state);
  }
}

class Benchmark {
 public:
  Benchmark(std::uint64_t bytes, std::string directory)
      : bytes_(bytes), directory_(std::move(directory)) {
    void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (address == MAP_FAILED) Die("not enough memory");
    memory_ = static_cast<std::byte*>(address);
    Fill(memory_, bytes, 1);
    source_ = "/dev/shm/ftmpi-checkpoint-source-" + std::to_string(getpid());
    const int file = open(source_.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600);
    for (std::uint64_t done = 0; done < bytes;) {
      const ssize_t got = write(file, memory_ + done, bytes - done);
      if (got <= 0) Die("/dev/shm is full");
      done += static_cast<std::uint64_t>(got);
    }
    close(file);
    std::filesystem::create_directories(directory_ + "/job");
    std::filesystem::create_directories(directory_ + "/local");
    ServerFacts facts{directory_ + "/job", directory_ + "/local", 0, ""};
    std::string error;
    if (!StartCheckpointServer(facts, CHECKPOINT_SERVER, nullptr, &error)) Die(error);
    socket_ = ServerSocketPath(facts.local_directory, 0);
  }

  ~Benchmark() {
    std::filesystem::remove(source_);
    std::filesystem::remove_all(directory_);
  }

  double Dd() const {
    const std::string target = directory_ + "/dd";
    const std::string command =
        "dd if=" + source_ + " of=" + target + " bs=1M conv=fsync 2>/dev/null";
    const double seconds = Seconds([&] {
      if (std::system(command.c_str()) != 0) Die("dd failed");
    });
    std::filesystem::remove(target);
    return seconds;
  }

  // A forked child's image; also how long the fork took, for which the program stands still.
  double Write(std::uint64_t csn, bool incremental, double* fork_seconds, WriteAnswer* answer) {
    int channel[2];
    if (pipe(channel) != 0) Die("no pipe");
    std::vector<PageRange> pages;
    if (incremental) {
      for (std::uint64_t page = csn % kDirtyEvery; page < bytes_ / kPageSize; page += kDirtyEvery) {
        Fill(memory_ + page * kPageSize, kPageSize, csn + page);
        pages.push_back({page, 1});
      }
    }
    return Seconds([&] {
      pid_t child = 0;
      *fork_seconds = Seconds([&] { child = fork(); });
      if (child == 0) {
        CheckpointAttributes attributes{};
        attributes.job = kJob;
        attributes.csn = csn;
        attributes.base_csn = incremental ? csn - 1 : kNoBase;
        attributes.np = 1;
        attributes.kind = CheckpointKind::kCoordinated;
        attributes.state = kStateImage;
        Section section{};
        section.address = reinterpret_cast<std::uint64_t>(memory_);
        section.length = bytes_;
        section.protection = PROT_READ | PROT_WRITE;
        if (incremental) {
          section.flags = kSectionListedPages;
          section.ranges = reinterpret_cast<std::uint64_t>(pages.data());
          section.range_count = pages.size();
        }
        ServerConnection server;
        WriteAnswer written;
        if (!server.Connect(socket_.c_str()) ||
            !server.Write(attributes, std::span(&section, 1), {}, Level::kShared, 0, &written)) {
          Die(server.error());
        }
        (void)!write(channel[1], &written, sizeof written);
        _exit(0);
      }
      int status = 0;
      waitpid(child, &status, 0);
      if (status != 0 || read(channel[0], answer, sizeof *answer) != sizeof *answer) {
        Die("the checkpoint failed");
      }
      close(channel[0]);
      close(channel[1]);
    });
  }

  void Commit(std::uint64_t csn) const {
    ServerConnection server;
    if (!server.Connect(socket_.c_str()) ||
        !server.MakePermanent(kJob, csn, 1, Level::kShared, 0)) {
      Die(server.error());
    }
  }

  double Restart(std::uint64_t csn) {
    const std::unique_ptr<std::byte[]> expected(new std::byte[bytes_]);
    std::memcpy(expected.get(), memory_, bytes_);
    const double seconds = Seconds([&] {
      ServerConnection server;
      CheckpointAttributes attributes;
      std::uint32_t sections = 0;
      std::uint32_t datasets = 0;
      Section section;
      if (!server.Connect(socket_.c_str()) ||
          !server.Open({kJob, csn, 0, CheckpointKind::kCoordinated, Level::kShared, 0}, &attributes,
                       &sections, &datasets) ||
          !server.TakeManifest(std::span(&section, 1), {}) ||
          !server.ReadSection(0, memory_, bytes_, false)) {
        Die(server.error());
      }
    });
    if (std::memcmp(expected.get(), memory_, bytes_) != 0) Die("the restart gives other bytes");
    return seconds;
  }

  // Reading the checkpoint's file, from the disk if `cold`.
  double Read(std::uint64_t csn, bool cold) const {
    if (cold) Forget(csn);
    const std::string path = RankPath(directory_ + "/job", csn, 0);
    const std::string command = "dd if=" + path + " of=/dev/null bs=1M 2>/dev/null";
    return Seconds([&] {
      if (std::system(command.c_str()) != 0) Die("dd failed");
    });
  }

  // Drops the file from the page cache.
  void Forget(std::uint64_t csn) const {
    const int file = open(RankPath(directory_ + "/job", csn, 0).c_str(), O_RDONLY);
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    close(file);
  }

 private:
  const std::uint64_t bytes_;
  const std::string directory_;
  std::byte* memory_ = nullptr;
  std::string source_;
  std::string socket_;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t mib = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1024;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 3;
  if (mib == 0 || rounds < 1) Die("usage: checkpoint_benchmark [MIB [ROUNDS [DIRECTORY]]]");
  const std::string directory = std::filesystem::absolute(argc > 3 ? argv[3] : ".").string() +
                                "/ftmpi-checkpoint-benchmark-" + std::to_string(getpid());
  std::vector<double> full;
  std::vector<double> part;
  std::vector<double> part_bytes;
  std::vector<double> forks;
  std::vector<double> warm;
  std::vector<double> cold;
  Benchmark benchmark(mib << 20, directory);
  std::uint64_t csn = 0;
  for (int round = 0; round < rounds; ++round) {
    const double dd = benchmark.Dd();
    double fork_seconds = 0;
    WriteAnswer complete;
    const double write = benchmark.Write(++csn, false, &fork_seconds, &complete);
    benchmark.Commit(csn);
    const double read = benchmark.Read(csn, false);
    const double restart = benchmark.Restart(csn);
    const double cold_read = benchmark.Read(csn, true);
    benchmark.Forget(csn);
    const double cold_restart = benchmark.Restart(csn);
    WriteAnswer incremental;
    double unused = 0;
    const double increment = benchmark.Write(++csn, true, &unused, &incremental);
    benchmark.Commit(csn);
    benchmark.Restart(csn);  // compares
    std::printf(
        "dd %.3f s, write %.3f s (%.2fx), fork %.1f ms; 5 %%: %.3f s, %.1f %% of the bytes; read "
        "%.3f s, restart %.3f s (%.2fx); from disk %.3f s, %.3f s (%.2fx)\n",
        dd, write, write / dd, fork_seconds * 1e3, increment,
        100.0 * static_cast<double>(incremental.file_bytes) /
            static_cast<double>(complete.file_bytes),
        read, restart, restart / read, cold_read, cold_restart, cold_restart / cold_read);
    std::fflush(stdout);
    full.push_back(write / dd);
    part.push_back(increment / write);
    part_bytes.push_back(static_cast<double>(incremental.file_bytes) /
                         static_cast<double>(complete.file_bytes));
    forks.push_back(fork_seconds);
    warm.push_back(restart / read);
    cold.push_back(cold_restart / cold_read);
  }
  std::printf(
      "medians of %d rounds, %llu MiB: write %.2fx dd, 5 %% in %.1f %% of the time and %.1f %% of "
      "the "
      "bytes, fork %.1f ms, restart %.2fx reading (cached), %.2fx (from disk)\n",
      rounds, static_cast<unsigned long long>(mib), Median(full), 100 * Median(part),
      100 * Median(part_bytes), Median(forks) * 1e3, Median(warm), Median(cold));
  return 0;
}
