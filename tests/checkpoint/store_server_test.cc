// The checkpoint server as a process: a forked child's memory goes to HDF5 and comes back.
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
    const bool started = StartCheckpointServer(facts_, CHECKPOINT_SERVER, &error);
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

}  // namespace
}  // namespace ftmpi::checkpoint
