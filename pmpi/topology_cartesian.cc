// Entry points for Cartesian grids, and MPI_Topo_test. Ranks are never reordered (MPI leaves that
// to the library).
#include <numeric>
#include <utility>

#include "pmpi/capture.h"
#include "pmpi/communicator_create.h"
#include "pmpi/engine.h"
#include "pmpi/topology.h"

using namespace ftmpi;  // NOLINT: entry points live outside the namespace

namespace {

// The grid of a communicator, or null: MPI_ERR_TOPOLOGY.
const Topology* GridOf(const Communicator* communicator) {
  const Topology* topology = communicator->topology.get();
  return topology != nullptr && topology->kind == MPI_CART ? topology : nullptr;
}

// Checks a new grid; `size` gets its number of ranks. MPI error code.
int CheckGrid(const Communicator* communicator, int ndims, const int dims[], const int periods[],
              int* size) {
  if (communicator->inter) return MPI_ERR_COMM;
  if (ndims < 0 || (ndims > 0 && (dims == nullptr || periods == nullptr))) return MPI_ERR_ARG;
  *size = GridSize(std::span<const int>(dims, static_cast<std::size_t>(ndims)));
  if (*size < 0) return MPI_ERR_DIMS;
  return *size <= communicator->size ? MPI_SUCCESS : MPI_ERR_ARG;
}

}  // namespace

// NOLINTBEGIN(bugprone-macro-parentheses): names of variables that the macro declares
// The entry point's communicator and its grid; errors are raised on the way.
#define FTMPI_FIND_GRID(communicator, grid, comm, function, foreign_call)               \
  FTMPI_FIND_COMMUNICATOR(communicator, comm, function);                                \
  if (communicator->foreign != MPI_COMM_NULL) {                                         \
    const int foreign_error = (foreign_call);                                           \
    FTMPI_REQUIRE(communicator, foreign_error == MPI_SUCCESS, foreign_error, function); \
    return MPI_SUCCESS;                                                                 \
  }                                                                                     \
  const Topology* const grid = GridOf(communicator);                                    \
  FTMPI_REQUIRE(communicator, grid != nullptr, MPI_ERR_TOPOLOGY, function)
// NOLINTEND(bugprone-macro-parentheses)

FTMPI_EXPORT int MPI_Cart_create(MPI_Comm old_comm, int ndims, const int dims[],
                                 const int periods[], int reorder, MPI_Comm* comm_cart) {
  FTMPI_PASS_THROUGH(PMPI_Cart_create(old_comm, ndims, dims, periods, reorder, comm_cart));
  EngineLock lock;
  const char* const function = "MPI_Cart_create";
  FTMPI_FIND_COMMUNICATOR(parent, old_comm, function);
  FTMPI_REQUIRE(parent, comm_cart != nullptr, MPI_ERR_ARG, function);
  if (parent->foreign != MPI_COMM_NULL) {
    MPI_Comm inner = MPI_COMM_NULL;
    const int error = PMPI_Cart_create(parent->foreign, ndims, dims, periods, reorder, &inner);
    return FinishForeign(parent, error, inner, comm_cart, function);
  }
  int size = 0;
  const int error = CheckGrid(parent, ndims, dims, periods, &size);
  FTMPI_REQUIRE(parent, error == MPI_SUCCESS, error, function);
  std::vector<int> ranks(static_cast<std::size_t>(size));
  std::iota(ranks.begin(), ranks.end(), 0);
  Communicator* made = size == parent->size ? DeriveWhole(parent, Derivation::kTopology)
                                            : DeriveSubset(parent, ranks, Derivation::kTopology);
  if (made != nullptr) {
    made->topology = std::make_unique<Topology>();
    made->topology->kind = MPI_CART;
    for (int i = 0; i < ndims; ++i) {
      made->topology->dimensions.push_back(dims[i]);
      made->topology->periods.push_back(periods[i] != 0 ? 1 : 0);
    }
  }
  *comm_cart = HandleOf(made);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Cart_sub(MPI_Comm comm, const int remain_dims[], MPI_Comm* new_comm) {
  FTMPI_PASS_THROUGH(PMPI_Cart_sub(comm, remain_dims, new_comm));
  EngineLock lock;
  const char* const function = "MPI_Cart_sub";
  FTMPI_FIND_COMMUNICATOR(parent, comm, function);
  FTMPI_REQUIRE(parent, new_comm != nullptr, MPI_ERR_ARG, function);
  if (parent->foreign != MPI_COMM_NULL) {
    MPI_Comm inner = MPI_COMM_NULL;
    const int error = PMPI_Cart_sub(parent->foreign, remain_dims, &inner);
    return FinishForeign(parent, error, inner, new_comm, function);
  }
  const Topology* const grid = GridOf(parent);
  FTMPI_REQUIRE(parent, grid != nullptr, MPI_ERR_TOPOLOGY, function);
  FTMPI_REQUIRE(parent, grid->dimensions.empty() || remain_dims != nullptr, MPI_ERR_ARG, function);
  // Everybody can work out everybody's subgrid: no messages.
  Subgrid mine = MakeSubgrid(*grid, remain_dims, parent->rank);
  std::vector<int> ranks;
  for (int rank = 0; rank < parent->size; ++rank) {
    if (MakeSubgrid(*grid, remain_dims, rank).color == mine.color) ranks.push_back(rank);
  }
  Communicator* made = DeriveSubset(parent, ranks, Derivation::kTopology);
  made->topology = std::make_unique<Topology>(std::move(mine.topology));
  *new_comm = made->handle();
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Cart_map(MPI_Comm comm, int ndims, const int dims[], const int periods[],
                              int* newrank) {
  FTMPI_PASS_THROUGH(PMPI_Cart_map(comm, ndims, dims, periods, newrank));
  EngineLock lock;
  const char* const function = "MPI_Cart_map";
  FTMPI_FIND_COMMUNICATOR(communicator, comm, function);
  FTMPI_REQUIRE(communicator, newrank != nullptr, MPI_ERR_ARG, function);
  int size = 0;
  const int error = CheckGrid(communicator, ndims, dims, periods, &size);
  FTMPI_REQUIRE(communicator, error == MPI_SUCCESS, error, function);
  *newrank = communicator->rank < size ? communicator->rank : MPI_UNDEFINED;
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Cartdim_get(MPI_Comm comm, int* ndims) {
  FTMPI_PASS_THROUGH(PMPI_Cartdim_get(comm, ndims));
  EngineLock lock;
  const char* const function = "MPI_Cartdim_get";
  FTMPI_FIND_GRID(communicator, grid, comm, function,
                  PMPI_Cartdim_get(communicator->foreign, ndims));
  FTMPI_REQUIRE(communicator, ndims != nullptr, MPI_ERR_ARG, function);
  *ndims = grid->dimension_count();
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Cart_get(MPI_Comm comm, int maxdims, int dims[], int periods[], int coords[]) {
  FTMPI_PASS_THROUGH(PMPI_Cart_get(comm, maxdims, dims, periods, coords));
  EngineLock lock;
  const char* const function = "MPI_Cart_get";
  FTMPI_FIND_GRID(communicator, grid, comm, function,
                  PMPI_Cart_get(communicator->foreign, maxdims, dims, periods, coords));
  FTMPI_REQUIRE(
      communicator,
      maxdims == 0 || (maxdims > 0 && dims != nullptr && periods != nullptr && coords != nullptr),
      MPI_ERR_ARG, function);
  std::vector<int> own(grid->dimensions.size());
  GridCoordinates(*grid, communicator->rank, own.data());
  for (int i = 0; i < maxdims && i < grid->dimension_count(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    dims[i] = grid->dimensions[at];
    periods[i] = grid->periods[at];
    coords[i] = own[at];
  }
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Cart_coords(MPI_Comm comm, int rank, int maxdims, int coords[]) {
  FTMPI_PASS_THROUGH(PMPI_Cart_coords(comm, rank, maxdims, coords));
  EngineLock lock;
  const char* const function = "MPI_Cart_coords";
  FTMPI_FIND_GRID(communicator, grid, comm, function,
                  PMPI_Cart_coords(communicator->foreign, rank, maxdims, coords));
  FTMPI_REQUIRE(communicator, maxdims == 0 || (maxdims > 0 && coords != nullptr), MPI_ERR_ARG,
                function);
  FTMPI_REQUIRE(communicator, rank >= 0 && rank < communicator->size, MPI_ERR_RANK, function);
  std::vector<int> all(grid->dimensions.size());
  GridCoordinates(*grid, rank, all.data());
  for (int i = 0; i < maxdims && i < grid->dimension_count(); ++i) {
    coords[i] = all[static_cast<std::size_t>(i)];
  }
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Cart_rank(MPI_Comm comm, const int coords[], int* rank) {
  FTMPI_PASS_THROUGH(PMPI_Cart_rank(comm, coords, rank));
  EngineLock lock;
  const char* const function = "MPI_Cart_rank";
  FTMPI_FIND_GRID(communicator, grid, comm, function,
                  PMPI_Cart_rank(communicator->foreign, coords, rank));
  FTMPI_REQUIRE(communicator, rank != nullptr && (coords != nullptr || grid->dimensions.empty()),
                MPI_ERR_ARG, function);
  const int found = GridRank(*grid, coords);
  FTMPI_REQUIRE(communicator, found != MPI_PROC_NULL, MPI_ERR_ARG, function);
  *rank = found;
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Cart_shift(MPI_Comm comm, int direction, int disp, int* rank_source,
                                int* rank_dest) {
  FTMPI_PASS_THROUGH(PMPI_Cart_shift(comm, direction, disp, rank_source, rank_dest));
  EngineLock lock;
  const char* const function = "MPI_Cart_shift";
  FTMPI_FIND_GRID(communicator, grid, comm, function,
                  PMPI_Cart_shift(communicator->foreign, direction, disp, rank_source, rank_dest));
  FTMPI_REQUIRE(communicator, direction >= 0 && direction < grid->dimension_count(), MPI_ERR_ARG,
                function);
  FTMPI_REQUIRE(communicator, rank_source != nullptr && rank_dest != nullptr, MPI_ERR_ARG,
                function);
  *rank_source = GridNeighbor(*grid, communicator->rank, direction, -std::int64_t{disp});
  *rank_dest = GridNeighbor(*grid, communicator->rank, direction, disp);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Topo_test(MPI_Comm comm, int* status) {
  FTMPI_PASS_THROUGH(PMPI_Topo_test(comm, status));
  EngineLock lock;
  FTMPI_FIND_COMMUNICATOR(communicator, comm, "MPI_Topo_test");
  FTMPI_REQUIRE(communicator, status != nullptr, MPI_ERR_ARG, "MPI_Topo_test");
  if (communicator->foreign != MPI_COMM_NULL) return PMPI_Topo_test(communicator->foreign, status);
  *status = communicator->topology != nullptr ? communicator->topology->kind : MPI_UNDEFINED;
  return MPI_SUCCESS;
}
