#include "checkpoint/image/memory_map.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

struct Known {
  AddressRange memory;
  RangeKind kind;
};

void AddKnown(std::uint64_t address, const ZoneRange& range, void* context) {
  static_cast<std::vector<Known>*>(context)->push_back(
      {{address, address + range.length}, range.kind});
}

bool IsDeleted(const std::string& path) { return path.ends_with(" (deleted)"); }

// Bytes of a mapping that can be read: those behind the end of its file can't.
std::uint64_t ReadableEnd(const MappedRange& part, AddressRange memory) {
  struct stat status {};
  if (part.inode == 0 || IsDeleted(part.path) || stat(part.path.c_str(), &status) != 0)
    return memory.end;
  const std::uint64_t first = part.offset + (memory.begin - part.memory.begin);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (first >= size) return memory.begin;
  return std::min(memory.end, memory.begin + PageUp(size - first));
}

// One part of a mapping of the program, with one protection.
void AddPart(AddressRange memory, const MappedRange& part, RangeKind kind, MemoryMap* map,
             std::vector<std::string>* reasons) {
  ImageMapping mapping{};
  mapping.memory = memory;
  mapping.protection = part.protection;
  mapping.shared = part.shared;
  // Anonymous shared memory has an inode, too, and a name that can't be opened.
  if (part.shared && part.inode != 0 && part.path != "/dev/zero (deleted)") {
    if (IsDeleted(part.path) || part.path.empty()) {
      reasons->push_back("the program shares memory with others in a file that was deleted (" +
                         part.path + ")");
    }
    mapping.path = part.path;
    mapping.offset = part.offset + (memory.begin - part.memory.begin);
  }
  map->mappings.push_back(mapping);
  const AddressRange readable = {memory.begin, ReadableEnd(part, memory)};
  if ((part.protection & PROT_READ) == 0 || readable.begin == readable.end) return;
  // A file that is mapped for reading only keeps its bytes itself.
  if (!mapping.path.empty() && (part.protection & PROT_WRITE) == 0) return;
  const bool block = kind == RangeKind::kBlock;
  map->sections.push_back(
      MakeSection(readable, part.protection,
                  block ? checkpoint::SectionKind::kArena : checkpoint::SectionKind::kMapping,
                  block ? "large block" : "mapping"));
}

// What libc maps on the program's behalf and a locale object in the arena may point to.
bool IsLocaleData(const MappedRange& range) {
  return range.path.starts_with("/usr/lib/locale/") && (range.protection & PROT_WRITE) == 0;
}

// Large ranges in pieces, so that all but their ends consist of whole pages, whose changes can be
// tracked.
std::vector<AddressRange> PageAligned(const std::vector<AddressRange>& ranges) {
  constexpr std::uint64_t kLarge = 64 * kPage;
  std::vector<AddressRange> pieces;
  for (const AddressRange& range : ranges) {
    if (range.end - range.begin < kLarge) {
      pieces.push_back(range);
      continue;
    }
    const AddressRange inner = {PageUp(range.begin), PageDown(range.end)};
    if (range.begin < inner.begin) pieces.push_back({range.begin, inner.begin});
    pieces.push_back(inner);
    if (inner.end < range.end) pieces.push_back({inner.end, range.end});
  }
  return pieces;
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

MemoryMap BuildMemoryMap(const std::vector<Module>& modules, std::uint64_t stack_pointer,
                         std::vector<std::string>* reasons) {
  using checkpoint::SectionKind;
  MemoryMap map;
  const ArenaRoot& root = Root();
  constexpr int kReadWrite = PROT_READ | PROT_WRITE;
  map.sections.push_back(MakeSection({kArenaBase, kHeapBase + root.heap_size}, kReadWrite,
                                     SectionKind::kArena, "heap"));
  map.sections.push_back(MakeSection({PageDown(stack_pointer - kBelowStackPointer), kStackTop},
                                     kReadWrite, SectionKind::kStack, "stack"));

  if (root.program_break > kBreakBase) {
    map.sections.push_back(MakeSection({kBreakBase, PageUp(root.program_break)}, kReadWrite,
                                       SectionKind::kArena, "program break"));
  }

  std::vector<Known> known;
  arena::ForEachRange(AddKnown, &known);
  const std::vector<MappedRange> maps = ReadMaps();
  for (const MappedRange& range : maps) {
    if (IsLocaleData(range))
      map.mappings.push_back(
          {range.memory, range.protection, false, true, range.path, range.offset});
  }
  // The program may have changed the protection of parts.
  auto next = maps.begin();
  for (const Known& range : known) {
    while (next != maps.end() && next->memory.end <= range.memory.begin) ++next;
    for (auto part = next; part != maps.end() && part->memory.begin < range.memory.end; ++part) {
      AddPart({std::max(range.memory.begin, part->memory.begin),
               std::min(range.memory.end, part->memory.end)},
              *part, range.kind, &map, reasons);
    }
  }

  for (const Module& module : modules) {
    if (module.system) continue;
    for (const AddressRange& range : PageAligned(module.writable))
      map.sections.push_back(
          MakeSection(range, kReadWrite, SectionKind::kProgramData, module.path));
    // Of modules that were loaded later it lies in the arena.
    if (module.thread_local_data.begin != module.thread_local_data.end &&
        !InArena(reinterpret_cast<void*>(module.thread_local_data.begin))) {
      map.sections.push_back(MakeSection(module.thread_local_data, kReadWrite,
                                         SectionKind::kThreadLocal, module.path));
    }
  }
  std::sort(map.sections.begin(), map.sections.end(),
            [](const auto& a, const auto& b) { return a.address < b.address; });
  for (std::size_t i = 1; i < map.sections.size(); ++i) {
    const checkpoint::Section& before = map.sections[i - 1];
    if (before.address + before.length > map.sections[i].address)
      throw ImageError(std::string("two parts of the image overlap (") + before.name + " and " +
                       map.sections[i].name + "): this is an error of ftmpi");
  }
  return map;
}

std::vector<std::byte> Encode(const std::vector<ImageMapping>& mappings) {
  Encoder encoder;
  encoder.Value<std::uint64_t>(mappings.size());
  for (const ImageMapping& mapping : mappings) {
    encoder.Value(mapping.memory).Value(mapping.protection).Value(mapping.shared);
    encoder.Value(mapping.whole).Text(mapping.path).Value(mapping.offset);
  }
  return encoder.Take();
}

std::vector<ImageMapping> DecodeMappings(std::span<const std::byte> bytes) {
  Decoder decoder(bytes, "table of mappings");
  std::vector<ImageMapping> mappings(decoder.Count(sizeof(AddressRange)));
  for (ImageMapping& mapping : mappings) {
    mapping.memory = decoder.Value<AddressRange>();
    mapping.protection = decoder.Value<int>();
    mapping.shared = decoder.Value<bool>();
    mapping.whole = decoder.Value<bool>();
    mapping.path = decoder.Text();
    mapping.offset = decoder.Value<std::uint64_t>();
    const AddressRange& memory = mapping.memory;
    if (memory.begin % kPage != 0 || memory.end % kPage != 0 || memory.begin >= memory.end ||
        (memory.end > kArenaBase && memory.begin < kZoneBase))
      throw ImageError(
          "the image's table of mappings has an impossible address; use another "
          "checkpoint");
  }
  return mappings;
}

}  // namespace ftmpi::image
