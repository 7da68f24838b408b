// The feeder of standard input, with the test as the outside world and as the rank.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "recovery/companion_stdin.h"
#include "recovery/job_directory.h"
#include "tests/recovery/companion_temporary_directory.h"

namespace ftmpi::recovery {
namespace {

constexpr std::uint64_t kJob = 42;

// A feeder between two pipes.
class Feeding {
 public:
  Feeding() {
    int from[2];
    int to[2];
    if (pipe2(from, O_CLOEXEC) != 0 || pipe2(to, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    world_ = from[1];
    rank_ = to[0];
    fcntl(rank_, F_SETFL, O_NONBLOCK);
    feeder = std::make_unique<StdinFeeder>(from[0], to[1]);
  }
  ~Feeding() {
    EndInput();
    close(rank_);
  }
  void Input(const std::string& text) {
    ASSERT_EQ(write(world_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    feeder->Take();
    feeder->Feed();
  }
  void EndInput() {
    if (world_ >= 0) close(world_);
    world_ = -1;
  }
  // What the rank reads, at most so many bytes.
  std::string Read(std::size_t most) const {
    std::string text(most, '\0');
    const ssize_t got = read(rank_, text.data(), most);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }

  std::unique_ptr<StdinFeeder> feeder;

 private:
  int world_ = -1;
  int rank_ = -1;
};

class StdinFeederTest : public testing::Test {
 protected:
  std::string Path() const { return directory_.path() + "/stdin.log"; }
  TemporaryDirectory directory_;
};

TEST_F(StdinFeederTest, CountsWhatTheRankHasTaken) {
  Feeding feeding;
  feeding.feeder->StartLog(Path(), kJob);
  EXPECT_EQ(feeding.feeder->Taken(), 0U);
  feeding.Input("one\ntwo\n");
  EXPECT_EQ(feeding.feeder->Taken(), 0U);
  EXPECT_EQ(feeding.Read(4), "one\n");
  EXPECT_EQ(feeding.feeder->Taken(), 4U);
  feeding.Input("three\n");
  EXPECT_EQ(feeding.Read(100), "two\nthree\n");
  EXPECT_EQ(feeding.feeder->Taken(), 14U);
}

TEST_F(StdinFeederTest, CountsWhatWasReadBeforeThereWasALog) {
  Feeding feeding;
  feeding.Input("early\n");
  EXPECT_EQ(feeding.Read(2), "ea");
  feeding.feeder->StartLog(Path(), kJob);
  EXPECT_EQ(feeding.feeder->Taken(), 2U);
  feeding.Input("late\n");
  EXPECT_EQ(feeding.Read(100), "rly\nlate\n");
  EXPECT_EQ(feeding.feeder->Taken(), 11U);
}

TEST_F(StdinFeederTest, AtTheEndOfTheInputThePipeIsClosedAndCountedWhole) {
  Feeding feeding;
  feeding.feeder->StartLog(Path(), kJob);
  feeding.Input("last\n");
  feeding.EndInput();
  feeding.feeder->Take();
  feeding.feeder->Feed();
  EXPECT_LT(feeding.feeder->to(), 0);
  EXPECT_EQ(feeding.feeder->Taken(), 5U);
}

// Wherever a checkpoint fell: the rest of the input follows, and nothing twice.
TEST_F(StdinFeederTest, AReplayStartsWhereTheCheckpointWas) {
  const std::string text = "alpha\nbeta\ngamma\n";
  {
    Feeding feeding;
    feeding.feeder->StartLog(Path(), kJob);
    for (const char* piece : {"alpha\n", "beta\n", "gamma\n"}) feeding.Input(piece);
  }
  for (std::size_t start = 0; start <= text.size(); ++start) {
    Feeding feeding;
    feeding.feeder->Replay(Path(), kJob, start);
    feeding.feeder->Feed();
    EXPECT_EQ(feeding.feeder->Taken(), start);
    EXPECT_EQ(feeding.Read(100), text.substr(start));
    EXPECT_EQ(feeding.feeder->Taken(), text.size());
  }
}

TEST_F(StdinFeederTest, NewInputFollowsTheReplayedOne) {
  {
    Feeding feeding;
    feeding.feeder->StartLog(Path(), kJob);
    feeding.Input("before the failure\n");
  }
  Feeding feeding;
  feeding.feeder->Replay(Path(), kJob, 7);
  feeding.Input("behind it\n");
  EXPECT_EQ(feeding.Read(100), "the failure\nbehind it\n");
}

TEST_F(StdinFeederTest, ALogThatIsShorterThanTheCheckpointIsRefused) {
  {
    Feeding feeding;
    feeding.feeder->StartLog(Path(), kJob);
    feeding.Input("short\n");
  }
  Feeding feeding;
  try {
    feeding.feeder->Replay(Path(), kJob, 7);
    FAIL() << "was taken";
  } catch (const JobDirectoryError& error) {
    EXPECT_NE(std::string(error.what()).find("6 bytes of input, 7 were read"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace ftmpi::recovery
