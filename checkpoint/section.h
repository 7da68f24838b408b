// What a process gives away at a checkpoint and gets back at a restart: sections of its memory, and
// named arrays (datasets). Fixed layouts without pointers of C++: the rank fills them in static
// memory, the checkpoint server of the same node and build reads them (checkpoint/SERVER.md).
// Addresses are those of the process that is checkpointed; all lengths are bytes unless said.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ftmpi::checkpoint {

// Pages of incremental checkpoints and of page maps, whatever the kernel's page size is.
inline constexpr std::uint64_t kPageSize = 4096;

enum class SectionKind : std::uint32_t {
  kOther = 0,
  kArena = 1,        // the program's heap
  kProgramData = 2,  // a writable segment of the executable or of one of its libraries
  kMapping = 3,      // memory that the program mapped itself
  kStack = 4,
  kThreadLocal = 5,
};

// Pages [first, first + count) of a section, counted from its start.
struct PageRange {
  std::uint64_t first;
  std::uint64_t count;
};
static_assert(sizeof(PageRange) == 16);

// The section stores only the pages listed; the others are as in the base checkpoint. Pages that
// were mapped anew since the base count as written.
inline constexpr std::uint32_t kSectionListedPages = 1;

// One stretch of memory. Sections of a checkpoint don't overlap. `address` is a multiple of
// kPageSize where kSectionListedPages is set; else any address and any length will do.
struct Section {
  std::uint64_t address;
  std::uint64_t length;
  std::uint64_t ranges;  // address of an array of PageRange, ascending, without overlap; else 0
  std::uint64_t range_count;  // 0 without kSectionListedPages
  std::uint32_t protection;   // PROT_READ | PROT_WRITE | PROT_EXEC
  SectionKind kind;
  std::uint32_t flags;
  std::uint32_t reserved;  // 0
  char name[208];          // for people: "arena", "[stack]", a library's path; zero-terminated
};
static_assert(sizeof(Section) == 256);

enum class ElementType : std::uint32_t {
  kByte = 1,
  kInt8 = 2,
  kInt16 = 3,
  kInt32 = 4,
  kInt64 = 5,
  kUint8 = 6,
  kUint16 = 7,
  kUint32 = 8,
  kUint64 = 9,
  kFloat32 = 10,
  kFloat64 = 11,
  kComplex64 = 12,   // two kFloat32
  kComplex128 = 13,  // two kFloat64
  kLongDouble = 14,  // the compiler's
};

// Bytes of one element, 0: no such type.
constexpr std::uint64_t ElementSize(ElementType type) {
  switch (type) {
    case ElementType::kByte:
    case ElementType::kInt8:
    case ElementType::kUint8:
      return 1;
    case ElementType::kInt16:
    case ElementType::kUint16:
      return 2;
    case ElementType::kInt32:
    case ElementType::kUint32:
    case ElementType::kFloat32:
      return 4;
    case ElementType::kInt64:
    case ElementType::kUint64:
    case ElementType::kFloat64:
    case ElementType::kComplex64:
      return 8;
    case ElementType::kComplex128:
      return 16;
    case ElementType::kLongDouble:
      return sizeof(long double);
  }
  return 0;
}

// A named array, stored whole as a typed dataset. Names (checkpoint/FORMAT.md): "in_transit",
// "dependency_vector", "mtv/pre", "mtv/cur", "engine/<name>", "process/<name>",
// "registered/<name>".
struct Dataset {
  std::uint64_t address;
  std::uint64_t count;  // elements
  ElementType type;
  std::uint32_t reserved;  // 0
  char name[232];          // zero-terminated
};
static_assert(sizeof(Dataset) == 256);

}  // namespace ftmpi::checkpoint
