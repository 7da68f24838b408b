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

// A mapping that a restored process must make before it reads the sections.
struct ImageMapping {
  AddressRange memory;
  int protection;
  bool shared;
  // A shared mapping of a file is made of the file again, and one that belongs to libc (locales,
  // `whole`); everything else becomes anonymous memory.
  bool whole;        // its content is the file's: no section
  std::string path;  // empty: anonymous
  std::uint64_t offset;
};

struct MemoryMap {
  std::vector<checkpoint::Section> sections;  // by address
  std::vector<ImageMapping> mappings;         // by address
};

// What makes the process impossible to capture is added to `reasons`, a sentence each.
// `stack_pointer`: of the registers that are captured; the stack below it is not needed.
MemoryMap BuildMemoryMap(const std::vector<Module>& modules, std::uint64_t stack_pointer,
                         std::vector<std::string>* reasons);

std::vector<std::byte> Encode(const std::vector<ImageMapping>& mappings);
std::vector<ImageMapping> DecodeMappings(std::span<const std::byte> bytes);

}  // namespace ftmpi::image
