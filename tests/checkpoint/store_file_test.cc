// One rank's file: what is written is read back, and everything else is refused.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "checkpoint/rank_file_reader.h"
#include "tests/checkpoint/store_test_util.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::checkpoint {
namespace {

using logging::Environment;
using logging::ReadBytes;
using logging::TemporaryDirectory;
using logging::WriteBytes;
using testing::HasSubstr;

constexpr std::uint64_t kBase = 0x500000000000;

// An image with data, zero pages and a last page that is cut off, and datasets of several types.
struct Example {
  explicit Example(std::size_t pages) : arena(Noise(pages * kPageSize + 100, 1)) {
    for (std::size_t page = 1; page < pages; page += 3) {
      std::fill_n(arena.begin() + static_cast<std::ptrdiff_t>(page * kPageSize), kPageSize,
                  std::byte{0});
    }
    memory.Add(kBase, &arena);
    memory.Add(kBase + (1 << 30), &small);
    manifest.attributes = TestAttributes(7);
    manifest.sections = {TestSection(kBase, arena.size(), "arena"),
                         TestSection(kBase + (1 << 30), small.size(), "[tls]")};
    manifest.datasets = {TestDataset("in_transit", ElementType::kByte, in_transit),
                         TestDataset("registered/temperature", ElementType::kFloat64, temperature),
                         TestDataset("dependency_vector", ElementType::kUint64, vector),
                         TestDataset("engine/queues", ElementType::kByte, empty)};
  }

  WrittenFile Write(const std::string& path, int compression = 0) {
    WriteOptions options;
    options.compression = compression;
    return WriteRankFile(Environment::Posix(), path, manifest, &memory, options);
  }

  std::vector<std::byte> arena;
  std::vector<std::byte> small = Noise(77, 2);
  std::vector<std::byte> in_transit = Noise(3000, 3);
  std::vector<std::byte> empty;
  std::vector<double> temperature{1.5, -2.25, 1e300};
  std::vector<std::uint64_t> vector{3, 1, 4, 1, 5};
  FakeMemory memory;
  Manifest manifest;
};

// The whole section as the file has it.
std::vector<std::byte> Content(RankFileReader* reader, std::size_t index) {
  const StoredSection& stored = reader->sections()[index];
  std::vector<std::byte> bytes(stored.section.length, std::byte{0xee});
  for (std::size_t i = 0; i < stored.runs.size(); ++i) {
    const PageRun& run = stored.runs[i];
    const std::uint64_t begin = run.first_page * kPageSize;
    const std::uint64_t end = std::min<std::uint64_t>(begin + run.pages * kPageSize, bytes.size());
    const std::span<std::byte> part = std::span(bytes).subspan(begin, end - begin);
    if (run.zero != 0) {
      std::fill(part.begin(), part.end(), std::byte{0});
    } else {
      reader->ReadSectionData(index, stored.data_offsets[i], part);
    }
  }
  return bytes;
}

class StoreFile : public testing::TestWithParam<int> {};

TEST_P(StoreFile, IsReadBackAsItWasWritten) {
  TemporaryDirectory directory;
  Example example(700);
  const WrittenFile written = example.Write(directory / "rank-0.h5", GetParam());
  EXPECT_THAT(directory.Names(), testing::ElementsAre("rank-0.h5"));
  EXPECT_EQ(written.file_bytes, std::filesystem::file_size(directory / "rank-0.h5"));
  EXPECT_EQ(written.zero_bytes, 233 * kPageSize);

  RankFileReader reader(Environment::Posix(), directory / "rank-0.h5");
  EXPECT_EQ(reader.seal(), written.seal);
  EXPECT_EQ(
      std::memcmp(&reader.attributes(), &example.manifest.attributes, sizeof(CheckpointAttributes)),
      0);
  ASSERT_EQ(reader.sections().size(), 2U);
  EXPECT_EQ(
      std::memcmp(&reader.sections()[0].section, &example.manifest.sections[0], sizeof(Section)),
      0);
  EXPECT_TRUE(Content(&reader, 0) == example.arena);
  EXPECT_TRUE(Content(&reader, 1) == example.small);
  ASSERT_EQ(reader.datasets().size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    const Dataset& dataset = reader.datasets()[i];
    std::vector<std::byte> bytes(dataset.count * ElementSize(dataset.type));
    reader.ReadDataset(i, 0, bytes);
    const std::string name = dataset.name;
    const void* expected = nullptr;
    if (name == "in_transit") expected = example.in_transit.data();
    if (name == "registered/temperature") {
      EXPECT_EQ(dataset.type, ElementType::kFloat64);
      EXPECT_EQ(dataset.count, 3U);
      expected = example.temperature.data();
    }
    if (name == "dependency_vector") expected = example.vector.data();
    if (name == "engine/queues") {
      EXPECT_EQ(dataset.count, 0U);
      continue;
    }
    ASSERT_NE(expected, nullptr) << name;
    EXPECT_EQ(std::memcmp(bytes.data(), expected, bytes.size()), 0) << name;
  }
  reader.CheckAll();
}

INSTANTIATE_TEST_SUITE_P(PlainAndCompressed, StoreFile, testing::Values(0, 3));

TEST(StoreFileDamage, EveryTruncationIsFound) {
  TemporaryDirectory directory;
  Example example(1);
  example.Write(directory / "rank-0.h5");
  const std::vector<char> whole = ReadBytes(directory / "rank-0.h5");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    WriteBytes(directory / "cut.h5",
               {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)});
    const std::string error =
        ErrorOf([&] { RankFileReader reader(Environment::Posix(), directory / "cut.h5"); });
    ASSERT_THAT(error, HasSubstr(directory / "cut.h5")) << length;
  }
}

TEST(StoreFileDamage, EveryFlippedBitIsFound) {
  TemporaryDirectory directory;
  Example example(1);
  example.Write(directory / "rank-0.h5", 3);
  std::vector<char> bytes = ReadBytes(directory / "rank-0.h5");
  RankFileReader(Environment::Posix(), directory / "rank-0.h5").CheckAll();
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const char flip = static_cast<char>(1 << (at % 8));
    bytes[at] = static_cast<char>(bytes[at] ^ flip);
    WriteBytes(directory / "flipped.h5", bytes);
    const std::string error =
        ErrorOf([&] { RankFileReader(Environment::Posix(), directory / "flipped.h5").CheckAll(); });
    ASSERT_THAT(error, HasSubstr(directory / "flipped.h5")) << at;
    bytes[at] = static_cast<char>(bytes[at] ^ flip);
  }
}

TEST(StoreFileDamage, ForeignFilesAreNamed) {
  TemporaryDirectory directory;
  Example example(1);
  example.Write(directory / "rank-0.h5");
  const std::vector<char> good = ReadBytes(directory / "rank-0.h5");
  const auto error_of = [&](const std::vector<char>& bytes) {
    WriteBytes(directory / "other.h5", bytes);
    return ErrorOf(
        [&] { RankFileReader(Environment::Posix(), directory / "other.h5").CheckAll(); });
  };
  EXPECT_THAT(error_of(std::vector<char>(5000, 'x')), HasSubstr("no checkpoint file of ftmpi"));
  EXPECT_THAT(error_of({}), HasSubstr("too few"));
  EXPECT_THAT(error_of({good.begin(), good.end() - 128}), HasSubstr("without ftmpi's seal"));
  std::vector<char> longer = good;
  longer.insert(longer.begin() + 100, 'x');
  EXPECT_THAT(error_of(longer), HasSubstr("bytes long"));

  // A later version, with a seal that is right.
  std::vector<char> later = good;
  SealFooter footer;
  std::memcpy(&footer, later.data() + later.size() - sizeof footer, sizeof footer);
  footer.version = 2;
  footer.seal = XXH3_64bits(&footer, offsetof(SealFooter, seal));
  std::memcpy(later.data() + later.size() - sizeof footer, &footer, sizeof footer);
  EXPECT_THAT(error_of(later), HasSubstr("version 2"));

  // Another rank's identity over the same content.
  std::memcpy(&footer, good.data() + good.size() - sizeof footer, sizeof footer);
  footer.job ^= 1;
  footer.seal = XXH3_64bits(&footer, offsetof(SealFooter, seal));
  std::vector<char> mixed = good;
  std::memcpy(mixed.data() + mixed.size() - sizeof footer, &footer, sizeof footer);
  EXPECT_THAT(error_of(mixed), HasSubstr("contradict"));
}

TEST(StoreFileTools, H5dumpOpensTheFile) {
  TemporaryDirectory directory;
  Example example(3);
  example.Write(directory / "rank-0.h5");
  const std::string command =
      std::string("h5dump -a csn -d /registered/temperature -d /image/000000/runs ") +
      (directory / "rank-0.h5") + " > " + (directory / "out") + " 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0);
  const std::vector<char> out = ReadBytes(directory / "out");
  const std::string text(out.begin(), out.end());
  EXPECT_THAT(text, HasSubstr("(0): 7"));
  EXPECT_THAT(text, HasSubstr("1.5, -2.25, 1e+300"));
  EXPECT_THAT(text, HasSubstr("first_page"));
}

}  // namespace
}  // namespace ftmpi::checkpoint
