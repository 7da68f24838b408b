// np: 4
// Cartesian grids: 2 x 2 with one periodic dimension, smaller ones, subgrids, and messages in them.
#include "comm_check.h"

static void Grid(void) {
  MPI_Comm grid;
  const int dims[2] = {2, 2};
  const int periods[2] = {0, 1};
  MPI_Cart_create(MPI_COMM_WORLD, 2, dims, periods, 0, &grid);
  CheckMembers(grid, 4, (const int[]){0, 1, 2, 3});
  int status = -1;
  MPI_Topo_test(grid, &status);
  CHECK_EQUAL(status, MPI_CART);
  MPI_Topo_test(MPI_COMM_WORLD, &status);
  CHECK_EQUAL(status, MPI_UNDEFINED);
  int ndims = 0;
  MPI_Cartdim_get(grid, &ndims);
  CHECK_EQUAL(ndims, 2);
  int got_dims[2];
  int got_periods[2];
  int coords[2];
  MPI_Cart_get(grid, 2, got_dims, got_periods, coords);
  CHECK(got_dims[0] == 2 && got_dims[1] == 2);
  CHECK(got_periods[0] == 0 && got_periods[1] == 1);
  CHECK_EQUAL(coords[0], world_rank / 2);
  CHECK_EQUAL(coords[1], world_rank % 2);
  MPI_Cart_coords(grid, 2, 2, coords);
  CHECK(coords[0] == 1 && coords[1] == 0);
  int rank = -1;
  MPI_Cart_rank(grid, (const int[]){1, 1}, &rank);
  CHECK_EQUAL(rank, 3);
  MPI_Cart_rank(grid, (const int[]){1, -3}, &rank);  // column -3 is column 1
  CHECK_EQUAL(rank, 3);
  int source = -1;
  int dest = -1;
  MPI_Cart_shift(grid, 0, 1, &source, &dest);
  CHECK_EQUAL(dest, world_rank < 2 ? world_rank + 2 : MPI_PROC_NULL);
  CHECK_EQUAL(source, world_rank < 2 ? MPI_PROC_NULL : world_rank - 2);
  MPI_Cart_shift(grid, 0, -1, &source, &dest);
  CHECK_EQUAL(source, world_rank < 2 ? world_rank + 2 : MPI_PROC_NULL);
  MPI_Cart_shift(grid, 1, 1, &source, &dest);
  CHECK_EQUAL(dest, world_rank ^ 1);
  CHECK_EQUAL(source, world_rank ^ 1);
  MPI_Cart_shift(grid, 1, 2, &source, &dest);
  CHECK(source == world_rank && dest == world_rank);
  // A halo exchange along both dimensions.
  for (int direction = 0; direction < 2; ++direction) {
    int received = -1;
    MPI_Cart_shift(grid, direction, 1, &source, &dest);
    MPI_Sendrecv(&world_rank, 1, MPI_INT, dest, 0, &received, 1, MPI_INT, source, 0, grid,
                 MPI_STATUS_IGNORE);
    CHECK_EQUAL(received, source == MPI_PROC_NULL ? -1 : source);
  }
  // A duplicate has the topology too.
  MPI_Comm copy;
  MPI_Comm_dup(grid, &copy);
  MPI_Topo_test(copy, &status);
  CHECK_EQUAL(status, MPI_CART);
  MPI_Cart_shift(copy, 0, 1, &source, &dest);
  CHECK_EQUAL(dest, world_rank < 2 ? world_rank + 2 : MPI_PROC_NULL);
  MPI_Comm_free(&copy);
  // A split has not.
  MPI_Comm_split(grid, 0, 0, &copy);
  MPI_Topo_test(copy, &status);
  CHECK_EQUAL(status, MPI_UNDEFINED);
  MPI_Comm_free(&copy);

  // Rows and columns.
  MPI_Comm row;
  MPI_Comm column;
  MPI_Cart_sub(grid, (const int[]){0, 1}, &row);
  MPI_Cart_sub(grid, (const int[]){1, 0}, &column);
  const int rows[2][2] = {{0, 1}, {2, 3}};
  const int columns[2][2] = {{0, 2}, {1, 3}};
  CheckMembers(row, 2, rows[world_rank / 2]);
  CheckMembers(column, 2, columns[world_rank % 2]);
  MPI_Cart_get(row, 1, got_dims, got_periods, coords);
  CHECK(got_dims[0] == 2 && got_periods[0] == 1 && coords[0] == world_rank % 2);
  MPI_Cart_get(column, 1, got_dims, got_periods, coords);
  CHECK(got_dims[0] == 2 && got_periods[0] == 0 && coords[0] == world_rank / 2);
  MPI_Comm point;
  MPI_Cart_sub(grid, (const int[]){0, 0}, &point);
  CHECK_EQUAL(SizeOf(point), 1);
  MPI_Cartdim_get(point, &ndims);
  CHECK_EQUAL(ndims, 0);
  MPI_Comm_free(&point);
  MPI_Comm_free(&row);
  MPI_Comm_free(&column);
  MPI_Comm_free(&grid);
}

// Fewer places than processes.
static void Small(void) {
  MPI_Comm line;
  MPI_Cart_create(MPI_COMM_WORLD, 1, (const int[]){3}, (const int[]){1}, 1, &line);
  int places = 0;
  const int mine = line != MPI_COMM_NULL;
  MPI_Allreduce(&mine, &places, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  CHECK_EQUAL(places, 3);
  if (line != MPI_COMM_NULL) {
    int source;
    int dest;
    MPI_Cart_shift(line, 0, 1, &source, &dest);
    CHECK_EQUAL(dest, (RankIn(line) + 1) % 3);
    CHECK_EQUAL(source, (RankIn(line) + 2) % 3);
    int around = -1;
    const int rank = RankIn(line);
    MPI_Sendrecv(&rank, 1, MPI_INT, dest, 0, &around, 1, MPI_INT, source, 0, line,
                 MPI_STATUS_IGNORE);
    CHECK_EQUAL(around, source);
    MPI_Comm_free(&line);
  }
  int new_rank = -1;
  MPI_Cart_map(MPI_COMM_WORLD, 1, (const int[]){4}, (const int[]){0}, &new_rank);
  CHECK(new_rank >= 0 && new_rank < 4);
  int dims[2] = {0, 0};
  MPI_Dims_create(4, 2, dims);
  CHECK(dims[0] == 2 && dims[1] == 2);
}

// Neighbourhood collectives where both neighbours are the same rank: the block for the neighbour at
// -1 arrives as its block from +1.
static void Neighborhood(void) {
  MPI_Comm grid;
  MPI_Cart_create(MPI_COMM_WORLD, 2, (const int[]){2, 2}, (const int[]){0, 1}, 0, &grid);
  int out[4];
  int in[4] = {-1, -1, -1, -1};
  MPI_Neighbor_allgather(&world_rank, 1, MPI_INT, in, 1, MPI_INT, grid);
  CHECK_EQUAL(in[0], world_rank < 2 ? -1 : world_rank - 2);
  CHECK_EQUAL(in[1], world_rank < 2 ? world_rank + 2 : -1);
  CHECK_EQUAL(in[2], world_rank ^ 1);
  CHECK_EQUAL(in[3], world_rank ^ 1);
  for (int i = 0; i < 4; ++i) out[i] = 10 * world_rank + i;
  for (int i = 0; i < 4; ++i) in[i] = -1;
  MPI_Neighbor_alltoall(out, 1, MPI_INT, in, 1, MPI_INT, grid);
  CHECK_EQUAL(in[0], world_rank < 2 ? -1 : 10 * (world_rank - 2) + 1);
  CHECK_EQUAL(in[1], world_rank < 2 ? 10 * (world_rank + 2) : -1);
  MPI_Comm_free(&grid);
}

int main(int argc, char** argv) {
  Begin(&argc, &argv);
  Grid();
  Small();
  Neighborhood();
  return End("comm_cart");
}
