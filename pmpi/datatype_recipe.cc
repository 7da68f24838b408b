#include "pmpi/datatype_recipe.h"

#include <array>

namespace ftmpi {

using objects::Recipe;

namespace {

bool IsF90(int combiner) {
  return combiner == MPI_COMBINER_F90_REAL || combiner == MPI_COMBINER_F90_COMPLEX ||
         combiner == MPI_COMBINER_F90_INTEGER;
}

int CombinerOf(MPI_Datatype datatype) {
  int integers = 0;
  int addresses = 0;
  int datatypes = 0;
  int combiner = MPI_COMBINER_NAMED;
  PMPI_Type_get_envelope(datatype, &integers, &addresses, &datatypes, &combiner);
  return combiner;
}

// MPI_Type_get_contents gives a reference to each datatype that could be freed.
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
          MPI_SUCCESS ||
      !IsKnown(recipe->combiner)) {
    return false;
  }
  recipe->integers.resize(static_cast<std::size_t>(integers));
  recipe->addresses.resize(static_cast<std::size_t>(addresses));
  recipe->datatypes.resize(static_cast<std::size_t>(datatypes));
  // Open MPI takes no null pointers, even for nothing.
  std::array<int, 1> no_integers{};
  std::array<MPI_Aint, 1> no_addresses{};
  std::array<MPI_Datatype, 1> no_datatypes{};
  if (PMPI_Type_get_contents(datatype, integers, addresses, datatypes,
                             integers > 0 ? recipe->integers.data() : no_integers.data(),
                             addresses > 0 ? recipe->addresses.data() : no_addresses.data(),
                             datatypes > 0 ? recipe->datatypes.data() : no_datatypes.data()) !=
      MPI_SUCCESS) {
    return false;
  }
  for (const MPI_Datatype part : recipe->datatypes) Release(part);
  return true;
}

// The order of the contents is that of MPI-3.1, 4.1.13.
int MakeFromRecipe(const Recipe& recipe, MPI_Datatype* made) {
  const int* i = recipe.integers.data();
  const MPI_Aint* a = recipe.addresses.data();
  const MPI_Datatype* d = recipe.datatypes.data();
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

int AddReference(MPI_Datatype datatype) {
  MPI_Datatype outer = MPI_DATATYPE_NULL;
  int error = PMPI_Type_contiguous(1, datatype, &outer);
  if (error != MPI_SUCCESS) return error;
  int one = 0;
  MPI_Aint none = 0;
  MPI_Datatype same = MPI_DATATYPE_NULL;
  error = PMPI_Type_get_contents(outer, 1, 0, 1, &one, &none, &same);
  PMPI_Type_free(&outer);
  return error;
}

}  // namespace ftmpi
