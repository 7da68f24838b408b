#include "checkpoint/image/exit_handlers.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "checkpoint/image/arena.h"
#include "checkpoint/image/export.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/modules.h"
#include "checkpoint/image/process_role.h"

namespace ftmpi::image {
namespace {

using Function = void (*)(void*);

struct Entry {
  Function function;
  void* argument;
  void* object;  // the module's __dso_handle, null: the executable's
  std::uint64_t sequence;
  Entry* next;  // registered before this one
};

pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
Entry* g_library_handlers = nullptr;

// All lists are in descending order of `sequence`, so the first of two heads is the one to run.
Entry*& ProgramHandlers() { return *reinterpret_cast<Entry**>(&Root().exit_handlers); }
Entry*& ThreadHandlers() { return *reinterpret_cast<Entry**>(&Root().thread_exit_handlers); }

bool InMainThread() { return syscall(SYS_gettid) == getpid(); }

template <typename Signature>
Signature Next(const char* name) {
  return reinterpret_cast<Signature>(dlsym(RTLD_NEXT, name));
}

int Push(Entry** list, bool in_arena, Function function, void* argument, void* object,
         std::uint64_t sequence) {
  auto* entry =
      static_cast<Entry*>(in_arena ? arena::Allocate(sizeof(Entry)) : std::malloc(sizeof(Entry)));
  if (entry == nullptr) return -1;
  *entry = {function, argument, object, sequence, *list};
  *list = entry;
  return 0;
}

// Handlers of an object without a handle are those of the executable, or of whoever has the code.
bool BelongsToSystem(Function function, const void* object) {
  return IsSystemAddress(object != nullptr ? object : reinterpret_cast<const void*>(function));
}

int Register(Function function, void* argument, void* object) {
  const LibraryScope scope;
  const bool system = BelongsToSystem(function, object);
  const bool recording = ArenaActive();
  // The image has the program's handlers.
  if (!recording && !system) return 0;
  pthread_mutex_lock(&g_mutex);
  const std::uint64_t sequence = recording ? ++Root().exit_sequence : 0;
  const int result = Push(system ? &g_library_handlers : &ProgramHandlers(), !system, function,
                          argument, object, sequence);
  pthread_mutex_unlock(&g_mutex);
  return result;
}

// Takes the youngest entry of the object (any: of every one) from the list, or returns false.
bool Pop(Entry** list, bool any, const void* object, Entry* taken) {
  for (Entry** link = list; *link != nullptr; link = &(*link)->next) {
    if (!any && (*link)->object != object) continue;
    Entry* entry = *link;
    *taken = *entry;
    *link = entry->next;
    std::free(entry);
    return true;
  }
  return false;
}

bool PopYoungest(bool any, const void* object, Entry* taken) {
  pthread_mutex_lock(&g_mutex);
  bool found = false;
  const bool has_program = ArenaActive();
  const std::uint64_t library = g_library_handlers != nullptr ? g_library_handlers->sequence : 0;
  if (has_program && ProgramHandlers() != nullptr &&
      (!any || ProgramHandlers()->sequence >= library)) {
    found = Pop(&ProgramHandlers(), any, object, taken);
  }
  if (!found) found = Pop(&g_library_handlers, any, object, taken);
  pthread_mutex_unlock(&g_mutex);
  return found;
}

// The one entry of libc's table.
void RunAll(void* /*unused*/) {
  Entry entry{};
  if (ArenaActive() && InMainThread()) {
    while (Pop(&ThreadHandlers(), true, nullptr, &entry)) entry.function(entry.argument);
  }
  while (PopYoungest(true, nullptr, &entry)) entry.function(entry.argument);
}

void CallWithoutArgument(void* function) { reinterpret_cast<void (*)()>(function)(); }

bool Managed() {
  const Role role = CurrentRole();
  return role == Role::kRecord || role == Role::kRestore;
}

}  // namespace

void StartExitHandlers(void (*dynamic_linker_fini)()) {
  Next<int (*)(Function, void*, void*)>("__cxa_atexit")(RunAll, nullptr, nullptr);
  if (dynamic_linker_fini == nullptr) return;
  const LibraryScope scope;
  const std::uint64_t sequence = ArenaActive() ? ++Root().exit_sequence : 0;
  Push(&g_library_handlers, false, CallWithoutArgument,
       reinterpret_cast<void*>(dynamic_linker_fini), nullptr, sequence);
}

}  // namespace ftmpi::image

using namespace ftmpi::image;  // NOLINT(google-build-using-namespace)

// NOLINTBEGIN(bugprone-reserved-identifier)
FTMPI_INTERPOSE int __cxa_atexit(void (*function)(void*), void* argument, void* object) {
  if (!Managed())
    return Next<int (*)(Function, void*, void*)>("__cxa_atexit")(function, argument, object);
  return Register(function, argument, object);
}

// At the end of a module (dlclose), or of the process (from the dynamic linker's end).
FTMPI_INTERPOSE void __cxa_finalize(void* object) {
  if (Managed()) {
    Entry entry{};
    while (PopYoungest(object == nullptr, object, &entry)) entry.function(entry.argument);
  }
  Next<void (*)(void*)>("__cxa_finalize")(object);
}

FTMPI_INTERPOSE int __cxa_thread_atexit_impl(void (*function)(void*), void* argument,
                                             void* object) {
  if (!Managed() || !InMainThread() || InLibrary()) {
    return Next<int (*)(Function, void*, void*)>("__cxa_thread_atexit_impl")(function, argument,
                                                                             object);
  }
  if (!ArenaActive()) return 0;  // the image has the program's
  return Push(&ThreadHandlers(), true, function, argument, object, 0);
}
// NOLINTEND(bugprone-reserved-identifier)
