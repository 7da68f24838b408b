// Programs that can't be imaged, made here or by the build, and what is said of them.
#include "checkpoint/image/check.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace ftmpi::image {
namespace {

class CheckTest : public testing::Test {
 protected:
  CheckTest() {
    char name[] = "/tmp/image-check-XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~CheckTest() override { std::filesystem::remove_all(directory_); }

  std::string Write(const std::string& name, const std::string& content) const {
    std::string path = directory_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  static std::string Content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static std::vector<Obstacle> Obstacles(const std::vector<Reason>& reasons) {
    std::vector<Obstacle> obstacles;
    obstacles.reserve(reasons.size());
    for (const Reason& reason : reasons) obstacles.push_back(reason.obstacle);
    return obstacles;
  }
  using Wanted = std::vector<Obstacle>;

  std::string directory_;
};

TEST_F(CheckTest, AnOrdinaryProgramIsFine) { EXPECT_EQ(Joined(CheckProgram(FTMPI_PLAIN)), ""); }

TEST_F(CheckTest, WhatIsNotThere) {
  const auto reasons = CheckProgram(directory_ + "/none");
  EXPECT_EQ(Obstacles(reasons), Wanted{Obstacle::kUnreadable});
  EXPECT_NE(Joined(reasons).find("/none can't be read: No such file"), std::string::npos);
}

TEST_F(CheckTest, Scripts) {
  const auto reasons = CheckProgram(Write("script", "#!/bin/sh\ntrue\n"));
  EXPECT_EQ(Obstacles(reasons), Wanted{Obstacle::kNotElf});
  EXPECT_NE(Joined(reasons).find("script"), std::string::npos);
  EXPECT_EQ(Obstacles(CheckProgram(Write("empty", ""))), Wanted{Obstacle::kNotElf});
}

TEST_F(CheckTest, OtherMachines) {
  std::string program = Content(FTMPI_PLAIN);
  program[18] = static_cast<char>(183);  // e_machine: EM_AARCH64
  EXPECT_EQ(Obstacles(CheckProgram(Write("other", program))), Wanted{Obstacle::kOtherMachine});
}

TEST_F(CheckTest, StaticPrograms) {
  EXPECT_EQ(Obstacles(CheckProgram(FTMPI_STATIC)), Wanted{Obstacle::kStatic});
}

TEST_F(CheckTest, ProgramsWithTheirOwnMalloc) {
  EXPECT_EQ(Obstacles(CheckProgram(FTMPI_OWN_MALLOC)), Wanted{Obstacle::kOwnMalloc});
}

TEST_F(CheckTest, PrivilegedPrograms) {
  const std::string path = Write("privileged", Content(FTMPI_PLAIN));
  ASSERT_EQ(chmod(path.c_str(), 04755), 0);
  EXPECT_EQ(Obstacles(CheckProgram(path)), Wanted{Obstacle::kPrivileged});
}

TEST_F(CheckTest, FilesCutShortAreNoCrash) {
  const std::string program = Content(FTMPI_PLAIN);
  for (std::size_t size = 0; size < program.size(); size += 97)
    CheckProgram(Write("cut", program.substr(0, size)));
}

TEST_F(CheckTest, AddressSpaceLimits) {
  EXPECT_EQ(Joined(CheckMachine()), "");
  const pid_t child = fork();
  if (child == 0) {
    const rlimit limit = {std::uint64_t{1} << 33, RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &limit);
    _exit(Obstacles(CheckMachine()) == Wanted{Obstacle::kAddressSpace} ? 0 : 1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace ftmpi::image
