// Copies on another node: two servers, each with a node-local directory of its own.
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/sealed_file.h"
#include "checkpoint/server_client.h"
#include "checkpoint/server_start.h"
#include "tests/checkpoint/store_test_util.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::checkpoint {
namespace {

using logging::ReadBytes;
using logging::TemporaryDirectory;
using logging::WriteBytes;
using testing::HasSubstr;

class StorePartner : public testing::Test {
 protected:
  // Until the servers have gone nobody may remove their directories.
  void TearDown() override {
    for (const auto& node : std::filesystem::directory_iterator(directory_.path())) {
      const std::string socket = ServerSocketPath(node.path().string(), 0);
      for (int tries = 0; tries < 1000 && std::filesystem::exists(socket); ++tries) {
        poll(nullptr, 0, 10);
      }
      EXPECT_FALSE(std::filesystem::exists(socket)) << "the server outlives its job";
    }
  }

  ServerFacts Node(const std::string& name, const std::string& secret) {
    ServerFacts facts{directory_ / "job", directory_ / name, 0, secret};
    std::filesystem::create_directories(facts.job_directory);
    std::filesystem::create_directories(facts.local_directory);
    return facts;
  }

  static std::uint16_t Start(const ServerFacts& facts) {
    std::uint16_t port = 0;
    std::string error;
    EXPECT_TRUE(StartCheckpointServer(facts, CHECKPOINT_SERVER, &port, &error)) << error;
    return port;
  }

  // Servers live as long as the process that started them.
  static void InProcess(const std::function<void()>& action) {
    const pid_t pid = fork();
    if (pid == 0) {
      action();
      _exit(testing::Test::HasFailure() ? 1 : 0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }

  static CopyRequest Copy(std::uint64_t csn, std::uint16_t port) {
    CopyRequest request{};
    request.csn = csn;
    request.kind = CheckpointKind::kCoordinated;
    request.port = port;
    request.level = Level::kLocal;
    std::snprintf(request.host, sizeof request.host, "127.0.0.1");
    return request;
  }

  TemporaryDirectory directory_;
};

TEST_F(StorePartner, ACopySurvivesTheLossOfItsNode) {
  InProcess([&] {
    const ServerFacts here = Node("here", "secret");
    const ServerFacts there = Node("there", "secret");
    Start(here);
    const std::uint16_t port = Start(there);
    EXPECT_NE(port, 0);
    std::vector<std::byte> memory = Noise(5 * kBlockSize + 99, 3);
    const std::vector<std::byte> expected = memory;
    const Section section =
        TestSection(reinterpret_cast<std::uint64_t>(memory.data()), memory.size(), "heap");
    ServerConnection server;
    EXPECT_TRUE(server.Connect(ServerSocketPath(here.local_directory, 0).c_str()))
        << server.error();
    EXPECT_TRUE(
        server.Write(TestAttributes(1), std::span(&section, 1), {}, Level::kLocal, 0, nullptr))
        << server.error();
    EXPECT_TRUE(server.Push(Copy(1, port))) << server.error();
    ServerConnection partner;
    EXPECT_TRUE(partner.Connect(ServerSocketPath(there.local_directory, 0).c_str()))
        << partner.error();
    EXPECT_TRUE(partner.MakePermanent(kTestJob, 1, 1, Level::kPartner, 1)) << partner.error();
    const std::string local = LocalStoreDirectory(here.local_directory);
    const std::vector<char> bytes = ReadBytes(RankPath(local, 1, 0));

    // The node is lost. A rank starts again on the partner ...
    std::filesystem::remove_all(local);
    const auto restart = [&](ServerConnection* from, Level level) {
      std::fill(memory.begin(), memory.end(), std::byte{0});
      CheckpointAttributes attributes;
      std::uint32_t sections = 0;
      std::uint32_t datasets = 0;
      Section stored;
      EXPECT_TRUE(from->Open({kTestJob, 1, 0, CheckpointKind::kCoordinated, level, 0}, &attributes,
                             &sections, &datasets) &&
                  from->TakeManifest(std::span(&stored, 1), {}) &&
                  from->ReadSection(0, memory.data(), memory.size(), false))
          << from->error();
      EXPECT_TRUE(memory == expected);
    };
    restart(&partner, Level::kPartner);
    // ... or where the copy is fetched.
    EXPECT_TRUE(server.Fetch(Copy(1, port))) << server.error();
    EXPECT_TRUE(ReadBytes(RankPath(local, 1, 0)) == bytes);
    restart(&server, Level::kLocal);
  });
}

TEST_F(StorePartner, WhatFailsIsSaidAndLeavesNothing) {
  InProcess([&] {
    const ServerFacts here = Node("here", "secret");
    const ServerFacts there = Node("there", "another");
    const ServerFacts alone = Node("alone", "");
    const ServerFacts good = Node("good", "secret");
    Start(here);
    const std::uint16_t wrong_secret = Start(there);
    EXPECT_EQ(Start(alone), 0);
    const std::uint16_t port = Start(good);
    const std::vector<std::byte> memory = Noise(3 * kBlockSize, 3);
    const Section section =
        TestSection(reinterpret_cast<std::uint64_t>(memory.data()), memory.size(), "heap");
    ServerConnection server;
    EXPECT_TRUE(server.Connect(ServerSocketPath(here.local_directory, 0).c_str()))
        << server.error();
    EXPECT_TRUE(
        server.Write(TestAttributes(1), std::span(&section, 1), {}, Level::kLocal, 0, nullptr))
        << server.error();

    EXPECT_FALSE(server.Push(Copy(1, wrong_secret)));
    EXPECT_THAT(server.error(), HasSubstr("broke"));
    EXPECT_FALSE(std::filesystem::exists(PartnerStoreDirectory(there.local_directory)));

    EXPECT_FALSE(server.Fetch(Copy(2, port)));
    EXPECT_THAT(server.error(), HasSubstr("checkpoint-2/rank-0.h5"));
    EXPECT_FALSE(server.Push(Copy(2, port)));
    EXPECT_THAT(server.error(), HasSubstr("checkpoint-2/rank-0.h5"));

    // A file that is damaged here is refused there, by its seal.
    const std::string path = RankPath(LocalStoreDirectory(here.local_directory), 1, 0);
    std::vector<char> bytes = ReadBytes(path);
    bytes[2 * kBlockSize] = static_cast<char>(bytes[2 * kBlockSize] ^ 1);
    WriteBytes(path, bytes);
    EXPECT_FALSE(server.Push(Copy(1, port)));
    EXPECT_THAT(server.error(), HasSubstr("damaged"));
    EXPECT_TRUE(std::filesystem::is_empty(
        CheckpointDirectory(PartnerStoreDirectory(good.local_directory), 1)));

    // Storage of the partner that can't be written to, with a file that is still being sent.
    std::filesystem::remove_all(PartnerStoreDirectory(good.local_directory));
    WriteBytes(PartnerStoreDirectory(good.local_directory), {'x'});
    EXPECT_FALSE(server.Push(Copy(1, port)));
    EXPECT_THAT(server.error(), HasSubstr(PartnerStoreDirectory(good.local_directory)));

    ServerConnection single;
    EXPECT_TRUE(single.Connect(ServerSocketPath(alone.local_directory, 0).c_str()))
        << single.error();
    EXPECT_FALSE(single.Push(Copy(1, port)));
    EXPECT_THAT(single.error(), HasSubstr("without partners"));
    EXPECT_TRUE(server.Ping()) << server.error();
  });
}

}  // namespace
}  // namespace ftmpi::checkpoint
