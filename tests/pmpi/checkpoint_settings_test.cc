// The FT_CKPT_* variables: what is taken, and what is refused by name.
#include "pmpi/checkpoint_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

namespace ftmpi {
namespace {

using checkpoint::MtvStrategy;
using checkpoint::Transit;
using testing::AllOf;
using testing::HasSubstr;

using Variables = std::map<std::string, std::string>;

class CheckpointSettingsTest : public testing::Test {
 protected:
  ~CheckpointSettingsTest() override { Clear(); }
  static void Clear() {
    for (const char* name :
         {"FT_CKPT_INTERVAL", "FT_MTBF", "FT_CKPT_EVERY", "FT_CKPT_SIGNAL", "FT_CKPT_TIMEOUT",
          "FT_CKPT_TRANSIT", "FT_MTV_STRATEGY", "FT_CKPT_LEVELS", "FT_CKPT"}) {
      unsetenv(name);
    }
  }
  static void Set(const Variables& variables) {
    Clear();
    for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  }
  static CheckpointSettings Read(const Variables& variables) {
    Set(variables);
    CheckpointSettings settings;
    std::string error;
    EXPECT_TRUE(ReadCheckpointSettings(&settings, &error)) << error;
    return settings;
  }
  static std::string Refusal(const Variables& variables) {
    Set(variables);
    CheckpointSettings settings;
    std::string error;
    EXPECT_FALSE(ReadCheckpointSettings(&settings, &error));
    return error;
  }
};

TEST_F(CheckpointSettingsTest, Levels) {
  const auto levels = [](const char* value) {
    const CheckpointLevels read = Read({{"FT_CKPT_LEVELS", value}}).levels;
    return std::vector<std::uint32_t>{read.local, read.partner, read.shared};
  };
  using Numbers = std::vector<std::uint32_t>;
  EXPECT_EQ(levels(""), (Numbers{0, 0, 1}));
  EXPECT_EQ(levels("shared"), (Numbers{0, 0, 1}));
  EXPECT_EQ(levels("local,partner,shared"), (Numbers{1, 4, 16}));
  EXPECT_EQ(levels("local:1,partner:3,shared:7"), (Numbers{1, 3, 7}));
  EXPECT_EQ(levels("partner,shared:2"), (Numbers{0, 1, 2}));
  EXPECT_EQ(levels("local,shared"), (Numbers{1, 0, 16}));
  EXPECT_TRUE(Read({{"FT_CKPT_LEVELS", "shared:1"}}).levels.shared_only());
  EXPECT_FALSE(Read({{"FT_CKPT_LEVELS", "local,shared"}}).levels.shared_only());
}

TEST_F(CheckpointSettingsTest, LevelsThatCantBe) {
  for (const char* value :
       {"local", "local,partner", "partner,local,shared", "shared,local", "local,shared,shared",
        "local,shared:0", "local,shared:", "local,shared:2x", "local:2,shared:4", "shared:2",
        "local,,shared", "local,shared,", "global", "local,shared:-1",
        "local,shared:99999999999"}) {
    EXPECT_THAT(Refusal({{"FT_CKPT_LEVELS", value}}),
                AllOf(HasSubstr(std::string("FT_CKPT_LEVELS=") + value),
                      HasSubstr("local,partner:4,shared:16")));
  }
}

TEST_F(CheckpointSettingsTest, TheHighestLevelThatIsDue) {
  using checkpoint::Level;
  const CheckpointLevels levels{1, 2, 6};
  const std::vector<Level> expected = {Level::kLocal,   Level::kPartner, Level::kLocal,
                                       Level::kPartner, Level::kLocal,   Level::kShared,
                                       Level::kLocal,   Level::kPartner};
  for (std::size_t n = 0; n < expected.size(); ++n) EXPECT_EQ(LevelOf(levels, n + 1), expected[n]);
  EXPECT_EQ(LevelOf({0, 0, 1}, 5), Level::kShared);
  EXPECT_EQ(LevelOf({0, 1, 5}, 4), Level::kPartner);
  EXPECT_EQ(LevelOf({1, 0, 3}, 4), Level::kLocal);
}

TEST_F(CheckpointSettingsTest, NothingIsSet) {
  const CheckpointSettings settings = Read({});
  EXPECT_EQ(settings.interval, 0U);
  EXPECT_FALSE(settings.automatic);
  EXPECT_EQ(settings.every, 0U);
  EXPECT_EQ(settings.signal, 0);
  EXPECT_EQ(settings.timeout, 60'000'000'000U);
  EXPECT_EQ(settings.transit, Transit::kMtv);
  EXPECT_EQ(settings.strategy, MtvStrategy::kPessimistic);
}

TEST_F(CheckpointSettingsTest, Triggers) {
  EXPECT_EQ(Read({{"FT_CKPT_INTERVAL", "0.5"}}).interval, 500'000'000U);
  const CheckpointSettings automatic = Read({{"FT_CKPT_INTERVAL", "auto"}, {"FT_MTBF", "3600"}});
  EXPECT_TRUE(automatic.automatic);
  EXPECT_EQ(automatic.interval, 0U);
  EXPECT_EQ(automatic.mtbf, 3'600'000'000'000U);
  EXPECT_EQ(Read({{"FT_CKPT_EVERY", "5000"}}).every, 5000U);
  EXPECT_EQ(Read({{"FT_CKPT_SIGNAL", "USR1"}}).signal, SIGUSR1);
  EXPECT_EQ(Read({{"FT_CKPT_SIGNAL", "SIGUSR2"}}).signal, SIGUSR2);
  EXPECT_EQ(Read({{"FT_CKPT_TIMEOUT", "3"}}).timeout, 3'000'000'000U);
}

TEST_F(CheckpointSettingsTest, Protocols) {
  EXPECT_EQ(Read({{"FT_CKPT_TRANSIT", "ack"}}).transit, Transit::kAck);
  EXPECT_EQ(Read({{"FT_CKPT_TRANSIT", "mtv"}}).transit, Transit::kMtv);
  EXPECT_EQ(Read({{"FT_MTV_STRATEGY", "optimistic"}}).strategy, MtvStrategy::kOptimistic);
  EXPECT_EQ(Read({{"FT_CKPT_TRANSIT", "mtv"}, {"FT_MTV_STRATEGY", "pessimistic"}}).strategy,
            MtvStrategy::kPessimistic);
}

TEST_F(CheckpointSettingsTest, Kinds) {
  EXPECT_EQ(Read({}).kind, checkpoint::CheckpointKind::kCoordinated);
  EXPECT_EQ(Read({{"FT_CKPT", "coordinated"}}).kind, checkpoint::CheckpointKind::kCoordinated);
  EXPECT_EQ(Read({{"FT_CKPT", "independent"}}).kind, checkpoint::CheckpointKind::kIndependent);
  // What belongs to the coordination of the others.
  for (const Variables& with :
       {Variables{{"FT_CKPT_TRANSIT", "ack"}}, Variables{{"FT_MTV_STRATEGY", "optimistic"}},
        Variables{{"FT_CKPT_INTERVAL", "auto"}, {"FT_MTBF", "60"}}}) {
    Variables variables = with;
    variables["FT_CKPT"] = "independent";
    EXPECT_THAT(Refusal(variables),
                AllOf(HasSubstr(with.begin()->first), HasSubstr("FT_CKPT=independent")));
  }
}

TEST_F(CheckpointSettingsTest, WrongValuesAreNamed) {
  const Variables wrong = {
      {"FT_CKPT_INTERVAL", "soon"},   {"FT_CKPT_EVERY", "0"}, {"FT_CKPT_SIGNAL", "KILL"},
      {"FT_CKPT_TIMEOUT", "0"},       {"FT_MTBF", "-3"},      {"FT_CKPT_TRANSIT", "magic"},
      {"FT_MTV_STRATEGY", "hopeful"}, {"FT_CKPT", "together"}};
  for (const auto& [name, value] : wrong) {
    EXPECT_THAT(Refusal({{name, value}}), AllOf(HasSubstr(name), HasSubstr(value)));
  }
  EXPECT_THAT(Refusal({{"FT_CKPT_EVERY", "12x"}}), HasSubstr("12x"));
  EXPECT_THAT(Refusal({{"FT_CKPT_INTERVAL", "-1"}}), HasSubstr("FT_CKPT_INTERVAL"));
}

TEST_F(CheckpointSettingsTest, ContradictionsAreRefused) {
  EXPECT_THAT(Refusal({{"FT_CKPT_INTERVAL", "auto"}}), HasSubstr("FT_MTBF"));
  EXPECT_THAT(Refusal({{"FT_CKPT_TRANSIT", "ack"}, {"FT_MTV_STRATEGY", "optimistic"}}),
              HasSubstr("FT_MTV_STRATEGY"));
}

TEST_F(CheckpointSettingsTest, EachValueIsAgreedUpon) {
  const std::string plain = AgreedCheckpointValues(Read({}));
  for (const Variables& different :
       {Variables{{"FT_CKPT_INTERVAL", "2"}}, Variables{{"FT_CKPT_EVERY", "7"}},
        Variables{{"FT_CKPT_SIGNAL", "USR1"}}, Variables{{"FT_CKPT_TRANSIT", "ack"}},
        Variables{{"FT_MTV_STRATEGY", "optimistic"}}, Variables{{"FT_CKPT_TIMEOUT", "2"}},
        Variables{{"FT_MTBF", "10"}}, Variables{{"FT_CKPT", "independent"}}}) {
    EXPECT_NE(AgreedCheckpointValues(Read(different)), plain) << different.begin()->first;
  }
}

}  // namespace
}  // namespace ftmpi
