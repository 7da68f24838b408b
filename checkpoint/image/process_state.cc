#include "checkpoint/image/process_state.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "checkpoint/image/codec.h"
#include "checkpoint/image/image_error.h"
#include "checkpoint/image/proc_files.h"

namespace ftmpi::image {
namespace {

constexpr int kSignals = 64;
constexpr int kTimers[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};

// As the kernel has it (x86-64). libc's sigaction hides the restorer, which lies in libc, at the
// same address in the restored process.
struct KernelAction {
  std::uint64_t handler;
  std::uint64_t flags;
  std::uint64_t restorer;
  std::uint64_t mask;
};

struct State {
  std::string locale;
  std::string directory;
  mode_t mask = 0;
  KernelAction actions[kSignals + 1] = {};
  std::uint64_t blocked = 0;
  std::uint64_t pending = 0;
  stack_t signal_stack = {};
  itimerval timers[std::size(kTimers)] = {};
  bool limit_changed[RLIM_NLIMITS] = {};
  rlim_t limits[RLIM_NLIMITS] = {};
};

rlim_t g_limits_at_start[RLIM_NLIMITS];

KernelAction Action(int signal) {
  KernelAction action{};
  syscall(SYS_rt_sigaction, signal, nullptr, &action, sizeof action.mask);
  return action;
}

std::uint64_t Bit(int signal) { return std::uint64_t{1} << (signal - 1); }

bool IsSystemHandler(const std::vector<Module>& modules, std::uint64_t handler) {
  return std::any_of(modules.begin(), modules.end(), [&](const Module& module) {
    return module.system && handler - module.memory.begin < module.memory.end - module.memory.begin;
  });
}

// umask() can't be read without a change that other threads would see.
mode_t FileModeMask() {
  const std::string status = ReadProcFile("/proc/self/status");
  const std::size_t at = status.find("\nUmask:");
  if (at == std::string::npos)
    throw ImageError("/proc/self/status has no Umask: Linux 4.7 is needed");
  return static_cast<mode_t>(std::strtoul(status.c_str() + at + 7, nullptr, 8));
}

std::vector<std::byte> EncodeState(const State& state) {
  Encoder encoder;
  encoder.Text(state.locale).Text(state.directory).Value(state.mask);
  encoder.Bytes(state.actions, sizeof state.actions).Value(state.blocked).Value(state.pending);
  encoder.Value(state.signal_stack).Bytes(state.timers, sizeof state.timers);
  encoder.Bytes(state.limit_changed, sizeof state.limit_changed);
  encoder.Bytes(state.limits, sizeof state.limits);
  return encoder.Take();
}

State DecodeState(std::span<const std::byte> bytes) {
  Decoder decoder(bytes, "state of the process");
  State state;
  state.locale = decoder.Text();
  state.directory = decoder.Text();
  state.mask = decoder.Value<mode_t>();
  decoder.Bytes(state.actions, sizeof state.actions);
  state.blocked = decoder.Value<std::uint64_t>();
  state.pending = decoder.Value<std::uint64_t>();
  state.signal_stack = decoder.Value<stack_t>();
  decoder.Bytes(state.timers, sizeof state.timers);
  decoder.Bytes(state.limit_changed, sizeof state.limit_changed);
  decoder.Bytes(state.limits, sizeof state.limits);
  return state;
}

// Those that the program changed; without `lower` only those that are lower now.
void SetLimits(const State& state, bool lower) {
  for (int i = 0; i < RLIM_NLIMITS; ++i) {
    if (!state.limit_changed[i]) continue;
    const auto which = static_cast<__rlimit_resource>(i);
    rlimit limit{};
    getrlimit(which, &limit);
    const rlim_t wanted = std::min(state.limits[i], limit.rlim_max);
    if (wanted < limit.rlim_cur && !lower) continue;
    limit.rlim_cur = wanted;
    setrlimit(which, &limit);
  }
}

}  // namespace

void NoteProcessState() {
  for (int i = 0; i < RLIM_NLIMITS; ++i) {
    rlimit limit{};
    getrlimit(static_cast<__rlimit_resource>(i), &limit);
    g_limits_at_start[i] = limit.rlim_cur;
  }
}

std::vector<std::byte> CaptureProcessState(const std::vector<Module>& modules,
                                           std::vector<std::string>* reasons) {
  State state;
  const char* locale = setlocale(LC_ALL, nullptr);
  state.locale = locale != nullptr ? locale : "C";
  char directory[PATH_MAX];
  if (getcwd(directory, sizeof directory) == nullptr) {
    reasons->push_back("the working directory has no name any more");
  } else {
    state.directory = directory;
  }
  state.mask = FileModeMask();
  for (int signal = 1; signal <= kSignals; ++signal) {
    state.actions[signal] = Action(signal);
    // MPI's handlers are as the new process's MPI sets them.
    if (IsSystemHandler(modules, state.actions[signal].handler))
      state.actions[signal].handler = ~std::uint64_t{0};
  }
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &state.blocked, sizeof state.blocked);
  syscall(SYS_rt_sigpending, &state.pending, sizeof state.pending);
  sigaltstack(nullptr, &state.signal_stack);
  for (std::size_t i = 0; i < std::size(kTimers); ++i)
    getitimer(static_cast<__itimer_which>(kTimers[i]), &state.timers[i]);
  for (int i = 0; i < RLIM_NLIMITS; ++i) {
    rlimit limit{};
    getrlimit(static_cast<__rlimit_resource>(i), &limit);
    state.limits[i] = limit.rlim_cur;
    state.limit_changed[i] = limit.rlim_cur != g_limits_at_start[i];
  }
  // Absent where the kernel is built without it; then timers can't be seen.
  if (access("/proc/self/timers", R_OK) == 0 && !ReadProcFile("/proc/self/timers").empty())
    reasons->push_back("the program has a timer of timer_create(): use setitimer() or alarm()");
  return EncodeState(state);
}

void RaiseLimits(std::span<const std::byte> bytes) { SetLimits(DecodeState(bytes), false); }

void RestoreEarlyProcessState(std::span<const std::byte> bytes) {
  const State state = DecodeState(bytes);
  if (state.locale != "C" && setlocale(LC_ALL, state.locale.c_str()) == nullptr)
    throw ImageError("the locale " + state.locale + " is not installed here");
  if (chdir(state.directory.c_str()) != 0)
    throw ImageError("the working directory " + state.directory +
                     " can't be entered: " + std::strerror(errno));
  umask(state.mask);
}

void RestoreLateProcessState(std::span<const std::byte> bytes, const std::vector<Module>& modules) {
  const State state = DecodeState(bytes);
  SetLimits(state, true);
  const std::uint64_t everything = ~std::uint64_t{0};
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &everything, nullptr, sizeof everything);
  for (int signal = 1; signal <= kSignals; ++signal) {
    const KernelAction& wanted = state.actions[signal];
    if (wanted.handler == ~std::uint64_t{0} || signal == SIGKILL || signal == SIGSTOP) continue;
    const KernelAction now = Action(signal);
    // MPI has a handler here, and the program did not put its own in the place.
    const bool none = wanted.handler == reinterpret_cast<std::uint64_t>(SIG_DFL);
    if (none && IsSystemHandler(modules, now.handler)) continue;
    if (std::memcmp(&wanted, &now, sizeof now) != 0)
      syscall(SYS_rt_sigaction, signal, &wanted, nullptr, sizeof wanted.mask);
  }
  if ((state.signal_stack.ss_flags & SS_DISABLE) == 0) {
    stack_t stack = state.signal_stack;
    stack.ss_flags &= ~SS_ONSTACK;
    if (sigaltstack(&stack, nullptr) != 0)
      throw ImageError(std::string("the signal stack can't be set: ") + std::strerror(errno));
  }
  // To this thread: those of libraries do not block them.
  for (int signal = 1; signal <= kSignals; ++signal)
    if ((state.pending & Bit(signal)) != 0)
      syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal);
  for (std::size_t i = 0; i < std::size(kTimers); ++i) {
    const timeval& left = state.timers[i].it_value;
    if (left.tv_sec != 0 || left.tv_usec != 0)
      setitimer(static_cast<__itimer_which>(kTimers[i]), &state.timers[i], nullptr);
  }
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &state.blocked, nullptr, sizeof state.blocked);
}

}  // namespace ftmpi::image
