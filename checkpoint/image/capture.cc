#include "checkpoint/image/capture.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "checkpoint/image/arena.h"
#include "checkpoint/image/blob_names.h"
#include "checkpoint/image/capture_heap.h"
#include "checkpoint/image/codec.h"
#include "checkpoint/image/descriptors.h"
#include "checkpoint/image/environment_variables.h"
#include "checkpoint/image/identity.h"
#include "checkpoint/image/image_error.h"
#include "checkpoint/image/libc_state.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/memory_map.h"
#include "checkpoint/image/modules.h"
#include "checkpoint/image/process_role.h"
#include "checkpoint/image/process_state.h"
#include "checkpoint/image/registers.h"
#include "checkpoint/image/startup.h"
#include "checkpoint/image/threads.h"

namespace ftmpi::image {
namespace {

void AddBlob(Image* image, const char* name, std::vector<std::byte> bytes) {
  image->blobs.push_back({name, std::move(bytes)});
}

std::string Joined(const std::vector<std::string>& reasons) {
  std::string text;
  for (const std::string& reason : reasons) text += (text.empty() ? "" : "; ") + reason;
  return text;
}

Image BuildImage(const Registers& registers, int error_number) {
  Image image;
  std::vector<std::string> reasons;
  EndOrNameThreads(&reasons);
  const std::vector<Module> modules = ListModules();
  AddBlob(&image, kProcessStateBlob, CaptureProcessState(modules, &reasons));
  AddBlob(&image, kDescriptorsBlob, CaptureDescriptors(&reasons));
  AddBlob(&image, kLibcStateBlob, CaptureLibcState(error_number));
  AddBlob(&image, kEnvironmentBlob, CaptureEnvironment());
  AddBlob(&image, kThreadKeysBlob, CaptureThreadKeys());
  Encoder start;
  start.Value(registers).Value(ReadThreadGuards()).Value(t_library_depth);
  AddBlob(&image, kRegistersBlob, start.Take());
  AddBlob(&image, kModulesBlob, EncodeModules(modules));
  MemoryMap map = BuildMemoryMap(modules, registers.rsp, &reasons);
  AddBlob(&image, kMappingsBlob, Encode(map.mappings));
  image.sections = std::move(map.sections);
  if (!reasons.empty()) throw ImageError("the process can't be captured: " + Joined(reasons));
  return image;
}

// Smaller sections are always stored whole.
constexpr std::uint64_t kSmallestTracked = 16 * kPage;

// Lists in each large section the pages that were written. `first`: there is no image to build on.
void ListWrittenPages(PageTracker* tracker, bool first, Image* image) {
  image->written.reserve(image->sections.size());
  for (checkpoint::Section& section : image->sections) {
    if (section.address % kPage != 0 || section.length % kPage != 0 ||
        section.length < kSmallestTracked)
      continue;
    image->written.push_back(
        tracker->TakeWritten({section.address, section.address + section.length}));
    if (first) continue;
    const auto& pages = image->written.back();
    section.flags |= checkpoint::kSectionListedPages;
    section.ranges = reinterpret_cast<std::uint64_t>(pages.data());
    section.range_count = pages.size();
  }
}

// A copy of the process that is not noticed by the program: no SIGCHLD, no wait() of the program's
// finds it, no handlers of pthread_atfork run.
pid_t Fork() { return static_cast<pid_t>(syscall(SYS_clone, 0UL, nullptr, nullptr, nullptr, 0UL)); }

[[noreturn]] void Write(Sink& sink, const Image& image) {
  bool written = false;
  try {
    written = capture_heap::Start() && sink.Put(image);
  } catch (const std::exception&) {
    written = false;
  }
  _exit(written ? 0 : 1);
}

__attribute__((noinline)) pid_t Freeze(Sink& sink, const Registers& registers, int error_number,
                                       PageTracker* tracker) {
  if (tracker != nullptr)
    for (const int descriptor : tracker->Descriptors()) NoteLibraryDescriptor(descriptor);
  Image image = BuildImage(registers, error_number);
  if (tracker != nullptr) ListWrittenPages(tracker, !tracker->HasBase(), &image);
  const pid_t child = Fork();
  if (child == 0) Write(sink, image);
  if (child < 0)
    throw ImageError(std::string("the process can't be copied (fork): ") + std::strerror(errno));
  return child;
}

}  // namespace

pid_t RunInCopy(bool (*task)()) {
  const pid_t child = Fork();
  if (child != 0) return child;
  bool done = false;
  try {
    done = capture_heap::Start() && task();
  } catch (const std::exception&) {
    done = false;
  }
  _exit(done ? 0 : 1);
}

bool CanCapture() { return ArenaActive(); }

Outcome Capture(Sink& sink, pid_t* writer, PageTracker* tracker) {
  const int error_number = errno;
  if (!CanCapture()) throw ImageError("this process was not started for images");
  if (const auto here = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
      here < Root().stack_bottom || here >= kStackTop)
    throw ImageError("an image can be taken by the main thread on its own stack only");
  // What is buffered would be written twice; libc's own three streams are not in the image.
  std::fflush(nullptr);
  Registers registers;
  if (ftmpi_image_save_registers(&registers) != 0) return Outcome::kRestored;
  *writer = Freeze(sink, registers, error_number, tracker);
  errno = error_number;
  return Outcome::kCaptured;
}

bool WriterEnded(pid_t writer, bool* success) {
  int status = 0;
  pid_t ended = 0;
  do {
    ended = waitpid(writer, &status, WNOHANG | __WALL);
  } while (ended < 0 && errno == EINTR);
  if (ended == 0) return false;
  *success = ended == writer && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return true;
}

bool WaitForWriter(pid_t writer) {
  int status = 0;
  pid_t ended = 0;
  do {
    ended = waitpid(writer, &status, __WALL);
  } while (ended < 0 && errno == EINTR);
  return ended == writer && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace ftmpi::image
