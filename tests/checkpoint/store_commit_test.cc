// The commit protocol of checkpoint/FORMAT.md: whatever fails, wherever the process dies, the last
// permanent checkpoint can be started from, and the next attempt succeeds.
#include <gmock/gmock.h>

#include <filesystem>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/commit.h"
#include "checkpoint/deletion.h"
#include "checkpoint/image_chain.h"
#include "checkpoint/store_reader.h"
#include "tests/checkpoint/store_test_util.h"
#include "tests/logging/fault_environment.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::checkpoint {
namespace {

using logging::Environment;
using logging::FaultEnvironment;
using logging::FaultPoint;
using logging::ReadBytes;
using logging::SimulatedCrash;
using logging::TemporaryDirectory;
using logging::WriteBytes;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kBase = 0x500000000000;
constexpr std::size_t kPages = 12;
constexpr int kRanks = 2;

// A job of two ranks whose memory is known for every CSN.
class Job {
 public:
  explicit Job(std::string root) : root_(std::move(root)) {}

  // Rank's memory at CSN: page p was written last at the greatest CSN <= csn with CSN % (p + 1) ==
  // 0 (page 0 every time); page 3 is zero.
  static std::vector<std::byte> Memory(std::uint64_t csn, int rank) {
    std::vector<std::byte> bytes;
    for (std::size_t page = 0; page < kPages; ++page) {
      const std::uint64_t version = csn - csn % (page + 1);
      std::vector<std::byte> content =
          page == 3
              ? std::vector<std::byte>(kPageSize)
              : Noise(kPageSize, 1000 * version + 10 * page + static_cast<std::uint64_t>(rank));
      bytes.insert(bytes.end(), content.begin(), content.end());
    }
    return bytes;
  }

  // base: kNoBase for a complete file, else csn - 1.
  void Write(Environment* environment, std::uint64_t csn, std::uint64_t base, int rank) const {
    std::vector<std::byte> bytes = Memory(csn, rank);
    std::vector<PageRange> written;
    for (std::size_t page = 0; page < kPages; ++page) {
      if (csn % (page + 1) == 0) written.push_back({page, 1});
    }
    FakeMemory memory;
    memory.Add(kBase, &bytes);
    Manifest manifest;
    manifest.attributes = TestAttributes(csn, rank, kRanks);
    manifest.attributes.base_csn = base;
    Section section = TestSection(kBase, bytes.size(), "arena");
    if (base != kNoBase) {
      section.flags = kSectionListedPages;
      section.ranges = reinterpret_cast<std::uint64_t>(written.data());
      section.range_count = written.size();
    }
    manifest.sections = {section};
    WriteCheckpoint(environment, root_, manifest, &memory, 0);
  }

  CommitResult Take(Environment* environment, std::uint64_t csn, std::uint64_t base,
                    std::uint32_t keep = 1) const {
    for (int rank = 0; rank < kRanks; ++rank) Write(environment, csn, base, rank);
    return MakePermanent(environment, root_, kTestJob, csn, kRanks, {0, 1}, keep);
  }

  // What a restart from `csn` would put into the rank's memory.
  [[nodiscard]] std::vector<std::byte> Restored(std::uint64_t csn, int rank) const {
    ImageChain chain(Environment::Posix(), root_, CheckpointKind::kCoordinated, csn, rank);
    std::vector<std::byte> bytes(kPages * kPageSize, std::byte{0x77});
    for (const ImageChain::Piece& piece : chain.Resolve(0)) {
      chain.Read(piece, 0, std::span(bytes).subspan(piece.offset, piece.length));
    }
    return bytes;
  }

  [[nodiscard]] std::uint64_t Newest() const {
    const NewestUsable newest =
        FindNewestUsable(Environment::Posix(), root_, kTestJob, Depth::kEverything);
    return newest.checkpoint ? newest.checkpoint->csn : 0;
  }

  // Whether a restart is possible and gives what the memory was.
  void ExpectGood(std::uint64_t csn) const {
    ASSERT_EQ(Newest(), csn);
    for (int rank = 0; rank < kRanks; ++rank) {
      EXPECT_TRUE(Restored(csn, rank) == Memory(csn, rank)) << "rank " << rank;
    }
  }

  [[nodiscard]] const std::string& root() const { return root_; }

 private:
  const std::string root_;
};

std::vector<std::uint64_t> Csns(const Job& job) {
  std::vector<std::uint64_t> csns;
  for (const CheckpointListing& each : ListCheckpoints(Environment::Posix(), job.root())) {
    csns.push_back(each.csn);
  }
  return csns;
}

TEST(StoreCommit, AsManyStayAsAreWanted) {
  TemporaryDirectory directory;
  const Job job(directory.path());
  for (std::uint64_t csn = 1; csn <= 4; ++csn) job.Take(Environment::Posix(), csn, kNoBase, 2);
  EXPECT_THAT(Csns(job), ElementsAre(4, 3));
  // A kept one keeps what it builds on.
  job.Take(Environment::Posix(), 5, 4, 2);
  job.Take(Environment::Posix(), 6, kNoBase, 2);
  EXPECT_THAT(Csns(job), ElementsAre(6, 5, 4));
  std::filesystem::resize_file(RankPath(job.root(), 6, 1), 1000);
  job.ExpectGood(5);
  job.Take(Environment::Posix(), 7, kNoBase, 2);
  EXPECT_THAT(Csns(job), ElementsAre(7, 6));
}

TEST(StoreCommit, TheNewestOneReplacesTheOthers) {
  TemporaryDirectory directory;
  const Job job(directory.path());
  EXPECT_EQ(job.Newest(), 0U);
  EXPECT_THAT(job.Take(Environment::Posix(), 1, kNoBase).remarks, IsEmpty());
  job.ExpectGood(1);
  job.Take(Environment::Posix(), 2, kNoBase);
  job.ExpectGood(2);
  EXPECT_THAT(Csns(job), ElementsAre(2));
  // A chain keeps what it builds on, until a complete one follows.
  job.Take(Environment::Posix(), 3, 2);
  job.Take(Environment::Posix(), 4, 3);
  job.ExpectGood(4);
  EXPECT_THAT(Csns(job), ElementsAre(4, 3, 2));
  job.Take(Environment::Posix(), 5, kNoBase);
  job.ExpectGood(5);
  EXPECT_THAT(Csns(job), ElementsAre(5));
}

TEST(StoreCommit, TentativeOnesDoNotCountAndCanBeGivenUp) {
  TemporaryDirectory directory;
  const Job job(directory.path());
  job.Take(Environment::Posix(), 1, kNoBase);
  job.Write(Environment::Posix(), 2, kNoBase, 0);
  EXPECT_THAT(ErrorOf([&] {
                MakePermanent(Environment::Posix(), job.root(), kTestJob, 2, kRanks, {0, 1});
              }),
              HasSubstr("rank-1.h5"));
  job.ExpectGood(1);
  AbortCheckpoint(Environment::Posix(), job.root(), 2);
  EXPECT_THAT(Csns(job), ElementsAre(1));
  EXPECT_THAT(ErrorOf([&] { AbortCheckpoint(Environment::Posix(), job.root(), 1); }),
              HasSubstr("permanent"));
  EXPECT_THAT(ErrorOf([&] { job.Write(Environment::Posix(), 1, kNoBase, 0); }),
              HasSubstr("permanent already"));
  job.ExpectGood(1);
}

// Takes checkpoint 2 after 1, or 3 on 2 on 1, with `disturb` set up; then again without.
void Disturbed(const std::function<bool(FaultEnvironment*, std::uint64_t)>& disturb,
               std::uint64_t base, std::uint64_t minimum_steps) {
  std::uint64_t steps = 0;
  for (std::uint64_t step = 1;; ++step) {
    TemporaryDirectory directory;
    const Job job(directory.path());
    job.Take(Environment::Posix(), 1, kNoBase);
    std::uint64_t csn = 2;
    if (base == 2) {
      job.Take(Environment::Posix(), 2, 1);
      csn = 3;
    }
    FaultEnvironment environment(Environment::Posix());
    if (!disturb(&environment, step)) break;
    bool finished = false;
    try {
      const CommitResult result = job.Take(&environment, csn, base);
      finished = result.remarks.empty();
    } catch (const logging::LogError& error) {
      EXPECT_THAT(error.what(), HasSubstr(directory.path()));
    } catch (const SimulatedCrash&) {
    }
    const bool failed = environment.failed();
    const std::uint64_t newest = job.Newest();
    ASSERT_TRUE(newest == csn || (newest == csn - 1 && !finished)) << "step " << step;
    job.ExpectGood(newest);
    if (newest != csn) {
      job.Take(Environment::Posix(), csn, base);
    } else {
      MakePermanent(Environment::Posix(), job.root(), kTestJob, csn, kRanks, {0, 1});
    }
    job.ExpectGood(csn);
    if (base == kNoBase) {
      // Nothing is left of the others, nor of what was being written.
      EXPECT_THAT(Csns(job), ElementsAre(csn)) << "step " << step;
      EXPECT_THAT(Environment::Posix()->List(CheckpointDirectory(job.root(), csn)),
                  ElementsAre("checkpoint.h5", "rank-0.h5", "rank-1.h5"));
    }
    if (!failed && finished) break;
    steps = step;
  }
  EXPECT_GE(steps, minimum_steps);
}

class StoreFaults : public testing::TestWithParam<std::uint64_t> {};

TEST_P(StoreFaults, ACrashAtAnyStep) {
  Disturbed(
      [](FaultEnvironment* environment, std::uint64_t step) {
        environment->CrashAt(step);
        return true;
      },
      GetParam(), 60);
}

TEST_P(StoreFaults, AnErrorAtAnyStep) {
  for (const FaultPoint point : {FaultPoint::kOpen, FaultPoint::kWrite, FaultPoint::kSync,
                                 FaultPoint::kRename, FaultPoint::kRemove, FaultPoint::kAllocate}) {
    Disturbed(
        [point](FaultEnvironment* environment, std::uint64_t step) {
          environment->FailAt(point, step, EIO);
          return true;
        },
        GetParam(), point == FaultPoint::kRemove && GetParam() != kNoBase ? 0 : 3);
  }
}

TEST_P(StoreFaults, AWriteCutShort) {
  Disturbed(
      [](FaultEnvironment* environment, std::uint64_t step) {
        environment->CutWriteAt(step, 5);
        return true;
      },
      GetParam(), 20);
}

TEST_P(StoreFaults, ADiskOfAnySize) {
  Disturbed(
      [](FaultEnvironment* environment, std::uint64_t step) {
        environment->LimitDisk(step * 1500);
        return step < 1000;
      },
      GetParam(), 10);
}

INSTANTIATE_TEST_SUITE_P(CompleteAndIncremental, StoreFaults, testing::Values(kNoBase, 2));

class StoreDamage : public testing::Test {
 protected:
  void SetUp() override {
    job_.Take(Environment::Posix(), 1, kNoBase);
    job_.Take(Environment::Posix(), 2, 1);
    job_.Take(Environment::Posix(), 3, 2);
  }

  void Damage(const std::string& path) {
    std::vector<char> bytes = ReadBytes(path);
    bytes[bytes.size() / 3] = static_cast<char>(bytes[bytes.size() / 3] ^ 4);
    WriteBytes(path, bytes);
  }

  CheckpointReport Report(std::uint64_t csn, Depth depth = Depth::kEverything) {
    return Examine(Environment::Posix(), job_.root(), csn, kTestJob, depth);
  }

  TemporaryDirectory directory_;
  Job job_{directory_.path()};
};

TEST_F(StoreDamage, OfTheMiddleOfAChainLeavesTheOlderState) {
  EXPECT_THAT(Report(3).builds_on, ElementsAre(2, 1));
  Damage(RankPath(job_.root(), 2, 1));
  const CheckpointReport report = Report(3);
  EXPECT_FALSE(report.usable);
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_THAT(report.problems[0], HasSubstr(RankPath(job_.root(), 2, 1)));
  job_.ExpectGood(1);
}

TEST_F(StoreDamage, AMissingFileIsNamed) {
  std::filesystem::remove(RankPath(job_.root(), 2, 0));
  for (const Depth depth : {Depth::kSeals, Depth::kEverything}) {
    EXPECT_THAT(Report(3, depth).problems, ElementsAre(HasSubstr("checkpoint-2/rank-0.h5")));
  }
  job_.ExpectGood(1);
}

TEST_F(StoreDamage, FilesOfTwoCheckpointsMixed) {
  std::filesystem::copy_file(RankPath(job_.root(), 1, 0), RankPath(job_.root(), 3, 0),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(Report(3, Depth::kSeals).problems, ElementsAre(HasSubstr("mixed")));
  job_.ExpectGood(2);
}

TEST_F(StoreDamage, FilesOfTwoRanksMixed) {
  std::filesystem::copy_file(RankPath(job_.root(), 3, 0), RankPath(job_.root(), 3, 1),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(Report(3, Depth::kSeals).problems, ElementsAre(HasSubstr("mixed")));
  job_.ExpectGood(2);
}

TEST_F(StoreDamage, FilesOfTwoJobsMixed) {
  std::vector<std::byte> bytes = Noise(kPageSize, 1);
  FakeMemory memory;
  memory.Add(kBase, &bytes);
  Manifest manifest;
  manifest.attributes = TestAttributes(3, 0, kRanks);
  manifest.attributes.job = kTestJob + 1;
  manifest.sections = {TestSection(kBase, bytes.size(), "arena")};
  WriteRankFile(Environment::Posix(), RankPath(job_.root(), 3, 0), manifest, &memory, {});
  EXPECT_THAT(Report(3, Depth::kSeals).problems, ElementsAre(HasSubstr("mixed")));
  job_.ExpectGood(2);
  // A whole checkpoint of another job.
  EXPECT_THAT(Examine(Environment::Posix(), job_.root(), 2, kTestJob + 1, Depth::kSeals).problems,
              ElementsAre(HasSubstr("of job 1234567890abcdef")));
}

TEST_F(StoreDamage, OfTheIndexLeavesTheOlderState) {
  Damage(IndexPath(job_.root(), 3));
  EXPECT_THAT(Report(3).problems, ElementsAre(HasSubstr(IndexPath(job_.root(), 3))));
  job_.ExpectGood(2);
}

TEST_F(StoreDamage, FilesThatAreNotOursStay) {
  WriteBytes(directory_ / "checkpoint-3/notes.txt", {'x'});
  WriteBytes(directory_ / "checkpoint-3/rank-00.h5", {'x'});
  job_.ExpectGood(3);
  const CommitResult result = job_.Take(Environment::Posix(), 4, kNoBase);
  ASSERT_EQ(result.remarks.size(), 1U);
  EXPECT_THAT(result.remarks[0], HasSubstr("not ftmpi's"));
  EXPECT_TRUE(std::filesystem::exists(directory_ / "checkpoint-3/notes.txt"));
  job_.ExpectGood(4);
}

TEST_F(StoreDamage, AllCheckpointsAreDeletedAndNothingElse) {
  WriteBytes(directory_ / "job.json", {'x'});
  std::filesystem::create_directory(directory_ / "rank-7");
  WriteBytes(directory_ / "rank-7/checkpoint-5.h5", {'x'});
  WriteBytes(directory_ / "rank-7/checkpoint-6.h5.new", {'x'});
  WriteBytes(directory_ / "checkpoint-3/rank-0.h5.new", {'x'});
  DeleteAllCheckpoints(Environment::Posix(), job_.root());
  EXPECT_THAT(directory_.Names(), ElementsAre("job.json"));
}

TEST(StoreOwn, IndependentCheckpointsArePermanentByThemselves) {
  TemporaryDirectory directory;
  std::vector<std::byte> bytes = Noise(3 * kPageSize, 5);
  FakeMemory memory;
  memory.Add(kBase, &bytes);
  Manifest manifest;
  manifest.sections = {TestSection(kBase, bytes.size(), "arena")};
  for (const std::uint64_t csn : {4, 9}) {
    manifest.attributes = TestAttributes(csn, 1, 2);
    manifest.attributes.kind = CheckpointKind::kIndependent;
    WriteCheckpoint(Environment::Posix(), directory.path(), manifest, &memory, 0);
  }
  std::vector<std::string> problems;
  const auto newest = [&] {
    return FindNewestOwn(Environment::Posix(), directory.path(), kTestJob, 1, Depth::kEverything,
                         &problems);
  };
  EXPECT_EQ(newest(), 9U);
  EXPECT_THAT(problems, IsEmpty());
  WriteBytes(OwnPath(directory.path(), 1, 9), {'x'});
  EXPECT_EQ(newest(), 4U);
  EXPECT_THAT(problems, ElementsAre(HasSubstr(OwnPath(directory.path(), 1, 9))));
}

TEST(StoreOwn, WhatKeptOnesBuildOnIsNotDiscarded) {
  TemporaryDirectory directory;
  std::vector<std::byte> bytes = Noise(3 * kPageSize, 5);
  const PageRange first{0, 1};
  FakeMemory memory;
  memory.Add(kBase, &bytes);
  // 2 <- 3 <- 6, and 4 alone, 5 alone.
  for (const auto& [csn, base] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
           {2, 0}, {3, 2}, {4, 0}, {5, 0}, {6, 3}}) {
    Manifest manifest;
    manifest.attributes = TestAttributes(csn, 1, 2);
    manifest.attributes.kind = CheckpointKind::kInduced;
    manifest.attributes.base_csn = base;
    Section section = TestSection(kBase, bytes.size(), "arena");
    if (base != 0) {
      section.flags = kSectionListedPages;
      section.ranges = reinterpret_cast<std::uint64_t>(&first);
      section.range_count = 1;
    }
    manifest.sections = {section};
    WriteCheckpoint(Environment::Posix(), directory.path(), manifest, &memory, 0);
  }
  const auto left = [&] { return ListOwnCheckpoints(Environment::Posix(), directory.path(), 1); };
  DiscardOwnCheckpoints(Environment::Posix(), directory.path(), 1, 5);
  EXPECT_THAT(left(), ElementsAre(6, 5, 3, 2));
  const std::vector<char> good = ReadBytes(OwnPath(directory.path(), 1, 6));
  WriteBytes(OwnPath(directory.path(), 1, 6), {'x'});
  EXPECT_THAT(ErrorOf([&] { DiscardOwnCheckpoints(Environment::Posix(), directory.path(), 1, 6); }),
              HasSubstr("checkpoint-6.h5"));
  EXPECT_THAT(left(), ElementsAre(6, 5, 3, 2));
  WriteBytes(OwnPath(directory.path(), 1, 6), good);
  DiscardOwnCheckpoints(Environment::Posix(), directory.path(), 1, 6);
  EXPECT_THAT(left(), ElementsAre(6, 3, 2));
  std::vector<std::string> problems;
  EXPECT_EQ(FindNewestOwn(Environment::Posix(), directory.path(), kTestJob, 1, Depth::kEverything,
                          &problems),
            6U);
}

}  // namespace
}  // namespace ftmpi::checkpoint
