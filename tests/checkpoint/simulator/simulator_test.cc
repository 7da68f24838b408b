// Coordinated checkpoints under random programs, delays, losses, failing writes and crashes. A
// failure names its seed; FTMPI_SIM_SEED=<seed> runs just that one, FTMPI_SIM_RUNS=<n> that many
// seeds.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/checkpoint/simulator/world.h"

namespace ftmpi::checkpoint::simulator {
namespace {

std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return otherwise;
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(text, &end, 10);
  if (*end != '\0') {
    ADD_FAILURE() << name << "=" << text << " is not a number";
    return otherwise;
  }
  return value;
}

TEST(CheckpointSimulatorTest, RandomPrograms) {
  const std::uint64_t only = FromEnvironment("FTMPI_SIM_SEED", 0);
  const std::uint64_t first = only != 0 ? only : 1;
  const std::uint64_t last = only != 0 ? only : FromEnvironment("FTMPI_SIM_RUNS", 1000);
  Result all;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const Options options = RandomOptions(seed);
    const Result result = World(options).Run();
    ASSERT_EQ(result.violation, "") << "again with FTMPI_SIM_SEED=" << seed;
    all.messages += result.messages;
    all.controls += result.controls;
    all.committed += result.committed;
    all.aborted += result.aborted;
    all.in_transit += result.in_transit;
    all.checks += result.checks;
    all.restarts += result.restarts;
    all.alone += result.alone;
    all.resent += result.resent;
  }
  std::printf(
      "%lu runs: %lu messages, %lu control messages, %lu checkpoints committed, %lu aborted, "
      "%lu messages saved in transit, %lu sent again, %lu restarts "
      "(%lu of one rank alone), %lu checks\n",
      last - first + 1, all.messages, all.controls, all.committed, all.aborted, all.in_transit,
      all.resent, all.restarts, all.alone, all.checks);
  if (only == 0) {
    EXPECT_GT(all.aborted, 0u);
    EXPECT_GT(all.in_transit, 0u);
    EXPECT_GT(all.resent, 0u);
    EXPECT_GT(all.restarts, 0u);
    EXPECT_GT(all.alone, 0u);
  }
}

// One round with the coordinator when nothing is in transit; acknowledgements only between ranks
// that have talked.
TEST(CheckpointSimulatorTest, MessagesPerCheckpointInQuiet) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Options options = RandomOptions(seed);
    options.announce_commit = false;
    options.maximum_control = 2048;
    options.loss = 0;
    const Result result = World(options).Run();
    ASSERT_EQ(result.violation, "") << "seed " << seed;
    const auto others = static_cast<std::uint64_t>(options.ranks - 1);
    if (options.transit == Transit::kMtv) {
      EXPECT_EQ(result.last_controls, 2 * others) << "seed " << seed;
    } else {
      EXPECT_GE(result.last_controls, 2 * others) << "seed " << seed;
      EXPECT_LE(result.last_controls, 2 * others + (others + 1) * others) << "seed " << seed;
    }
  }
}

// The simulator is worth something only if it finds what is wrong.
class CheckpointDefectTest : public testing::TestWithParam<Defect> {};

TEST_P(CheckpointDefectTest, IsFound) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Options options = RandomOptions(seed);
    options.defect = GetParam();
    const Result result = World(options).Run();
    if (!result.violation.empty()) {
      std::printf("found with seed %lu: %s\n", seed, result.violation.c_str());
      return;
    }
  }
  FAIL() << "300 runs, and nothing was found";
}

INSTANTIATE_TEST_SUITE_P(Defects, CheckpointDefectTest,
                         testing::Values(Defect::kNoForcedCut, Defect::kInTransitForgotten,
                                         Defect::kStableTooEarly, Defect::kAnswerTooEarly,
                                         Defect::kPreviousDeleted, Defect::kTrimToOwnCut,
                                         Defect::kCountsNotRestored, Defect::kAbortUnheard));

}  // namespace
}  // namespace ftmpi::checkpoint::simulator
