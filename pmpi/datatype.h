// What the engine knows of a datatype. Datatypes stay Open MPI's; this caches their layout.
#pragma once

#include <mpi.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace ftmpi {

struct DatatypeLayout {
  std::uint64_t size;       // bytes of data in one element
  std::int64_t extent;      // bytes from one element to the next
  std::int64_t true_lower;  // where the data begins, from the buffer's address
  std::int64_t true_extent;
  bool predefined;  // MPI_INT and the like: never freed
  bool contiguous;  // `count` elements are count*size bytes in a row at buffer + true_lower
};

// The layout of a committed datatype; null: not a valid datatype. From a small cache keyed by
// handle, good until the next call for another datatype; MPI_Type_free must call ForgetDatatype.
inline const DatatypeLayout* FindLayout(MPI_Datatype datatype);
// A copy that is good for longer. False: not a valid datatype.
inline bool GetLayout(MPI_Datatype datatype, DatatypeLayout* layout);
void ForgetDatatype(MPI_Datatype datatype);

// MPI_COMBINER_NAMED ...: the first thing that MPI_Type_get_envelope says.
int CombinerOf(MPI_Datatype datatype);

// Keeps a datatype's handle valid while an operation needs it, though the program may free it: what
// is to be given to ReleaseDatatype. A datatype made of it; where the datatype is kept over
// restarts (pmpi/object_table.h) itself, and counted; MPI_DATATYPE_NULL for a predefined one.
inline MPI_Datatype HoldDatatype(MPI_Datatype datatype);
MPI_Datatype HoldMadeDatatype(MPI_Datatype datatype);  // one that is not predefined
void ReleaseDatatype(MPI_Datatype holder, MPI_Datatype datatype);

// Packs `count` elements to `packed` (count*size bytes), and back. Unpack takes `bytes` of packed
// data, which may end inside an element. MPI error codes.
int PackData(const void* buffer, int count, MPI_Datatype datatype, void* packed,
             std::uint64_t bytes);
int UnpackData(const void* packed, std::uint64_t bytes, void* buffer, int count,
               MPI_Datatype datatype);

namespace layout_cache {

struct Line {
  MPI_Datatype datatype = nullptr;
  DatatypeLayout layout{};
};

// Direct-mapped; a datatype's layout never changes while its handle lives.
inline constexpr std::size_t kLines = 256;
extern std::array<Line, kLines> g_lines;

inline Line& LineOf(MPI_Datatype datatype) {
  const auto bits = reinterpret_cast<std::uintptr_t>(datatype);
  return g_lines[(bits >> 5 ^ bits >> 13) % kLines];
}

// Asks Open MPI and fills the line.
bool Fill(MPI_Datatype datatype, Line* line);

}  // namespace layout_cache

[[gnu::always_inline]] inline const DatatypeLayout* FindLayout(MPI_Datatype datatype) {
  layout_cache::Line& line = layout_cache::LineOf(datatype);
  if (__builtin_expect(line.datatype != datatype || datatype == nullptr, 0)) {
    if (!layout_cache::Fill(datatype, &line)) return nullptr;
  }
  return &line.layout;
}

inline bool GetLayout(MPI_Datatype datatype, DatatypeLayout* layout) {
  const DatatypeLayout* const found = FindLayout(datatype);
  if (found == nullptr) return false;
  *layout = *found;
  return true;
}

inline MPI_Datatype HoldDatatype(MPI_Datatype datatype) {
  const DatatypeLayout* const layout = FindLayout(datatype);
  if (__builtin_expect(layout == nullptr || layout->predefined, 1)) return MPI_DATATYPE_NULL;
  return HoldMadeDatatype(datatype);
}

}  // namespace ftmpi
