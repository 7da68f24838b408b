#include "checkpoint/image/loading.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>

#include "checkpoint/image/export.h"
#include "checkpoint/image/image_error.h"
#include "checkpoint/image/layout.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/memory_map.h"
#include "checkpoint/image/process_role.h"
#include "checkpoint/image/system_calls.h"

// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" void* __tls_get_addr(void* index);

namespace ftmpi::image {
namespace {

pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;

std::set<std::string>& LibraryFiles() {
  static auto& files = *new std::set<std::string>;
  return files;
}
// From handles that the program has to those of this process's dynamic linker.
std::map<void*, void*>& Handles() {
  static auto& handles = *new std::map<void*, void*>;
  return handles;
}

[[noreturn]] void Failed(const Module& module, const std::string& why) {
  throw ImageError("the library " + module.path + ", which the program had loaded, " + why);
}

std::string Hexadecimal(std::uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%lx", static_cast<unsigned long>(value));
  return text;
}

// A copy of the module's file in memory whose constructors are not called: the entry for DT_INIT
// becomes one that means nothing in a shared object, and the array of constructors has length 0.
int CopyWithoutConstructors(const Module& module) {
  const int file = open(module.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) Failed(module, std::string("can't be opened: ") + std::strerror(errno));
  struct stat status {};
  fstat(file, &status);
  const auto size = static_cast<std::size_t>(status.st_size);
  const int copy = memfd_create("ftmpi-module", MFD_CLOEXEC);
  std::vector<char> bytes(size);
  bool ok = copy >= 0 && pread(file, bytes.data(), size, 0) == static_cast<ssize_t>(size);
  close(file);
  if (ok && size >= sizeof(ElfW(Ehdr))) {
    ElfW(Ehdr) header;
    std::memcpy(&header, bytes.data(), sizeof header);
    for (unsigned i = 0; i < header.e_phnum; ++i) {
      ElfW(Phdr) segment;
      const std::size_t at = header.e_phoff + i * sizeof segment;
      if (at + sizeof segment > size) break;
      std::memcpy(&segment, &bytes[at], sizeof segment);
      if (segment.p_type != PT_DYNAMIC || segment.p_offset + segment.p_filesz > size) continue;
      for (std::size_t j = 0; j + sizeof(ElfW(Dyn)) <= segment.p_filesz; j += sizeof(ElfW(Dyn))) {
        ElfW(Dyn) entry;
        std::memcpy(&entry, &bytes[segment.p_offset + j], sizeof entry);
        if (entry.d_tag == DT_INIT) entry.d_tag = DT_DEBUG;
        if (entry.d_tag == DT_INIT_ARRAYSZ) entry.d_un.d_val = 0;
        std::memcpy(&bytes[segment.p_offset + j], &entry, sizeof entry);
      }
    }
    ok = write(copy, bytes.data(), size) == static_cast<ssize_t>(size);
  }
  if (!ok) Failed(module, std::string("can't be copied: ") + std::strerror(errno));
  return copy;
}

// Less than a module that the kernel would align to a huge page.
constexpr std::uint64_t kRoomForHeap = std::uint64_t{1} << 20;

// Takes the free addresses from `from` up, but not those of `hole`: then the kernel, which goes
// through the addresses from the top, finds the hole first. And those directly below the hole, so
// that there is one place in it only, also for a kernel that prefers multiples of huge pages.
// libc's heap keeps a little room.
std::vector<AddressRange> BlockAddresses(AddressRange hole) {
  std::vector<AddressRange> blocked;
  const auto block = [&blocked](std::uint64_t begin, std::uint64_t end) {
    if (begin >= end) return;
    void* memory =
        raw::Map(reinterpret_cast<void*>(begin), end - begin, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (memory == reinterpret_cast<void*>(begin)) blocked.push_back({begin, end});
  };
  std::uint64_t free_from = 0;
  for (const MappedRange& range : ReadMaps()) {
    const std::uint64_t begin = range.memory.begin;
    // The stack must be able to grow.
    const bool below_stack = range.path == "[stack]";
    if (begin > hole.begin && !below_stack) {
      if (free_from <= hole.begin) block(free_from + kRoomForHeap, hole.begin);
      block(std::max(free_from, hole.end), begin);
    }
    free_from = range.memory.end;
  }
  return blocked;
}

void LoadAt(const Module& module) {
  const int copy = CopyWithoutConstructors(module);
  // The dynamic linker remembers names: each must be new.
  static int count = 0;
  std::string name = "/proc/self/fd/";
  for (int i = 0; i < count; ++i) name += "./";
  ++count;
  name += std::to_string(copy);
  raw::Unmap(reinterpret_cast<void*>(module.memory.begin), module.memory.end - module.memory.begin);
  const std::vector<AddressRange> blocked = BlockAddresses(module.memory);
  void* handle = OpenUnnoted(name.c_str(), RTLD_LAZY | RTLD_LOCAL);
  for (const AddressRange& range : blocked)
    raw::Unmap(reinterpret_cast<void*>(range.begin), range.end - range.begin);
  close(copy);
  if (handle == nullptr) Failed(module, std::string("can't be loaded anew: ") + dlerror());
  auto* map = static_cast<link_map*>(handle);
  // So that the program finds it under its name.
  map->l_name = strdup(module.path.c_str());
  if (map->l_addr != module.base)
    Failed(module, "can't be loaded at the address that it had (" + Hexadecimal(module.base) +
                       ", but " + Hexadecimal(map->l_addr) + "); load it before MPI_Init");
  Handles()[module.handle] = handle;
}

bool IsLoaded(const std::vector<Module>& modules, const std::string& file_name) {
  return std::any_of(modules.begin(), modules.end(),
                     [&](const Module& module) { return module.file_name == file_name; });
}

// What a module needs goes first, or the dynamic linker would load it anywhere.
void LoadWithNeeded(const std::vector<Module>& image, const Module& module) {
  if (IsLoaded(ListModules(), module.file_name)) return;
  for (const std::string& name : module.needed) {
    const auto needed = std::find_if(image.begin(), image.end(), [&](const Module& other) {
      return !other.startup && !other.system && (other.file_name == name || other.soname == name);
    });
    if (needed != image.end() && &*needed != &module) LoadWithNeeded(image, *needed);
  }
  LoadAt(module);
}

bool IsLoadedByProgram(const Module& module) { return !module.startup && !module.system; }

// glibc's dynamic thread vector: fs:8 points to element 0, whose predecessor holds the length.
struct ThreadVectorElement {
  void* value;
  void* to_free;
};

ThreadVectorElement* ThreadVector() {
  ThreadVectorElement* vector = nullptr;
  asm("movq %%fs:8, %0" : "=r"(vector));
  return vector;
}

}  // namespace

bool LoadedByLibrary(const std::string& file_name) {
  const LockedLibraryScope guard(&g_mutex);
  return LibraryFiles().contains(file_name);
}

void* OpenUnnoted(const char* path, int flags) {
  static const auto next =
      reinterpret_cast<void* (*)(const char*, int)>(dlvsym(RTLD_NEXT, "dlopen", "GLIBC_2.2.5"));
  return next(path, flags);
}

void* ProgramHandle(void* handle) {
  const LockedLibraryScope guard(&g_mutex);
  for (const auto& [program, own] : Handles())
    if (own == handle) return program;
  return handle;
}

void ReserveModules(const std::vector<Module>& image) {
  for (const Module& module : image) {
    if (!IsLoadedByProgram(module)) continue;
    auto* wanted = reinterpret_cast<void*>(module.memory.begin);
    const std::uint64_t length = module.memory.end - module.memory.begin;
    void* mapped =
        raw::Map(wanted, length, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (mapped == wanted) continue;
    if (mapped != MAP_FAILED) raw::Unmap(mapped, length);
    Failed(module, "was at addresses that are in use in the new process");
  }
}

void LoadModules(const std::vector<Module>& image) {
  for (const Module& module : image) {
    if (!IsLoadedByProgram(module)) continue;
    struct stat status {};
    if (stat(module.path.c_str(), &status) != 0)
      Failed(module, std::string("is not there any more: ") + std::strerror(errno));
    LoadWithNeeded(image, module);
  }
  const std::vector<Module> now = ListModules();
  for (const Module& then : image) {
    if (!IsLoadedByProgram(then)) continue;
    for (const Module& module : now) {
      if (module.base != then.base || module.path != then.path) continue;
      if (module.build_id != then.build_id) Failed(then, "is another build than at the checkpoint");
    }
  }
  for (const Module& then : image) {
    if (!then.startup || then.handle == nullptr) continue;
    for (const Module& module : now)
      if (module.base == then.base && module.handle != then.handle && module.handle != nullptr)
        Handles()[then.handle] = module.handle;
  }
}

void RestoreLoadedThreadLocal(const std::vector<Module>& image) {
  const std::vector<Module> now = ListModules();
  for (const Module& then : image) {
    const std::uint64_t begin = then.thread_local_data.begin;
    if (!IsLoadedByProgram(then) || begin == 0) continue;
    const auto module = std::find_if(now.begin(), now.end(), [&](const Module& other) {
      return other.base == then.base && other.path == then.path;
    });
    if (module == now.end()) Failed(then, "was unloaded again");
    // Makes the vector long enough and up to date.
    std::uint64_t index[2] = {module->thread_local_id, 0};
    const void* fresh = __tls_get_addr(index);
    if (InArena(reinterpret_cast<void*>(begin))) {
      ThreadVector()[module->thread_local_id] = {reinterpret_cast<void*>(begin),
                                                 then.thread_local_block};
    } else if (reinterpret_cast<std::uint64_t>(fresh) != begin) {
      Failed(then, "has thread-local data that can't be given its address");
    }
  }
}

void* ThreadLocalBlock(std::uint64_t module_id) { return ThreadVector()[module_id].to_free; }

}  // namespace ftmpi::image

using namespace ftmpi::image;  // NOLINT(google-build-using-namespace)

// dlopen and dlsym look at who called them (RUNPATH, RTLD_NEXT), so libc's are jumped to with the
// caller's return address in place.
extern "C" {
__attribute__((visibility("hidden"), used)) void* ftmpi_image_note_load(const char* name) {
  if (name != nullptr && InLibrary() && CurrentRole() != Role::kInert &&
      CurrentRole() != Role::kUndecided) {
    const LockedLibraryScope guard(&g_mutex);
    const char* slash = std::strrchr(name, '/');
    LibraryFiles().insert(slash != nullptr ? slash + 1 : name);
  }
  static void* const next = dlvsym(RTLD_NEXT, "dlopen", "GLIBC_2.2.5");
  return next;
}

__attribute__((visibility("hidden"), used)) void* ftmpi_image_translate_handle(void* handle) {
  if (handle == RTLD_DEFAULT || handle == RTLD_NEXT) return handle;
  const LockedLibraryScope guard(&g_mutex);
  const auto found = Handles().find(handle);
  return found == Handles().end() ? handle : found->second;
}

__attribute__((visibility("hidden"), used)) void* ftmpi_image_next_dlsym() {
  static void* const next = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
  return next;
}
}

asm(R"(
  .text
  .globl dlopen
  .type dlopen, @function
dlopen:
  pushq %rdi
  pushq %rsi
  subq $8, %rsp
  call ftmpi_image_note_load
  addq $8, %rsp
  popq %rsi
  popq %rdi
  jmpq *%rax
  .size dlopen, .-dlopen

  .globl dlsym
  .type dlsym, @function
dlsym:
  pushq %rdi
  pushq %rsi
  subq $8, %rsp
  call ftmpi_image_translate_handle
  movq %rax, 16(%rsp)
  call ftmpi_image_next_dlsym
  addq $8, %rsp
  popq %rsi
  popq %rdi
  jmpq *%rax
  .size dlsym, .-dlsym
)");

FTMPI_INTERPOSE int dlclose(void* handle) {
  static const auto next =
      reinterpret_cast<int (*)(void*)>(dlvsym(RTLD_NEXT, "dlclose", "GLIBC_2.2.5"));
  const int result = next(ftmpi_image_translate_handle(handle));
  if (result == 0) {
    const LockedLibraryScope guard(&g_mutex);
    Handles().erase(handle);
  }
  return result;
}
