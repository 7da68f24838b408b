#include "checkpoint/image/restore.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "checkpoint/image/arena.h"
#include "checkpoint/image/blob_names.h"
#include "checkpoint/image/codec.h"
#include "checkpoint/image/descriptors.h"
#include "checkpoint/image/environment_variables.h"
#include "checkpoint/image/identity.h"
#include "checkpoint/image/image_error.h"
#include "checkpoint/image/libc_state.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/loading.h"
#include "checkpoint/image/memory_map.h"
#include "checkpoint/image/process_role.h"
#include "checkpoint/image/process_state.h"
#include "checkpoint/image/registers.h"
#include "checkpoint/image/system_calls.h"
#include "checkpoint/image/threads.h"

namespace ftmpi::image {
namespace {

struct Start {
  Registers registers;
  ThreadGuards guards;
  int library_depth;
};

Start ReadStart(Source& source) {
  Decoder decoder(source.FindBlob(kRegistersBlob), "registers");
  Start start{};
  start.registers = decoder.Value<Registers>();
  start.guards = decoder.Value<ThreadGuards>();
  start.library_depth = decoder.Value<int>();
  return start;
}

void MapTo(AddressRange memory, int protection, int flags, int descriptor, std::uint64_t offset) {
  const std::uint64_t length = memory.end - memory.begin;
  void* mapped = raw::Map(reinterpret_cast<void*>(memory.begin), length, protection,
                          flags | MAP_FIXED, descriptor, static_cast<std::int64_t>(offset));
  if (mapped == MAP_FAILED)
    throw ImageError("there is no memory for the image (" + std::to_string(length >> 20) +
                     " MiB): " + std::strerror(errno));
}

void Map(AddressRange memory, int flags) {
  MapTo(memory, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
  const std::uint64_t length = memory.end - memory.begin;
  if (length >= kHugePage) madvise(reinterpret_cast<void*>(memory.begin), length, MADV_HUGEPAGE);
}

// A mapping of a file that the program shares with it, or that libc made.
void MapFile(const ImageMapping& mapping) {
  const bool writes = !mapping.whole && (mapping.protection & PROT_WRITE) != 0;
  const int file = open(mapping.path.c_str(), (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (file < 0)
    throw ImageError("the file " + mapping.path +
                     ", which was mapped, can't be opened: " + std::strerror(errno));
  MapTo(mapping.memory, writes ? PROT_READ | PROT_WRITE : mapping.protection,
        mapping.shared ? MAP_SHARED : MAP_PRIVATE, file, mapping.offset);
  close(file);
}

// Addresses outside the arena that the image needs must not be given away before it is mapped.
void ReserveMappings(const std::vector<ImageMapping>& mappings) {
  for (const ImageMapping& mapping : mappings) {
    auto* wanted = reinterpret_cast<void*>(mapping.memory.begin);
    if (InArena(wanted)) continue;
    const std::uint64_t length = mapping.memory.end - mapping.memory.begin;
    void* mapped =
        raw::Map(wanted, length, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (mapped == wanted) continue;
    if (mapped != MAP_FAILED) raw::Unmap(mapped, length);
    throw ImageError("memory that the program had mapped at an address of its own choice (" +
                     std::to_string(length >> 10) + " KiB) is in use in the new process");
  }
}

// The memory that the sections of the arena go to.
void MapArena(Source& source, const std::vector<ImageMapping>& mappings) {
  for (const checkpoint::Section& section : source.Sections()) {
    const AddressRange memory = {section.address, section.address + section.length};
    if (memory.begin < kArenaBase || memory.end > kZoneBase) continue;
    if (memory.begin % kPage != 0 || memory.end % kPage != 0)
      throw ImageError(
          "the image's heap or stack has an impossible address; use another "
          "checkpoint");
    Map(memory, MAP_PRIVATE | MAP_NORESERVE);
  }
  for (const ImageMapping& mapping : mappings) {
    if (mapping.path.empty()) {
      Map(mapping.memory, mapping.shared ? MAP_SHARED : MAP_PRIVATE);
    } else {
      MapFile(mapping);
    }
  }
}

}  // namespace

ThreadGuards PrepareRestore(Source& source) {
  const std::vector<Module> modules = DecodeModules(source.FindBlob(kModulesBlob));
  RequireSameModules(modules, ListModules());
  RaiseLimits(source.FindBlob(kProcessStateBlob));
  ReserveMappings(DecodeMappings(source.FindBlob(kMappingsBlob)));
  ReserveModules(modules);
  ReserveDescriptors(source.FindBlob(kDescriptorsBlob));
  ReserveThreadKeys(source.FindBlob(kThreadKeysBlob));
  return ReadStart(source).guards;
}

void CompleteRestore(Source& source) {
  const Start start = ReadStart(source);
  const std::vector<std::string> environment = ReadEnvironment();
  const std::vector<ImageMapping> mappings = DecodeMappings(source.FindBlob(kMappingsBlob));
  RestoreEarlyProcessState(source.FindBlob(kProcessStateBlob));
  RestoreDescriptors(source.FindBlob(kDescriptorsBlob));
  const std::vector<Module> modules = DecodeModules(source.FindBlob(kModulesBlob));
  LoadModules(modules);
  MapArena(source, mappings);
  for (const checkpoint::Section& section : source.Sections()) source.Read(section);

  const ArenaRoot& root = Root();
  if (root.magic != kArenaMagic || root.version != kArenaVersion)
    throw ImageError(
        "the image's heap is damaged or of another version of ftmpi; use another "
        "checkpoint");
  // The stack above was read; below it is what the program may still need.
  for (const checkpoint::Section& section : source.Sections()) {
    if (section.kind == checkpoint::SectionKind::kStack && root.stack_bottom < section.address)
      Map({root.stack_bottom, section.address}, MAP_PRIVATE | MAP_NORESERVE | MAP_STACK);
  }
  for (const ImageMapping& mapping : mappings) {
    if (!mapping.whole && mapping.protection != (PROT_READ | PROT_WRITE) &&
        mprotect(reinterpret_cast<void*>(mapping.memory.begin),
                 mapping.memory.end - mapping.memory.begin, mapping.protection) != 0)
      throw ImageError(std::string("memory can't be protected as in the image: ") +
                       std::strerror(errno));
  }
  RestoreLoadedThreadLocal(modules);
  RestoreThreadKeys(source.FindBlob(kThreadKeysBlob));
  RestoreEnvironment(source.FindBlob(kEnvironmentBlob), environment);
  const int error_number = RestoreLibcState(source.FindBlob(kLibcStateBlob));
  BecomeRecording();
  RestoreLateProcessState(source.FindBlob(kProcessStateBlob), ListModules());
  errno = error_number;
  t_library_depth = start.library_depth;
  ftmpi_image_resume_registers(&start.registers);
}

}  // namespace ftmpi::image
