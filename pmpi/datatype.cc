#include "pmpi/datatype.h"

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "pmpi/message.h"
#include "pmpi/object_table.h"

namespace ftmpi {
namespace {

// Are the bytes of one element in a row, in order? Decided from how the type was built; a type
// built in a way that is not listed is taken as not contiguous, which costs a copy and no more.
bool IsContiguous(MPI_Datatype datatype) {
  int integers = 0;
  int addresses = 0;
  int datatypes = 0;
  int combiner = MPI_COMBINER_NAMED;
  if (PMPI_Type_get_envelope(datatype, &integers, &addresses, &datatypes, &combiner) != MPI_SUCCESS)
    return false;
  if (combiner == MPI_COMBINER_NAMED) return true;  // the caller compares size and extent
  if (combiner != MPI_COMBINER_DUP && combiner != MPI_COMBINER_CONTIGUOUS) return false;
  std::vector<int> i(static_cast<std::size_t>(integers) + 1);
  std::vector<MPI_Aint> a(static_cast<std::size_t>(addresses) + 1);
  std::vector<MPI_Datatype> d(static_cast<std::size_t>(datatypes) + 1);
  if (PMPI_Type_get_contents(datatype, integers, addresses, datatypes, i.data(), a.data(),
                             d.data()) != MPI_SUCCESS) {
    return false;
  }
  bool contiguous = false;
  if (DatatypeLayout inner; datatypes == 1 && GetLayout(d[0], &inner))
    contiguous = inner.contiguous;
  int inner_integers = 0;
  int inner_addresses = 0;
  int inner_datatypes = 0;
  int inner_combiner = MPI_COMBINER_NAMED;
  for (int n = 0; n < datatypes; ++n) {
    PMPI_Type_get_envelope(d[static_cast<std::size_t>(n)], &inner_integers, &inner_addresses,
                           &inner_datatypes, &inner_combiner);
    if (inner_combiner != MPI_COMBINER_NAMED) {
      ForgetDatatype(d[static_cast<std::size_t>(n)]);
      PMPI_Type_free(&d[static_cast<std::size_t>(n)]);  // get_contents gave us a reference
    }
  }
  return contiguous;
}

// A communicator of our own with this process alone: a message to oneself makes Open MPI unpack
// data that ends inside an element.
MPI_Comm LocalCommunicator() {
  static MPI_Comm communicator = [] {
    MPI_Comm made = MPI_COMM_NULL;
    PMPI_Comm_dup(MPI_COMM_SELF, &made);
    return made;
  }();
  return communicator;
}

// PMPI_Pack counts bytes in an int: larger data goes in pieces of whole elements.
constexpr std::uint64_t kPieceBytes = std::uint64_t{1} << 30;

}  // namespace

namespace layout_cache {

std::array<Line, kLines> g_lines;

bool Fill(MPI_Datatype datatype, Line* line) {
  if (datatype == MPI_DATATYPE_NULL || datatype == nullptr) return false;
  MPI_Count size = 0;
  MPI_Count lower = 0;
  MPI_Count extent = 0;
  MPI_Count true_lower = 0;
  MPI_Count true_extent = 0;
  if (PMPI_Type_size_x(datatype, &size) != MPI_SUCCESS) return false;
  if (PMPI_Type_get_extent_x(datatype, &lower, &extent) != MPI_SUCCESS) return false;
  if (PMPI_Type_get_true_extent_x(datatype, &true_lower, &true_extent) != MPI_SUCCESS) return false;
  DatatypeLayout found{};
  found.size = static_cast<std::uint64_t>(size);
  found.extent = extent;
  found.true_lower = true_lower;
  found.true_extent = true_extent;
  found.predefined = CombinerOf(datatype) == MPI_COMBINER_NAMED;
  found.contiguous = size == extent && size == true_extent && IsContiguous(datatype);
  line->datatype = datatype;
  line->layout = found;
  return true;
}

}  // namespace layout_cache

void ForgetDatatype(MPI_Datatype datatype) {
  layout_cache::Line& line = layout_cache::LineOf(datatype);
  if (line.datatype == datatype) line.datatype = nullptr;
}

int CombinerOf(MPI_Datatype datatype) {
  int integers = 0;
  int addresses = 0;
  int datatypes = 0;
  int combiner = MPI_COMBINER_NAMED;
  PMPI_Type_get_envelope(datatype, &integers, &addresses, &datatypes, &combiner);
  return combiner;
}

MPI_Datatype HoldMadeDatatype(MPI_Datatype datatype) {
  if (objects::DatatypeRecord* record = objects::FindDatatype(datatype)) {
    ++record->holds;
    return datatype;
  }
  MPI_Datatype holder = MPI_DATATYPE_NULL;
  PMPI_Type_contiguous(1, datatype, &holder);
  return holder;
}

void ReleaseDatatype(MPI_Datatype holder, MPI_Datatype datatype) {
  if (holder == datatype) {
    objects::DatatypeRecord* record = objects::FindDatatype(datatype);
    FTMPI_CHECK(record != nullptr);
    if (--record->holds > 0 || record->frees_deferred == 0) return;
    ForgetDatatype(datatype);
    const checkpointing::NoCut no_cut;
    const int frees = std::exchange(record->frees_deferred, 0);
    for (int n = 0; n < frees; ++n) {
      MPI_Datatype handle = datatype;
      PMPI_Type_free(&handle);
    }
    return;
  }
  PMPI_Type_free(&holder);
  // Ours may have been the last reference: another datatype may get the same handle.
  ForgetDatatype(datatype);
}

int PackData(const void* buffer, int count, MPI_Datatype datatype, void* packed,
             std::uint64_t bytes) {
  DatatypeLayout layout;
  if (!GetLayout(datatype, &layout)) return MPI_ERR_TYPE;
  if (bytes == 0) return MPI_SUCCESS;
  FTMPI_CHECK(layout.size * static_cast<std::uint64_t>(count) == bytes);
  if (layout.contiguous) {
    std::memcpy(packed, static_cast<const std::byte*>(buffer) + layout.true_lower, bytes);
    return MPI_SUCCESS;
  }
  const int per_piece = static_cast<int>(std::max<std::uint64_t>(1, kPieceBytes / layout.size));
  const auto* source = static_cast<const std::byte*>(buffer);
  auto* target = static_cast<std::byte*>(packed);
  for (int done = 0; done < count; done += per_piece) {
    const int elements = std::min(per_piece, count - done);
    int position = 0;
    const int result =
        PMPI_Pack(source + layout.extent * done, elements, datatype, target,
                  static_cast<int>(layout.size * static_cast<std::uint64_t>(elements)), &position,
                  MPI_COMM_SELF);
    if (result != MPI_SUCCESS) return result;
    target += position;
  }
  return MPI_SUCCESS;
}

int UnpackData(const void* packed, std::uint64_t bytes, void* buffer, int count,
               MPI_Datatype datatype) {
  DatatypeLayout layout;
  if (!GetLayout(datatype, &layout)) return MPI_ERR_TYPE;
  if (bytes == 0) return MPI_SUCCESS;
  FTMPI_CHECK(bytes <= layout.size * static_cast<std::uint64_t>(count));
  if (layout.contiguous) {
    std::memcpy(static_cast<std::byte*>(buffer) + layout.true_lower, packed, bytes);
    return MPI_SUCCESS;
  }
  const auto whole = static_cast<int>(bytes / layout.size);
  const auto rest = static_cast<int>(bytes % layout.size);
  const int per_piece = static_cast<int>(std::max<std::uint64_t>(1, kPieceBytes / layout.size));
  const auto* source = static_cast<const std::byte*>(packed);
  auto* target = static_cast<std::byte*>(buffer);
  for (int done = 0; done < whole; done += per_piece) {
    const int elements = std::min(per_piece, whole - done);
    int position = 0;
    const int result =
        PMPI_Unpack(source, static_cast<int>(layout.size * static_cast<std::uint64_t>(elements)),
                    &position, target + layout.extent * done, elements, datatype, MPI_COMM_SELF);
    if (result != MPI_SUCCESS) return result;
    source += position;
  }
  if (rest == 0) return MPI_SUCCESS;
  return PMPI_Sendrecv(source, rest, MPI_BYTE, 0, 0, target + layout.extent * whole, 1, datatype, 0,
                       0, LocalCommunicator(), MPI_STATUS_IGNORE);
}

}  // namespace ftmpi
