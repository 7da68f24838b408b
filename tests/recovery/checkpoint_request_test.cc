// Requests for a checkpoint from outside: their files, and mpi-ft-checkpoint with a rank that is
// played (companion_fake_rank) and a real companion.
#include "recovery/checkpoint_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "recovery/checkpoint_command.h"
#include "recovery/durable_file.h"
#include "recovery/job_directory.h"
#include "tests/recovery/companion_test_util.h"

namespace ftmpi::recovery {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kJob = 0xabcdef0123456789;  // as the fake rank says

class CheckpointRequestTest : public testing::Test {
 protected:
  CheckpointRequestTest() {
    setting_.job_directory = directory_.path() + "/job";
    setting_.local_directory = directory_.path() + "/local";
    std::filesystem::create_directory(setting_.local_directory);
  }
  struct Output {
    int code = -1;
    std::string text;  // both streams
  };
  [[nodiscard]] Output Command(const std::string& arguments) const {
    const std::string line = std::string(FTMPI_TEST_CHECKPOINT) + " " + arguments + " 2>&1";
    std::FILE* pipe = popen(line.c_str(), "r");
    Output output;
    char buffer[4096];
    std::size_t got = 0;
    while ((got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0) output.text.append(buffer, got);
    const int status = pclose(pipe);
    if (WIFEXITED(status)) output.code = WEXITSTATUS(status);
    return output;
  }
  void AwaitJob() const {
    while (!std::filesystem::exists(JobFilePath(setting_.job_directory))) poll(nullptr, 0, 1);
  }

  TemporaryDirectory directory_;
  FakeRank::Setting setting_;
};

TEST_F(CheckpointRequestTest, FilesComeBackAsTheyWere) {
  const std::string path = directory_.path() + "/checkpoint-0123456789abcdef";
  EXPECT_EQ(ReadCheckpointRequest(path, kJob), std::nullopt);
  for (const bool wait : {false, true}) {
    WriteCheckpointRequest(path, kJob, wait);
    EXPECT_EQ(ReadCheckpointRequest(path, kJob), wait);
  }
  const CheckpointAnswer answer{RequestAnswer::kPermanent, 17};
  WriteCheckpointAnswer(AnswerPath(path), kJob, answer);
  EXPECT_EQ(ReadCheckpointAnswer(AnswerPath(path), kJob), answer);
}

TEST_F(CheckpointRequestTest, NamesOfRequests) {
  EXPECT_EQ(RequestId("checkpoint-0123456789abcdef"), 0x0123456789abcdefU);
  for (const char* other :
       {"checkpoint-0123456789abcdef.answer", "checkpoint-0123456789abcdef.new-12", "checkpoint-12",
        "checkpoint-0123456789abcdeg", "checkpoint-", "notes.txt"}) {
    EXPECT_EQ(RequestId(other), std::nullopt) << other;
  }
}

TEST_F(CheckpointRequestTest, DamageIsFound) {
  const std::string path = directory_.path() + "/checkpoint-0123456789abcdef";
  WriteCheckpointRequest(path, kJob, true);
  const std::string good = ReadWholeFile(path).value();
  const auto refused = [&](const std::string& content) {
    ReplaceFileLoosely(path, content);
    EXPECT_THROW((void)ReadCheckpointRequest(path, kJob), JobDirectoryError) << content.size();
    EXPECT_THROW((void)ReadCheckpointAnswer(path, kJob), JobDirectoryError) << content.size();
  };
  for (std::size_t length = 0; length < good.size(); ++length) refused(good.substr(0, length));
  refused(good + "x");
  for (std::size_t byte = 0; byte < good.size(); ++byte) {
    std::string flipped = good;
    flipped[byte] = static_cast<char>(flipped[byte] ^ 4);
    refused(flipped);
  }
  ReplaceFileLoosely(path, good);
  EXPECT_THROW((void)ReadCheckpointRequest(path, kJob + 1), JobDirectoryError);
}

TEST_F(CheckpointRequestTest, AskedAndGranted) {
  FakeRank rank(setting_, {"start", "attach", "checkpoints=1", "answer=5",
                           "waitfile=" + directory_.path() + "/go", "finalize", "exit=0"});
  AwaitJob();
  const Output output = Command("--wait " + setting_.job_directory);
  EXPECT_EQ(output.code, kCheckpointAsked);
  EXPECT_EQ(output.text, "checkpoint 5 is permanent\n");
  EXPECT_TRUE(std::filesystem::is_empty(RequestDirectory(setting_.job_directory)));
  std::ofstream(directory_.path() + "/go") << "";
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_FALSE(std::filesystem::exists(setting_.job_directory));
}

TEST_F(CheckpointRequestTest, AskedAndGivenUpThenAskedWithoutWaiting) {
  FakeRank rank(setting_, {"start", "attach", "checkpoints=1", "answer=0", "answer=6", "kill=9"});
  AwaitJob();
  const Output output = Command("--wait --json " + setting_.job_directory);
  EXPECT_EQ(output.code, kCheckpointGivenUp);
  EXPECT_EQ(nlohmann::json::parse(output.text).at("result"), "given up");
  const Output second = Command(setting_.job_directory);
  EXPECT_EQ(second.code, kCheckpointAsked);
  EXPECT_THAT(second.text, HasSubstr("asked for"));
  ASSERT_TRUE(rank.ReadAll());
}

TEST_F(CheckpointRequestTest, AJobWithoutCheckpointsSaysSo) {
  FakeRank rank(setting_, {"start", "attach", "checkpoints=2",
                           "waitfile=" + directory_.path() + "/go", "kill=9"});
  AwaitJob();
  const Output output = Command(setting_.job_directory);
  EXPECT_EQ(output.code, kCheckpointGivenUp);
  EXPECT_THAT(output.text, HasSubstr("takes no checkpoints"));
  std::ofstream(directory_.path() + "/go") << "";
  ASSERT_TRUE(rank.ReadAll());
}

// The first request's number is taken by a rank that never decides it and dies.
TEST_F(CheckpointRequestTest, WhoWaitsLearnsOfTheEnd) {
  FakeRank rank(setting_, {"start", "attach", "checkpoints=1",
                           "waitfile=" + directory_.path() + "/job/requests", "kill=9"});
  AwaitJob();
  const Output output = Command("--wait " + setting_.job_directory);
  EXPECT_EQ(output.code, kCheckpointNoJob);
  ASSERT_TRUE(rank.ReadAll());
}

TEST_F(CheckpointRequestTest, NobodyAnswers) {
  // The service is not known yet: rank 0 is still in MPI_Init.
  FakeRank rank(setting_, {"start", "attach", "waitfile=" + directory_.path() + "/go", "kill=9"});
  AwaitJob();
  const Output output = Command("--timeout 0.1 " + setting_.job_directory);
  EXPECT_EQ(output.code, kCheckpointTimeout);
  EXPECT_THAT(output.text, HasSubstr("--timeout"));
  EXPECT_TRUE(std::filesystem::is_empty(RequestDirectory(setting_.job_directory)));
  std::ofstream(directory_.path() + "/go") << "";
  ASSERT_TRUE(rank.ReadAll());
}

TEST_F(CheckpointRequestTest, WrongCommandLines) {
  EXPECT_EQ(Command("--timeout soon .").code, kCheckpointWrong);
  EXPECT_EQ(Command("--timeout -1 .").code, kCheckpointWrong);
  EXPECT_EQ(Command("--no-such-option").code, kCheckpointWrong);
  EXPECT_EQ(Command("/no/such/directory").code, kCheckpointWrong);
  const Output empty = Command(directory_.path());
  EXPECT_EQ(empty.code, kCheckpointWrong);
  EXPECT_THAT(empty.text, HasSubstr("job.json"));
  EXPECT_EQ(Command("--version").code, 0);
}

TEST_F(CheckpointRequestTest, AJobThatIsGoneIsNotAsked) {
  {
    FakeRank rank(setting_, {"start", "attach", "checkpoints=1", "kill=9"});
    ASSERT_TRUE(rank.ReadAll());
    rank.Wait();
  }
  JobDescription job = ReadJobDescription(setting_.job_directory);
  char node[256] = {0};
  gethostname(node, sizeof node - 1);
  job.ranks[0].node = node;  // of a process that is no more
  WriteJobDescription(setting_.job_directory, job);
  const Output output = Command(setting_.job_directory);
  EXPECT_EQ(output.code, kCheckpointNoJob);
  EXPECT_THAT(output.text, HasSubstr("not running"));
}

}  // namespace
}  // namespace ftmpi::recovery
