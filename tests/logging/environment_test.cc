#include "logging/environment.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <span>

#include "tests/logging/fault_environment.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::logging {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::span<const std::byte> Bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string Text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class EnvironmentTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  Environment* environment_ = Environment::Posix();
};

TEST_F(EnvironmentTest, MappedFilesGrowAndShrink) {
  const std::string path = directory_ / "mapped";
  {
    const auto file = environment_->CreateMapped(path, 1 << 20);
    EXPECT_EQ(file->capacity(), 1U << 20);
    EXPECT_EQ(file->allocated(), 0U);
    file->Allocate(8192);
    file->Populate(0, 1 << 20);  // only what is allocated
    EXPECT_EQ(environment_->FileSize(path), 8192U);
    EXPECT_TRUE(std::all_of(file->data(), file->data() + 8192,
                            [](std::byte byte) { return byte == std::byte{0}; }));
    std::memset(file->data(), 'x', 8192);
    file->Allocate(4096);  // no effect
    file->Allocate(12288);
    EXPECT_EQ(file->data()[8191], std::byte{'x'});
    EXPECT_EQ(file->data()[8192], std::byte{0});
    file->Truncate(4096);
    EXPECT_EQ(environment_->FileSize(path), 4096U);
    file->Allocate(8192);
    EXPECT_EQ(file->data()[4096], std::byte{0});
    file->Remap(4 << 20);
    file->Allocate(2 << 20);
    EXPECT_EQ(file->data()[0], std::byte{'x'});
    ErrorOf([&] { file->Allocate(5 << 20); });
  }
  EXPECT_THAT(ErrorOf([&] { environment_->CreateMapped(path, 4096); }), HasSubstr("File exists"));
  const auto shared = environment_->OpenMapped(path, MapMode::kShared);
  const auto own = environment_->OpenMapped(path, MapMode::kPrivate);
  EXPECT_EQ(shared->allocated(), 2U << 20);
  own->data()[1] = std::byte{'p'};
  EXPECT_EQ(shared->data()[1], std::byte{'x'});
  shared->data()[2] = std::byte{'s'};
  EXPECT_EQ(ReadBytes(path)[2], 's');
}

TEST_F(EnvironmentTest, PopulateKeepsContent) {
  const auto file = environment_->CreateMapped(directory_ / "mapped", 1 << 20);
  file->Allocate(1 << 20);
  for (std::size_t at = 0; at < 1 << 20; at += 1000) file->data()[at] = std::byte{7};
  file->Populate(5000, 900000);
  for (std::size_t at = 0; at < 1 << 20; at += 1000) ASSERT_EQ(file->data()[at], std::byte{7});
}

TEST_F(EnvironmentTest, AFullFileSystemIsAnErrorNotASignal) {
  const SmallFileSystem small(directory_ / "small", "64k");
  if (!small.mounted()) GTEST_SKIP() << "mounting a small tmpfs needs root";
  const std::string& mounted = small.path();
  {
    const auto file = environment_->CreateMapped(mounted + "/file", 1 << 20);
    file->Allocate(32 << 10);
    try {
      file->Allocate(1 << 20);
      ADD_FAILURE() << "allocated more than there is";
    } catch (const LogError& error) {
      EXPECT_EQ(error.error_number(), ENOSPC);
      EXPECT_THAT(error.what(), HasSubstr(mounted + "/file: No space left on device"));
    }
    EXPECT_EQ(file->allocated(), 32U << 10);
    EXPECT_EQ(environment_->FileSize(mounted + "/file"), 32U << 10);
    std::memset(file->data(), 1, 32 << 10);
    file->Allocate(48 << 10);  // what failed took nothing away

    EXPECT_THAT(ErrorOf([&] {
                  environment_->WriteAtomically(mounted + "/atomic",
                                                std::vector<std::byte>(100 << 10));
                }),
                HasSubstr("No space left"));
    EXPECT_THAT(environment_->List(mounted), ElementsAre("file"));
  }
}

TEST_F(EnvironmentTest, WritesAndReads) {
  const std::string path = directory_ / "file";
  const auto file = environment_->CreateWritable(path);
  file->Append(Bytes("hello, "));
  file->Append(Bytes("world"));
  file->Sync();
  file->Truncate(7);
  file->Append(Bytes("you"));
  file->Close();
  EXPECT_EQ(Text(environment_->ReadFile(path)), "hello, you");
  EXPECT_EQ(environment_->FileSize(path), 10U);
  EXPECT_THAT(ErrorOf([&] { environment_->CreateWritable(path); }), HasSubstr("File exists"));
  EXPECT_THAT(ErrorOf([&] { environment_->ReadFile(path, 9); }), HasSubstr("larger than the 9"));
  EXPECT_EQ(environment_->ReadFile(path, 10).size(), 10U);

  const auto readable = environment_->OpenReadable(path);
  std::vector<std::byte> buffer(5);
  EXPECT_EQ(readable->ReadAt(3, buffer), 5U);
  EXPECT_EQ(Text(buffer), "lo, y");
  EXPECT_EQ(readable->ReadAt(8, buffer), 2U);
  EXPECT_EQ(readable->ReadAt(100, buffer), 0U);
  EXPECT_EQ(readable->Size(), 10U);
}

TEST_F(EnvironmentTest, ReadsFilesThatHaveNoSize) {
  EXPECT_THAT(Text(environment_->ReadFile("/proc/self/status")), HasSubstr("Pid:"));
}

TEST_F(EnvironmentTest, AtomicWritesReplace) {
  const std::string path = directory_ / "file";
  environment_->WriteAtomically(path, Bytes("one"));
  WriteBytes(path + ".new", {'x'});  // of a writer that died
  environment_->WriteAtomically(path, Bytes("two"));
  EXPECT_EQ(Text(environment_->ReadFile(path)), "two");
  EXPECT_THAT(directory_.Names(), ElementsAre("file"));
}

TEST_F(EnvironmentTest, AtomicWritesAreAllOrNothing) {
  const std::string path = directory_ / "file";
  FaultEnvironment faults(environment_);
  int failures = 0;
  int crashes = 0;
  for (std::uint64_t n = 1;; ++n) {
    ASSERT_LT(n, 100U);
    directory_.Clear();
    environment_->WriteAtomically(path, Bytes("old"));
    faults.FailAt(FaultPoint::kAny, n, EIO);
    try {
      faults.WriteAtomically(path, Bytes("new"));
    } catch (const LogError& error) {
      EXPECT_EQ(error.error_number(), EIO);
      ++failures;
    }
    const std::string after = Text(environment_->ReadFile(path));
    EXPECT_TRUE(after == "old" || after == "new") << after;
    EXPECT_THAT(directory_.Names(), ElementsAre("file"));
    if (!faults.failed()) break;

    directory_.Clear();
    environment_->WriteAtomically(path, Bytes("old"));
    faults.Clear();
    faults.CrashAt(n);
    try {
      faults.WriteAtomically(path, Bytes("new"));
    } catch (const SimulatedCrash&) {
      ++crashes;
    }
    faults.Clear();
    const std::string left = Text(environment_->ReadFile(path));
    EXPECT_TRUE(left == "old" || left == "new") << left;
  }
  EXPECT_GE(failures, 6);
  EXPECT_EQ(failures, crashes);
  faults.Clear();
  faults.CutWriteAt(1, 1);
  EXPECT_THAT(ErrorOf([&] { faults.WriteAtomically(path, Bytes("cut")); }),
              HasSubstr("No space left on device"));
  EXPECT_EQ(Text(environment_->ReadFile(path)), "new");
}

TEST_F(EnvironmentTest, DirectoriesAndNames) {
  const std::string sub = directory_ / "sub";
  environment_->MakeDirectory(sub);
  environment_->MakeDirectory(sub);  // exists: fine
  EXPECT_TRUE(environment_->Exists(sub));
  WriteBytes(sub + "/b", {'1'});
  WriteBytes(sub + "/a", {'2'});
  EXPECT_THAT(environment_->List(sub), ElementsAre("a", "b"));
  environment_->Rename(sub + "/a", sub + "/b");
  EXPECT_THAT(environment_->List(sub), ElementsAre("b"));
  environment_->SyncDirectory(sub);
  environment_->Remove(sub + "/b");
  EXPECT_FALSE(environment_->Exists(sub + "/b"));
  EXPECT_FALSE(environment_->Exists(sub + "/b/c"));
  WriteBytes(sub + "/file", {'1'});
  EXPECT_THAT(ErrorOf([&] { environment_->MakeDirectory(sub + "/file"); }),
              HasSubstr("File exists"));
}

TEST_F(EnvironmentTest, ErrorsNameTheFile) {
  const std::string missing = directory_ / "missing";
  const std::string expected = missing + ": No such file or directory";
  EXPECT_THAT(ErrorOf([&] { environment_->OpenReadable(missing); }), HasSubstr(expected));
  EXPECT_THAT(ErrorOf([&] { environment_->OpenMapped(missing, MapMode::kShared); }),
              HasSubstr(expected));
  EXPECT_THAT(ErrorOf([&] { environment_->Remove(missing); }), HasSubstr(expected));
  EXPECT_THAT(ErrorOf([&] { environment_->FileSize(missing); }), HasSubstr(expected));
  EXPECT_THAT(ErrorOf([&] { environment_->List(missing); }), HasSubstr(expected));
  EXPECT_THAT(ErrorOf([&] { environment_->SyncDirectory(missing); }), HasSubstr(expected));
  EXPECT_THAT(ErrorOf([&] { environment_->MakeDirectory(missing + "/sub"); }),
              HasSubstr(missing + "/sub: No such file"));
  EXPECT_THAT(ErrorOf([&] { environment_->CreateWritable(missing + "/file"); }),
              HasSubstr(missing + "/file: No such file"));
  EXPECT_THAT(ErrorOf([&] { environment_->Rename(missing, missing + "2"); }),
              HasSubstr(missing + " to " + missing + "2: No such file"));
  EXPECT_THAT(ErrorOf([&] { environment_->CreateMapped(missing, 0); }), HasSubstr(missing));
  WriteBytes(directory_ / "empty", {});
  EXPECT_THAT(ErrorOf([&] { environment_->OpenMapped(directory_ / "empty", MapMode::kShared); }),
              HasSubstr("empty"));
  EXPECT_THAT(ErrorOf([&] { environment_->OpenMapped("/dev/null", MapMode::kShared); }),
              HasSubstr("not a regular file"));
}

// A program may have closed its standard streams; what it writes there must not reach our files.
TEST_F(EnvironmentTest, StandardDescriptorsAreLeftFree) {
  const std::string path = directory_ / "file";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::close(0);
    ::close(1);
    ::close(2);
    const auto file = environment_->CreateWritable(path);
    (void)!::write(1, "x", 1);
    ::_exit(::fcntl(0, F_GETFD) < 0 && ::fcntl(1, F_GETFD) < 0 && ::fcntl(2, F_GETFD) < 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(environment_->FileSize(path), 0U);
}

TEST_F(EnvironmentTest, ClocksAndHost) {
  const std::uint64_t first = environment_->MonotonicNanoseconds();
  EXPECT_GE(environment_->MonotonicNanoseconds(), first);
  EXPECT_GT(environment_->WallClockNanoseconds(), 1700000000U * std::uint64_t{1000000000});
  EXPECT_FALSE(environment_->HostName().empty());
}

TEST_F(EnvironmentTest, Paths) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("", "b"), "b");
  EXPECT_EQ(DirectoryOf("a/b/c"), "a/b");
  EXPECT_EQ(DirectoryOf("c"), ".");
  EXPECT_EQ(DirectoryOf("/c"), "/");
}

TEST(Environment, AnUpdatableFileIsWrittenInAnyOrder) {
  TemporaryDirectory directory;
  Environment* environment = Environment::Posix();
  const std::vector<std::byte> text{std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};
  const std::unique_ptr<UpdatableFile> file = environment->CreateUpdatable(directory / "file");
  file->WriteAt(5, text);
  file->WriteAt(1, text);
  file->StartWriting(0, 8);
  std::vector<std::byte> read(10, std::byte{'x'});
  EXPECT_EQ(file->ReadAt(0, read), 8U);
  file->Truncate(7);
  file->Truncate(9);
  file->Sync();
  file->Close();
  EXPECT_EQ(ReadBytes(directory / "file"),
            (std::vector<char>{0, 'a', 'b', 'c', 0, 'a', 'b', 0, 0}));
  EXPECT_THROW(environment->CreateUpdatable(directory / "file"), LogError);
}

TEST(Environment, OnlyAnEmptyDirectoryIsRemoved) {
  TemporaryDirectory directory;
  Environment* environment = Environment::Posix();
  environment->MakeDirectory(directory / "one");
  WriteBytes(directory / "one/file", {'x'});
  EXPECT_THROW(environment->RemoveDirectory(directory / "one"), LogError);
  environment->Remove(directory / "one/file");
  environment->RemoveDirectory(directory / "one");
  EXPECT_FALSE(environment->Exists(directory / "one"));
}

}  // namespace
}  // namespace ftmpi::logging
