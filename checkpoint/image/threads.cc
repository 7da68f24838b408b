#include "checkpoint/image/threads.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "checkpoint/image/codec.h"
#include "checkpoint/image/export.h"
#include "checkpoint/image/image_error.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/modules.h"
#include "checkpoint/image/proc_files.h"
#include "checkpoint/image/process_role.h"

namespace ftmpi::image {
namespace {

using Routine = void* (*)(void*);
using Destructor = void (*)(void*);

pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;

// Kernel ids of threads of libraries that have run; those that have ended do no harm.
std::set<int>& LibraryThreads() {
  static auto& threads = *new std::set<int>;
  return threads;
}
// Threads of the program that somebody has to join. One that has ended but was not joined is not
// to be seen anywhere else, and joining it after a restore would find nothing.
std::set<pthread_t>& Joinable() {
  static auto& threads = *new std::set<pthread_t>;
  return threads;
}
// The program's keys with their destructors.
std::map<pthread_key_t, Destructor>& ProgramKeys() {
  static auto& keys = *new std::map<pthread_key_t, Destructor>;
  return keys;
}

struct Begin {
  Routine routine;
  void* argument;
  bool of_library;
};

void* RunThread(void* context) {
  Begin begin = *static_cast<Begin*>(context);
  t_library_depth = 1;
  delete static_cast<Begin*>(context);
  {
    const LockedLibraryScope guard(&g_mutex);
    const int id = static_cast<int>(syscall(SYS_gettid));
    if (begin.of_library) {
      LibraryThreads().insert(id);
    } else {
      LibraryThreads().erase(id);  // a number that is used anew
    }
  }
  t_library_depth = begin.of_library ? 1 : 0;
  return begin.routine(begin.argument);
}

bool Managed() {
  const Role role = CurrentRole();
  return role == Role::kRecord || role == Role::kRestore;
}

template <typename Signature>
Signature Next(const char* name) {
  return reinterpret_cast<Signature>(dlsym(RTLD_NEXT, name));
}

int CreateKey(pthread_key_t* key, Destructor destructor) {
  static const auto next = Next<int (*)(pthread_key_t*, Destructor)>("pthread_key_create");
  return next(key, destructor);
}

// " (name)", empty if the thread has just ended.
std::string ThreadName(int id) {
  try {
    std::string name = ReadProcFile(("/proc/self/task/" + std::to_string(id) + "/comm").c_str());
    while (!name.empty() && name.back() == '\n') name.pop_back();
    return " (" + name + ")";
  } catch (const ImageError&) {
    return {};
  }
}

bool IsJoinable(const pthread_attr_t* attributes) {
  int state = PTHREAD_CREATE_JOINABLE;
  if (attributes != nullptr) pthread_attr_getdetachstate(attributes, &state);
  return state == PTHREAD_CREATE_JOINABLE;
}

// A thread was joined or detached.
int Left(int result, pthread_t thread) {
  if (result == 0 && Managed()) {
    const LockedLibraryScope guard(&g_mutex);
    Joinable().erase(thread);
  }
  return result;
}

// At most 100 ms.
constexpr int kLooks = 500;
constexpr long kBetweenLooks = 200'000;  // nanoseconds

bool NoneToJoin() {
  const LockedLibraryScope guard(&g_mutex);
  return Joinable().empty();
}

// Numbers and names of the threads that are no library's, except the main one.
std::string OtherThreads() {
  std::string names;
  for (const int id : ListNumbers("/proc/self/task")) {
    if (id == getpid()) continue;
    {
      const LockedLibraryScope guard(&g_mutex);
      if (LibraryThreads().contains(id)) continue;
    }
    if (!names.empty()) names += ", ";
    names += std::to_string(id) + ThreadName(id);
  }
  return names;
}

struct Key {
  pthread_key_t key;
  Destructor destructor;
  void* value;
};

std::vector<Key> DecodeKeys(std::span<const std::byte> state) {
  Decoder decoder(state, "list of thread keys");
  std::vector<Key> keys(decoder.Count(sizeof(Key)));
  for (Key& key : keys) key = decoder.Value<Key>();
  return keys;
}

}  // namespace

void EndOrNameThreads(std::vector<std::string>* reasons) {
  // Any of libgomp or libomp, if the program uses one. Fails inside a parallel region, and then
  // names the threads below.
  if (const auto pause =
          reinterpret_cast<int (*)(int)>(dlsym(RTLD_DEFAULT, "omp_pause_resource_all"))) {
    constexpr int kPauseHard = 2;
    const ProgramScope scope;
    pause(kPauseHard);
  }
  std::string names = OtherThreads();
  // A thread that was joined may be listed by the kernel for a moment: there is nothing to wait
  // for but its disappearance.
  for (int i = 0; i < kLooks && !names.empty() && NoneToJoin(); ++i) {
    const timespec pause = {0, kBetweenLooks};
    nanosleep(&pause, nullptr);
    names = OtherThreads();
  }
  if (!names.empty()) {
    reasons->push_back("the program has other threads: " + names);
    return;
  }
  const LockedLibraryScope guard(&g_mutex);
  if (!Joinable().empty())
    reasons->push_back("the program has " + std::to_string(Joinable().size()) +
                       " thread(s) that ended and were not joined");
}

std::vector<std::byte> CaptureThreadKeys() {
  const LockedLibraryScope guard(&g_mutex);
  Encoder encoder;
  encoder.Value<std::uint64_t>(ProgramKeys().size());
  for (const auto& [key, destructor] : ProgramKeys())
    encoder.Value(Key{key, destructor, pthread_getspecific(key)});
  return encoder.Take();
}

void ReserveThreadKeys(std::span<const std::byte> state) {
  const LockedLibraryScope guard(&g_mutex);
  std::vector<pthread_key_t> others;
  for (const Key& wanted : DecodeKeys(state)) {
    // A key that a library of the program made at its load, as in the captured process.
    if (ProgramKeys().contains(wanted.key)) continue;
    // libc gives the lowest number that is free.
    for (;;) {
      pthread_key_t key = 0;
      if (CreateKey(&key, wanted.destructor) != 0 || key > wanted.key)
        throw ImageError("the thread key " + std::to_string(wanted.key) +
                         " of the program is taken by a library");
      if (key == wanted.key) break;
      others.push_back(key);
    }
    ProgramKeys()[wanted.key] = wanted.destructor;
  }
  for (const pthread_key_t key : others) Next<int (*)(pthread_key_t)>("pthread_key_delete")(key);
}

void RestoreThreadKeys(std::span<const std::byte> state) {
  for (const Key& key : DecodeKeys(state)) pthread_setspecific(key.key, key.value);
}

}  // namespace ftmpi::image

using namespace ftmpi::image;  // NOLINT(google-build-using-namespace)

FTMPI_INTERPOSE int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                                   void* (*routine)(void*), void* argument) {
  static const auto next =
      Next<int (*)(pthread_t*, const pthread_attr_t*, Routine, void*)>("pthread_create");
  if (!Managed()) return next(thread, attributes, routine, argument);
  const bool of_library = InLibrary() || IsSystemAddress(reinterpret_cast<const void*>(routine));
  Begin* begin = nullptr;
  {
    const LibraryScope scope;
    begin = new (std::nothrow) Begin{routine, argument, of_library};
  }
  if (begin == nullptr) return EAGAIN;
  const int result = next(thread, attributes, RunThread, begin);
  const LibraryScope scope;
  if (result != 0) delete begin;
  if (result == 0 && !of_library && IsJoinable(attributes)) {
    const LockedLibraryScope guard(&g_mutex);
    Joinable().insert(*thread);
  }
  return result;
}

FTMPI_INTERPOSE int pthread_join(pthread_t thread, void** value) {
  static const auto next = Next<int (*)(pthread_t, void**)>("pthread_join");
  return Left(next(thread, value), thread);
}

FTMPI_INTERPOSE int pthread_detach(pthread_t thread) {
  static const auto next = Next<int (*)(pthread_t)>("pthread_detach");
  return Left(next(thread), thread);
}

FTMPI_INTERPOSE int pthread_key_create(pthread_key_t* key, void (*destructor)(void*)) {
  const int result = CreateKey(key, destructor);
  if (result == 0 && Managed() && !InLibrary()) {
    const LockedLibraryScope guard(&g_mutex);
    ProgramKeys()[*key] = destructor;
  }
  return result;
}

FTMPI_INTERPOSE int pthread_key_delete(pthread_key_t key) {
  static const auto next = Next<int (*)(pthread_key_t)>("pthread_key_delete");
  const int result = next(key);
  if (result == 0 && Managed()) {
    const LockedLibraryScope guard(&g_mutex);
    ProgramKeys().erase(key);
  }
  return result;
}
