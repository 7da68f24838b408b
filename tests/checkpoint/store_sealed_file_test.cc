// Sealed files: what was written in any order is read back, block boundaries included.
#include "checkpoint/sealed_file.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

#include "tests/checkpoint/store_test_util.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::checkpoint {
namespace {

using logging::Environment;
using logging::TemporaryDirectory;
using testing::HasSubstr;

// Writes pieces in random order, some of them twice; lengths around the block size.
TEST(StoreSealedFile, AnyOrderOfWrites) {
  for (const std::uint64_t length :
       {std::uint64_t{0}, std::uint64_t{1}, kBlockSize - 1, kBlockSize, kBlockSize + 1,
        3 * kBlockSize + 777, 9 * kBlockSize + kBlockSize / 2}) {
    TemporaryDirectory directory;
    std::mt19937_64 random(length);
    std::vector<std::byte> model = Noise(length, length);
    std::vector<std::uint64_t> cuts{0, length};
    for (int i = 0; i < 12; ++i) cuts.push_back(length == 0 ? 0 : random() % length);
    for (std::uint64_t at = 0; at < length; at += kBlockSize) cuts.push_back(at);
    std::sort(cuts.begin(), cuts.end());
    std::vector<std::pair<std::uint64_t, std::uint64_t>> pieces;
    for (std::size_t i = 1; i < cuts.size(); ++i) pieces.emplace_back(cuts[i - 1], cuts[i]);
    std::shuffle(pieces.begin(), pieces.end(), random);
    std::uint64_t seal = 0;
    const FileIdentity identity{FileType::kRank, 1, 2, 0, 0, 3, 4, 5, 6, CheckpointKind::kInduced};
    {
      SealedWriter writer(Environment::Posix(), directory / "file");
      const std::vector<std::byte> wrong(length, std::byte{1});
      // A first version that is overwritten: whole blocks whose checksums are known by then.
      writer.WriteAt(0, wrong);
      for (const auto& [begin, end] : pieces) {
        writer.WriteAt(begin, std::span(model).subspan(begin, end - begin));
      }
      writer.WriteAt(length, Noise(300, 8));  // not content
      seal = writer.Finish(length, identity);
      EXPECT_EQ(writer.file_length(), Environment::Posix()->FileSize(directory / "file"));
    }
    SealedReader reader(Environment::Posix(), directory / "file");
    EXPECT_EQ(reader.seal(), seal);
    EXPECT_TRUE(reader.identity() == identity);
    EXPECT_EQ(reader.content_length(), length);
    reader.CheckAll();
    std::vector<std::byte> whole(length);
    reader.ReadAt(0, whole);
    EXPECT_TRUE(whole == model);
    for (int i = 0; i < 50 && length > 0; ++i) {
      const std::uint64_t begin = random() % length;
      std::vector<std::byte> part(random() % (length - begin + 1));
      reader.ReadAt(begin, part);
      EXPECT_TRUE(
          std::equal(part.begin(), part.end(), model.begin() + static_cast<std::ptrdiff_t>(begin)));
    }
    std::vector<std::byte> beyond(1);
    EXPECT_THAT(ErrorOf([&] { reader.ReadAt(length, beyond); }), HasSubstr("behind its end"));
  }
}

// What nobody wrote reads as zeros, before and after.
TEST(StoreSealedFile, Gaps) {
  TemporaryDirectory directory;
  const std::vector<std::byte> noise = Noise(10, 1);
  {
    SealedWriter writer(Environment::Posix(), directory / "file");
    writer.WriteAt(2 * kBlockSize + 5, noise);
    std::vector<std::byte> read(20, std::byte{9});
    writer.ReadAt(2 * kBlockSize, read);
    EXPECT_EQ(read[4], std::byte{0});
    EXPECT_EQ(read[5], noise[0]);
    EXPECT_EQ(read[15], std::byte{0});
    writer.Finish(4 * kBlockSize, {});
  }
  SealedReader reader(Environment::Posix(), directory / "file");
  reader.CheckAll();
  std::vector<std::byte> read(4 * kBlockSize, std::byte{9});
  reader.ReadAt(0, read);
  std::vector<std::byte> expected(4 * kBlockSize);
  std::copy(noise.begin(), noise.end(), expected.begin() + 2 * kBlockSize + 5);
  EXPECT_TRUE(read == expected);
}

TEST(StoreSealedFile, ADamagedBlockIsNamedAndTheOthersCanBeRead) {
  TemporaryDirectory directory;
  {
    SealedWriter writer(Environment::Posix(), directory / "file");
    writer.WriteAt(0, Noise(3 * kBlockSize, 1));
    writer.Finish(3 * kBlockSize, {});
  }
  std::vector<char> bytes = logging::ReadBytes(directory / "file");
  bytes[kBlockSize + 9] = static_cast<char>(bytes[kBlockSize + 9] ^ 1);
  logging::WriteBytes(directory / "file", bytes);
  SealedReader reader(Environment::Posix(), directory / "file");
  std::vector<std::byte> read(kBlockSize);
  reader.ReadAt(0, read);
  reader.ReadAt(2 * kBlockSize, read);
  EXPECT_THAT(ErrorOf([&] { reader.ReadAt(kBlockSize - 1, std::span(read).first(2)); }),
              HasSubstr("bytes 1048576 to 2097152"));
  EXPECT_THAT(ErrorOf([&] { reader.CheckAll(); }), HasSubstr("damaged"));
}

}  // namespace
}  // namespace ftmpi::checkpoint
