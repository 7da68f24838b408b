// mpi-ft-recover as a user runs it, on hand-made job directories. In place of mpirun a script plays
// its part: it writes down how it was called, reaches "nodes" that are directories of this machine,
// and ends as the test says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "logging/replay_log.h"
#include "recovery/relaunch.h"
#include "recovery/replay_plan.h"
#include "tests/recovery/recover_test_util.h"

namespace ftmpi::recovery {
namespace {

using logging::Environment;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int kRefused = 125;

struct Result {
  int exit_code = -1;
  std::string output;
  std::string errors;
};

std::string Text(const std::string& path) {
  const std::vector<char> bytes = logging::ReadBytes(path);
  return {bytes.begin(), bytes.end()};
}

// All files below a directory with their content, but JOBDIR/recovery.
std::map<std::string, std::string> Snapshot(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (auto entry = std::filesystem::recursive_directory_iterator(directory);
       entry != std::filesystem::recursive_directory_iterator(); ++entry) {
    if (entry->path().filename() == "recovery") {
      entry.disable_recursion_pending();
    } else if (entry->is_regular_file()) {
      files[entry->path().string()] = Text(entry->path().string());
    }
  }
  return files;
}

class RecoverCommandTest : public ::testing::Test {
 protected:
  RecoverCommandTest() : failed_(2), mpirun_(failed_.temporary() / "mpirun") {
    failed_.Logs(0, 4, 6);
    failed_.Logs(1, 2, 3);
    failed_.End(0, RankEnd::kSurvivor, 4, 7);
    failed_.End(1, RankEnd::kLost, 2, 7);
    Mpirun("exit 0");
  }

  // What the script does once it has written down arguments, environment and standard input of a
  // start of the job. With --host it plays the start of a program on that node.
  void Mpirun(const std::string& action) const {
    const std::string at = failed_.temporary().path();
    std::ofstream(mpirun_) << R"(#!/bin/bash
at=)" << at << R"(
for ((i = 1; i <= $#; i++)); do
  if [ "${!i}" = --host ]; then
    i=$((i + 1)); node=${!i}; shift $((i + 1))  # behind --oversubscribe
    echo "$node" >> $at/asked
    [ -e $at/hangs-$node ] && exec sleep 1000
    [ -d $at/node-$node ] || { echo "ssh: connect to host $node: No route to host" >&2; exit 255; }
    exec "${@/#$at\/local/$at/node-$node}"
  fi
done
printf '%s\n' "$@" > $at/arguments
env > $at/environment
)" << action << "\n";
    std::filesystem::permissions(mpirun_, std::filesystem::perms::owner_all);
  }

  Result Recover(std::vector<std::string> options = {}, const std::string& directory = "") const {
    const std::string output = failed_.temporary() / "stdout";
    const std::string errors = failed_.temporary() / "stderr";
    Launch launch;
    launch.arguments = {"sh", "-c", "exec \"$@\" > " + output + " 2> " + errors + " < /dev/null",
                        "sh", FTMPI_TEST_RECOVER};
    if (directory != "-") {
      launch.arguments.push_back(directory.empty() ? failed_.directory() : directory);
    }
    options.insert(options.end(),
                   {"--mpirun", mpirun_, "--inventory-program", FTMPI_TEST_INVENTORY});
    launch.arguments.insert(launch.arguments.end(), options.begin(), options.end());
    launch.environment = CurrentEnvironment();
    launch.directory = failed_.temporary().path();
    int status = 0;
    waitpid(StartProgram(launch), &status, 0);
    return {ExitCodeOf(status), Text(output), Text(errors)};
  }

  // Refused with a message that has these parts; job and logs are untouched.
  void ExpectRefusal(const std::vector<std::string>& parts,
                     const std::vector<std::string>& options = {}) const {
    const auto before = Snapshot(failed_.directory());
    const auto local = Snapshot(failed_.local());
    const Result result = Recover(options);
    EXPECT_EQ(result.exit_code, kRefused) << result.errors;
    EXPECT_THAT(result.errors, StartsWith("mpi-ft-recover: "));
    for (const std::string& part : parts) EXPECT_THAT(result.errors, HasSubstr(part));
    EXPECT_EQ(result.output, "");
    EXPECT_FALSE(Started());
    EXPECT_EQ(Snapshot(failed_.directory()), before);
    EXPECT_EQ(Snapshot(failed_.local()), local);
  }

  bool Started() const { return std::filesystem::exists(failed_.temporary() / "arguments"); }
  std::vector<std::string> Lines(const std::string& name) const {
    std::istringstream stream(Text(failed_.temporary() / name));
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  }

  FailedJob failed_;
  std::string mpirun_;
};

TEST_F(RecoverCommandTest, DryRunShowsThePlanAndChangesNothing) {
  const auto before = Snapshot(failed_.directory());
  const Result result = Recover({"--dry-run"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("rank 1 on"));
  EXPECT_THAT(result.output, ::testing::ContainsRegex("0 .* initial state +4 +4 +3 +6\n"));
  EXPECT_THAT(result.output, ::testing::ContainsRegex("1 .* initial state +2 +2 +6 +3\n"));
  EXPECT_EQ(Snapshot(failed_.directory()), before);
  EXPECT_FALSE(Started());
}

TEST_F(RecoverCommandTest, JsonPlan) {
  const Result result = Recover({"--json"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  const auto plan = nlohmann::json::parse(result.output);
  EXPECT_EQ(plan["epoch"], 1);
  EXPECT_EQ(plan["ranks"][0]["events_to_replay"], 4);
  EXPECT_FALSE(Started());
}

TEST_F(RecoverCommandTest, StartsTheJobAgain) {
  Mpirun("echo from the program; exit 42");
  const Result result = Recover({"--mpirun-arg=--report-bindings", "--mpirun-arg=-q"});
  EXPECT_EQ(result.exit_code, 42) << result.errors;
  EXPECT_EQ(result.output, "from the program\n");
  EXPECT_THAT(result.errors, HasSubstr("recovery epoch 1"));
  const auto arguments = Lines("arguments");
  ASSERT_GE(arguments.size(), 4U);
  EXPECT_EQ(std::vector<std::string>(arguments.end() - 4, arguments.end()),
            (std::vector<std::string>{"--report-bindings", "-q", "true", "an argument"}));
  EXPECT_THAT(arguments, Contains("FROM_THE_JOB=some value"));
  EXPECT_THAT(Lines("environment"), Contains("FTMPI_RECOVER_EPOCH=1"));
  EXPECT_THAT(Lines("environment"), Contains("FTMPI_JOBDIR=" + failed_.directory()));
  EXPECT_EQ(ReadJobDescription(failed_.directory()).current_epoch(), 1U);
  const logging::ReplayLog log =
      logging::ReadReplayLog(Environment::Posix(), ReplayLogPath(failed_.directory(), 1, 0));
  EXPECT_EQ(log.recovered_interval, 4U);
  EXPECT_EQ(log.poll_failures, 7U);
  EXPECT_TRUE(log.payload_log_survives);
}

TEST_F(RecoverCommandTest, FindsTheJobInTheWorkingDirectory) {
  EXPECT_EQ(Recover({}, "-").exit_code, 0);
  EXPECT_TRUE(Started());
}

TEST_F(RecoverCommandTest, AgainAfterARecoveryThatDidNotComeUp) {
  Mpirun("exit 1");
  const Result first = Recover();
  EXPECT_EQ(first.exit_code, 1);
  EXPECT_THAT(first.errors, HasSubstr("type again: mpi-ft-recover " + failed_.directory()));
  Mpirun("exit 0");
  const Result second = Recover();
  EXPECT_EQ(second.exit_code, 0) << second.errors;
  EXPECT_EQ(ReadJobDescription(failed_.directory()).current_epoch(), 2U);
  const logging::ReplayLog log =
      logging::ReadReplayLog(Environment::Posix(), ReplayLogPath(failed_.directory(), 2, 0));
  EXPECT_EQ(log.recovered_interval, 4U);
  EXPECT_EQ(log.poll_failures, 7U);
}

TEST_F(RecoverCommandTest, AgainWithTheEventsOfTheRecovery) {
  EXPECT_EQ(Recover().exit_code, 0);
  failed_.job = ReadJobDescription(failed_.directory());
  WriteEvents(failed_.local(), 0, 1, 4, {Event(0, 5), Event(0, 6), Event(1, 3)});
  WriteEvents(failed_.local(), 1, 1, 2, {});
  failed_.End(0, RankEnd::kLost, 6);
  failed_.End(1, RankEnd::kSurvivor, 2);
  const Result result = Recover();
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  const auto log = [&](int rank) {
    return logging::ReadReplayLog(Environment::Posix(),
                                  ReplayLogPath(failed_.directory(), 2, rank));
  };
  EXPECT_EQ(log(0).recovered_interval, 6U);
  EXPECT_EQ(log(1).recovered_interval, 3U);
}

TEST_F(RecoverCommandTest, NoJobDirectory) {
  const Result missing = Recover({}, failed_.temporary() / "nothing");
  EXPECT_EQ(missing.exit_code, kRefused);
  EXPECT_THAT(missing.errors, HasSubstr("nothing"));
  const Result foreign = Recover({}, failed_.local());
  EXPECT_EQ(foreign.exit_code, kRefused);
  EXPECT_THAT(foreign.errors, HasSubstr("job.json"));
  EXPECT_FALSE(std::filesystem::exists(failed_.local() + "/recovery"));
  EXPECT_EQ(Recover({"--no-such-option"}).exit_code, kRefused);
}

TEST_F(RecoverCommandTest, TruncatedJobDescription) {
  const std::string path = JobFilePath(failed_.directory());
  const std::vector<char> whole = logging::ReadBytes(path);
  constexpr std::size_t kStep = 29;
  for (std::size_t length = 0; length + 1 < whole.size(); length += kStep) {
    logging::WriteBytes(path, {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)});
    ExpectRefusal({"job.json"}, {});
  }
}

TEST_F(RecoverCommandTest, AlteredJobDescription) {
  const std::string path = JobFilePath(failed_.directory());
  const std::vector<char> whole = logging::ReadBytes(path);
  constexpr std::size_t kStep = 31;
  for (std::size_t at = 0; at < whole.size(); at += kStep) {
    std::vector<char> altered = whole;
    altered[at] = static_cast<char>(altered[at] ^ 1);
    logging::WriteBytes(path, altered);
    ExpectRefusal({"job.json"});
  }
}

TEST_F(RecoverCommandTest, OtherBuildOfTheProgram) {
  failed_.job.build_id = "0123";
  failed_.Write();
  ExpectRefusal({failed_.job.executable, "another build", "0123"});
}

TEST_F(RecoverCommandTest, ProgramThatIsGone) {
  failed_.job.executable = "/nowhere/app";
  failed_.Write();
  ExpectRefusal({"/nowhere/app"});
}

TEST_F(RecoverCommandTest, JobThatEndedWell) {
  failed_.job.state = JobState::kFinished;
  failed_.Write();
  ExpectRefusal({"nothing to recover"});
  failed_.job.state = JobState::kRunning;
  failed_.Write();
  std::filesystem::remove(LostPath(failed_.directory(), 0, 1));
  failed_.End(0, RankEnd::kDone);
  failed_.End(1, RankEnd::kDone);
  ExpectRefusal({"nothing to recover"});
}

TEST_F(RecoverCommandTest, ProgramThatEndedItselfNeedsForce) {
  failed_.End(1, RankEnd::kAborted, 2, 0, 5);
  ExpectRefusal({"rank 1", "MPI_Abort", "5", "--force"});
  EXPECT_EQ(Recover({"--force"}).exit_code, 0);
  EXPECT_TRUE(Started());
}

TEST_F(RecoverCommandTest, ExitWithoutSuccessNeedsForce) {
  failed_.End(1, RankEnd::kExited, 2, 0, 3);
  ExpectRefusal({"rank 1", "exit code 3", "--force"});
}

class RunningJobTest : public RecoverCommandTest {
 protected:
  void RunRank0() const {
    WriteStatus(failed_.local(), 0, 0, 4, 7, getpid(),
                logging::ProcessStartTime(Environment::Posix(), getpid()).value());
  }
};

TEST_F(RunningJobTest, IsRefused) {
  RunRank0();
  std::filesystem::remove(LostPath(failed_.directory(), 0, 1));
  std::filesystem::remove(SurvivorPath(failed_.directory(), 0, 0));
  ExpectRefusal({"still runs", "rank 0", std::to_string(getpid())});
}

TEST_F(RunningJobTest, IsWaitedForWhenItIsEnding) {
  RunRank0();  // its failure is recorded, so it is about to be ended; but it isn't in time
  ExpectRefusal({"waiting for", "still runs"}, {"--wait", "1"});
}

TEST_F(RunningJobTest, RunningMpirunIsTheJobRunning) {
  failed_.job.launcher = {Environment::Posix()->HostName(), getpid(),
                          logging::ProcessStartTime(Environment::Posix(), getpid()).value()};
  failed_.Write();
  ExpectRefusal({"still runs", "mpirun"}, {"--wait", "0"});
}

TEST_F(RecoverCommandTest, AnotherRecoveryAtWork) {
  std::filesystem::create_directory(failed_.directory() + "/recovery");
  const std::string path = failed_.directory() + "/recovery/lock";
  std::ofstream(path) << "process 99, on otherhost\n";
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(flock(file, LOCK_EX), 0);
  ExpectRefusal({"another mpi-ft-recover", "process 99, on otherhost"});
  close(file);
  EXPECT_EQ(Recover().exit_code, 0);
}

TEST_F(RecoverCommandTest, DamagedReplayLogOfTheEpoch) {
  EXPECT_EQ(Recover().exit_code, 0);
  std::filesystem::remove(failed_.temporary() / "arguments");
  const std::string path = ReplayLogPath(failed_.directory(), 1, 1);
  std::vector<char> bytes = logging::ReadBytes(path);
  bytes[bytes.size() / 2] ^= 1;
  logging::WriteBytes(path, bytes);
  ExpectRefusal({path});
}

TEST_F(RecoverCommandTest, DamagedEventLogOfASurvivorIsALoss) {
  const std::string path = failed_.local() + "/rank-0.events-0";
  std::vector<char> bytes = logging::ReadBytes(path);
  bytes[64 + 48 + 8] ^= 1;  // in the second event
  logging::WriteBytes(path, bytes);
  // One failure unit is what causal mode promises to survive: what others hold is all there is.
  const Result result = Recover({"--json", "--verbose"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr(path));
  EXPECT_EQ(nlohmann::json::parse(result.output)["ranks"][0]["interval"], 1);
}

TEST_F(RecoverCommandTest, DirectoryThatWasBeingRemoved) {
  std::filesystem::remove_all(EpochDirectory(failed_.directory(), 0));
  ExpectRefusal({"epoch-0", "is missing"});
}

TEST_F(RecoverCommandTest, JobThatEndedWellIsASuccessWhateverMpirunSays) {
  // A node that is lost after the end makes mpirun fail.
  Mpirun("rm -r $FTMPI_JOBDIR/[a-qs-z]*; exit 205");
  const Result result = Recover();
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("ended well"), HasSubstr("205")));
  EXPECT_FALSE(std::filesystem::exists(failed_.directory()));
}

TEST_F(RecoverCommandTest, FailureWithoutALostRankIsOneToo) {
  // The lost rank's node is lost with it: only survivors have left word.
  const std::string record = failed_.temporary() / "record";
  failed_.job.epochs.push_back({1, 2, "test"});
  std::filesystem::create_directory(EpochDirectory(failed_.directory(), 1));
  failed_.End(1, RankEnd::kSurvivor, 2, 7);
  std::filesystem::rename(SurvivorPath(failed_.directory(), 1, 1), record);
  Mpirun("cp " + record + " $FTMPI_JOBDIR/epoch-1/survivor-1; exit 205");
  const Result result = Recover();
  EXPECT_EQ(result.exit_code, 205);
  EXPECT_THAT(result.errors, HasSubstr("failed again"));
}

TEST_F(RecoverCommandTest, NodeLocalDirectoryThatIsGone) {
  std::filesystem::remove_all(failed_.local());
  const Result result = Recover({"--dry-run"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("has lost its logs"));
}

TEST_F(RecoverCommandTest, DiesAtTheSamePointAgain) {
  // The program crashes (139) where it had crashed before.
  const std::string record = failed_.temporary() / "record";
  failed_.job.epochs.push_back({1, 2, "test"});
  std::filesystem::create_directory(EpochDirectory(failed_.directory(), 1));
  failed_.End(1, RankEnd::kLost, 2, 7);
  std::filesystem::rename(LostPath(failed_.directory(), 1, 1), record);
  failed_.job.epochs.pop_back();
  Mpirun("cp " + record + " $FTMPI_JOBDIR/epoch-1/lost-1; exit 139");
  const Result first = Recover();
  EXPECT_EQ(first.exit_code, 139);
  EXPECT_THAT(first.errors, HasSubstr("failed again"));
  std::filesystem::remove(failed_.temporary() / "arguments");
  Mpirun("exit 0");
  ExpectRefusal({"rank 1 died twice at the same point", "--force"});
  EXPECT_EQ(Recover({"--force"}).exit_code, 0);
}

// Rank 0 here, rank 1 on n1, rank 2 on n2: directories that play the nodes' own.
class NodesTest : public RecoverCommandTest {
 protected:
  NodesTest() {
    failed_.job.np = 3;
    const std::string here = failed_.job.ranks[0].node;
    failed_.job.ranks = {{here, 0, 0}, {"n1", 0, 0}, {"n2", 0, 0}};
    failed_.Write();
    std::filesystem::remove_all(failed_.local());
    for (int rank = 0; rank < 3; ++rank) {
      std::filesystem::create_directory(failed_.local());
      failed_.Logs(rank, static_cast<std::uint64_t>(rank) + 1, 2);
      if (rank == 2) {
        // What rank 2 holds of rank 1.
        std::filesystem::remove(failed_.local() + "/rank-2.events-0");
        WriteEvents(failed_.local(), 2, 0, 0, {Event(2, 1), Event(1, 1), Event(2, 2), Event(2, 3)});
      }
      const std::string name = rank == 0 ? "local-0" : "node-n" + std::to_string(rank);
      std::filesystem::rename(failed_.local(), failed_.temporary() / name);
    }
    std::filesystem::rename(failed_.temporary() / "local-0", failed_.local());
    failed_.End(1, RankEnd::kLost, 2, 7);
    failed_.End(0, RankEnd::kSurvivor, 1, 7);
    failed_.End(2, RankEnd::kSurvivor, 3, 7);
  }
  nlohmann::json Plan(std::vector<std::string> options = {}) const {
    options.push_back("--json");
    const Result result = Recover(options);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return nlohmann::json::parse(result.output);
  }
};

TEST_F(NodesTest, AllAreAsked) {
  const auto plan = Plan();
  EXPECT_THAT(Lines("asked"), ::testing::UnorderedElementsAre("n1", "n2"));
  EXPECT_EQ(plan["ranks"][1]["interval"], 2);
  EXPECT_EQ(plan["ranks"][2]["interval"], 3);
  EXPECT_EQ(plan["ranks"][1]["node_now"], "n1");
  EXPECT_EQ(plan["ranks"][2]["messages_to_resend"], 2);
}

TEST_F(NodesTest, LostNodesRankGetsWhatOthersHoldAndAnotherNode) {
  std::filesystem::remove_all(failed_.temporary() / "node-n1");
  const auto plan = Plan();
  EXPECT_EQ(plan["lost_nodes"], nlohmann::json::array({"n1"}));
  EXPECT_EQ(plan["ranks"][1]["interval"], 1);
  EXPECT_EQ(plan["ranks"][1]["node_now"], plan["ranks"][0]["node_now"]);
  EXPECT_EQ(plan["ranks"][1]["payload_log_survives"], false);
  EXPECT_EQ(plan["ranks"][2]["interval"], 3);
}

TEST_F(NodesTest, NodeThatDoesNotAnswerIsLost) {
  std::ofstream(failed_.temporary() / "hangs-n1") << "";
  const auto plan = Plan({"--node-timeout", "3"});
  EXPECT_EQ(plan["lost_nodes"], nlohmann::json::array({"n1"}));
}

TEST_F(NodesTest, TwoLostNodesAreMoreThanPromised) {
  std::filesystem::remove_all(failed_.temporary() / "node-n1");
  std::filesystem::remove_all(failed_.temporary() / "node-n2");
  const Result result = Recover();
  EXPECT_EQ(result.exit_code, kRefused);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("n1 is lost"), HasSubstr("n2 is lost"),
                                   HasSubstr("ranks 1, 2"), HasSubstr("--force")));
  EXPECT_FALSE(Started());
  failed_.job.causal_f = 2;
  failed_.Write();
  EXPECT_EQ(Recover().exit_code, 0);
}

// Nodes that come back empty under their old names have lost what they had, although they answer.
TEST_F(NodesTest, EmptyReplacementsAreLosses) {
  for (const char* name : {"node-n1", "node-n2"}) {
    std::filesystem::remove_all(failed_.temporary() / name);
    std::filesystem::create_directory(failed_.temporary() / name);
  }
  // Their companions are gone with them: they left no word.
  std::filesystem::remove(LostPath(failed_.directory(), 0, 1));
  std::filesystem::remove(SurvivorPath(failed_.directory(), 0, 2));
  const Result result = Recover();
  EXPECT_EQ(result.exit_code, kRefused);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("2 failure units were lost"), HasSubstr("ranks 1, 2"),
                                   HasSubstr("--force")));
  EXPECT_FALSE(Started());
  failed_.job.causal_f = 2;
  failed_.Write();
  const auto plan = Plan();
  EXPECT_EQ(plan["ranks"][1]["interval"], 0);
  EXPECT_EQ(plan["ranks"][1]["node_now"], "n1");
  EXPECT_EQ(plan["ranks"][1]["reaches_failure_state"], false);
  EXPECT_EQ(plan["ranks"][2]["payload_log_survives"], false);
  EXPECT_THAT(Recover({"--dry-run"}).output, AllOf(HasSubstr("node n1 has lost its logs"),
                                                   HasSubstr("node n2 has lost its logs")));
}

TEST_F(NodesTest, EmptyReplacementInARecoveryThatHadBegunIsALoss) {
  EXPECT_EQ(Recover().exit_code, 0);  // epoch 1 is planned; the nodes have nothing of it
  WriteReplayProgress(ProgressPath(failed_.directory(), 1, 0), kJob, 0,
                      {.replay_done = 0,
                       .replay_total = 0,
                       .phase = static_cast<std::uint32_t>(logging::RankPhase::kRunning)});
  const Result result = Recover();
  EXPECT_EQ(result.exit_code, kRefused);
  EXPECT_THAT(result.errors, HasSubstr("3 failure units were lost"));
}

TEST_F(NodesTest, EachRankIsPlacedByAHostfile) {
  std::filesystem::remove_all(failed_.temporary() / "node-n1");
  EXPECT_EQ(Recover({"--hosts", "n2,n9"}).exit_code, 0);
  EXPECT_EQ(Text(failed_.directory() + "/recovery/hostfile"), "n9\nn2\nn2\n");
  EXPECT_THAT(Lines("arguments"), Contains("seq"));
}

TEST_F(NodesTest, MissingInventoryProgramIsNoLostNode) {
  const std::string program = failed_.temporary() / "mpi-ft-inventory";
  std::ofstream(program) << "#!/bin/sh\necho 'mpi-ft-inventory: it does not work' >&2; exit 1\n";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  std::string text = Text(mpirun_);
  const std::string call = "exec \"${@";
  text.replace(text.find(call), call.size(), "set -- " + program + "; exec \"${@");
  std::ofstream(mpirun_) << text;
  const Result result = Recover();
  EXPECT_EQ(result.exit_code, kRefused);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("answers, but"), HasSubstr("it does not work")));
}

TEST_F(NodesTest, OptimisticOrphansAreRolledBack) {
  // Rank 1 is lost; of its events the first is on stable storage. Rank 2 depends on its second.
  std::filesystem::remove_all(failed_.temporary() / "node-n1");
  const std::string n2 = failed_.temporary() / "node-n2";
  std::filesystem::remove(n2 + "/rank-2.events-0");
  WriteEvents(n2, 2, 0, 0, {Event(2, 1), Depends(2, 2, 1, 1), Depends(2, 3, 1, 2), Event(2, 4)});
  {
    logging::EventBlockWriter writer(
        Environment::Posix(),
        {.directory = LogDirectory(failed_.directory()), .rank = 1, .job = kJob});
    writer.Append(std::vector<Determinant>{Event(1, 1)});
  }
  failed_.job.mode = "optimistic";
  failed_.Write();
  const auto plan = Plan();
  EXPECT_EQ(plan["ranks"][0]["interval"], 1);
  EXPECT_EQ(plan["ranks"][1]["interval"], 1);
  EXPECT_EQ(plan["ranks"][2]["interval"], 2);
  EXPECT_EQ(plan["ranks"][2]["intervals_rolled_back"], 2);
}

}  // namespace
}  // namespace ftmpi::recovery
