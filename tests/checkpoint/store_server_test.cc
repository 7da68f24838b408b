// The checkpoint server as a process: a forked child's memory goes to HDF5 and comes back.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <utility>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/sealed_file.h"
#include "checkpoint/server_client.h"
#include "checkpoint/server_start.h"
#include "tests/checkpoint/store_test_util.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::checkpoint {
namespace {

using logging::TemporaryDirectory;
using testing::HasSubstr;

// A job directory, a node-local directory, and a "rank": a child process that starts the server and
// runs what it is given. All in processes of their own, because the server lives as long as they
// do.
class StoreServer : public testing::Test {
 protected:
  void SetUp() override {
    facts_.job_directory = directory_ / "job";
    facts_.local_directory = directory_ / "local";
    std::filesystem::create_directory(facts_.job_directory);
    std::filesystem::create_directory(facts_.local_directory);
    socket_ = ServerSocketPath(facts_.local_directory, 0);
  }

  // The exit code of a process that runs `action`; what it reports is printed.
  static int RunProcess(const std::function<bool()>& action) {
    const pid_t pid = fork();
    if (pid == 0) {
      const bool good = action() && !testing::Test::HasFailure();
      _exit(good ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  bool Start() {
    std::string error;
    const bool started = StartCheckpointServer(facts_, CHECKPOINT_SERVER, nullptr, &error);
    EXPECT_TRUE(started) << error;
    return started;
  }

  // The process that listens at the socket has removed it and gone.
  bool ServerEnds() {
    for (int tries = 0; tries < 1000; ++tries) {
      if (!std::filesystem::exists(socket_)) return true;
      poll(nullptr, 0, 10);
    }
    return false;
  }

  TemporaryDirectory directory_;
  ServerFacts facts_;
  std::string socket_;
};

std::byte* Map(std::uint64_t bytes) {
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_NE(address, MAP_FAILED);
  return static_cast<std::byte*>(address);
}

TEST_F(StoreServer, WritesAForkedChildAndStreamsItBack) {
  constexpr std::uint64_t kBytes = 9 * kBlockSize + 3 * kPageSize;
  const int code = RunProcess([&] {
    if (!Start()) return false;
    std::byte* memory = Map(kBytes);
    const std::vector<std::byte> noise = Noise(5 * kBlockSize, 7);
    std::memcpy(memory + 2 * kBlockSize, noise.data(), noise.size());
    std::vector<std::uint64_t> vector{5, 6, 7};
    const auto address = reinterpret_cast<std::uint64_t>(memory);
    const int written = RunProcess([&] {
      const Section section = TestSection(address, kBytes, "arena");
      const Dataset dataset = TestDataset("dependency_vector", ElementType::kUint64, vector);
      ServerConnection server;
      EXPECT_TRUE(server.Connect(socket_.c_str())) << server.error();
      WriteAnswer answer;
      EXPECT_TRUE(server.Write(TestAttributes(1), std::span(&section, 1), std::span(&dataset, 1),
                               Level::kShared, 0, &answer))
          << server.error();
      EXPECT_EQ(answer.data_bytes, noise.size() + 24);
      EXPECT_EQ(answer.zero_bytes, kBytes - noise.size());
      return true;
    });
    EXPECT_EQ(written, 0);
    std::memset(memory, 0x55, kBytes);  // the parent goes on

    ServerConnection server;
    EXPECT_TRUE(server.Connect(socket_.c_str())) << server.error();
    EXPECT_TRUE(server.MakePermanent(kTestJob, 1, 1, Level::kShared, 0)) << server.error();
    EXPECT_STREQ(server.remarks(), "");
    CheckpointAttributes attributes;
    std::uint32_t sections = 0;
    std::uint32_t datasets = 0;
    EXPECT_TRUE(server.Open({kTestJob, 1, 0, CheckpointKind::kCoordinated, Level::kShared, 0},
                            &attributes, &sections, &datasets))
        << server.error();
    EXPECT_EQ(sections, 1U);
    EXPECT_EQ(datasets, 1U);
    EXPECT_EQ(attributes.state_interval, 101U);
    Section section;
    Dataset dataset;
    EXPECT_TRUE(server.TakeManifest(std::span(&section, 1), std::span(&dataset, 1)));
    EXPECT_EQ(section.address, address);
    EXPECT_EQ(section.length, kBytes);
    EXPECT_TRUE(server.ReadSection(0, memory, kBytes, false)) << server.error();
    std::vector<std::uint64_t> again(3);
    EXPECT_TRUE(server.ReadDataset(0, again.data(), 24)) << server.error();
    EXPECT_EQ(again, vector);
    std::vector<std::byte> expected(kBytes);
    std::memcpy(expected.data() + 2 * kBlockSize, noise.data(), noise.size());
    EXPECT_EQ(std::memcmp(memory, expected.data(), kBytes), 0);
    return true;
  });
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(std::filesystem::exists(IndexPath(facts_.job_directory, 1)));
  EXPECT_TRUE(ServerEnds()) << "the server outlives its job";
}

// A checkpoint of `bytes` bytes at `memory`, by a forked child of the caller.
int WriteByChild(const std::string& socket, const CheckpointAttributes& attributes,
                 const std::byte* memory, std::uint64_t bytes) {
  const pid_t pid = fork();
  if (pid == 0) {
    const Section section = TestSection(reinterpret_cast<std::uint64_t>(memory), bytes, "arena");
    ServerConnection server;
    const bool good =
        server.Connect(socket.c_str()) &&
        server.Write(attributes, std::span(&section, 1), {}, Level::kShared, 0, nullptr);
    if (!good) std::fprintf(stderr, "%s\n", server.error());
    _exit(good ? 0 : 1);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

// The server's processes: the one that listens and those that serve.
std::vector<pid_t> ServerProcesses(const std::string& socket) {
  const std::string command = "pgrep -f '^[^ ]*mpi-ft-checkpoint-server " + socket + " '";
  std::vector<pid_t> pids;
  FILE* stream = popen(command.c_str(), "r");
  if (stream == nullptr) return pids;
  for (int pid = 0; std::fscanf(stream, "%d", &pid) == 1;) pids.push_back(pid);
  pclose(stream);
  return pids;
}

TEST_F(StoreServer, FinishesWhatItWasGivenWhenItsRankIsKilled) {
  constexpr std::uint64_t kBytes = 64 * kBlockSize;
  // The rank leaves its process group to the child, which survives it as a frozen image does.
  int channel[2];
  ASSERT_EQ(pipe(channel), 0);
  const pid_t rank = fork();
  if (rank == 0) {
    if (!Start()) _exit(1);
    std::byte* memory = Map(kBytes);
    std::memset(memory, 0x11, kBytes);
    const pid_t child = fork();
    if (child == 0) {
      setsid();
      ServerConnection server;
      const Section section = TestSection(reinterpret_cast<std::uint64_t>(memory), kBytes, "arena");
      if (!server.Connect(socket_.c_str())) _exit(1);
      // The rank dies first; then all signals that mpirun sends reach the server.
      kill(getppid(), SIGKILL);
      const std::vector<pid_t> processes = ServerProcesses(socket_);
      for (const pid_t each : processes) {
        for (const int signal : {SIGTERM, SIGHUP, SIGINT}) kill(each, signal);
      }
      const bool good =
          processes.size() == 2 &&
          server.Write(TestAttributes(1), std::span(&section, 1), {}, Level::kShared, 0, nullptr);
      (void)!write(channel[1], good ? "y" : "n", 1);
      _exit(0);
    }
    pause();
  }
  close(channel[1]);
  int status = 0;
  ASSERT_EQ(waitpid(rank, &status, 0), rank);
  EXPECT_TRUE(WIFSIGNALED(status));
  char answer = '?';
  EXPECT_EQ(read(channel[0], &answer, 1), 1);
  close(channel[0]);
  EXPECT_EQ(answer, 'y');
  EXPECT_TRUE(ServerEnds()) << "the server outlives its job";
  EXPECT_TRUE(std::filesystem::exists(RankPath(facts_.job_directory, 1, 0)));
}

TEST_F(StoreServer, AClientThatFailsLeavesNothing) {
  constexpr std::uint64_t kBytes = 16 * kBlockSize;
  const int code = RunProcess([&] {
    if (!Start()) return false;
    std::byte* memory = Map(kBytes);
    std::memset(memory, 0x22, kBytes);
    const pid_t child = fork();
    if (child == 0) {
      // Connects and dies.
      ServerConnection server;
      if (!server.Connect(socket_.c_str())) _exit(1);
      _exit(0);
    }
    waitpid(child, nullptr, 0);
    // A part of what it names is not there.
    const pid_t second = fork();
    if (second == 0) {
      munmap(memory + 8 * kBlockSize, kPageSize);
      ServerConnection server;
      const Section section = TestSection(reinterpret_cast<std::uint64_t>(memory), kBytes, "arena");
      WriteAnswer answer;
      const bool good =
          server.Connect(socket_.c_str()) &&
          server.Write(TestAttributes(1), std::span(&section, 1), {}, Level::kShared, 0, &answer);
      EXPECT_FALSE(good);
      EXPECT_THAT(server.error(), HasSubstr("cannot read the memory of process"));
      EXPECT_THAT(server.error(), HasSubstr("nothing is mapped there"));
      EXPECT_TRUE(server.Ping()) << "the connection can be used on";
      _exit(testing::Test::HasFailure() ? 1 : 0);
    }
    int status = 0;
    waitpid(second, &status, 0);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(std::filesystem::is_empty(CheckpointDirectory(facts_.job_directory, 1)));
    // And the next one succeeds.
    EXPECT_EQ(WriteByChild(socket_, TestAttributes(1), memory, kBytes), 0);
    return true;
  });
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(ServerEnds());
}

TEST(StoreMemory, OfAProcessThatHasEndedIsNotRead) {
  std::vector<std::byte> mine = Noise(3 * kPageSize, 6);
  const auto address = reinterpret_cast<std::uint64_t>(mine.data());
  const pid_t pid = fork();
  if (pid == 0) {
    pause();
    _exit(0);
  }
  ProcessMemory memory(pid);
  std::vector<std::byte> read(2 * kPageSize);
  const MemoryExtent extents[] = {{address + kPageSize, 10}, {address, 0}, {address + 7, 100}};
  memory.Read(extents, std::span(read).first(110));
  EXPECT_EQ(std::memcmp(read.data(), mine.data() + kPageSize, 10), 0);
  EXPECT_EQ(std::memcmp(read.data() + 10, mine.data() + 7, 100), 0);
  EXPECT_TRUE(memory.Write(address, std::span(mine).subspan(kPageSize, 16)));
  memory.Read(address, std::span(read).first(16));
  EXPECT_EQ(std::memcmp(read.data(), mine.data() + kPageSize, 16), 0);
  EXPECT_FALSE(memory.Write(8, read)) << "nothing is mapped there";
  kill(pid, SIGKILL);
  siginfo_t ended;
  EXPECT_EQ(waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOWAIT), 0);
  EXPECT_THAT(ErrorOf([&] { memory.Read(address, read); }), HasSubstr("has ended before"));
  EXPECT_THAT(ErrorOf([&] { memory.Write(address, read); }), HasSubstr("has ended before"));
  waitpid(pid, nullptr, 0);
}

TEST_F(StoreServer, ARequestThatCanNotBeIsRefusedWithTheReason) {
  const int code = RunProcess([&] {
    if (!Start()) return false;
    std::byte* memory = Map(kPageSize);
    const auto address = reinterpret_cast<std::uint64_t>(memory);
    const auto error_of = [&](const CheckpointAttributes& attributes, const Section& section) {
      ServerConnection server;
      EXPECT_TRUE(server.Connect(socket_.c_str())) << server.error();
      EXPECT_FALSE(
          server.Write(attributes, std::span(&section, 1), {}, Level::kShared, 0, nullptr));
      return std::string(server.error());
    };
    const Section good = TestSection(address, kPageSize, "arena");
    EXPECT_THAT(error_of(TestAttributes(0), good), HasSubstr("its CSN is no CSN"));
    EXPECT_THAT(error_of(TestAttributes(1, 5, 2), good), HasSubstr("none of the job"));
    CheckpointAttributes incremental = TestAttributes(3);
    incremental.base_csn = 2;
    EXPECT_THAT(error_of(incremental, good), HasSubstr("checkpoint-2/rank-0.h5"));
    Section listed = good;
    listed.flags = kSectionListedPages;
    EXPECT_THAT(error_of(TestAttributes(1), listed), HasSubstr("no base"));

    ServerConnection server;
    EXPECT_TRUE(server.Connect(socket_.c_str())) << server.error();
    EXPECT_FALSE(server.MakePermanent(kTestJob, 9, 1, Level::kShared, 0));
    EXPECT_THAT(server.error(), HasSubstr("checkpoint-9/rank-0.h5"));
    CheckpointAttributes attributes;
    std::uint32_t sections = 0;
    std::uint32_t datasets = 0;
    EXPECT_FALSE(server.Open({kTestJob, 9, 0, CheckpointKind::kCoordinated, Level::kShared, 0},
                             &attributes, &sections, &datasets));
    EXPECT_THAT(server.error(), HasSubstr("checkpoint-9/rank-0.h5"));
    EXPECT_TRUE(server.Ping()) << server.error();
    return true;
  });
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(ServerEnds());
}

TEST_F(StoreServer, DamageIsToldToWhoRestartsFromIt) {
  constexpr std::uint64_t kBytes = 12 * kBlockSize;
  const int code = RunProcess([&] {
    if (!Start()) return false;
    std::byte* memory = Map(kBytes);
    const std::vector<std::byte> noise = Noise(kBytes, 4);
    std::memcpy(memory, noise.data(), kBytes);
    EXPECT_EQ(WriteByChild(socket_, TestAttributes(1), memory, kBytes), 0);
    const std::string path = RankPath(facts_.job_directory, 1, 0);
    const int file = open(path.c_str(), O_WRONLY);
    EXPECT_EQ(pwrite(file, "x", 1, 7 * kBlockSize + 5), 1);
    close(file);
    ServerConnection server;
    EXPECT_TRUE(server.Connect(socket_.c_str())) << server.error();
    CheckpointAttributes attributes;
    std::uint32_t sections = 0;
    std::uint32_t datasets = 0;
    EXPECT_TRUE(server.Open({kTestJob, 1, 0, CheckpointKind::kCoordinated, Level::kShared, 0},
                            &attributes, &sections, &datasets))
        << server.error();
    Section section;
    EXPECT_TRUE(server.TakeManifest(std::span(&section, 1), {}));
    EXPECT_FALSE(server.ReadSection(0, memory, kBytes - 1, false));
    EXPECT_THAT(server.error(), HasSubstr("bytes are asked for"));
    EXPECT_FALSE(server.ReadSection(0, memory, kBytes, false));
    EXPECT_THAT(server.error(), HasSubstr(path + ": damaged"));
    EXPECT_TRUE(server.Ping()) << server.error();
    EXPECT_FALSE(server.Open({kTestJob + 1, 1, 0, CheckpointKind::kCoordinated, Level::kShared, 0},
                             &attributes, &sections, &datasets));
    EXPECT_THAT(server.error(), HasSubstr("another job"));
    return true;
  });
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(ServerEnds());
}

TEST_F(StoreServer, AnIncrementalChainComesBackAsTheMemoryWas) {
  constexpr std::uint64_t kPages = 600;
  constexpr std::uint64_t kBytes = kPages * kPageSize;
  const int code = RunProcess([&] {
    if (!Start()) return false;
    std::byte* memory = Map(kBytes);
    std::vector<std::byte> model = Noise(kBytes, 9);
    std::memcpy(memory, model.data(), kBytes);
    const auto address = reinterpret_cast<std::uint64_t>(memory);
    for (std::uint64_t csn = 1; csn <= 6; ++csn) {
      std::vector<PageRange> written;
      for (std::uint64_t page = csn; csn > 1 && page < kPages; page += 7 * csn) {
        const std::vector<std::byte> content = Noise(kPageSize, csn * 1000 + page);
        std::memcpy(memory + page * kPageSize, content.data(), kPageSize);
        written.push_back({page, 1});
      }
      if (csn == 4) std::memset(memory + written[0].first * kPageSize, 0, kPageSize);
      CheckpointAttributes attributes = TestAttributes(csn);
      attributes.base_csn = csn - 1;
      Section section = TestSection(address, kBytes, "arena");
      if (csn > 1) {
        section.flags = kSectionListedPages;
        section.ranges = reinterpret_cast<std::uint64_t>(written.data());
        section.range_count = written.size();
      }
      ServerConnection server;
      EXPECT_TRUE(server.Connect(socket_.c_str())) << server.error();
      WriteAnswer answer;
      EXPECT_TRUE(server.Write(attributes, std::span(&section, 1), {}, Level::kShared, 0, &answer))
          << server.error();
      EXPECT_TRUE(server.MakePermanent(kTestJob, csn, 1, Level::kShared, 0)) << server.error();
      if (csn > 1) {
        EXPECT_EQ(answer.data_bytes + answer.zero_bytes, written.size() * kPageSize);
      }
    }
    std::vector<std::byte> expected(memory, memory + kBytes);
    std::memset(memory, 0x99, kBytes);
    ServerConnection server;
    EXPECT_TRUE(server.Connect(socket_.c_str())) << server.error();
    CheckpointAttributes attributes;
    std::uint32_t sections = 0;
    std::uint32_t datasets = 0;
    EXPECT_TRUE(server.Open({kTestJob, 6, 0, CheckpointKind::kCoordinated, Level::kShared, 0},
                            &attributes, &sections, &datasets))
        << server.error();
    Section section;
    EXPECT_TRUE(server.TakeManifest(std::span(&section, 1), {}));
    EXPECT_TRUE(server.ReadSection(0, memory, kBytes, false)) << server.error();
    EXPECT_EQ(std::memcmp(memory, expected.data(), kBytes), 0);
    return true;
  });
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(ServerEnds());
}

TEST_F(StoreServer, RanksAtTheSameTimeAndTheNodesOwnLevel) {
  constexpr int kRanks = 4;
  constexpr std::uint64_t kBytes = 3 * kBlockSize + 5;
  const int code = RunProcess([&] {
    if (!Start()) return false;
    std::vector<pid_t> children;
    for (int rank = 0; rank < kRanks; ++rank) {
      children.push_back(fork());
      if (children.back() != 0) continue;
      const std::vector<std::byte> noise = Noise(kBytes, static_cast<std::uint64_t>(rank));
      const Section section =
          TestSection(reinterpret_cast<std::uint64_t>(noise.data()), kBytes, "heap");
      ServerConnection server;
      bool good = server.Connect(socket_.c_str());
      for (const Level level : {Level::kShared, Level::kLocal}) {
        good = good && server.Write(TestAttributes(1, rank, kRanks), std::span(&section, 1), {},
                                    level, 1, nullptr);
      }
      if (!good) std::fprintf(stderr, "%s\n", server.error());
      _exit(good ? 0 : 1);
    }
    for (const pid_t child : children) {
      int status = 0;
      waitpid(child, &status, 0);
      EXPECT_EQ(status, 0);
    }
    ServerConnection server;
    EXPECT_TRUE(server.Connect(socket_.c_str())) << server.error();
    EXPECT_TRUE(server.MakePermanent(kTestJob, 1, kRanks, Level::kShared, 0)) << server.error();
    EXPECT_FALSE(server.MakePermanent(kTestJob, 1, kRanks, Level::kLocal, kRanks + 1));
    EXPECT_THAT(server.error(), HasSubstr("files of 4 ranks"));
    EXPECT_TRUE(server.MakePermanent(kTestJob, 1, kRanks, Level::kLocal, kRanks)) << server.error();
    EXPECT_TRUE(server.Discard(0, 1, Level::kShared)) << server.error();
    EXPECT_FALSE(server.Abort(kTestJob, 1, kRanks, Level::kShared));
    EXPECT_THAT(server.error(), HasSubstr("permanent"));
    return true;
  });
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(ServerEnds());
  EXPECT_TRUE(std::filesystem::exists(IndexPath(LocalStoreDirectory(facts_.local_directory), 1)));
}

TEST_F(StoreServer, ALongPathAndGarbage) {
  facts_.local_directory = directory_ / std::string(200, 'd');
  std::filesystem::create_directory(facts_.local_directory);
  socket_ = ServerSocketPath(facts_.local_directory, 3);
  facts_.epoch = 3;
  const int code = RunProcess([&] {
    ServerConnection nobody;
    EXPECT_FALSE(nobody.Connect(socket_.c_str()));
    EXPECT_THAT(nobody.error(), HasSubstr("No such file"));
    if (!Start()) return false;
    ServerConnection server;
    EXPECT_TRUE(server.Connect(socket_.c_str())) << server.error();
    // A request that no client makes ends its connection, and no other.
    ServerConnection other;
    EXPECT_TRUE(other.Connect(socket_.c_str())) << other.error();
    EXPECT_FALSE(other.ReadSection(0, nullptr, 0, false));
    EXPECT_THAT(other.error(), HasSubstr("ended in the middle"));
    EXPECT_TRUE(server.Ping()) << server.error();
    return true;
  });
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(ServerEnds());
}

TEST_F(StoreServer, AStartThatFailsSaysWhy) {
  std::string error;
  EXPECT_FALSE(StartCheckpointServer(facts_, directory_ / "missing", nullptr, &error));
  EXPECT_THAT(error, HasSubstr("can't be started: No such file"));
  facts_.local_directory = directory_ / "nowhere";
  EXPECT_FALSE(StartCheckpointServer(facts_, CHECKPOINT_SERVER, nullptr, &error));
  EXPECT_THAT(error, HasSubstr("nowhere"));
}

}  // namespace
}  // namespace ftmpi::checkpoint
