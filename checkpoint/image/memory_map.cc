#include "checkpoint/image/memory_map.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "checkpoint/image/arena.h"
#include "checkpoint/image/codec.h"
#include "checkpoint/image/image_error.h"
#include "checkpoint/image/proc_files.h"

namespace ftmpi::image {
namespace {

// The System V ABI's red zone, and room to spare.
constexpr std::uint64_t kBelowStackPointer = 1024;

checkpoint::Section MakeSection(AddressRange memory, int protection, checkpoint::SectionKind kind,
                                const std::string& name) {
  checkpoint::Section section{};
  section.address = memory.begin;
  section.length = memory.end - memory.begin;
  section.protection = static_cast<std::uint32_t>(protection);
  section.kind = kind;
  std::strncpy(section.name, name.c_str(), sizeof section.name - 1);
  return section;
}

MappedRange ParseLine(const std::string& line) {
  unsigned long begin = 0;
  unsigned long end = 0;
  unsigned long offset = 0;
  unsigned long inode = 0;
  char permissions[5] = {0};
  int path_at = 0;
  const int fields = std::sscanf(line.c_str(), "%lx-%lx %4s %lx %*s %lu %n", &begin, &end,
                                 permissions, &offset, &inode, &path_at);
  if (fields < 5) throw ImageError("/proc/self/maps has a line that can't be understood: " + line);
  MappedRange range{};
  range.memory = {begin, end};
  range.protection = (permissions[0] == 'r' ? PROT_READ : 0) |
                     (permissions[1] == 'w' ? PROT_WRITE : 0) |
                     (permissions[2] == 'x' ? PROT_EXEC : 0);
  range.shared = permissions[3] == 's';
  range.offset = offset;
  range.inode = inode;
  if (path_at > 0 && static_cast<std::size_t>(path_at) < line.size())
    range.path = line.substr(static_cast<std::size_t>(path_at));
  return range;
}

struct Zone {
  std::vector<AddressRange> ranges;
  std::vector<ZoneRange> descriptions;
};

void AddZoneRange(std::uint64_t address, const ZoneRange& range, void* context) {
  auto* zone = static_cast<Zone*>(context);
  zone->ranges.push_back({address, address + range.length});
  zone->descriptions.push_back(range);
}

}  // namespace

std::vector<MappedRange> ReadMaps() {
  const std::string text = ReadProcFile("/proc/self/maps");
  std::vector<MappedRange> ranges;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    ranges.push_back(ParseLine(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return ranges;
}

MemoryMap BuildMemoryMap(const std::vector<Module>& modules, std::uint64_t stack_pointer) {
  using checkpoint::SectionKind;
  MemoryMap map;
  const ArenaRoot& root = Root();
  constexpr int kReadWrite = PROT_READ | PROT_WRITE;
  map.sections.push_back(MakeSection({kArenaBase, kHeapBase + root.heap_size}, kReadWrite,
                                     SectionKind::kArena, "heap"));
  map.sections.push_back(MakeSection({PageDown(stack_pointer - kBelowStackPointer), kStackTop},
                                     kReadWrite, SectionKind::kStack, "stack"));

  Zone zone;
  arena::ForEachRange(AddZoneRange, &zone);
  // The program may have changed the protection of parts.
  const std::vector<MappedRange> maps = ReadMaps();
  auto next = maps.begin();
  for (std::size_t i = 0; i < zone.ranges.size(); ++i) {
    const AddressRange& range = zone.ranges[i];
    while (next != maps.end() && next->memory.end <= range.begin) ++next;
    for (auto part = next; part != maps.end() && part->memory.begin < range.end; ++part) {
      const AddressRange memory = {std::max(range.begin, part->memory.begin),
                                   std::min(range.end, part->memory.end)};
      map.mappings.push_back(
          {memory, part->protection, static_cast<std::int32_t>(zone.descriptions[i].flags)});
      if ((part->protection & PROT_READ) == 0) continue;
      const bool block = zone.descriptions[i].kind == RangeKind::kBlock;
      map.sections.push_back(MakeSection(memory, part->protection,
                                         block ? SectionKind::kArena : SectionKind::kMapping,
                                         block ? "large block" : "mapping"));
    }
  }

  for (const Module& module : modules) {
    if (module.system) continue;
    for (const AddressRange& range : module.writable)
      map.sections.push_back(
          MakeSection(range, kReadWrite, SectionKind::kProgramData, module.path));
    if (module.thread_local_data.begin != module.thread_local_data.end) {
      map.sections.push_back(MakeSection(module.thread_local_data, kReadWrite,
                                         SectionKind::kThreadLocal, module.path));
    }
  }
  std::sort(map.sections.begin(), map.sections.end(),
            [](const auto& a, const auto& b) { return a.address < b.address; });
  return map;
}

std::vector<std::byte> Encode(const std::vector<ImageMapping>& mappings) {
  Encoder encoder;
  encoder.Value<std::uint64_t>(mappings.size());
  for (const ImageMapping& mapping : mappings) encoder.Value(mapping);
  return encoder.Take();
}

std::vector<ImageMapping> DecodeMappings(std::span<const std::byte> bytes) {
  Decoder decoder(bytes, "table of mappings");
  std::vector<ImageMapping> mappings(decoder.Count(sizeof(ImageMapping)));
  for (ImageMapping& mapping : mappings) {
    mapping = decoder.Value<ImageMapping>();
    const AddressRange& memory = mapping.memory;
    if (memory.begin % kPage != 0 || memory.end % kPage != 0 || memory.begin >= memory.end ||
        memory.begin < kZoneBase || memory.end > kZoneLimit)
      throw ImageError(
          "the image's table of mappings has an impossible address; use another "
          "checkpoint");
  }
  return mappings;
}

}  // namespace ftmpi::image
