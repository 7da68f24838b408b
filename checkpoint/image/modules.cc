#include "checkpoint/image/modules.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <string_view>

#include "checkpoint/image/host.h"
#include "checkpoint/image/image_error.h"
#include "checkpoint/image/layout.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/loading.h"

namespace ftmpi::image {
namespace {

// libc and what it brings: left as the new process has it.
constexpr std::array<std::string_view, 12> kLibcFamily = {
    "libc.so.6",   "ld-linux-x86-64.so.2", "libm.so.6",    "libpthread.so.0",
    "libdl.so.2",  "librt.so.1",           "libutil.so.1", "libresolv.so.2",
    "libanl.so.1", "libnss_files.so.2",    "libmvec.so.1", "linux-vdso.so.1"};

// Run-time libraries of languages, whoever needs them. By prefix.
constexpr std::array<std::string_view, 8> kRuntimes = {
    "libstdc++.so",   "libgcc_s.so", "libgomp.so",   "libgfortran.so",
    "libquadmath.so", "libc++.so",   "libc++abi.so", "libomp.so"};

bool IsLibcFamily(std::string_view name) {
  return std::find(kLibcFamily.begin(), kLibcFamily.end(), name) != kLibcFamily.end() ||
         name.starts_with("libnss_");
}

bool IsRuntime(std::string_view name) {
  return std::any_of(kRuntimes.begin(), kRuntimes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

std::string FileName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// What is known of modules from before: by load address. Static memory of the library, so that a
// restored process starts anew; never destroyed, since exit handlers ask.
std::set<std::uint64_t>& StartupBases() {
  static auto& bases = *new std::set<std::uint64_t>;
  return bases;
}
std::set<std::uint64_t>& LibraryBases() {
  static auto& bases = *new std::set<std::uint64_t>;
  return bases;
}
std::set<std::uint64_t>& KnownBases() {
  static auto& bases = *new std::set<std::uint64_t>;
  return bases;
}

// One module with what is needed to sort it.
struct Raw {
  Module module{};
  std::vector<std::string> needed;
  std::string soname;
  AddressRange relro{};
  std::vector<AddressRange> segments;  // writable, page granular at the end of relro only
  const ElfW(Rela) * relocations = nullptr;
  std::size_t relocation_count = 0;
  const ElfW(Sym) * symbols = nullptr;
  const char* strings = nullptr;
};

void ReadDynamic(const ElfW(Dyn) * entry, std::uint64_t base, Raw* raw) {
  // The dynamic linker has relocated these addresses in place, except in the vDSO.
  const auto address = [&](std::uint64_t value) { return value < base ? value + base : value; };
  std::vector<std::uint64_t> needed;
  std::uint64_t soname = 0;
  for (; entry->d_tag != DT_NULL; ++entry) {
    switch (entry->d_tag) {
      case DT_STRTAB:
        raw->strings = reinterpret_cast<const char*>(address(entry->d_un.d_ptr));
        break;
      case DT_SYMTAB:
        raw->symbols = reinterpret_cast<const ElfW(Sym)*>(address(entry->d_un.d_ptr));
        break;
      case DT_RELA:
        raw->relocations = reinterpret_cast<const ElfW(Rela)*>(address(entry->d_un.d_ptr));
        break;
      case DT_RELASZ:
        raw->relocation_count = entry->d_un.d_val / sizeof(ElfW(Rela));
        break;
      case DT_NEEDED:
        needed.push_back(entry->d_un.d_val);
        break;
      case DT_SONAME:
        soname = entry->d_un.d_val;
        break;
      default:
        break;
    }
  }
  if (raw->strings == nullptr) return;
  for (const std::uint64_t offset : needed) raw->needed.emplace_back(raw->strings + offset);
  if (soname != 0) raw->soname = raw->strings + soname;
}

std::string BuildId(const char* notes, std::uint64_t length) {
  static constexpr char kDigits[] = "0123456789abcdef";
  const char* end = notes + length;
  while (end - notes >= static_cast<std::ptrdiff_t>(sizeof(ElfW(Nhdr)))) {
    ElfW(Nhdr) header;
    std::memcpy(&header, notes, sizeof header);
    const char* name = notes + sizeof header;
    const char* description = name + ((header.n_namesz + 3U) & ~3U);
    if (description + header.n_descsz > end) break;
    if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 &&
        std::memcmp(name, "GNU", 4) == 0) {
      std::string text;
      for (std::uint32_t i = 0; i < header.n_descsz; ++i) {
        const auto byte = static_cast<unsigned char>(description[i]);
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
      }
      return text;
    }
    notes = description + ((header.n_descsz + 3U) & ~3U);
  }
  return {};
}

int Collect(dl_phdr_info* info, std::size_t /*size*/, void* context) {
  auto& modules = *static_cast<std::vector<Raw>*>(context);
  Raw raw;
  Module& module = raw.module;
  module.executable = modules.empty();
  module.base = info->dlpi_addr;
  module.path = info->dlpi_name != nullptr ? info->dlpi_name : "";
  module.memory = {~std::uint64_t{0}, 0};
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    const std::uint64_t begin = info->dlpi_addr + header.p_vaddr;
    switch (header.p_type) {
      case PT_LOAD:
        module.memory.begin = std::min(module.memory.begin, PageDown(begin));
        module.memory.end = std::max(module.memory.end, PageUp(begin + header.p_memsz));
        if ((header.p_flags & PF_W) != 0) raw.segments.push_back({begin, begin + header.p_memsz});
        break;
      case PT_GNU_RELRO:
        raw.relro = {PageDown(begin), PageDown(begin + header.p_memsz)};
        break;
      case PT_NOTE:
        if (module.build_id.empty())
          module.build_id = BuildId(reinterpret_cast<const char*>(begin), header.p_memsz);
        break;
      case PT_DYNAMIC:
        ReadDynamic(reinterpret_cast<const ElfW(Dyn)*>(begin), info->dlpi_addr, &raw);
        break;
      case PT_TLS:
        module.thread_local_id = info->dlpi_tls_modid;
        if (info->dlpi_tls_data != nullptr) {
          const auto data = reinterpret_cast<std::uint64_t>(info->dlpi_tls_data);
          module.thread_local_data = {data, data + header.p_memsz};
        }
        break;
      default:
        break;
    }
  }
  modules.push_back(std::move(raw));
  return 0;
}

// Takes [cut.begin, cut.end) out of sorted ranges.
void Cut(std::vector<AddressRange>* ranges, AddressRange cut) {
  std::vector<AddressRange> left;
  for (const AddressRange& range : *ranges) {
    if (range.begin < std::min(range.end, cut.begin))
      left.push_back({range.begin, std::min(range.end, cut.begin)});
    if (std::max(range.begin, cut.end) < range.end)
      left.push_back({std::max(range.begin, cut.end), range.end});
  }
  *ranges = std::move(left);
}

// Index of the module with that name as soname or file name, or modules.size().
std::size_t IndexOf(const std::vector<Raw>& modules, const std::string& name) {
  for (std::size_t i = 1; i < modules.size(); ++i)
    if (modules[i].soname == name || modules[i].module.file_name == name) return i;
  return modules.size();
}

void MarkNeeded(const std::vector<Raw>& modules, std::size_t index, std::vector<bool>* marked) {
  if ((*marked)[index]) return;
  (*marked)[index] = true;
  for (const std::string& name : modules[index].needed) {
    const std::size_t needed = IndexOf(modules, name);
    if (needed < modules.size()) MarkNeeded(modules, needed, marked);
  }
}

// The run-time libraries that the program's own modules need, from `index` on.
void MarkRuntimes(const std::vector<Raw>& modules, const std::vector<bool>& system,
                  std::size_t index, std::vector<bool>* marked) {
  if ((*marked)[index]) return;
  (*marked)[index] = true;
  for (const std::string& name : modules[index].needed) {
    const std::size_t needed = IndexOf(modules, name);
    if (needed < modules.size() && (!system[needed] || IsRuntime(name)))
      MarkRuntimes(modules, system, needed, marked);
  }
}

bool IsRoot(const Raw& raw) {
  if (raw.module.executable) return false;
  Host& host = TheHost();
  return host.IsLibraryRoot(raw.module.file_name.c_str()) ||
         (!raw.soname.empty() && host.IsLibraryRoot(raw.soname.c_str()));
}

// Our own module: the one that holds this function.
bool IsOwn(const Raw& raw) {
  const auto here = reinterpret_cast<std::uint64_t>(&IsOwn);
  return !raw.module.executable &&
         here - raw.module.memory.begin < raw.module.memory.end - raw.module.memory.begin;
}

void Classify(std::vector<Raw>* modules) {
  std::vector<bool> system(modules->size(), false);
  for (std::size_t i = 0; i < modules->size(); ++i) {
    const Raw& raw = (*modules)[i];
    if (IsOwn(raw) || IsRoot(raw) || LibraryBases().contains(raw.module.base) ||
        (!StartupBases().empty() && !StartupBases().contains(raw.module.base) &&
         LoadedByLibrary(raw.module.file_name)))
      MarkNeeded(*modules, i, &system);
  }
  // A run-time library that only a component of MPI's brought along is not the program's: in
  // another process it may be elsewhere.
  std::vector<bool> used(modules->size(), false);
  for (std::size_t i = 0; i < modules->size(); ++i) {
    if (!system[i]) MarkRuntimes(*modules, system, i, &used);
  }
  for (std::size_t i = 0; i < modules->size(); ++i) {
    Raw& raw = (*modules)[i];
    const std::string& name = raw.soname.empty() ? raw.module.file_name : raw.soname;
    const bool startup = StartupBases().empty() || StartupBases().contains(raw.module.base);
    const bool runtime = IsRuntime(name) && (used[i] || startup);
    // The vDSO has no file; its load address lies above all libraries.
    raw.module.system = !raw.module.executable && (IsLibcFamily(name) || (system[i] && !runtime));
    raw.module.startup = startup;
  }
}

// Objects of system libraries that the linker placed in the executable: they are these libraries'.
void CutCopied(const std::vector<Raw>& modules, Raw* executable) {
  for (std::size_t i = 0; i < executable->relocation_count; ++i) {
    const ElfW(Rela)& relocation = executable->relocations[i];
    if (ELF64_R_TYPE(relocation.r_info) != R_X86_64_COPY) continue;
    const ElfW(Sym)& symbol = executable->symbols[ELF64_R_SYM(relocation.r_info)];
    const char* name = executable->strings + symbol.st_name;
    const std::uint64_t copy = executable->module.base + relocation.r_offset;
    for (const Raw& raw : modules) {
      if (raw.module.executable || !raw.module.system || raw.module.path.empty()) continue;
      void* handle = OpenUnnoted(raw.module.path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
      if (handle == nullptr) continue;
      const auto original = reinterpret_cast<std::uint64_t>(dlsym(handle, name));
      dlclose(handle);
      if (original - raw.module.memory.begin < raw.module.memory.end - raw.module.memory.begin) {
        Cut(&executable->module.writable, {copy, copy + symbol.st_size});
        break;
      }
    }
  }
}

// Numbers of thread-local data, which the dynamic linker gives out in the order in which it loads.
void CutThreadLocalNumbers(Raw* raw) {
  for (std::size_t i = 0; i < raw->relocation_count; ++i) {
    const ElfW(Rela)& relocation = raw->relocations[i];
    const std::uint64_t place = raw->module.base + relocation.r_offset;
    if (ELF64_R_TYPE(relocation.r_info) == R_X86_64_DTPMOD64)
      Cut(&raw->module.writable, {place, place + 8});
    if (ELF64_R_TYPE(relocation.r_info) == R_X86_64_TLSDESC)
      Cut(&raw->module.writable, {place, place + 16});
  }
}

std::vector<Raw> CollectAll() {
  std::vector<Raw> modules;
  dl_iterate_phdr(Collect, &modules);
  for (Raw& raw : modules) raw.module.file_name = FileName(raw.module.path);
  Classify(&modules);
  return modules;
}

}  // namespace

std::vector<Module> ListModules() {
  const LibraryScope scope;
  std::vector<Raw> raws = CollectAll();
  std::vector<Module> modules;
  for (Raw& raw : raws) {
    Module& module = raw.module;
    if (module.executable) {
      char path[PATH_MAX];
      const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
      if (length <= 0 || length >= static_cast<ssize_t>(sizeof path))
        throw ImageError("/proc/self/exe can't be read: mount /proc");
      module.path.assign(path, static_cast<std::size_t>(length));
      module.file_name = FileName(module.path);
    }
    struct stat status {};
    if (!module.path.empty() && stat(module.path.c_str(), &status) == 0)
      module.size = static_cast<std::uint64_t>(status.st_size);
    if (!module.path.empty() && !module.executable) {
      module.handle = OpenUnnoted(module.path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
      if (module.handle != nullptr) dlclose(module.handle);
      module.handle = ProgramHandle(module.handle);
    }
    module.soname = raw.soname;
    module.needed = raw.needed;
    if (module.thread_local_data.begin != 0)
      module.thread_local_block = ThreadLocalBlock(module.thread_local_id);
    if (!module.system) {
      module.writable = raw.segments;
      Cut(&module.writable, raw.relro);
      if (module.executable) CutCopied(raws, &raw);
      if (!module.startup) CutThreadLocalNumbers(&raw);
    }
    modules.push_back(std::move(module));
  }
  return modules;
}

void NoteStartupModules() {
  const LibraryScope scope;
  StartupBases().clear();
  for (const Raw& raw : CollectAll()) StartupBases().insert(raw.module.base);
  KnownBases() = StartupBases();
}

void NoteLibraryModules() {
  const LibraryScope scope;
  for (const Raw& raw : CollectAll())
    if (KnownBases().insert(raw.module.base).second) LibraryBases().insert(raw.module.base);
}

bool IsSystemAddress(const void* pointer) {
  const LibraryScope scope;
  const auto address = reinterpret_cast<std::uint64_t>(pointer);
  for (const Raw& raw : CollectAll()) {
    const AddressRange& memory = raw.module.memory;
    if (address - memory.begin < memory.end - memory.begin) return raw.module.system;
  }
  return false;
}

bool ExecutableNeedsHostLibrary() {
  const LibraryScope scope;
  const std::vector<Raw> modules = CollectAll();
  std::vector<bool> reached(modules.size(), false);
  MarkNeeded(modules, 0, &reached);
  for (std::size_t i = 1; i < modules.size(); ++i)
    if (reached[i] && IsRoot(modules[i])) return true;
  return false;
}

}  // namespace ftmpi::image
