// The host of the image library in tests, preloaded into small programs that call checkpoint_here()
// (a weak symbol: alone they run without it). From the environment:
//
//   IMAGE_TEST=record    images can be taken
//   IMAGE_TEST=restore   the process starts from IMAGE_TEST_FILE
//   IMAGE_TEST_FILE      the image
// (the environment in which the process was started, also the restored one)
//   IMAGE_TEST_AT=n      the n-th call takes the image and then kills the process
//   IMAGE_TEST_ON=n      the n-th call takes the image and the process runs on
//   IMAGE_TEST_CHAIN=userfault|hash   every call up to that takes an image that builds on the last
//   one
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "checkpoint/image/capture.h"
#include "checkpoint/image/export.h"
#include "checkpoint/image/host.h"
#include "checkpoint/image/image_error.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/modules.h"
#include "tests/checkpoint/image/image_file.h"

namespace ftmpi {

namespace image_test {

// In the host with MPI.
__attribute__((weak)) void StartMpi(int* argc, char*** argv);

}  // namespace image_test

namespace {

using image::StartMode;

constexpr int kRestoreFailed = 90;
constexpr int kCaptureFailed = 91;
constexpr int kNotImaged = 92;

const char* Variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// Each rank has its own image.
std::string ImagePath() {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  return std::string(Variable("IMAGE_TEST_FILE")) + (rank != nullptr ? rank : "");
}

// Read once: after a restore the environment is the captured process's.
struct Orders {
  int at;
  int on;
  bool chain;
};

const Orders& TheOrders() {
  static const Orders orders = {std::atoi(Variable("IMAGE_TEST_AT")),
                                std::atoi(Variable("IMAGE_TEST_ON")),
                                *Variable("IMAGE_TEST_CHAIN") != '\0'};
  return orders;
}

class TestHost : public image::Host {
 public:
  StartMode Mode() override {
    // Launch scripts are no ranks.
    if (image_test::StartMpi != nullptr && !image::ExecutableNeedsHostLibrary())
      return StartMode::kOff;
    const char* mode = Variable("IMAGE_TEST");
    if (std::strcmp(mode, "record") == 0) return StartMode::kRecord;
    if (std::strcmp(mode, "restore") == 0) return StartMode::kRestore;
    return StartMode::kOff;
  }
  bool IsLibraryRoot(const char* file_name) override {
    return std::strncmp(file_name, "libimage_test_host", 18) == 0 ||
           std::strncmp(file_name, "libmpi.so", 9) == 0;
  }
  bool IsLibraryVariable(const char* name) override {
    for (const char* prefix : {"OMPI_", "PMIX_", "ORTE_", "OPAL_", "HYDRA_"})
      if (std::strncmp(name, prefix, std::strlen(prefix)) == 0) return true;
    return false;
  }
  void NotImaged(const std::string& reason) override {
    std::fprintf(stderr, "image_test: not imaged: %s\n", reason.c_str());
    _exit(kNotImaged);
  }
  image::Source& OpenImage() override {
    static auto& source = *new image_test::FileSource(ImagePath());
    return source;
  }
  void StartLibraries(int* argc, char*** argv) override {
    TheOrders();
    if (image_test::StartMpi != nullptr) image_test::StartMpi(argc, argv);
  }
  [[noreturn]] void RestoreFailed(const std::string& reason) override {
    std::fprintf(stderr, "image_test: not restored: %s\n", reason.c_str());
    _exit(kRestoreFailed);
  }
};

int g_calls = 0;

// Not freed: what is on the stack may not need anything of this process after a restore.
image::PageTracker* Tracker() {
  static const std::string method = Variable("IMAGE_TEST_CHAIN");
  static auto* tracker =
      method.empty() ? nullptr
                     : new image::PageTracker(method == "hash" ? image::TrackingMethod::kHash
                                                               : image::TrackingMethod::kUserfault);
  return tracker;
}

// The last image becomes the one that the next builds on.
void KeepAsBase(const char* path) {
  char from[4096];
  char to[4096];
  for (int i = 9; i >= 0; --i) {
    std::snprintf(from, sizeof from, "%s", path);
    for (int j = 0; j < i; ++j) std::strcat(from, ".base");
    std::snprintf(to, sizeof to, "%s.base", from);
    std::rename(from, to);
  }
}

void TakeImage(bool kill_after) {
  // Nothing with a destructor may be on the stack of a captured call: it would free memory of the
  // captured process's own heap in the restored one.
  static auto& sink = *new image_test::FileSink(ImagePath());
  pid_t writer = 0;
  try {
    if (Tracker() != nullptr) KeepAsBase(ImagePath().c_str());
    if (image::Capture(sink, &writer, Tracker()) == image::Outcome::kRestored) return;
  } catch (const image::ImageError& error) {
    std::fprintf(stderr, "image_test: not captured: %s\n", error.what());
    _exit(kCaptureFailed);
  }
  if (!image::WaitForWriter(writer)) {
    std::fprintf(stderr, "image_test: the image was not written\n");
    _exit(kCaptureFailed);
  }
  if (kill_after) kill(getpid(), SIGKILL);
}

}  // namespace

namespace image {

Host& TheHost() {
  static TestHost& host = *new TestHost;
  return host;
}

}  // namespace image
}  // namespace ftmpi

FTMPI_INTERPOSE void checkpoint_here() {
  if (!ftmpi::image::CanCapture()) return;
  const ftmpi::image::LibraryScope scope;
  ++ftmpi::g_calls;
  const bool kill_after = ftmpi::g_calls == ftmpi::TheOrders().at;
  if (kill_after || ftmpi::TheOrders().chain || ftmpi::g_calls == ftmpi::TheOrders().on)
    ftmpi::TakeImage(kill_after);
}
