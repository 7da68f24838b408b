#include "checkpoint/image/check.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include "checkpoint/image/layout.h"

namespace ftmpi::image {
namespace {

// The parts of an executable that the checks look at. All reads are bounded by the file.
class Program {
 public:
  bool Read(const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    char buffer[65536];
    ssize_t got = 0;
    while ((got = read(file, buffer, sizeof buffer)) > 0)
      bytes_.append(buffer, static_cast<std::size_t>(got));
    const int error = errno;
    close(file);
    errno = error;
    return got == 0;
  }

  template <typename T>
  std::optional<T> At(std::uint64_t offset) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }

  std::string_view Text(std::uint64_t offset) const {
    if (offset >= bytes_.size()) return {};
    return {bytes_.data() + offset, strnlen(bytes_.data() + offset, bytes_.size() - offset)};
  }

  std::optional<Elf64_Phdr> Segment(std::uint32_t type) const {
    const auto header = At<Elf64_Ehdr>(0);
    for (unsigned i = 0; header && i < header->e_phnum; ++i) {
      const auto segment = At<Elf64_Phdr>(header->e_phoff + i * sizeof(Elf64_Phdr));
      if (segment && segment->p_type == type) return segment;
    }
    return std::nullopt;
  }

  // Names of dynamic symbols that the program itself defines, and of libraries that it needs.
  void ReadDynamic() {
    const auto header = At<Elf64_Ehdr>(0);
    for (unsigned i = 0; header && i < header->e_shnum; ++i) {
      const auto section = At<Elf64_Shdr>(header->e_shoff + i * sizeof(Elf64_Shdr));
      if (!section || section->sh_link >= header->e_shnum) continue;
      const auto strings = At<Elf64_Shdr>(header->e_shoff + section->sh_link * sizeof(Elf64_Shdr));
      if (!strings) continue;
      if (section->sh_type == SHT_DYNSYM) ReadSymbols(*section, strings->sh_offset);
      if (section->sh_type == SHT_DYNAMIC) ReadNeeded(*section, strings->sh_offset);
    }
  }

  bool Defines(std::string_view name) const {
    return std::find(defined_.begin(), defined_.end(), name) != defined_.end();
  }
  const std::vector<std::string_view>& Needed() const { return needed_; }
  const std::vector<std::string_view>& Imported() const { return imported_; }

  // Hexadecimal; empty: has none.
  std::string BuildId() const {
    const auto header = At<Elf64_Ehdr>(0);
    for (unsigned i = 0; header && i < header->e_phnum; ++i) {
      const auto segment = At<Elf64_Phdr>(header->e_phoff + i * sizeof(Elf64_Phdr));
      if (!segment || segment->p_type != PT_NOTE) continue;
      for (std::uint64_t at = 0; at + sizeof(Elf64_Nhdr) <= segment->p_filesz;) {
        const auto note = At<Elf64_Nhdr>(segment->p_offset + at);
        if (!note) return {};
        const std::uint64_t name = segment->p_offset + at + sizeof(Elf64_Nhdr);
        const std::uint64_t content = name + (note->n_namesz + std::uint64_t{3}) / 4 * 4;
        if (note->n_type == NT_GNU_BUILD_ID && Text(name) == "GNU")
          return Hexadecimal(content, note->n_descsz);
        at = content + (note->n_descsz + std::uint64_t{3}) / 4 * 4 - segment->p_offset;
      }
    }
    return {};
  }

 private:
  void ReadSymbols(const Elf64_Shdr& section, std::uint64_t strings) {
    for (std::uint64_t at = 0; at + sizeof(Elf64_Sym) <= section.sh_size; at += sizeof(Elf64_Sym)) {
      const auto symbol = At<Elf64_Sym>(section.sh_offset + at);
      if (!symbol) return;
      (symbol->st_shndx != SHN_UNDEF ? defined_ : imported_)
          .push_back(Text(strings + symbol->st_name));
    }
  }
  void ReadNeeded(const Elf64_Shdr& section, std::uint64_t strings) {
    for (std::uint64_t at = 0; at + sizeof(Elf64_Dyn) <= section.sh_size; at += sizeof(Elf64_Dyn)) {
      const auto entry = At<Elf64_Dyn>(section.sh_offset + at);
      if (!entry || entry->d_tag == DT_NULL) return;
      if (entry->d_tag == DT_NEEDED) needed_.push_back(Text(strings + entry->d_un.d_val));
    }
  }

  std::string Hexadecimal(std::uint64_t offset, std::uint64_t length) const {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (std::uint64_t i = 0; i < length; ++i) {
      const auto byte = At<std::uint8_t>(offset + i);
      if (!byte) return {};
      text += kDigits[*byte >> 4];
      text += kDigits[*byte & 15];
    }
    return text;
  }

  std::string bytes_;
  std::vector<std::string_view> defined_;
  std::vector<std::string_view> imported_;
  std::vector<std::string_view> needed_;
};

bool IsPrivileged(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && (status.st_mode & (S_ISUID | S_ISGID)) != 0) return true;
  return getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
}

}  // namespace

std::vector<Reason> CheckProgram(const std::string& path) {
  std::vector<Reason> reasons;
  const auto add = [&](Obstacle obstacle, const std::string& message) {
    reasons.push_back({obstacle, path + " " + message});
  };
  Program program;
  if (!program.Read(path)) {
    add(Obstacle::kUnreadable, std::string("can't be read: ") + std::strerror(errno));
    return reasons;
  }
  const auto header = program.At<Elf64_Ehdr>(0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
    add(Obstacle::kNotElf, program.Text(0).starts_with("#!")
                               ? "is a script: give the program that it starts"
                               : "is no ELF executable");
    return reasons;
  }
  if (header->e_machine != EM_X86_64 || header->e_ident[EI_CLASS] != ELFCLASS64) {
    add(Obstacle::kOtherMachine, "is not for x86-64: images are implemented for that only");
    return reasons;
  }
  if (!program.Segment(PT_INTERP)) {
    add(Obstacle::kStatic, "is linked statically: link it dynamically");
    return reasons;
  }
  if (IsPrivileged(path))
    add(Obstacle::kPrivileged, "is setuid, setgid or has file capabilities: remove them");
  program.ReadDynamic();
  if (program.Defines("malloc"))
    add(Obstacle::kOwnMalloc, "brings its own malloc: link it without that");
  for (const std::string_view library : program.Needed()) {
    for (const char* prefix : {"libasan.so", "libtsan.so", "liblsan.so", "libhwasan.so"})
      if (library.starts_with(prefix))
        add(Obstacle::kSanitizer,
            "is built with a sanitizer (" + std::string(library) + "): build it without");
    for (const char* prefix : {"libjemalloc.so", "libtcmalloc", "libmimalloc.so", "libtbbmalloc"})
      if (library.starts_with(prefix))
        add(Obstacle::kOwnMalloc,
            "uses another malloc (" + std::string(library) + "): link it without that");
  }
  return reasons;
}

ProgramFacts ReadProgramFacts(const std::string& path) {
  ProgramFacts facts;
  Program program;
  if (!program.Read(path)) return facts;
  const auto header = program.At<Elf64_Ehdr>(0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_machine != EM_X86_64 || header->e_ident[EI_CLASS] != ELFCLASS64)
    return facts;
  facts.dynamic = program.Segment(PT_INTERP).has_value();
  facts.position_independent = header->e_type == ET_DYN;
  facts.build_id = program.BuildId();
  program.ReadDynamic();
  for (const std::string_view name : program.Needed()) facts.libraries.emplace_back(name);
  for (const std::string_view name : program.Imported())
    if (!name.empty()) facts.imports.emplace_back(name);
  return facts;
}

std::vector<Reason> CheckMachine() {
  std::vector<Reason> reasons;
  constexpr unsigned long kQuery = 0xffffffff;
  const int now = personality(kQuery);
  if (now == -1 || personality(static_cast<unsigned long>(now) | ADDR_NO_RANDOMIZE) == -1) {
    reasons.push_back({Obstacle::kRandomisation,
                       std::string("address randomisation can't be switched off (personality: ") +
                           std::strerror(errno) +
                           "): a container's seccomp profile must allow it"});
  } else {
    personality(static_cast<unsigned long>(now));
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      limit.rlim_cur < kArenaEnd - kArenaBase)
    reasons.push_back({Obstacle::kAddressSpace, "the address space is limited to " +
                                                    std::to_string(limit.rlim_cur >> 20) +
                                                    " MiB: set ulimit -v unlimited"});
  if (access("/proc/self/maps", R_OK) != 0)
    reasons.push_back({Obstacle::kProc, "/proc is not mounted or can't be read"});
  return reasons;
}

std::string Joined(const std::vector<Reason>& reasons) {
  std::string text;
  for (const Reason& reason : reasons) text += (text.empty() ? "" : "; ") + reason.message;
  return text;
}

}  // namespace ftmpi::image
