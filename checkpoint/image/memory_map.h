// What of the process's memory belongs to an image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/image/modules.h"
#include "checkpoint/section.h"

namespace ftmpi::image {

// One line of /proc/self/maps.
struct MappedRange {
  AddressRange memory;
  int protection;  // PROT_ bits
  bool shared;
  std::uint64_t offset;
  std::uint64_t inode;
  std::string path;  // empty: anonymous
};

// Throws ImageError.
std::vector<MappedRange> ReadMaps();

// A mapping of the arena that a restored process must make before it reads the sections.
struct ImageMapping {
  AddressRange memory;
  std::int32_t protection;
  std::int32_t flags;  // MAP_SHARED or MAP_PRIVATE
};

struct MemoryMap {
  std::vector<checkpoint::Section> sections;  // by address
  std::vector<ImageMapping> mappings;         // of the zone, by address
};

// `stack_pointer`: of the registers that are captured; the stack below it is not needed.
MemoryMap BuildMemoryMap(const std::vector<Module>& modules, std::uint64_t stack_pointer);

std::vector<std::byte> Encode(const std::vector<ImageMapping>& mappings);
std::vector<ImageMapping> DecodeMappings(std::span<const std::byte> bytes);

}  // namespace ftmpi::image
