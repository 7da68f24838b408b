#include "pmpi/datatype_recipe.h"

#include <array>
#include <cstddef>

#include "pmpi/datatype.h"

namespace ftmpi {

using objects::Recipe;

namespace {

bool IsF90(int combiner) {
  return combiner == MPI_COMBINER_F90_REAL || combiner == MPI_COMBINER_F90_COMPLEX ||
         combiner == MPI_COMBINER_F90_INTEGER;
}

// MPI_Type_get_contents gives a new datatype for each that is not predefined.
void Release(MPI_Datatype datatype) {
  const int combiner = CombinerOf(datatype);
  if (combiner != MPI_COMBINER_NAMED && !IsF90(combiner)) PMPI_Type_free(&datatype);
}

bool IsKnown(int combiner) {
  switch (combiner) {
    case MPI_COMBINER_DUP:
    case MPI_COMBINER_CONTIGUOUS:
    case MPI_COMBINER_VECTOR:
    case MPI_COMBINER_HVECTOR:
    case MPI_COMBINER_INDEXED:
    case MPI_COMBINER_HINDEXED:
    case MPI_COMBINER_INDEXED_BLOCK:
    case MPI_COMBINER_HINDEXED_BLOCK:
    case MPI_COMBINER_STRUCT:
    case MPI_COMBINER_SUBARRAY:
    case MPI_COMBINER_DARRAY:
    case MPI_COMBINER_RESIZED:
      return true;
    default:
      return IsF90(combiner);
  }
}

}  // namespace

bool ReadRecipe(MPI_Datatype datatype, Recipe* recipe) {
  int integers = 0;
  int addresses = 0;
  int datatypes = 0;
  if (PMPI_Type_get_envelope(datatype, &integers, &addresses, &datatypes, &recipe->combiner) !=
      MPI_SUCCESS) {
    return false;
  }
  if (recipe->combiner == MPI_COMBINER_NAMED) {
    recipe->named = datatype;
    return true;
  }
  if (!IsKnown(recipe->combiner)) return false;
  recipe->integers.resize(static_cast<std::size_t>(integers));
  recipe->addresses.resize(static_cast<std::size_t>(addresses));
  std::vector<MPI_Datatype> parts(static_cast<std::size_t>(datatypes));
  // Open MPI takes no null pointers, even for nothing.
  std::array<int, 1> no_integers{};
  std::array<MPI_Aint, 1> no_addresses{};
  std::array<MPI_Datatype, 1> no_datatypes{};
  if (PMPI_Type_get_contents(datatype, integers, addresses, datatypes,
                             integers > 0 ? recipe->integers.data() : no_integers.data(),
                             addresses > 0 ? recipe->addresses.data() : no_addresses.data(),
                             datatypes > 0 ? parts.data() : no_datatypes.data()) != MPI_SUCCESS) {
    return false;
  }
  bool good = true;
  for (const MPI_Datatype part : parts) {
    good = ReadRecipe(part, &recipe->parts.emplace_back()) && good;
    Release(part);
  }
  return good;
}

namespace {

// The order of the contents is that of MPI-3.1, 4.1.13.
int MakeOf(const Recipe& recipe, const MPI_Datatype* d, MPI_Datatype* made) {
  const int* i = recipe.integers.data();
  const MPI_Aint* a = recipe.addresses.data();
  const auto count = static_cast<std::size_t>(recipe.integers.empty() ? 0 : i[0]);
  switch (recipe.combiner) {
    case MPI_COMBINER_DUP:
      return PMPI_Type_dup(d[0], made);
    case MPI_COMBINER_CONTIGUOUS:
      return PMPI_Type_contiguous(i[0], d[0], made);
    case MPI_COMBINER_VECTOR:
      return PMPI_Type_vector(i[0], i[1], i[2], d[0], made);
    case MPI_COMBINER_HVECTOR:
      return PMPI_Type_create_hvector(i[0], i[1], a[0], d[0], made);
    case MPI_COMBINER_INDEXED:
      return PMPI_Type_indexed(i[0], i + 1, i + 1 + count, d[0], made);
    case MPI_COMBINER_HINDEXED:
      return PMPI_Type_create_hindexed(i[0], i + 1, a, d[0], made);
    case MPI_COMBINER_INDEXED_BLOCK:
      return PMPI_Type_create_indexed_block(i[0], i[1], i + 2, d[0], made);
    case MPI_COMBINER_HINDEXED_BLOCK:
      return PMPI_Type_create_hindexed_block(i[0], i[1], a, d[0], made);
    case MPI_COMBINER_STRUCT:
      return PMPI_Type_create_struct(i[0], i + 1, a, d, made);
    case MPI_COMBINER_SUBARRAY:
      return PMPI_Type_create_subarray(i[0], i + 1, i + 1 + count, i + 1 + 2 * count,
                                       i[1 + 3 * count], d[0], made);
    case MPI_COMBINER_DARRAY: {
      const auto dimensions = static_cast<std::size_t>(i[2]);
      const int* arrays = i + 3;
      return PMPI_Type_create_darray(i[0], i[1], i[2], arrays, arrays + dimensions,
                                     arrays + 2 * dimensions, arrays + 3 * dimensions,
                                     arrays[4 * dimensions], d[0], made);
    }
    case MPI_COMBINER_RESIZED:
      return PMPI_Type_create_resized(d[0], a[0], a[1], made);
    case MPI_COMBINER_F90_REAL:
      return PMPI_Type_create_f90_real(i[0], i[1], made);
    case MPI_COMBINER_F90_COMPLEX:
      return PMPI_Type_create_f90_complex(i[0], i[1], made);
    case MPI_COMBINER_F90_INTEGER:
      return PMPI_Type_create_f90_integer(i[0], made);
    default:
      return MPI_ERR_TYPE;
  }
}

}  // namespace

int MakeParts(const Recipe& recipe, std::vector<MPI_Datatype>* parts) {
  for (const Recipe& part : recipe.parts) {
    MPI_Datatype made = part.named;
    if (part.combiner != MPI_COMBINER_NAMED) {
      std::vector<MPI_Datatype> inner;
      int error = MakeParts(part, &inner);
      if (error == MPI_SUCCESS) error = MakeOf(part, inner.data(), &made);
      FreeParts(inner);
      if (error != MPI_SUCCESS) return error;
    }
    parts->push_back(made);
  }
  return MPI_SUCCESS;
}

void FreeParts(const std::vector<MPI_Datatype>& parts) {
  for (const MPI_Datatype part : parts) Release(part);
}

int MakeFromParts(const Recipe& recipe, const std::vector<MPI_Datatype>& parts,
                  MPI_Datatype* made) {
  return MakeOf(recipe, parts.data(), made);
}

bool IsCached(const Recipe& recipe) { return IsF90(recipe.combiner); }

bool SameLayout(MPI_Datatype one, MPI_Datatype other) {
  struct Layout {
    MPI_Count size = 0;
    MPI_Count lower = 0;
    MPI_Count extent = 0;
    MPI_Count true_lower = 0;
    MPI_Count true_extent = 0;
    bool operator==(const Layout&) const = default;
  };
  const auto layout_of = [](MPI_Datatype datatype) {
    Layout layout;
    PMPI_Type_size_x(datatype, &layout.size);
    PMPI_Type_get_extent_x(datatype, &layout.lower, &layout.extent);
    PMPI_Type_get_true_extent_x(datatype, &layout.true_lower, &layout.true_extent);
    return layout;
  };
  return layout_of(one) == layout_of(other);
}

}  // namespace ftmpi
