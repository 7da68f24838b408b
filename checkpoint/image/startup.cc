// __libc_start_main in place of libc's. Three ways through it:
//
//   no image       libc's, unchanged.
//   first time     address randomisation is switched off and the program executed anew, with a mark
//                  in its environment (process_role.h).
//   second time    record: main() runs on a stack in the arena, with copies of its arguments there;
//                  restore: neither the executable's constructors nor its main() run; in main()'s
//                  place the host starts MPI and the image is mapped.
//
// This file is compiled without stack protection: the canary changes under its functions.
#include "checkpoint/image/startup.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <vector>

#include "checkpoint/image/arena.h"
#include "checkpoint/image/check.h"
#include "checkpoint/image/descriptors.h"
#include "checkpoint/image/exit_handlers.h"
#include "checkpoint/image/export.h"
#include "checkpoint/image/host.h"
#include "checkpoint/image/libc_state.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/loading.h"
#include "checkpoint/image/modules.h"
#include "checkpoint/image/process_role.h"
#include "checkpoint/image/process_state.h"
#include "checkpoint/image/registers.h"
#include "checkpoint/image/restore.h"

namespace ftmpi::image {
namespace {

using Main = int (*)(int, char**, char**);
using StartMain = int (*)(Main, int, char**, void (*)(), void (*)(), void (*)(), void*);

constexpr std::uint64_t kSmallestStack = std::uint64_t{8} << 20;
constexpr std::uint64_t kLargestStack = std::uint64_t{256} << 30;

Main g_main = nullptr;
Source* g_source = nullptr;

// What main() gets, in the arena.
struct Arguments {
  int count;
  char** values;
  char** environment;
};

std::uint64_t StackSize() {
  rlimit limit{};
  if (getrlimit(RLIMIT_STACK, &limit) != 0) return kSmallestStack;
  return PageUp(std::clamp<std::uint64_t>(limit.rlim_cur, kSmallestStack, kLargestStack));
}

// Copies argv, the environment and the auxiliary vector below `top`, in the order in which the
// kernel lays them out. Returns the new top.
std::uint64_t CopyArguments(std::uint64_t top, int count, char** values, char** environment,
                            Arguments* copy) {
  const auto push_text = [&top](const char* text) {
    const std::size_t size = std::strlen(text) + 1;
    top -= size;
    return static_cast<char*>(std::memcpy(reinterpret_cast<void*>(top), text, size));
  };
  std::size_t entries = 0;
  while (environment[entries] != nullptr) ++entries;
  const auto* auxiliary = reinterpret_cast<const ElfW(auxv_t)*>(environment + entries + 1);
  std::size_t auxiliaries = 1;
  while (auxiliary[auxiliaries - 1].a_type != AT_NULL) ++auxiliaries;

  std::vector<char*> pointers;
  pointers.reserve(static_cast<std::size_t>(count) + entries + 2);
  for (int i = 0; i < count; ++i) pointers.push_back(push_text(values[i]));
  pointers.push_back(nullptr);
  for (std::size_t i = 0; i < entries; ++i) pointers.push_back(push_text(environment[i]));
  pointers.push_back(nullptr);

  const std::size_t vector_size = auxiliaries * sizeof *auxiliary;
  const std::size_t pointers_size = pointers.size() * sizeof(char*);
  top = (top - vector_size - pointers_size) & ~std::uint64_t{63};
  std::memcpy(reinterpret_cast<void*>(top), pointers.data(), pointers_size);
  std::memcpy(reinterpret_cast<void*>(top + pointers_size), auxiliary, vector_size);
  copy->count = count;
  copy->values = reinterpret_cast<char**>(top);
  copy->environment = copy->values + count + 1;
  return top;
}

// On the arena's stack; the first frame there. Doesn't return, since what called it is not in an
// image.
void CallMain(void* context) {
  const auto* arguments = static_cast<const Arguments*>(context);
  std::exit(g_main(arguments->count, arguments->values, arguments->environment));
}

int RecordMain(int count, char** values, char** environment) {
  if (!arena::CreateStack(StackSize())) {
    TheHost().NotImaged("there is no memory for the program's stack");
    BecomeInert();
    return g_main(count, values, environment);
  }
  Arguments arguments{};
  std::uint64_t top = CopyArguments(kStackTop - 64, count, values, environment, &arguments);
  environ = arguments.environment;
  if (count > 0) {
    program_invocation_name = arguments.values[0];
    const char* slash = std::strrchr(arguments.values[0], '/');
    program_invocation_short_name =
        slash != nullptr ? const_cast<char*>(slash) + 1 : arguments.values[0];
  }
  top = (top - sizeof arguments) & ~std::uint64_t{63};
  std::memcpy(reinterpret_cast<void*>(top), &arguments, sizeof arguments);
  ftmpi_image_run_on_stack(reinterpret_cast<void*>(top), CallMain, reinterpret_cast<void*>(top));
}

int RestoreMain(int count, char** values, char** /*environment*/) {
  Host& host = TheHost();
  EnterLibrary();
  try {
    host.StartLibraries(&count, &values);
    CompleteRestore(*g_source);
  } catch (const std::exception& error) {
    host.RestoreFailed(error.what());
  }
  __builtin_unreachable();
}

// In place of the executable's constructors, whose work the image has.
void NoConstructors() {}

// The path of the executable, so that the new process has its name; empty if it can't be had.
std::string ExecutablePath() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length <= 0 || length >= static_cast<ssize_t>(sizeof path)) return {};
  std::string name(path, static_cast<std::size_t>(length));
  struct stat by_name {};
  struct stat running {};
  if (stat(name.c_str(), &by_name) != 0 || stat("/proc/self/exe", &running) != 0 ||
      by_name.st_ino != running.st_ino || by_name.st_dev != running.st_dev)
    return "/proc/self/exe";
  return name;
}

// Executes the program anew without address randomisation. Returns the reason if that fails.
std::string ExecuteAnew(char** values, Role role) {
  constexpr unsigned long kQuery = 0xffffffff;
  const int before = personality(kQuery);
  if (before == -1 || personality(static_cast<unsigned long>(before) | ADDR_NO_RANDOMIZE) == -1) {
    return std::string("address randomisation can't be switched off (personality: ") +
           std::strerror(errno) + "); a container may forbid it";
  }
  std::string mark = RoleMark(role);
  std::vector<char*> environment;
  const std::size_t name_length = std::strlen(kRoleVariable);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, mark.c_str(), name_length + 1) != 0) environment.push_back(*entry);
  }
  environment.push_back(mark.data());
  environment.push_back(nullptr);
  const std::string path = ExecutablePath();
  execve(path.c_str(), values, environment.data());
  std::string reason = std::string("the program can't be executed anew (") + path + ": " +
                       std::strerror(errno) + ")";
  personality(static_cast<unsigned long>(before));
  return reason;
}

void DecideFirstTime(char** values) {
  Host& host = TheHost();
  if (RoleFailure() != nullptr) host.NotImaged(RoleFailure());
  // A mark of this process whose role can't be taken, or of another: we are a child of a rank.
  if (RoleFailure() != nullptr || IsChildOfMarked()) return;
  const StartMode mode = host.Mode();
  if (mode == StartMode::kOff) return;
  std::vector<Reason> reasons = CheckProgram(ExecutablePath());
  for (Reason& machine : CheckMachine()) reasons.push_back(std::move(machine));
  const std::string reason =
      reasons.empty()
          ? ExecuteAnew(values, mode == StartMode::kRecord ? Role::kRecord : Role::kRestore)
          : Joined(reasons);
  if (mode == StartMode::kRestore) host.RestoreFailed(reason);
  host.NotImaged(reason);
}

// Components of MPI's that are written in C++ bring libstdc++ into a C program, at an address that
// may be another one in the next process. If the program's plug-ins use it too, it must be where it
// was: so it is there from the start. Where it is not installed nobody needs it.
void LoadRuntimes() {
  const LibraryScope scope;
  OpenUnnoted("libstdc++.so.6", RTLD_LAZY | RTLD_LOCAL);
}

// What the process is before the program has changed it.
void NoteStart() {
  LoadRuntimes();
  NoteStartupModules();
  NoteInheritedDescriptors();
  NoteProcessState();
  NoteLibcState();
  pthread_atfork(arena::Lock, arena::Unlock, arena::Unlock);
}

}  // namespace

ThreadGuards ReadThreadGuards() {
  ThreadGuards guards{};
  asm volatile("movq %%fs:0x28, %0" : "=r"(guards.stack));
  asm volatile("movq %%fs:0x30, %0" : "=r"(guards.pointer));
  return guards;
}

void SetThreadGuards(const ThreadGuards& guards) {
  asm volatile("movq %0, %%fs:0x28" : : "r"(guards.stack));
  asm volatile("movq %0, %%fs:0x30" : : "r"(guards.pointer));
}

}  // namespace ftmpi::image

using namespace ftmpi::image;  // NOLINT(google-build-using-namespace)

// NOLINTNEXTLINE(bugprone-reserved-identifier)
FTMPI_INTERPOSE int __libc_start_main(Main main, int count, char** values, void (*init)(),
                                      void (*fini)(), void (*dynamic_linker_fini)(),
                                      void* stack_end) {
  const auto start = reinterpret_cast<StartMain>(dlsym(RTLD_NEXT, "__libc_start_main"));
  Host* host = nullptr;
  switch (CurrentRole()) {
    case Role::kUndecided:
    case Role::kInert:
      EnterLibrary();
      DecideFirstTime(values);
      LeaveLibrary();
      return start(main, count, values, init, fini, dynamic_linker_fini, stack_end);

    case Role::kRecord:
      g_main = main;
      NoteStart();
      StartExitHandlers(dynamic_linker_fini);
      return start(RecordMain, count, values, init, fini, nullptr, stack_end);

    case Role::kRestore:
      EnterLibrary();
      host = &TheHost();
      NoteStart();
      try {
        g_source = &host->OpenImage();
        SetThreadGuards(PrepareRestore(*g_source));
      } catch (const std::exception& error) {
        host->RestoreFailed(error.what());
      }
      g_main = main;
      StartExitHandlers(dynamic_linker_fini);
      LeaveLibrary();
      return start(RestoreMain, count, values, NoConstructors, nullptr, nullptr, stack_end);
  }
  __builtin_unreachable();
}
