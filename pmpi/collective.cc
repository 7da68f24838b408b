#include "pmpi/collective.h"

namespace ftmpi {

Data Blocks::At(int block) const {
  const auto index = static_cast<std::size_t>(block);
  Data data;
  if (datatypes != nullptr) {
    data.datatype = datatypes[index];
    data.count = counts[index];
    const std::int64_t offset = byte_displacements != nullptr
                                    ? static_cast<std::int64_t>(byte_displacements[index])
                                    : displacements[index];
    data.address = static_cast<std::byte*>(base) + offset;
    GetLayout(data.datatype, &data.layout);  // checked by PrepareBlocks*
    return data;
  }
  data.datatype = datatype;
  data.layout = layout;
  if (counts != nullptr) {
    data.count = counts[index];
    data.address = static_cast<std::byte*>(base) + displacements[index] * layout.extent;
  } else {
    data.count = count;
    data.address = static_cast<std::byte*>(base) + std::int64_t{block} * count * layout.extent;
  }
  return data;
}

std::uint64_t Blocks::BytesOf(int block) const {
  if (datatypes != nullptr) return At(block).bytes();
  const int elements = counts != nullptr ? counts[static_cast<std::size_t>(block)] : count;
  return static_cast<std::uint64_t>(elements) * layout.size;
}

int PrepareData(const void* address, int count, MPI_Datatype datatype, Data* data) {
  if (count < 0) return MPI_ERR_COUNT;
  if (!GetLayout(datatype, &data->layout)) return MPI_ERR_TYPE;
  data->address = const_cast<void*>(address);
  data->count = count;
  data->datatype = datatype;
  return MPI_SUCCESS;
}

int PrepareBlocks(const void* base, int count, MPI_Datatype datatype, Blocks* blocks) {
  if (count < 0) return MPI_ERR_COUNT;
  if (!GetLayout(datatype, &blocks->layout)) return MPI_ERR_TYPE;
  blocks->base = const_cast<void*>(base);
  blocks->count = count;
  blocks->datatype = datatype;
  return MPI_SUCCESS;
}

int PrepareBlocksV(const void* base, const int counts[], const int displacements[],
                   MPI_Datatype datatype, int number, Blocks* blocks) {
  if (number > 0 && counts == nullptr) return MPI_ERR_COUNT;
  if (number > 0 && displacements == nullptr) return MPI_ERR_BUFFER;
  for (int i = 0; i < number; ++i) {
    if (counts[i] < 0) return MPI_ERR_COUNT;
  }
  if (!GetLayout(datatype, &blocks->layout)) return MPI_ERR_TYPE;
  blocks->base = const_cast<void*>(base);
  blocks->counts = counts;
  blocks->displacements = displacements;
  blocks->datatype = datatype;
  return MPI_SUCCESS;
}

namespace {

int PrepareTyped(const void* base, const int counts[], const MPI_Datatype datatypes[], int number,
                 Blocks* blocks) {
  if (number > 0 && (counts == nullptr || datatypes == nullptr)) return MPI_ERR_ARG;
  for (int i = 0; i < number; ++i) {
    DatatypeLayout layout;
    if (counts[i] < 0) return MPI_ERR_COUNT;
    if (!GetLayout(datatypes[i], &layout)) return MPI_ERR_TYPE;
  }
  blocks->base = const_cast<void*>(base);
  blocks->counts = counts;
  blocks->datatypes = datatypes;
  return MPI_SUCCESS;
}

}  // namespace

int PrepareBlocksW(const void* base, const int counts[], const int displacements[],
                   const MPI_Datatype datatypes[], int number, Blocks* blocks) {
  if (number > 0 && displacements == nullptr) return MPI_ERR_ARG;
  blocks->displacements = displacements;
  return PrepareTyped(base, counts, datatypes, number, blocks);
}

int PrepareBlocksNeighborW(const void* base, const int counts[], const MPI_Aint displacements[],
                           const MPI_Datatype datatypes[], int number, Blocks* blocks) {
  if (number > 0 && displacements == nullptr) return MPI_ERR_ARG;
  blocks->byte_displacements = displacements;
  return PrepareTyped(base, counts, datatypes, number, blocks);
}

int CheckRoot(const Communicator& communicator, int root) {
  if (!communicator.inter) {
    return root >= 0 && root < communicator.size ? MPI_SUCCESS : MPI_ERR_ROOT;
  }
  if (root == MPI_ROOT || root == MPI_PROC_NULL) return MPI_SUCCESS;
  return root >= 0 && root < communicator.remote_size() ? MPI_SUCCESS : MPI_ERR_ROOT;
}

}  // namespace ftmpi
