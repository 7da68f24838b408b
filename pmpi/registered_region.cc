#include "pmpi/registered_region.h"

#include <cstdio>
#include <cstring>

#include "checkpoint/manifest.h"
#include "pmpi/datatype.h"

namespace ftmpi::registered {
namespace {

using checkpoint::ElementType;

constexpr ElementType Signed(std::size_t size) {
  return size == 1   ? ElementType::kInt8
         : size == 2 ? ElementType::kInt16
         : size == 4 ? ElementType::kInt32
                     : ElementType::kInt64;
}
constexpr ElementType Unsigned(std::size_t size) {
  return size == 1   ? ElementType::kUint8
         : size == 2 ? ElementType::kUint16
         : size == 4 ? ElementType::kUint32
                     : ElementType::kUint64;
}

struct Known {
  MPI_Datatype datatype;
  ElementType type;
};

// The predefined datatypes of one number each. Others are packed, as bytes.
bool Predefined(MPI_Datatype datatype, ElementType* type) {
  static const Known kKnown[] = {
      {MPI_CHAR, Signed(1)},
      {MPI_SIGNED_CHAR, Signed(1)},
      {MPI_UNSIGNED_CHAR, Unsigned(1)},
      {MPI_BYTE, ElementType::kByte},
      {MPI_SHORT, Signed(sizeof(short))},
      {MPI_UNSIGNED_SHORT, Unsigned(sizeof(short))},
      {MPI_INT, Signed(sizeof(int))},
      {MPI_UNSIGNED, Unsigned(sizeof(int))},
      {MPI_LONG, Signed(sizeof(long))},
      {MPI_UNSIGNED_LONG, Unsigned(sizeof(long))},
      {MPI_LONG_LONG, Signed(sizeof(long long))},
      {MPI_UNSIGNED_LONG_LONG, Unsigned(sizeof(long long))},
      {MPI_INT8_T, Signed(1)},
      {MPI_INT16_T, Signed(2)},
      {MPI_INT32_T, Signed(4)},
      {MPI_INT64_T, Signed(8)},
      {MPI_UINT8_T, Unsigned(1)},
      {MPI_UINT16_T, Unsigned(2)},
      {MPI_UINT32_T, Unsigned(4)},
      {MPI_UINT64_T, Unsigned(8)},
      {MPI_C_BOOL, Unsigned(1)},
      {MPI_CXX_BOOL, Unsigned(1)},
      {MPI_AINT, Signed(sizeof(MPI_Aint))},
      {MPI_OFFSET, Signed(sizeof(MPI_Offset))},
      {MPI_FLOAT, ElementType::kFloat32},
      {MPI_DOUBLE, ElementType::kFloat64},
      {MPI_LONG_DOUBLE, ElementType::kLongDouble},
      {MPI_C_FLOAT_COMPLEX, ElementType::kComplex64},
      {MPI_C_DOUBLE_COMPLEX, ElementType::kComplex128},
      {MPI_CXX_FLOAT_COMPLEX, ElementType::kComplex64},
      {MPI_CXX_DOUBLE_COMPLEX, ElementType::kComplex128},
      {MPI_INTEGER, Signed(4)},
      {MPI_REAL, ElementType::kFloat32},
      {MPI_DOUBLE_PRECISION, ElementType::kFloat64},
      {MPI_COMPLEX, ElementType::kComplex64},
      {MPI_DOUBLE_COMPLEX, ElementType::kComplex128},
      {MPI_LOGICAL, Signed(4)},
      {MPI_CHARACTER, Signed(1)},
      {MPI_INTEGER8, Signed(8)},
      {MPI_REAL8, ElementType::kFloat64},
  };
  DatatypeLayout layout{};
  for (const Known& known : kKnown) {
    if (known.datatype != datatype) continue;
    // Fortran's depend on how Open MPI was built.
    if (!GetLayout(datatype, &layout) || layout.size != checkpoint::ElementSize(known.type))
      return false;
    *type = known.type;
    return true;
  }
  return false;
}

}  // namespace

const char* TypeName(ElementType type) {
  switch (type) {
    case ElementType::kByte:
      return "byte";
    case ElementType::kInt8:
      return "int8";
    case ElementType::kInt16:
      return "int16";
    case ElementType::kInt32:
      return "int32";
    case ElementType::kInt64:
      return "int64";
    case ElementType::kUint8:
      return "uint8";
    case ElementType::kUint16:
      return "uint16";
    case ElementType::kUint32:
      return "uint32";
    case ElementType::kUint64:
      return "uint64";
    case ElementType::kFloat32:
      return "float32";
    case ElementType::kFloat64:
      return "float64";
    case ElementType::kComplex64:
      return "complex64";
    case ElementType::kComplex128:
      return "complex128";
    case ElementType::kLongDouble:
      return "long double";
  }
  return "an unknown type";
}

const char* Wrong(const char* name, const Region& region) {
  if (region.count < 0) return "its count is negative";
  if (region.pointer == nullptr && region.count > 0) return "its address is null";
  DatatypeLayout layout{};
  if (region.datatype == MPI_DATATYPE_NULL || !GetLayout(region.datatype, &layout))
    return "its datatype is none, or is not committed";
  if (std::strlen(kGroup) + std::strlen(name) >= sizeof(checkpoint::Dataset::name))
    return "its name is too long";
  return checkpoint::Invalid(Describe(name, region));
}

void* InPlace(const Region& region) {
  DatatypeLayout layout{};
  if (!GetLayout(region.datatype, &layout) || !layout.contiguous) return nullptr;
  return static_cast<std::byte*>(region.pointer) + layout.true_lower;
}

checkpoint::Dataset Describe(const std::string& name, const Region& region) {
  checkpoint::Dataset dataset{};
  DatatypeLayout layout{};
  GetLayout(region.datatype, &layout);
  const auto count = static_cast<std::uint64_t>(region.count);
  dataset.type = ElementType::kByte;
  dataset.count = count * layout.size;
  if (Predefined(region.datatype, &dataset.type)) dataset.count = count;
  dataset.address = reinterpret_cast<std::uint64_t>(InPlace(region));
  std::snprintf(dataset.name, sizeof dataset.name, "%s%s", kGroup, name.c_str());
  return dataset;
}

int Pack(const Region& region, std::vector<std::byte>* packed) {
  DatatypeLayout layout{};
  GetLayout(region.datatype, &layout);
  packed->resize(static_cast<std::uint64_t>(region.count) * layout.size);
  return PackData(region.pointer, region.count, region.datatype, packed->data(), packed->size());
}

}  // namespace ftmpi::registered
