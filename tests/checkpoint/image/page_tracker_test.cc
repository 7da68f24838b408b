// Written pages, by both methods, against what the test wrote.
#include "checkpoint/image/page_tracker.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <set>

namespace ftmpi::image {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

class PageTrackerTest : public testing::TestWithParam<TrackingMethod> {
 protected:
  void SetUp() override {
    if (GetParam() == TrackingMethod::kUserfault)
      if (const char* why = PageTracker::UserfaultUnavailable()) GTEST_SKIP() << why;
  }

  // Memory that is never given back: addresses are not used twice.
  static char* Map(std::uint64_t pages, bool huge = false) {
    void* memory = mmap(nullptr, pages * kPageBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(memory, MAP_FAILED);
    madvise(memory, pages * kPageBytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return static_cast<char*>(memory);
  }
  static AddressRange Range(const char* memory, std::uint64_t pages) {
    const auto begin = reinterpret_cast<std::uint64_t>(memory);
    return {begin, begin + pages * kPageBytes};
  }
  static std::set<std::uint64_t> Pages(const std::vector<checkpoint::PageRange>& ranges) {
    std::set<std::uint64_t> pages;
    for (const auto& range : ranges)
      for (std::uint64_t i = 0; i < range.count; ++i) pages.insert(range.first + i);
    return pages;
  }
};

TEST_P(PageTrackerTest, FindsExactlyTheWrittenPages) {
  constexpr std::uint64_t kPages = 5000;
  for (const bool huge : {false, true}) {
    char* memory = Map(kPages, huge);
    std::memset(memory, 1, kPages * kPageBytes);
    PageTracker tracker(GetParam());
    EXPECT_EQ(Pages(tracker.TakeWritten(Range(memory, kPages))).size(), kPages);
    std::mt19937_64 random(huge ? 5 : 6);
    for (int round = 0; round < 20; ++round) {
      std::set<std::uint64_t> wanted;
      for (int i = 0; i < round * 40; ++i) {
        const std::uint64_t page = random() % kPages;
        ++memory[page * kPageBytes + random() % kPageBytes];
        wanted.insert(page);
      }
      ASSERT_EQ(Pages(tracker.TakeWritten(Range(memory, kPages))), wanted) << round << huge;
    }
  }
}

TEST_P(PageTrackerTest, SeesWhatSystemCallsWrite) {
  char* memory = Map(100);
  std::memset(memory, 1, 100 * kPageBytes);
  PageTracker tracker(GetParam());
  tracker.TakeWritten(Range(memory, 100));
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  ASSERT_EQ(write(pipe_ends[1], "text", 4), 4);
  ASSERT_EQ(read(pipe_ends[0], memory + 17 * kPageBytes + 100, 4), 4);
  EXPECT_EQ(Pages(tracker.TakeWritten(Range(memory, 100))), std::set<std::uint64_t>{17});
  close(pipe_ends[0]);
  close(pipe_ends[1]);
}

TEST_P(PageTrackerTest, GrownAndNewlyMappedMemoryCountsAsWritten) {
  char* memory = Map(300);
  std::memset(memory, 1, 300 * kPageBytes);
  PageTracker tracker(GetParam());
  tracker.TakeWritten(Range(memory, 100));
  memory[3 * kPageBytes] = 7;
  std::set<std::uint64_t> wanted = {3};
  for (std::uint64_t i = 100; i < 300; ++i) wanted.insert(i);
  EXPECT_EQ(Pages(tracker.TakeWritten(Range(memory, 300))), wanted);
  // Other memory at the same addresses.
  ASSERT_NE(mmap(memory + 10 * kPageBytes, 5 * kPageBytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
            MAP_FAILED);
  std::memset(memory + 10 * kPageBytes, 9, 5 * kPageBytes);
  const auto pages = Pages(tracker.TakeWritten(Range(memory, 300)));
  for (std::uint64_t i = 10; i < 15; ++i) EXPECT_TRUE(pages.contains(i)) << i;
}

TEST_P(PageTrackerTest, UntouchedPagesThatAreTouchedLaterAreFound) {
  char* memory = Map(1000);
  PageTracker tracker(GetParam());
  tracker.TakeWritten(Range(memory, 1000));
  memory[500 * kPageBytes] = 1;
  EXPECT_TRUE(Pages(tracker.TakeWritten(Range(memory, 1000))).contains(500));
  memory[501 * kPageBytes] = 1;
  EXPECT_EQ(Pages(tracker.TakeWritten(Range(memory, 1000))), std::set<std::uint64_t>{501});
}

TEST_P(PageTrackerTest, AForkDoesNotDisturb) {
  char* memory = Map(200);
  std::memset(memory, 1, 200 * kPageBytes);
  PageTracker tracker(GetParam());
  tracker.TakeWritten(Range(memory, 200));
  const pid_t child = fork();
  if (child == 0) {
    std::memset(memory, 2, 200 * kPageBytes);  // the child's own copies
    _exit(0);
  }
  memory[50 * kPageBytes] = 3;
  int status = 1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(Pages(tracker.TakeWritten(Range(memory, 200))), std::set<std::uint64_t>{50});
}

TEST_P(PageTrackerTest, AfterResetEverythingCountsAsWritten) {
  char* memory = Map(64);
  std::memset(memory, 1, 64 * kPageBytes);
  PageTracker tracker(GetParam());
  tracker.TakeWritten(Range(memory, 64));
  tracker.Reset();
  EXPECT_EQ(Pages(tracker.TakeWritten(Range(memory, 64))).size(), 64U);
}

INSTANTIATE_TEST_SUITE_P(Methods, PageTrackerTest,
                         testing::Values(TrackingMethod::kUserfault, TrackingMethod::kHash),
                         [](const auto& parameter) {
                           return parameter.param == TrackingMethod::kUserfault ? "userfault"
                                                                                : "hash";
                         });

}  // namespace
}  // namespace ftmpi::image
