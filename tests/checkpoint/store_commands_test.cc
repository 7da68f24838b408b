// mpi-ft-ls, mpi-ft-verify and examples/read_checkpoint.py on a job directory made here.
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/commit.h"
#include "checkpoint/level_record.h"
#include "recovery/job_directory.h"
#include "tests/checkpoint/store_test_util.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::checkpoint {
namespace {

using logging::Environment;
using logging::ReadBytes;
using logging::TemporaryDirectory;
using logging::WriteBytes;
using testing::AllOf;
using testing::HasSubstr;

constexpr std::uint64_t kBase = 0x500000000000;

struct Result {
  int code;
  std::string text;
};

class StoreCommands : public testing::Test {
 protected:
  void SetUp() override {
    root_ = directory_ / "ftmpi-77";
    std::filesystem::create_directory(root_);
    recovery::JobDescription job;
    job.job = kTestJob;
    job.name = "77";
    job.np = 2;
    job.ranks.resize(2);
    job.local_directory = directory_ / "local";
    job.mode = "causal";
    job.failure_unit = "node";
    job.program = {"./app"};
    job.executable = "/app";
    job.working_directory = "/";
    job.epochs = {{0, 1700000000, "started"}};
    recovery::WriteJobDescription(root_, job);
    Write(root_, 1, kNoBase, {0, 1});
    MakePermanent(Environment::Posix(), root_, kTestJob, 1, 2, {0, 1});
    Write(root_, 2, 1, {0, 1});
    MakePermanent(Environment::Posix(), root_, kTestJob, 2, 2, {0, 1});
    Write(root_, 3, kNoBase, {1});  // tentative
  }

  void Write(const std::string& root, std::uint64_t csn, std::uint64_t base,
             const std::vector<int>& ranks) {
    const PageRange first{0, 1};
    for (const int rank : ranks) {
      Manifest manifest;
      manifest.attributes = TestAttributes(csn, rank, 2);
      manifest.attributes.base_csn = base;
      manifest.attributes.state = kStateImage | kStateRegistered;
      Section section = TestSection(kBase, image_.size(), "arena");
      if (base != kNoBase) {
        section.flags = kSectionListedPages;
        section.ranges = reinterpret_cast<std::uint64_t>(&first);
        section.range_count = 1;
      }
      manifest.sections = {section};
      manifest.datasets = {TestDataset("registered/field", ElementType::kFloat64, field_)};
      FakeMemory memory;
      memory.Add(kBase, &image_);
      WriteCheckpoint(Environment::Posix(), root, manifest, &memory, 3);
    }
  }

  Result Run(const std::string& command) {
    const std::string whole = "cd " + directory_.path() + " && " + command + " > out 2>&1";
    const int status = std::system(whole.c_str());
    const std::vector<char> out = ReadBytes(directory_ / "out");
    return {WEXITSTATUS(status), {out.begin(), out.end()}};
  }

  TemporaryDirectory directory_;
  std::string root_;
  std::vector<std::byte> image_ = std::vector<std::byte>(5 * kPageSize, std::byte{3});
  std::vector<double> field_{0.5, 1.5, 2.5, 3.5};
};

TEST_F(StoreCommands, ListShowsWhatIsThere) {
  const Result result = Run(MPI_FT_LS);
  EXPECT_EQ(result.code, 0) << result.text;
  EXPECT_THAT(result.text, HasSubstr("job 1234567890abcdef, 2 ranks, FT_MODE=causal"));
  EXPECT_THAT(result.text, testing::ContainsRegex(" 3 .* 1/2 +shared +coordinated +tentative +-"));
  EXPECT_THAT(result.text, testing::ContainsRegex(" 2 .* 2/2 +shared +coordinated +complete +1"));
  EXPECT_THAT(result.text, testing::ContainsRegex(" 1 .* 2/2 +shared +coordinated +complete +-"));

  const auto json = nlohmann::json::parse(Run(std::string(MPI_FT_LS) + " ftmpi-77 --json").text);
  ASSERT_EQ(json["checkpoints"].size(), 3U);
  EXPECT_EQ(json["checkpoints"][1]["csn"], 2);
  EXPECT_EQ(json["checkpoints"][1]["usable"], true);
  EXPECT_EQ(json["checkpoints"][1]["builds_on"], nlohmann::json::array({1}));
  EXPECT_EQ(json["checkpoints"][0]["permanent"], false);
}

TEST_F(StoreCommands, WithoutAJobDirectoryTheRemedyIsNamed) {
  std::filesystem::remove_all(root_);
  const Result result = Run(MPI_FT_LS);
  EXPECT_EQ(result.code, 125);
  EXPECT_THAT(result.text, HasSubstr("give its path"));
  EXPECT_EQ(Run(std::string(MPI_FT_VERIFY) + " nowhere").code, 125);
}

TEST_F(StoreCommands, VerifyFindsDamageInEveryFile) {
  const Result good = Run(MPI_FT_VERIFY);
  EXPECT_EQ(good.code, 0) << good.text;
  EXPECT_THAT(good.text, HasSubstr("a restart takes checkpoint 2"));
  struct Case {
    std::string file;
    std::string restart;
  };
  for (const Case& each : {Case{"checkpoint-2/rank-0.h5", "a restart takes checkpoint 1"},
                           Case{"checkpoint-2/checkpoint.h5", "a restart takes checkpoint 1"},
                           Case{"checkpoint-1/rank-1.h5", "no checkpoint of the whole job"},
                           Case{"checkpoint-1/checkpoint.h5", "a restart takes checkpoint 2"},
                           Case{"checkpoint-3/rank-1.h5", "a restart takes checkpoint 2"},
                           Case{"job.json", "a restart takes checkpoint 2"}}) {
    const std::string path = root_ + "/" + each.file;
    const std::vector<char> bytes = ReadBytes(path);
    std::vector<char> damaged = bytes;
    damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
    WriteBytes(path, damaged);
    const Result result = Run(MPI_FT_VERIFY);
    EXPECT_EQ(result.code, 1) << each.file;
    EXPECT_THAT(result.text, HasSubstr(each.file));
    EXPECT_THAT(result.text, HasSubstr(each.restart)) << each.file;
    WriteBytes(path, bytes);
  }
  EXPECT_EQ(Run(MPI_FT_VERIFY).code, 0);
}

TEST_F(StoreCommands, TheNodesOwnStoreIsListed) {
  const std::string local = directory_ / "local/store";
  std::filesystem::create_directories(local);
  Write(local, 5, kNoBase, {1});
  MakePermanent(Environment::Posix(), local, kTestJob, 5, 2, {1});
  const std::string partner = directory_ / "local/partner";
  std::filesystem::create_directories(partner);
  Write(partner, 6, kNoBase, {0});
  const Result result = Run(MPI_FT_LS);
  EXPECT_EQ(result.code, 0) << result.text;
  EXPECT_THAT(result.text, testing::ContainsRegex(" 5 .* 1/2 +local +coordinated +complete"));
  EXPECT_THAT(result.text, testing::ContainsRegex(" 6 .* 1/2 +partner +coordinated +tentative"));
}

TEST_F(StoreCommands, ACheckpointOnTheNodesIsListedWithItsLevel) {
  WriteLevelRecord(Environment::Posix(), root_, {Level::kPartner, kTestJob, 7, 0, 2, 1});
  const Result result = Run(MPI_FT_LS);
  EXPECT_EQ(result.code, 0) << result.text;
  EXPECT_THAT(result.text, testing::ContainsRegex(" 7 .* 0/2 +partner +coordinated +on nodes"));
  const auto json = nlohmann::json::parse(Run(std::string(MPI_FT_LS) + " ftmpi-77 --json").text);
  EXPECT_EQ(json["checkpoints"][0]["level"], "partner");
  EXPECT_EQ(json["checkpoints"][0]["status"], "on nodes");
  EXPECT_EQ(json["checkpoints"][0]["usable"], false);
  const Result verified = Run(MPI_FT_VERIFY);
  EXPECT_EQ(verified.code, 0) << verified.text;
  EXPECT_THAT(verified.text, AllOf(HasSubstr("a restart takes checkpoint 2"),
                                   HasSubstr("or checkpoint 7, if its files are whole")));
  std::filesystem::resize_file(root_ + "/checkpoint-7/level", 10);
  const Result damaged = Run(MPI_FT_VERIFY);
  EXPECT_EQ(damaged.code, 1);
  EXPECT_THAT(damaged.text, HasSubstr("checkpoint-7/level"));
}

TEST_F(StoreCommands, H5pyReadsACheckpoint) {
  const Result result = Run("HDF5_PLUGIN_PATH=" HDF5_PLUGINS " " + std::string(PYTHON) + " " +
                            READ_CHECKPOINT + " ftmpi-77/checkpoint-1/checkpoint.h5");
  EXPECT_EQ(result.code, 0) << result.text;
  EXPECT_THAT(result.text, HasSubstr("checkpoint 1 of job 1234567890abcdef: 2 ranks, permanent"));
  EXPECT_THAT(result.text, HasSubstr("rank 1 on node1: state interval 101"));
  EXPECT_THAT(result.text, HasSubstr("registered field: 4 x float64, begins [0.5 1.5 2.5]"));
  EXPECT_THAT(
      result.text,
      HasSubstr("arena at 0x500000000000: 20480 bytes, 5 pages stored, sum of all bytes 61440"));
}

TEST_F(StoreCommands, H5dumpReadsCompressedData) {
  const Result result = Run("HDF5_PLUGIN_PATH=" HDF5_PLUGINS
                            " h5dump -d /rank-1/image/000000/data -c 8 "
                            "ftmpi-77/checkpoint-1/checkpoint.h5");
  EXPECT_EQ(result.code, 0) << result.text;
  EXPECT_THAT(result.text, HasSubstr("3, 3, 3, 3, 3, 3, 3, 3"));
}

}  // namespace
}  // namespace ftmpi::checkpoint
