#include "pmpi/checkpoint_triggers.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <optional>

#include "checkpoint/checkpoint_interval.h"
#include "checkpoint/coordinator.h"
#include "pmpi/message.h"
#include "pmpi/uncoordinated.h"

namespace ftmpi::checkpoint_triggers {
namespace {

using checkpoint::Csn;
using checkpoint::Reason;
using logging::CheckpointService;

volatile std::sig_atomic_t g_signalled = 0;

struct Triggers {
  int signal = 0;
  logging::RankStatus* status = nullptr;
  checkpoint::Participant* participant = nullptr;
  std::uint64_t outside = 0;     // last request from outside that was passed on
  Csn outside_csn = 0;           // the first checkpoint that meets it
  bool outside_waiting = false;  // ... and that is not decided
  std::optional<checkpoint::IntervalChooser> chooser;
  std::uint64_t blocked = 0;
};
Triggers g_triggers;

void OnSignal(int /*signal*/) { g_signalled = 1; }

void CatchSignal() {
  const int signal = g_triggers.signal;
  if (signal == 0) return;
  const char* name = signal == SIGUSR1 ? "USR1" : "USR2";
  struct sigaction old {};
  sigaction(signal, nullptr, &old);
  const bool own = (old.sa_flags & SA_SIGINFO) == 0 && old.sa_handler == &OnSignal;
  if (!own && ((old.sa_flags & SA_SIGINFO) != 0 || old.sa_handler != SIG_DFL)) {
    Message(
        "the program handles SIG%s itself, so it asks for no checkpoint: set FT_CKPT_SIGNAL to "
        "another signal, or use mpi-ft-checkpoint",
        name);
    return;
  }
  struct sigaction action {};
  action.sa_handler = &OnSignal;
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

}  // namespace

void Start(const CheckpointSettings& settings, logging::RankStatus* status,
           checkpoint::Participant* participant) {
  g_triggers.status = status;
  g_triggers.participant = participant;
  status->checkpoint_service.store(participant != nullptr || uncoordinated::g_on
                                       ? CheckpointService::kOn
                                       : CheckpointService::kOff,
                                   std::memory_order_release);
  // The signal is caught in any case: it must not end a job that takes no checkpoints.
  g_triggers.signal = settings.signal;
  CatchSignal();
  if (participant == nullptr || participant->coordinator() == nullptr || !settings.automatic)
    return;
  // The first checkpoint's cost is not known: soon, so that it is.
  constexpr std::uint64_t kFirst = 60'000'000'000;
  g_triggers.chooser.emplace(settings.mtbf, std::min(settings.mtbf / 10, kFirst));
  participant->coordinator()->SetInterval(g_triggers.chooser->Interval());
}

void Restored() { CatchSignal(); }

void Request() {
  if (uncoordinated::g_on) {
    uncoordinated::Request();
  } else {
    g_triggers.participant->Request(Reason::kRequest);
  }
}

void Poll() {
  if (__builtin_expect(g_signalled != 0, 0)) {
    g_signalled = 0;
    Request();
  }
  const std::uint64_t asked =
      g_triggers.status->checkpoint_requested.load(std::memory_order_acquire);
  if (__builtin_expect(asked != g_triggers.outside && !g_triggers.outside_waiting, 0)) {
    g_triggers.outside = asked;
    if (uncoordinated::g_on) {
      g_triggers.outside_waiting = true;
      uncoordinated::RequestAll();
      return;
    }
    g_triggers.outside_csn = g_triggers.participant->csn() + 1;
    g_triggers.outside_waiting = true;
    Request();
  }
}

void NoteBlocked(std::uint64_t nanoseconds) { g_triggers.blocked = nanoseconds; }

void Finished(const checkpoint::CheckpointOutcome& outcome) {
  if (outcome.committed && g_triggers.chooser) {
    g_triggers.chooser->OnCheckpoint(g_triggers.blocked, outcome.finished - outcome.started);
    g_triggers.participant->coordinator()->SetInterval(g_triggers.chooser->Interval());
  }
  if (!g_triggers.outside_waiting || outcome.csn < g_triggers.outside_csn) return;
  g_triggers.outside_waiting = false;
  g_triggers.status->checkpoint_answer.store(outcome.committed ? outcome.csn : 0,
                                             std::memory_order_relaxed);
  g_triggers.status->checkpoint_answered.store(g_triggers.outside, std::memory_order_release);
}

}  // namespace ftmpi::checkpoint_triggers
