// The protocols under random programs, delays, crashes. A failure names its seed;
// FTMPI_SIM_SEED=<seed> runs just that one (all modes), FTMPI_SIM_RUNS=<n> that many seeds.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

#include "tests/logging/simulator/world.h"

namespace ftmpi::logging::simulator {
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

std::string Name(const testing::TestParamInfo<Mode>& mode) {
  switch (mode.param) {
    case Mode::kPessimistic:
      return "Pessimistic";
    case Mode::kOptimistic:
      return "Optimistic";
    default:
      return "Causal";
  }
}

class SimulatorTest : public testing::TestWithParam<Mode> {};

TEST_P(SimulatorTest, RandomPrograms) {
  const std::uint64_t only = FromEnvironment("FTMPI_SIM_SEED", 0);
  const std::uint64_t first = only != 0 ? only : 1;
  const std::uint64_t last = only != 0 ? only : FromEnvironment("FTMPI_SIM_RUNS", 400);
  Result all;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const Result result = World(RandomOptions(seed, GetParam())).Run();
    ASSERT_EQ(result.violation, "") << "again with FTMPI_SIM_SEED=" << seed;
    all.messages += result.messages;
    all.controls += result.controls;
    all.piggybacks += result.piggybacks;
    all.events += result.events;
    all.held_sends += result.held_sends;
    all.outputs += result.outputs;
    all.crash_checks += result.crash_checks;
  }
  std::printf(
      "%lu runs: %lu messages, %lu events, %lu control messages, %lu with data, %lu held, "
      "%lu outputs, %lu crashes\n",
      last - first + 1, all.messages, all.events, all.controls, all.piggybacks, all.held_sends,
      all.outputs, all.crash_checks);
  if (only == 0) {
    EXPECT_GT(all.crash_checks, 0u);
    EXPECT_GT(all.outputs, 0u);
    EXPECT_EQ(all.held_sends > 0, GetParam() == Mode::kPessimistic);
  }
}

// "Only events make determinants": no message, no byte, no wait for a program without any.
TEST_P(SimulatorTest, ProgramsWithoutEvents) {
  std::uint64_t messages = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Options options = RandomOptions(seed, GetParam());
    options.events = false;
    options.crashes = 0;
    const Result result = World(options).Run();
    ASSERT_EQ(result.violation, "") << "seed " << seed;
    ASSERT_EQ(result.controls + result.piggybacks + result.held_sends + result.events, 0u);
    messages += result.messages;
  }
  EXPECT_GT(messages, 1000u);
}

TEST_P(SimulatorTest, OneFailureUnit) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Options options = RandomOptions(seed, GetParam());
    options.unit.assign(options.unit.size(), 3);
    const Result result = World(options).Run();
    ASSERT_EQ(result.violation, "") << "seed " << seed;
    ASSERT_EQ(result.controls + result.piggybacks + result.held_sends, 0u);
  }
}

TEST_P(SimulatorTest, ThousandsOfRanks) {
  Options options;
  options.seed = 11;
  options.mode = GetParam();
  for (int r = 0; r < 3000; ++r) options.unit.push_back(r / 24);
  options.steps = 400000;
  options.truth = false;
  options.neighbours = 2;
  const auto start = std::chrono::steady_clock::now();
  const Result result = World(options).Run();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(result.violation, "");
  EXPECT_GT(result.events, 10000u);
  std::printf("%lu messages, %lu events, %lu control messages, %.1f bytes per message, %.1f s\n",
              result.messages, result.events, result.controls,
              static_cast<double>(result.piggyback_bytes) / static_cast<double>(result.messages),
              took.count());
}

INSTANTIATE_TEST_SUITE_P(Modes, SimulatorTest,
                         testing::Values(Mode::kPessimistic, Mode::kOptimistic, Mode::kCausal),
                         Name);

// The simulator is worth something only if it finds what is wrong.
struct KnownDefect {
  Mode mode;
  Defect defect;
};
class DefectTest : public testing::TestWithParam<KnownDefect> {};

TEST_P(DefectTest, IsFound) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Options options = RandomOptions(seed, GetParam().mode);
    options.defect = GetParam().defect;
    const Result result = World(options).Run();
    if (!result.violation.empty()) {
      std::printf("found with seed %lu: %s\n", seed, result.violation.c_str());
      return;
    }
  }
  FAIL() << "200 runs, and nothing was found";
}

INSTANTIATE_TEST_SUITE_P(Defects, DefectTest,
                         testing::Values(KnownDefect{Mode::kPessimistic, Defect::kNoHold},
                                         KnownDefect{Mode::kPessimistic, Defect::kSendsNotHeld},
                                         KnownDefect{Mode::kPessimistic, Defect::kNothingRides},
                                         KnownDefect{Mode::kPessimistic, Defect::kOutputNotHeld},
                                         KnownDefect{Mode::kPessimistic, Defect::kControlLost},
                                         KnownDefect{Mode::kCausal, Defect::kNoHold},
                                         KnownDefect{Mode::kCausal, Defect::kNothingRides},
                                         KnownDefect{Mode::kCausal, Defect::kOutputNotHeld},
                                         KnownDefect{Mode::kCausal, Defect::kControlLost},
                                         KnownDefect{Mode::kCausal, Defect::kStaleDeterminant},
                                         KnownDefect{Mode::kOptimistic, Defect::kOutputNotHeld},
                                         KnownDefect{Mode::kOptimistic, Defect::kNoDependencies},
                                         KnownDefect{Mode::kOptimistic, Defect::kControlLost}));

}  // namespace
}  // namespace ftmpi::logging::simulator
