// The companion process with a process that plays the rank: what reaches the outside world, and
// what stays in the job directory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "logging/environment.h"
#include "logging/event_log.h"
#include "recovery/job_directory.h"
#include "tests/recovery/companion_test_util.h"

namespace ftmpi::recovery {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr std::uint64_t kJob = 0xabcdef0123456789;  // as the fake rank says

std::string Numbers(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += std::to_string(i) + "\n";
  return text;
}

std::set<std::string> NamesIn(const std::string& directory) {
  std::set<std::string> names;
  if (!std::filesystem::exists(directory)) return names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.insert(entry.path().filename());
  }
  return names;
}

class CompanionTest : public testing::Test {
 protected:
  CompanionTest() {
    setting_.job_directory = directory_.path() + "/job";
    setting_.local_directory = directory_.path() + "/local";
    std::filesystem::create_directory(setting_.local_directory);
  }
  [[nodiscard]] std::string File(const std::string& name) const {
    return directory_.path() + "/" + name;
  }
  [[nodiscard]] ReleasedOutput Released(int rank = 0) const {
    const auto released =
        ReadReleasedOutput(ReleasedPath(setting_.job_directory, rank), kJob, rank);
    if (!released) throw std::runtime_error("nothing recorded");
    return *released;
  }
  void AwaitFile(const std::string& name) const {
    while (!std::filesystem::exists(File(name))) poll(nullptr, 0, 1);
  }
  void NextEpoch() {
    ++setting_.epoch;
    std::filesystem::remove_all(setting_.local_directory);
    std::filesystem::create_directory(setting_.local_directory);
  }

  TemporaryDirectory directory_;
  FakeRank::Setting setting_;
};

TEST_F(CompanionTest, PassesOnOutputAndCleansUp) {
  FakeRank rank(setting_, {"start", "out=before\n", "attach", "out=after\n", "err=error\n",
                           "finalize", "out=end\n", "exit=0"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "before\nafter\nend\n");
  EXPECT_EQ(rank.err, "error\n");
  EXPECT_EQ(rank.Wait(), 0);
  EXPECT_FALSE(std::filesystem::exists(setting_.job_directory));
  EXPECT_FALSE(std::filesystem::exists(setting_.local_directory));
}

TEST_F(CompanionTest, RemovesOnlyItsOwnFiles) {
  std::filesystem::create_directory(setting_.job_directory);
  std::ofstream(setting_.job_directory + "/notes.txt") << "mine";
  std::ofstream(setting_.local_directory + "/rankings.txt") << "mine";
  std::ofstream(setting_.local_directory + "/rank-7.status") << "another job's";
  FakeRank rank(setting_, {"start", "attach", "finalize", "exit=0"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(NamesIn(setting_.job_directory), std::set<std::string>{"notes.txt"});
  EXPECT_EQ(NamesIn(setting_.local_directory),
            (std::set<std::string>{"rankings.txt", "rank-7.status"}));
}

TEST_F(CompanionTest, RefusesTheDirectoryOfAnotherJob) {
  {
    FakeRank first(setting_, {"start", "attach", "kill=9"});
    ASSERT_TRUE(first.ReadAll());
  }
  const auto before = ReadJobDescription(setting_.job_directory);
  FakeRank second(setting_, {"start", "attach", "finalize"});
  ASSERT_TRUE(second.ReadAll());
  EXPECT_THAT(second.err, HasSubstr("FT_DIR"));
  EXPECT_NE(second.Wait(), 0);
  EXPECT_EQ(ReadJobDescription(setting_.job_directory), before);
}

TEST_F(CompanionTest, KeepsEverythingWhenAsked) {
  setting_.environment["FT_KEEP"] = "1";
  FakeRank rank(setting_, {"start", "attach", "lines=10", "finalize", "exit=0"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(ReadJobDescription(setting_.job_directory).state, JobState::kFinished);
  EXPECT_EQ(Released().stdout_bytes, 20U);
}

TEST_F(CompanionTest, DescribesTheJob) {
  FakeRank rank(setting_, {"start", "attach=optimistic", "kill=9"});
  ASSERT_TRUE(rank.ReadAll());
  const JobDescription job = ReadJobDescription(setting_.job_directory);
  EXPECT_EQ(job.job, kJob);
  EXPECT_EQ(job.np, 1);
  EXPECT_EQ(job.mode, "optimistic");
  EXPECT_EQ(job.ranks[0].node, "nodea");
  EXPECT_EQ(job.ranks[0].pid, rank.pid());
  EXPECT_EQ(job.program, (std::vector<std::string>{COMPANION_FAKE_RANK, "start",
                                                   "attach=optimistic", "kill=9"}));
  EXPECT_EQ(job.executable, std::filesystem::canonical(COMPANION_FAKE_RANK));
  EXPECT_EQ(job.build_id, BuildIdOf(COMPANION_FAKE_RANK));
  EXPECT_EQ(job.working_directory, std::filesystem::current_path());
  EXPECT_EQ(job.state, JobState::kRunning);
  bool launcher = false;
  bool own = false;
  for (const auto& [name, value] : job.environment) {
    launcher = launcher || name.starts_with("OMPI_COMM_WORLD");
    own = own || (name == "TEST_NODES" && value == "a");
  }
  EXPECT_FALSE(launcher);
  EXPECT_TRUE(own);
}

TEST_F(CompanionTest, HoldsBackWhatIsNotCommittable) {
  FakeRank rank(setting_, {"start", "attach", "out=0\n", "sync", "interval=3", "out=3\n", "waiting",
                           "touch=" + File("held"), "waitfile=" + File("go"), "committable=2",
                           "sync", "touch=" + File("still"), "waitfile=" + File("on"),
                           "committable=3", "nowaiting", "finalize", "exit=0"});
  ASSERT_TRUE(rank.ReadUntil([&] { return rank.out.size() >= 2; }));
  AwaitFile("held");
  EXPECT_EQ(rank.out, "0\n");
  std::ofstream(File("go")) << "";
  AwaitFile("still");
  EXPECT_EQ(Released().stdout_bytes, 2U);
  std::ofstream(File("on")) << "";
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "0\n3\n");
}

TEST_F(CompanionTest, WhatIsNotCommittableIsNotShownWhenTheRankIsLost) {
  FakeRank rank(setting_, {"start", "attach", "out=shown\n", "sync", "interval=1", "out=never\n",
                           "waiting", "kill=9"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "shown\n");
  EXPECT_EQ(Released().stdout_bytes, 6U);
}

TEST_F(CompanionTest, PollFailuresHoldOutputUntilTheyAreInADeterminant) {
  FakeRank rank(setting_, {"start", "attach", "pollfailures=2", "out=x\n", "waiting", "interval=1",
                           "pollfailures=0", "committable=1", "nowaiting", "pollfailures=1",
                           "out=y\n", "waiting", "kill=9"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "x\n");
}

TEST_F(CompanionTest, ALostRankSaysSoAndRecoveryContinuesItsOutput) {
  {
    FakeRank rank(setting_, {"start", "attach", "lines=5", "err=oops\n", "kill=9"});
    ASSERT_TRUE(rank.ReadAll());
    EXPECT_EQ(rank.out, Numbers(5));
    EXPECT_THAT(rank.err, StartsWith("oops\nftmpi: rank 0 (pid " + std::to_string(rank.pid()) +
                                     " on nodea) was lost: killed by signal 9"));
    EXPECT_THAT(rank.err, HasSubstr("mpi-ft-recover " + setting_.job_directory + "\n"));
    const auto lost = ReadRankEnd(LostPath(setting_.job_directory, 0, 0), kJob);
    ASSERT_TRUE(lost.has_value());
    EXPECT_EQ(lost->end, RankEnd::kLost);
    EXPECT_EQ(lost->node, "nodea");
  }
  NextEpoch();
  FakeRank rank(setting_, {"start", "lines=3", "attach", "lines=12", "err=oops\n", "err=no\n",
                           "finalize", "exit=0"});
  ASSERT_TRUE(rank.ReadAll());
  // "0 1 2 0 1" are the first ten bytes, which were shown as "0 1 2 3 4".
  EXPECT_EQ(rank.out, (Numbers(3) + Numbers(12)).substr(10));
  EXPECT_THAT(rank.err, AllOf(HasSubstr("no\n"), Not(HasSubstr("oops"))));
  EXPECT_THAT(rank.err, HasSubstr("rank 0: what the program printed on standard output before"));
  EXPECT_THAT(rank.err, Not(HasSubstr("standard error before")));
}

TEST_F(CompanionTest, RecoveryOfADeterministicProgramWarnsOfNothing) {
  {
    FakeRank rank(setting_, {"start", "attach", "lines=500", "kill=9"});
    ASSERT_TRUE(rank.ReadAll());
  }
  NextEpoch();
  {
    FakeRank rank(setting_, {"start", "attach", "lines=600", "kill=9"});
    ASSERT_TRUE(rank.ReadAll());
    EXPECT_EQ(Numbers(500) + rank.out, Numbers(600));
    EXPECT_THAT(rank.err, Not(HasSubstr("what it prints now")));
  }
  NextEpoch();
  FakeRank rank(setting_, {"start", "attach", "lines=700", "finalize", "exit=0"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(Numbers(600) + rank.out, Numbers(700));
  EXPECT_THAT(rank.err, IsEmpty());
}

TEST_F(CompanionTest, KilledWhileTheOutputIsBeingSwallowed) {
  {
    FakeRank rank(setting_, {"start", "attach", "lines=500", "kill=9"});
    ASSERT_TRUE(rank.ReadAll());
  }
  NextEpoch();
  {
    FakeRank rank(setting_, {"start", "attach", "lines=100", "kill=9"});
    ASSERT_TRUE(rank.ReadAll());
    EXPECT_THAT(rank.out, IsEmpty());
  }
  NextEpoch();
  FakeRank rank(setting_, {"start", "attach", "lines=700", "finalize", "exit=0"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(Numbers(500) + rank.out, Numbers(700));
  EXPECT_THAT(rank.err, IsEmpty());
}

TEST_F(CompanionTest, KilledAtAnyMomentTheOutputIsThatOfARunWithoutFailure) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string expected = Numbers(20000);
  for (int round = 0; round < 20; ++round) {
    TemporaryDirectory directory;
    setting_.job_directory = directory.path() + "/job";
    setting_.local_directory = directory.path();
    setting_.epoch = 0;
    setting_.terminal = round % 2 == 1;
    std::string shown;
    for (int failure = 0; failure < 2; ++failure) {
      const std::size_t at = std::uniform_int_distribution<std::size_t>(0, 40000)(random);
      FakeRank rank(setting_, {"start", "attach", "lines=20000", "waitfile=/never"});
      ASSERT_TRUE(rank.ReadUntil([&] {
        return rank.out.size() >= at || shown.size() + rank.out.size() == expected.size();
      }));
      rank.Kill(SIGKILL);
      ASSERT_TRUE(rank.ReadAll());
      shown += rank.out;
      ASSERT_EQ(shown, expected.substr(0, shown.size()));
      ASSERT_EQ(Released().stdout_bytes, shown.size());
      ++setting_.epoch;
    }
    FakeRank rank(setting_, {"start", "attach", "lines=20000", "finalize", "exit=0"});
    ASSERT_TRUE(rank.ReadAll());
    ASSERT_EQ(shown + rank.out, expected);
    ASSERT_EQ(rank.err, "");
  }
}

TEST_F(CompanionTest, WhatNobodyReadFromThePipeIsNotCountedAsShown) {
  FakeRank rank(setting_, {"start", "attach", "lines=3000", "sync", "touch=" + File("written"),
                           "waitfile=" + File("go"), "kill=9"});
  AwaitFile("written");
  EXPECT_GT(Released().stdout_bytes, 10000U);
  rank.CloseOutput();
  std::ofstream(File("go")) << "";
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(Released().stdout_bytes, 0U);
}

TEST_F(CompanionTest, ATerminalStaysATerminal) {
  setting_.terminal = true;
  FakeRank rank(setting_, {"start", "attach", "isatty", "out=tab\there\r\n", "lines=5000",
                           "finalize", "exit=0"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "terminal\ntab\there\r\n" + Numbers(5000));
}

TEST_F(CompanionTest, APipeStaysNoTerminal) {
  FakeRank rank(setting_, {"start", "attach", "isatty", "finalize", "exit=0"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "no terminal\n");
}

TEST_F(CompanionTest, OutputAndErrorInOnePipeKeepTheirOrder) {
  setting_.merged = true;
  FakeRank rank(setting_, {"start", "attach", "out=1\n", "err=2\n", "out=3\n", "err=4\n", "out=5\n",
                           "finalize", "exit=0"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "1\n2\n3\n4\n5\n");
}

TEST_F(CompanionTest, AGrandchildThatHoldsTheOutputDelaysNothing) {
  FakeRank rank(setting_,
                {"start", "attach", "grandchild=" + File("release"), "out=x\n", "kill=9"});
  ASSERT_TRUE(rank.ReadAll());  // the original pipes are closed although the grandchild lives
  EXPECT_EQ(rank.out, "x\n");
  EXPECT_THAT(rank.err, HasSubstr("was lost"));
  std::ofstream(File("release")) << "";
}

TEST_F(CompanionTest, LeavesNoTraceInTheRanksProcessTable) {
  FakeRank rank(setting_, {"start", "children", "next", "finalize"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "no child\nsame\n");
}

TEST_F(CompanionTest, AChildOfTheRankIsNotTheRank) {
  FakeRank rank(setting_, {"start", "attach", "shell=" COMPANION_FAKE_RANK " looks", "finalize"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "no rank\n");
}

TEST_F(CompanionTest, ARankThatExecutesItselfAnewKeepsItsCompanion) {
  FakeRank rank(setting_, {"start", "out=one\n", "exec", "start", "out=two\n", "attach",
                           "out=three\n", "sync", "kill=9"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "one\ntwo\nthree\n");
  EXPECT_EQ(Released().stdout_bytes, 14U);
}

TEST_F(CompanionTest, BigOutput) {
  FakeRank rank(setting_, {"start", "attach", "blocks=1600", "finalize", "exit=0"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out.size(), 1600U * 65536);
  EXPECT_EQ(rank.out.find_first_not_of('b'), std::string::npos);
}

TEST_F(CompanionTest, BigOutputThatIsHeldBackGoesToDiskInOrder) {
  FakeRank rank(setting_, {"start", "attach", "interval=1", "lines=1000", "blocks=1600",
                           "lines=1000", "waiting", "committable=1", "finalize", "exit=0"});
  ASSERT_TRUE(rank.ReadAll());
  const std::string expected = Numbers(1000) + std::string(1600U * 65536, 'b') + Numbers(1000);
  EXPECT_EQ(rank.out.size(), expected.size());
  EXPECT_TRUE(rank.out == expected);
}

TEST_F(CompanionTest, ProgramThatEndsItselfIsHeard) {
  FakeRank rank(setting_, {"start", "attach", "interval=5", "err=bad input\n", "exit=3"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_THAT(rank.err, StartsWith("bad input\nftmpi: rank 0 (pid "));
  EXPECT_THAT(rank.err, HasSubstr("ended itself: exit(3) before MPI_Finalize"));
  const auto lost = ReadRankEnd(LostPath(setting_.job_directory, 0, 0), kJob);
  ASSERT_TRUE(lost.has_value());
  EXPECT_EQ(lost->end, RankEnd::kExited);
  EXPECT_EQ(lost->exit_code, 3);
  EXPECT_EQ(WEXITSTATUS(rank.Wait()), 3);
}

TEST_F(CompanionTest, ExitCodeAfterFinalizeIsNoSuccess) {
  FakeRank rank(setting_, {"start", "attach", "finalize", "exit=2"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_THAT(rank.err, HasSubstr("exit(2) after MPI_Finalize"));
  EXPECT_TRUE(std::filesystem::exists(JobFilePath(setting_.job_directory)));
}

TEST_F(CompanionTest, Abort) {
  FakeRank rank(setting_, {"start", "attach", "interval=5", "out=last words\n", "abort=7"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "last words\n");
  EXPECT_THAT(rank.err, HasSubstr("the program called MPI_Abort(7) at rank 0"));
}

TEST_F(CompanionTest, LostAfterFinalizeIsLost) {
  FakeRank rank(setting_, {"start", "attach", "finalize", "kill=9"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_THAT(rank.err, HasSubstr("after MPI_Finalize"));
  EXPECT_TRUE(std::filesystem::exists(JobFilePath(setting_.job_directory)));
}

TEST_F(CompanionTest, ARankThatIsToldToEndIsASurvivor) {
  setting_.nodes = "aa";
  FakeRank first(setting_, {"start", "attach", "touch=" + File("a"), "waitfile=/never"});
  setting_.rank = 1;
  FakeRank second(setting_, {"start", "attach", "touch=" + File("b"), "waitfile=/never"});
  while (!std::filesystem::exists(File("a")) || !std::filesystem::exists(File("b"))) {
    poll(nullptr, 0, 1);
  }
  second.Kill(SIGKILL);
  ASSERT_TRUE(second.ReadAll());
  first.Kill(SIGCONT);
  first.Kill(SIGTERM);
  ASSERT_TRUE(first.ReadAll());
  EXPECT_EQ(WTERMSIG(first.Wait()), SIGTERM);
  EXPECT_EQ(first.err, "");
  EXPECT_THAT(second.err, HasSubstr("rank 1 (pid"));
  EXPECT_TRUE(ReadRankEnd(SurvivorPath(setting_.job_directory, 0, 0), kJob).has_value());
  EXPECT_TRUE(ReadRankEnd(LostPath(setting_.job_directory, 0, 1), kJob).has_value());
}

TEST_F(CompanionTest, NothingIsShownAfterTheNoticeOfTheEnd) {
  FakeRank rank(setting_, {"start", "attach", "out=1\n", "sync", "interval=1", "out=2\n", "waiting",
                           "touch=" + File("a"), "waitfile=" + File("b"), "committable=1",
                           "waitfile=/never"});
  AwaitFile("a");
  rank.Kill(SIGCONT);
  while (!std::filesystem::exists(setting_.job_directory + "/epoch-0/alive-0")) poll(nullptr, 0, 1);
  std::ofstream(File("b")) << "";
  rank.Kill(SIGTERM);
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "1\n");
  EXPECT_EQ(Released().stdout_bytes, 2U);
}

TEST_F(CompanionTest, SurvivorsNameTheRanksOfASilentNode) {
  setting_.nodes = "abba";
  std::vector<std::unique_ptr<FakeRank>> ranks;
  for (const int rank : {0, 3}) {  // node b is silent
    setting_.rank = rank;
    ranks.push_back(std::make_unique<FakeRank>(
        setting_,
        std::vector<std::string>{"start", "attach", "touch=" + File("up" + std::to_string(rank)),
                                 "waitfile=/never"}));
    while (!std::filesystem::exists(File("up" + std::to_string(rank)))) poll(nullptr, 0, 1);
  }
  for (auto& rank : ranks) rank->Kill(SIGTERM);
  for (auto& rank : ranks) ASSERT_TRUE(rank->ReadAll());
  EXPECT_EQ(ranks[0]->err,
            "ftmpi: ranks 1, 2 lost: node nodeb (ranks 1, 2) no longer answers. To "
            "recover type: mpi-ft-recover " +
                setting_.job_directory + "\n");
  EXPECT_EQ(ranks[1]->err, "");
}

TEST_F(CompanionTest, TheLastRankCleansUp) {
  setting_.nodes = "aab";
  std::vector<std::unique_ptr<FakeRank>> ranks;
  for (int rank = 0; rank < 3; ++rank) {
    setting_.rank = rank;
    ranks.push_back(std::make_unique<FakeRank>(
        setting_, std::vector<std::string>{
                      "start", "attach", "touch=" + File("up" + std::to_string(rank)),
                      "waitfile=" + File("end" + std::to_string(rank)), "finalize", "exit=0"}));
    while (!std::filesystem::exists(File("up" + std::to_string(rank)))) poll(nullptr, 0, 1);
  }
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_TRUE(std::filesystem::exists(JobFilePath(setting_.job_directory)));
    EXPECT_TRUE(std::filesystem::exists(setting_.local_directory + "/rank-0.status"));
    std::ofstream(File("end" + std::to_string(rank))) << "";
    EXPECT_EQ(ranks[static_cast<std::size_t>(rank)]->Wait(), 0);
  }
  for (auto& rank : ranks) ASSERT_TRUE(rank->ReadAll());
  EXPECT_FALSE(std::filesystem::exists(setting_.job_directory));
  EXPECT_FALSE(std::filesystem::exists(setting_.local_directory));
}

TEST_F(CompanionTest, NothingIsRemovedWhenAnotherRankIsLostAfterwards) {
  setting_.nodes = "ab";
  FakeRank first(setting_, {"start", "attach", "finalize", "exit=0"});
  EXPECT_EQ(first.Wait(), 0);
  setting_.rank = 1;
  FakeRank second(setting_, {"start", "attach", "kill=9"});
  ASSERT_TRUE(second.ReadAll());
  ASSERT_TRUE(first.ReadAll());
  EXPECT_TRUE(std::filesystem::exists(JobFilePath(setting_.job_directory)));
  EXPECT_TRUE(std::filesystem::exists(setting_.local_directory + "/rank-0.status"));
}

TEST_F(CompanionTest, InputIsLoggedAndReplayed) {
  setting_.with_input = true;
  std::string shown;
  {
    FakeRank rank(setting_, {"start", "line", "attach", "line", "line", "waitfile=/never"});
    rank.Write("one\n");
    rank.Write("two\nthree\nfour\n");
    ASSERT_TRUE(rank.ReadUntil([&] { return rank.out.size() == 14; }));
    rank.Kill(SIGKILL);
    ASSERT_TRUE(rank.ReadAll());
    EXPECT_EQ(rank.out, "one\ntwo\nthree\n");
    shown = rank.out;
  }
  NextEpoch();
  {
    FakeRank rank(setting_, {"start", "line", "attach", "line", "line", "line", "line", "line",
                             "waitfile=/never"});
    ASSERT_TRUE(rank.ReadUntil([&] { return rank.out.size() == 5; }));
    rank.Write("five\n");
    rank.Write("six");
    rank.CloseInput();
    ASSERT_TRUE(rank.ReadUntil([&] { return rank.out.size() == 13; }));
    rank.Kill(SIGKILL);
    ASSERT_TRUE(rank.ReadAll());
    EXPECT_EQ(rank.out, "four\nfive\nsix");
    EXPECT_THAT(rank.err, Not(HasSubstr("what it prints now")));
    shown += rank.out;
  }
  NextEpoch();
  FakeRank rank(setting_, {"start", "attach", "cat", "out=end\n", "finalize", "exit=0"});
  ASSERT_TRUE(
      rank.ReadAll());  // the input's end is in the log: ours stays open, and nobody waits for it
  EXPECT_EQ(shown + rank.out, "one\ntwo\nthree\nfour\nfive\nsixend\n");
}

TEST_F(CompanionTest, LargeInputInOrder) {
  setting_.with_input = true;
  const std::string text = Numbers(200000);
  FakeRank rank(setting_, {"start", "attach", "cat", "finalize", "exit=0"});
  for (std::size_t at = 0; at < text.size(); at += 50000) {
    rank.Write(text.substr(at, 50000));
    ASSERT_TRUE(rank.ReadUntil([&] { return rank.out.size() >= std::min(at, text.size()); }));
  }
  rank.CloseInput();
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, text);
}

TEST_F(CompanionTest, DeterminantsReachStableStorage) {
  FakeRank rank(setting_,
                {"start", "attach=optimistic", "events=1000", "stable=1000", "events=7", "kill=9"});
  ASSERT_TRUE(rank.ReadAll());
  const logging::EventLogContents contents = logging::ReadEventBlocks(
      logging::Environment::Posix(), FlushedEventsPath(setting_.job_directory, 0, 0));
  // What the rank had logged when it was lost was still in its memory file, and was flushed after.
  ASSERT_EQ(contents.determinants.size(), 1007U);
  for (std::uint64_t i = 1; i <= 1007; ++i) {
    const logging::Determinant& determinant = contents.determinants[i - 1];
    ASSERT_EQ(determinant.index, i);
    ASSERT_EQ(determinant.value, 3 * i);
  }
}

TEST_F(CompanionTest, WithoutAJobNothingIsLeft) {
  FakeRank rank(setting_, {"start", "out=usage: ...\n", "exit=1"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "usage: ...\n");
  EXPECT_EQ(rank.err, "");
  EXPECT_EQ(WEXITSTATUS(rank.Wait()), 1);
  EXPECT_FALSE(std::filesystem::exists(setting_.job_directory));
}

TEST_F(CompanionTest, LostBeforeMpiInit) {
  FakeRank rank(setting_, {"start", "out=x\n", "kill=9"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "x\n");
  EXPECT_THAT(rank.err, HasSubstr("start the job again"));
}

// mpirun can hang when a process is lost so early: mpi-ft-recover must hear of it.
TEST_F(CompanionTest, LostBeforeMpiInitInARecovery) {
  {
    FakeRank rank(setting_, {"start", "attach", "kill=9"});
    ASSERT_TRUE(rank.ReadAll());
  }
  NextEpoch();
  std::filesystem::create_directories(EpochDirectory(setting_.job_directory, 1));
  FakeRank rank(setting_, {"start", "kill=9"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_THAT(rank.err, HasSubstr("was lost before MPI_Init had finished"));
  EXPECT_THAT(rank.err,
              HasSubstr("to recover type: mpi-ft-recover " + setting_.job_directory + "\n"));
  EXPECT_TRUE(std::filesystem::exists(UnbornPath(setting_.job_directory, 1, 0)));
}

TEST_F(CompanionTest, ADamagedCounterFileStopsTheRecovery) {
  {
    FakeRank rank(setting_, {"start", "attach", "lines=5", "kill=9"});
    ASSERT_TRUE(rank.ReadAll());
  }
  std::fstream file(ReleasedPath(setting_.job_directory, 0),
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(24);
  file.put('\x55');
  file.close();
  NextEpoch();
  FakeRank rank(setting_, {"start", "attach", "finalize"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_THAT(rank.err, HasSubstr("rank-0.released: damaged"));
  EXPECT_NE(rank.Wait(), 0);
}

}  // namespace
}  // namespace ftmpi::recovery
