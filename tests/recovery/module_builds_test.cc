// Whether the files of this node are those that a checkpoint was taken with.
#include "recovery/module_builds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "recovery/job_directory.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::recovery {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ModuleBuilds, EachFileThatIsAnotherIsNamed) {
  const logging::TemporaryDirectory directory;
  const std::string program = directory / "program";
  std::filesystem::copy_file("/bin/true", program);
  const std::string id = BuildIdOf(program);
  const std::string plain = directory / "a file with blanks";  // no ELF file
  logging::WriteBytes(plain, std::vector<char>(123, 'x'));
  const std::string good = id + " " + program + "\nsize:123 " + plain + "\n";
  EXPECT_THAT(DifferingBuilds(good), IsEmpty());
  EXPECT_THAT(DifferingBuilds(""), IsEmpty());

  logging::WriteBytes(plain, std::vector<char>(124, 'x'));
  EXPECT_THAT(DifferingBuilds(good), ElementsAre(plain + " is another build (size:124) than at the "
                                                         "checkpoint (size:123)"));
  std::filesystem::remove(plain);
  EXPECT_THAT(
      DifferingBuilds("0123abcd " + program + "\nsize:123 " + plain),
      ElementsAre(program + " is another build (" + id + ") than at the checkpoint (0123abcd)",
                  HasSubstr(plain + " can't be read: No such file")));
}

}  // namespace
}  // namespace ftmpi::recovery
