#include "checkpoint/image/restore.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "checkpoint/image/arena.h"
#include "checkpoint/image/blob_names.h"
#include "checkpoint/image/codec.h"
#include "checkpoint/image/identity.h"
#include "checkpoint/image/image_error.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/memory_map.h"
#include "checkpoint/image/process_role.h"
#include "checkpoint/image/registers.h"
#include "checkpoint/image/system_calls.h"

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

void Map(AddressRange memory, int flags) {
  void* mapped = raw::Map(reinterpret_cast<void*>(memory.begin), memory.end - memory.begin,
                          PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (mapped == MAP_FAILED)
    throw ImageError("there is no memory for the image (" +
                     std::to_string((memory.end - memory.begin) >> 20) +
                     " MiB): " + std::strerror(errno));
  if (memory.end - memory.begin >= kHugePage)
    madvise(mapped, memory.end - memory.begin, MADV_HUGEPAGE);
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
  for (const ImageMapping& mapping : mappings) Map(mapping.memory, mapping.flags);
}

}  // namespace

ThreadGuards PrepareRestore(Source& source) {
  RequireSameModules(DecodeModules(source.FindBlob(kModulesBlob)), ListModules());
  return ReadStart(source).guards;
}

void CompleteRestore(Source& source) {
  const Start start = ReadStart(source);
  const std::vector<ImageMapping> mappings = DecodeMappings(source.FindBlob(kMappingsBlob));
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
    if (mapping.protection != (PROT_READ | PROT_WRITE) &&
        mprotect(reinterpret_cast<void*>(mapping.memory.begin),
                 mapping.memory.end - mapping.memory.begin, mapping.protection) != 0)
      throw ImageError(std::string("memory can't be protected as in the image: ") +
                       std::strerror(errno));
  }
  BecomeRecording();
  t_library_depth = start.library_depth;
  ftmpi_image_resume_registers(&start.registers);
}

}  // namespace ftmpi::image
