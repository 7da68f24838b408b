#include "recovery/relaunch.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

#include "recovery/evidence.h"
#include "recovery/history.h"
#include "recovery/launcher_command.h"
#include "recovery/progress.h"
#include "tests/recovery/recover_test_util.h"

namespace ftmpi::recovery {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

TEST(LauncherCommand, KeepsWhatMattersDropsPlacement) {
  const LauncherCommand command = ParseLauncherCommand(
      {"mpirun", "-np", "4", "--host", "a:2,b:2", "--mca", "btl", "self,tcp", "-x", "FT_MODE", "-x",
       "A=b c", "--oversubscribe", "-tag-output", "--bind-to", "none", "./app", "-np", "x"});
  EXPECT_EQ(command.problem, "");
  EXPECT_THAT(command.kept,
              ElementsAre("--mca", "btl", "self,tcp", "-tag-output", "--bind-to", "none"));
  EXPECT_THAT(command.exported, ElementsAre("FT_MODE", "A"));
  EXPECT_THAT(command.program, ElementsAre("./app", "-np", "x"));
}

TEST(LauncherCommand, SaysWhatItDoesNotUnderstand) {
  EXPECT_THAT(ParseLauncherCommand({"mpirun", "--new-option", "x", "./app"}).problem,
              HasSubstr("--new-option"));
  EXPECT_THAT(ParseLauncherCommand({"mpirun", "-np"}).problem, HasSubstr("no value"));
  EXPECT_THAT(ParseLauncherCommand({"mpirun", "-np", "2"}).problem, HasSubstr("no program"));
  EXPECT_FALSE(ParseLauncherCommand({"mpirun"}).several_programs);
}

TEST(LauncherCommand, FindsSeveralPrograms) {
  EXPECT_TRUE(
      ParseLauncherCommand({"mpirun", "-np", "1", "./a", ":", "-np", "2", "./b"}).several_programs);
  EXPECT_TRUE(ParseLauncherCommand({"mpirun", "--app", "file"}).several_programs);
}

class LaunchTest : public ::testing::Test {
 protected:
  LaunchTest() : failed_(4) {
    JobDescription& job = failed_.job;
    job.environment = {{"FT_MODE", "causal"},
                       {"HOME", "/home/there"},
                       {"LD_PRELOAD", "/l/lib.so"},
                       {"OMPI_MCA_btl", "self,tcp"},
                       {"OWN", "a;b \"c\"\nd=e"}};
    options_.this_node = "here";
    options_.nodes = {"here", "here", "here", "here"};
    options_.job_directory = "/jobs/ftmpi-x";
    options_.epoch = 2;
    options_.hostfile = "/jobs/ftmpi-x/recovery/hostfile";
    options_.current = {{"PATH", "/usr/bin"},        {"SSH_AUTH_SOCK", "/s"}, {"NEW", "x"},
                        {"LD_PRELOAD", "/other.so"}, {"FTMPI_RANK_PID", "5"}, {"FT_MODE", "off"}};
  }
  // The arguments from the first `from` on.
  static std::string Text(const std::vector<std::string>& arguments) {
    std::string text;
    for (const std::string& each : arguments) text += each + "|";
    return text;
  }

  FailedJob failed_;
  RelaunchOptions options_;
};

TEST_F(LaunchTest, OnOneNodeWithTheRecordedEnvironment) {
  failed_.job.launcher_command = {"mpirun", "-np", "4", "--mca", "pml", "ob1", "./true", "1"};
  failed_.job.launcher_directory = "/started/here";
  options_.extra = {"--report-bindings"};
  const Launch launch = MakeLaunch(failed_.job, options_);
  EXPECT_EQ(launch.hostfile, "");
  EXPECT_EQ(launch.directory, "/started/here");
  const std::string text = Text(launch.arguments);
  EXPECT_THAT(text, ::testing::StartsWith("mpirun|-np|4|--oversubscribe|--mca|pml|ob1|"));
  EXPECT_THAT(text, ::testing::EndsWith("|--report-bindings|./true|1|"));
  EXPECT_THAT(text, HasSubstr("|--wdir|" + failed_.job.working_directory + "|"));
  for (const auto& each : failed_.job.environment) EXPECT_THAT(launch.environment, Contains(each));
  EXPECT_THAT(launch.environment, Contains(Pair("SSH_AUTH_SOCK", "/s")));
  EXPECT_THAT(launch.environment, Contains(Pair("FTMPI_JOBDIR", "/jobs/ftmpi-x")));
  EXPECT_THAT(launch.environment, Contains(Pair("FTMPI_RECOVER_EPOCH", "2")));
  EXPECT_THAT(launch.environment, Not(Contains(Pair("NEW", "x"))));
  EXPECT_THAT(launch.environment, Not(Contains(Pair("FTMPI_RANK_PID", ::testing::_))));
}

TEST_F(LaunchTest, OnSeveralNodesEachRankToItsPlace) {
  failed_.job.launcher_command = {"/opt/bin/mpirun", "-x", "OWN", "./true"};
  options_.nodes = {"n2", "here", "n1", "n2"};
  const Launch launch = MakeLaunch(failed_.job, options_);
  EXPECT_EQ(launch.hostfile, "n2\nhere\nn1\nn2\n");
  const std::string text = Text(launch.arguments);
  EXPECT_THAT(text, ::testing::StartsWith("/opt/bin/mpirun|-np|4|"));
  EXPECT_THAT(text, HasSubstr("|--map-by|seq|--hostfile|/jobs/ftmpi-x/recovery/hostfile|"));
  for (const char* name : {"OWN", "FT_MODE", "LD_PRELOAD", "FTMPI_JOBDIR", "FTMPI_RECOVER_EPOCH"}) {
    EXPECT_THAT(text, HasSubstr(std::string("|-x|") + name + "|"));
  }
  EXPECT_THAT(text, Not(HasSubstr("|-x|HOME|")));
}

TEST_F(LaunchTest, WithoutTheRecordedLauncherTheRanksGetTheirVariablesByName) {
  const Launch launch = MakeLaunch(failed_.job, options_);
  const std::string text = Text(launch.arguments);
  EXPECT_THAT(text, HasSubstr("|-x|OWN=a;b \"c\"\nd=e|"));
  EXPECT_THAT(text, HasSubstr("|-x|LD_PRELOAD=/l/lib.so|"));
  EXPECT_THAT(text, HasSubstr("|-x|FT_MODE=causal|"));
  EXPECT_THAT(text, Not(HasSubstr("HOME=")));
  EXPECT_THAT(text, ::testing::EndsWith("|true|an argument|"));
  EXPECT_THAT(launch.environment, Contains(Pair("OMPI_MCA_btl", "self,tcp")));
  EXPECT_THAT(launch.environment, Contains(Pair("NEW", "x")));
  EXPECT_THAT(launch.environment, Not(Contains(Pair("LD_PRELOAD", ::testing::_))));
  EXPECT_THAT(launch.environment, Not(Contains(Pair("FT_MODE", ::testing::_))));
  EXPECT_THAT(launch.environment, Not(Contains(Pair("FTMPI_RANK_PID", ::testing::_))));
}

TEST_F(LaunchTest, SeveralProgramsAreRefused) {
  failed_.job.launcher_command = {"mpirun", "./a", ":", "./b"};
  EXPECT_THROW(MakeLaunch(failed_.job, options_), RecoveryError);
}

TEST_F(LaunchTest, UnknownOptionsAreRemarked) {
  failed_.job.launcher_command = {"mpirun", "--strange", "./a"};
  const Launch launch = MakeLaunch(failed_.job, options_);
  EXPECT_THAT(launch.remarks, ElementsAre(HasSubstr("--strange")));
  EXPECT_THAT(Text(launch.arguments), ::testing::EndsWith("|true|an argument|"));
}

Launch Shell(const std::string& script) {
  Launch launch;
  launch.arguments = {"sh", "-c", script};
  launch.environment = CurrentEnvironment();
  return launch;
}

// Signals are blocked as in mpi-ft-recover, and unblocked again for the other tests.
class WatchTest : public ::testing::Test {
 protected:
  WatchTest() {
    sigprocmask(SIG_BLOCK, nullptr, &before_);
    BlockSignals();
  }
  ~WatchTest() override { sigprocmask(SIG_SETMASK, &before_, nullptr); }

  sigset_t before_{};
};

TEST_F(WatchTest, GivesTheProgramsExitCode) {
  EXPECT_EQ(Watch(StartProgram(Shell("exit 7")), {}).exit_code, 7);
  EXPECT_EQ(Watch(StartProgram(Shell("exit 0")), {}).exit_code, 0);
  EXPECT_EQ(Watch(StartProgram(Shell("kill -SEGV $$")), {}).exit_code, 128 + SIGSEGV);
}

TEST_F(WatchTest, ProgramThatIsNotThere) {
  Launch launch;
  launch.arguments = {"/nowhere/mpirun"};
  try {
    StartProgram(launch);
    FAIL();
  } catch (const RecoveryError& error) {
    EXPECT_THAT(error.what(), HasSubstr("/nowhere/mpirun"));
  }
  launch = Shell("exit 0");
  launch.directory = "/nowhere";
  EXPECT_THROW(StartProgram(launch), RecoveryError);
}

TEST_F(WatchTest, EndsAProgramWhoseRanksAreGone) {
  WatchOptions options;
  options.tick = [] { return true; };
  options.grace = std::chrono::seconds(1);
  const WatchResult result = Watch(StartProgram(Shell("exec sleep 1000")), options);
  EXPECT_TRUE(result.ended_by_watchdog);
  EXPECT_EQ(result.exit_code, 128 + SIGTERM);
}

TEST_F(WatchTest, LeavesAProgramAloneWhoseRanksLive) {
  WatchOptions options;
  std::atomic<int> ticks = 0;
  options.tick = [&] {
    ++ticks;
    return false;
  };
  options.grace = std::chrono::seconds(0);
  const TemporaryDirectory directory;
  const std::string fifo = directory / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const pid_t program = StartProgram(Shell("read line < " + fifo + "; exit 3"));
  std::thread writer([&] {
    while (ticks < 3) std::this_thread::yield();
    std::ofstream(fifo) << "go\n";
  });
  const WatchResult result = Watch(program, options);
  writer.join();
  EXPECT_FALSE(result.ended_by_watchdog);
  EXPECT_EQ(result.exit_code, 3);
}

TEST_F(WatchTest, PassesSignalsOn) {
  const TemporaryDirectory directory;
  const std::string fifo = directory / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const pid_t program = StartProgram(
      Shell("trap 'exit 9' TERM; echo ready > " + fifo + "; while :; do sleep 0.1; done"));
  std::thread sender([&] {
    std::string line;
    std::ifstream stream(fifo);
    std::getline(stream, line);
    kill(getpid(), SIGTERM);
  });
  const WatchResult result = Watch(program, {});
  sender.join();
  EXPECT_EQ(result.exit_code, 9);
  EXPECT_EQ(result.forwarded_signal, SIGTERM);
}

TEST(Progress, AddsUpTheRanks) {
  FailedJob failed(3);
  std::filesystem::create_directory(EpochDirectory(failed.directory(), 1));
  const auto running = static_cast<std::uint32_t>(logging::RankPhase::kRunning);
  WriteReplayProgress(ProgressPath(failed.directory(), 1, 0), kJob, 0, {10, 10, running});
  WriteReplayProgress(ProgressPath(failed.directory(), 1, 1), kJob, 1, {3, 20, running});
  const ProgressState state = ReadProgress(failed.directory(), kJob, 1, {10, 20, 30});
  EXPECT_EQ(state.done, 13U);
  EXPECT_EQ(state.total, 60U);
  EXPECT_EQ(state.ranks_done, 1);
  EXPECT_FALSE(state.complete());
}

TEST(Progress, BarFitsTheTerminal) {
  const ProgressState state{.done = 50, .total = 100, .ranks_done = 0, .ranks = 2};
  EXPECT_THAT(ProgressBar(state, 80), HasSubstr("####"));
  EXPECT_THAT(ProgressBar(state, 80), HasSubstr(" 50 %"));
  for (int columns = 1; columns < 100; ++columns) {
    EXPECT_LT(static_cast<int>(ProgressBar(state, columns).size()), columns);
  }
  const std::string bar = ProgressBar(state, 80);
  EXPECT_EQ(std::count(bar.begin(), bar.end(), '#'), std::count(bar.begin(), bar.end(), '.'));
}

TEST(Progress, LinesComeEveryTwoSecondsAndOneAtTheEnd) {
  ProgressDisplay display(false, 80);
  ProgressState state{.done = 1, .total = 4, .ranks_done = 0, .ranks = 1};
  const ProgressDisplay::Clock::time_point start{};
  EXPECT_EQ(display.Update(state, start), "");
  EXPECT_EQ(display.Update(state, start + std::chrono::milliseconds(1900)), "");
  EXPECT_THAT(display.Update(state, start + std::chrono::seconds(2)), HasSubstr("1 of 4 events"));
  EXPECT_EQ(display.Update(state, start + std::chrono::seconds(3)), "");
  state = {.done = 4, .total = 4, .ranks_done = 1, .ranks = 1};
  EXPECT_THAT(display.Update(state, start + std::chrono::seconds(3)), HasSubstr("4 of 4 events"));
  EXPECT_TRUE(display.finished());
  EXPECT_EQ(display.Update(state, start + std::chrono::seconds(9)), "");
}

TEST(History, SamePointNeedsTheSamePositionAndACrash) {
  EpochHistory before;
  before.positions = {{1, 0, 5, 0, 0}, {4, 2, 9, 100, 0}};
  before.lost = {1};
  EpochHistory last = before;
  EXPECT_EQ(DiesAtTheSamePoint(before, last), std::nullopt);  // how it ended is not known
  last.exit_code = 128 + SIGKILL;                             // somebody's doing
  EXPECT_EQ(DiesAtTheSamePoint(before, last), std::nullopt);
  last.exit_code = 128 + SIGSEGV;
  EXPECT_EQ(DiesAtTheSamePoint(before, last), 1);
  for (auto change : {&RankPosition::interval, &RankPosition::poll_failures,
                      &RankPosition::messages, &RankPosition::stdout_released}) {
    EpochHistory other = last;
    ++(other.positions[1].*change);
    EXPECT_EQ(DiesAtTheSamePoint(before, other), std::nullopt);
  }
  last.lost = {0};
  EXPECT_EQ(DiesAtTheSamePoint(before, last), std::nullopt);
}

TEST(History, ComesBackAsItWasWritten) {
  const FailedJob failed(2);
  std::filesystem::create_directory(failed.directory() + "/recovery");
  EpochHistory history;
  history.positions = {{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}};
  history.lost = {1};
  history.exit_code = 139;
  WriteHistory(failed.directory(), 4, history);
  EXPECT_EQ(ReadHistory(failed.directory(), 4), history);
  EXPECT_EQ(ReadHistory(failed.directory(), 5), std::nullopt);
  std::ofstream(failed.directory() + "/recovery/epoch-4.json") << "{";
  EXPECT_EQ(ReadHistory(failed.directory(), 4), std::nullopt);
}

}  // namespace
}  // namespace ftmpi::recovery
