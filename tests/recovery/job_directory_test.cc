// job.json and the small records: what is written is read back, and nothing else is believed.
#include "recovery/job_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "recovery/durable_file.h"
#include "tests/recovery/companion_temporary_directory.h"

namespace ftmpi::recovery {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

JobDescription Sample() {
  JobDescription job;
  job.job = 0xfedcba9876543210;
  job.name = "sample";
  job.np = 2;
  job.ranks = {{"node1", 100, 11}, {"node2", 200, UINT64_MAX}};
  job.launcher = {"node1", 99, 10};
  job.local_directory = "/dev/shm/ftmpi-sample";
  job.mode = "causal";
  job.failure_unit = "node";
  job.causal_f = 2;
  job.program = {"./app", "", "two words", "umlaut \xc3\xbc", "no text \xff\xfe"};
  job.executable = "/home/user/app";
  job.build_id = "00ff";
  job.working_directory = "/home/user";
  job.environment = {{"A", "1=2"}, {"EMPTY", ""}, {"BYTES", "\x80\n\t\""}};
  job.launcher_command = {"mpirun", "-np", "2", "./app"};
  job.launcher_directory = "/home/user";
  job.launcher_stdin = "/home/user/input";
  job.mpi_version = "Open MPI v4.1.4";
  job.ftmpi_version = "0.1.0";
  job.epochs = {{0, 1000, "started"}, {3, 2000, "rank 1 on node2 was lost"}};
  job.state = JobState::kRecovering;
  return job;
}

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void Put(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

class JobDirectoryTest : public testing::Test {
 protected:
  [[nodiscard]] std::string Path(const std::string& name) const {
    return directory_.path() + "/" + name;
  }
  TemporaryDirectory directory_;
};

TEST_F(JobDirectoryTest, IsReadBackAsWritten) {
  WriteJobDescription(directory_.path(), Sample());
  EXPECT_EQ(ReadJobDescription(directory_.path()), Sample());
}

TEST_F(JobDirectoryTest, IsPrivate) {
  WriteJobDescription(directory_.path(), Sample());
  struct stat status {};
  ASSERT_EQ(stat(Path("job.json").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);  // it holds the user's environment
}

TEST_F(JobDirectoryTest, ReplacementLeavesNoTemporaryFile) {
  WriteJobDescription(directory_.path(), Sample());
  JobDescription changed = Sample();
  changed.state = JobState::kFinished;
  WriteJobDescription(directory_.path(), changed);
  EXPECT_EQ(ReadJobDescription(directory_.path()).state, JobState::kFinished);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    EXPECT_EQ(entry.path().filename(), "job.json");
    ++files;
  }
  EXPECT_EQ(files, 1);
}

TEST_F(JobDirectoryTest, RefusesToWriteWhatItWouldNotRead) {
  WriteJobDescription(directory_.path(), Sample());
  JobDescription wrong = Sample();
  wrong.ranks.pop_back();
  EXPECT_THROW(WriteJobDescription(directory_.path(), wrong), JobDirectoryError);
  EXPECT_EQ(ReadJobDescription(directory_.path()), Sample());
}

TEST_F(JobDirectoryTest, SaysWhatIsWrong) {
  const auto read = [&] { (void)ReadJobDescription(directory_.path()); };
  EXPECT_THAT(read, ThrowsMessage<JobDirectoryError>(HasSubstr("no such file")));
  Put(Path("job.json"), "");
  EXPECT_THAT(read, ThrowsMessage<JobDirectoryError>(HasSubstr("truncated")));
  Put(Path("job.json"), "{\"format\": \"another\"}");
  EXPECT_THAT(read, ThrowsMessage<JobDirectoryError>(HasSubstr("foreign")));
  Put(Path("job.json"), "[1, 2]");
  EXPECT_THAT(read, ThrowsMessage<JobDirectoryError>(HasSubstr("foreign")));
  Put(Path("job.json"), "{\"format\": \"ftmpi job\", \"version\": 2}");
  EXPECT_THAT(read, ThrowsMessage<JobDirectoryError>(HasSubstr("format version 2")));
}

TEST_F(JobDirectoryTest, TruncatedAnywhereItIsRefused) {
  WriteJobDescription(directory_.path(), Sample());
  const std::string text = Slurp(Path("job.json"));
  // Without its last character, a line end, it is still whole.
  for (std::size_t length = 0; length + 1 < text.size(); ++length) {
    Put(Path("job.json"), text.substr(0, length));
    EXPECT_THROW((void)ReadJobDescription(directory_.path()), JobDirectoryError) << length;
  }
}

TEST_F(JobDirectoryTest, ChangedAnywhereItIsRefusedOrStillTheSame) {
  WriteJobDescription(directory_.path(), Sample());
  const std::string text = Slurp(Path("job.json"));
  std::size_t refused = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (const unsigned char flip : {0x01, 0x20, 0x80}) {
      std::string changed = text;
      changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ flip);
      Put(Path("job.json"), changed);
      try {
        EXPECT_EQ(ReadJobDescription(directory_.path()), Sample()) << at;  // white space
      } catch (const JobDirectoryError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, text.size());
}

TEST_F(JobDirectoryTest, FindsTheNewestUnfinishedOne) {
  EXPECT_EQ(FindNewestJobDirectory(directory_.path()), std::nullopt);
  const auto make = [&](const char* name, JobState state, std::int64_t time) {
    std::filesystem::create_directory(Path(name));
    JobDescription job = Sample();
    job.state = state;
    WriteJobDescription(Path(name), job);
    const timespec times[2] = {{time, 0}, {time, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, JobFilePath(Path(name)).c_str(), times, 0), 0);
  };
  make("ftmpi-old", JobState::kRunning, 1000);
  make("ftmpi-new", JobState::kRunning, 2000);
  make("ftmpi-finished", JobState::kFinished, 3000);
  make("something", JobState::kRunning, 4000);
  std::filesystem::create_directory(Path("ftmpi-empty"));
  EXPECT_EQ(FindNewestJobDirectory(directory_.path()), Path("ftmpi-new"));
}

TEST(LauncherVariables, AreToldFromTheUsersOwn) {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "OMPI_UNIVERSE_SIZE", "OMPI_MCA_orte_hnp_uri",
                           "OMPI_MCA_ess", "OMPI_MCA_ess_base_vpid", "OMPI_MCA_pmix", "PMIX_RANK",
                           "OMPI_MCA_initial_wdir", "OMPI_COMMAND", "FTMPI_RANK_PID"}) {
    EXPECT_TRUE(IsLauncherVariable(name)) << name;
  }
  for (const char* name : {"OMPI_MCA_btl", "OMPI_MCA_mpi_yield_when_idle", "FT_MODE", "PATH",
                           "LD_PRELOAD", "OMP_NUM_THREADS", "OMPI_ALLOW_RUN_AS_ROOT"}) {
    EXPECT_FALSE(IsLauncherVariable(name)) << name;
  }
}

TEST_F(JobDirectoryTest, BuildIdOfAFileWithoutOneIsItsHash) {
  Put(Path("script"), "");
  EXPECT_EQ(BuildIdOf(Path("script")), "xxh64:ef46db3751d8e999");  // XXH64 of nothing, seed 0
  EXPECT_THROW((void)BuildIdOf(Path("missing")), JobDirectoryError);
}

TEST_F(JobDirectoryTest, RankEndIsReadBackAndChecked) {
  RankEndRecord record;
  record.end = RankEnd::kExited;
  record.rank = 3;
  record.epoch = 2;
  record.exit_code = -1;
  record.pid = 4711;
  record.time = 1'700'000'000'000'000'000;
  record.interval = UINT64_MAX;
  record.poll_failures = 9;
  record.node = "node3";
  EXPECT_EQ(ReadRankEnd(Path("lost-3"), 7), std::nullopt);
  WriteRankEnd(Path("lost-3"), 7, record);
  EXPECT_EQ(ReadRankEnd(Path("lost-3"), 7), record);
  EXPECT_THAT([&] { (void)ReadRankEnd(Path("lost-3"), 8); },
              ThrowsMessage<JobDirectoryError>(HasSubstr("another job")));
  const std::string content = Slurp(Path("lost-3"));
  for (std::size_t length = 0; length < content.size(); ++length) {
    Put(Path("cut"), content.substr(0, length));
    EXPECT_THROW((void)ReadRankEnd(Path("cut"), 7), JobDirectoryError) << length;
  }
  for (std::size_t at = 0; at < content.size(); ++at) {
    std::string changed = content;
    changed[at] = static_cast<char>(changed[at] ^ 4);
    Put(Path("changed"), changed);
    EXPECT_THROW((void)ReadRankEnd(Path("changed"), 7), JobDirectoryError) << at;
  }
}

TEST_F(JobDirectoryTest, ProgressIsReadBackAndIsNoOtherRecord) {
  const ReplayProgress progress{5, 9, 1};
  WriteReplayProgress(Path("progress-1"), 7, 1, progress);
  EXPECT_EQ(ReadReplayProgress(Path("progress-1"), 7, 1), progress);
  EXPECT_THROW((void)ReadReplayProgress(Path("progress-1"), 7, 2), JobDirectoryError);
  EXPECT_THROW((void)ReadReleasedOutput(Path("progress-1"), 7, 1), JobDirectoryError);
}

}  // namespace
}  // namespace ftmpi::recovery
