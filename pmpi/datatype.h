// What the engine knows of a datatype. Datatypes stay Open MPI's; this caches their layout.
#pragma once

#include <mpi.h>

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

// The layout of a committed datatype; false: not a valid datatype. From a small cache keyed by
// handle; MPI_Type_free must call ForgetDatatype.
bool GetLayout(MPI_Datatype datatype, DatatypeLayout* layout);
void ForgetDatatype(MPI_Datatype datatype);

// Keeps a datatype's handle valid while an operation needs it, though the program may free it: a
// datatype made of it, to be given to ReleaseDatatype. MPI_DATATYPE_NULL for a predefined one.
MPI_Datatype HoldDatatype(MPI_Datatype datatype);
void ReleaseDatatype(MPI_Datatype holder, MPI_Datatype datatype);

// Packs `count` elements to `packed` (count*size bytes), and back. Unpack takes `bytes` of packed
// data, which may end inside an element. MPI error codes.
int PackData(const void* buffer, int count, MPI_Datatype datatype, void* packed,
             std::uint64_t bytes);
int UnpackData(const void* packed, std::uint64_t bytes, void* buffer, int count,
               MPI_Datatype datatype);

}  // namespace ftmpi
