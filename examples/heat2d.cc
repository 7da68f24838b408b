// heat2d: heat spreads over a square plate, explicit finite differences on an N x N grid.
//
//   mpirun -np 4 heat2d --size 512 --steps 2000
//
// The plate is cut into blocks on a Cartesian communicator. In each step a rank exchanges the rim
// of its block with up to four neighbours (Irecv, Isend, Waitall; columns travel as a vector
// datatype); every --print-every steps the largest change of a cell is found with Allreduce. A
// maximum is exact, so that the printed lines, like the result, are the same on any number of
// ranks.
#include <mpi.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "example.h"

namespace {

constexpr int kBlockTag = 10;

// A block of the plate with a rim of one cell around it.
struct Block {
  int row0, column0;  // position of the first inner cell in the plate
  int rows, columns;  // inner cells
  [[nodiscard]] int stride() const { return columns + 2; }
  [[nodiscard]] int At(int i, int j) const { return (i + 1) * stride() + (j + 1); }
};

// The part of [0, size) that belongs to `part` of `parts`: first cell and length.
void Cut(int size, int part, int parts, int* first, int* length) {
  *first = static_cast<int>(static_cast<std::int64_t>(size) * part / parts);
  *length = static_cast<int>(static_cast<std::int64_t>(size) * (part + 1) / parts) - *first;
}

Block MakeBlock(int size, const int dims[2], const int coordinates[2]) {
  Block block{};
  Cut(size, coordinates[0], dims[0], &block.row0, &block.rows);
  Cut(size, coordinates[1], dims[1], &block.column0, &block.columns);
  return block;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int ranks = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);

  int size = 512;
  int steps = 1000;
  std::uint64_t seed = 1;
  int print_every = 100;
  CLI::App app{"Heat equation on a square plate"};
  app.add_option("--size", size, "cells along an edge")
      ->check(CLI::Range(1, 30000))
      ->capture_default_str();
  app.add_option("--steps", steps, "time steps")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--seed", seed, "seed of the hot spots")->capture_default_str();
  app.add_option("--print-every", print_every, "a line after that many steps; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  if (const auto code = ParseCommandLine(app, argc, argv)) return *code;

  int dims[2] = {0, 0};
  const int periods[2] = {0, 0};
  MPI_Dims_create(ranks, 2, dims);
  if (size < std::max(dims[0], dims[1])) {
    std::fprintf(stderr, "heat2d: --size %d is too small for %d x %d ranks; take at least %d\n",
                 size, dims[0], dims[1], std::max(dims[0], dims[1]));
    MPI_Finalize();
    return 1;
  }
  MPI_Comm plate;
  MPI_Cart_create(MPI_COMM_WORLD, 2, dims, periods, 0, &plate);
  int rank = 0;
  int coordinates[2];
  MPI_Comm_rank(plate, &rank);
  MPI_Cart_coords(plate, rank, 2, coordinates);
  int north = 0, south = 0, west = 0, east = 0;  // MPI_PROC_NULL at the plate's edge
  MPI_Cart_shift(plate, 0, 1, &north, &south);
  MPI_Cart_shift(plate, 1, 1, &west, &east);

  const Block block = MakeBlock(size, dims, coordinates);
  std::vector<double> now((block.rows + 2) * static_cast<std::size_t>(block.stride()), 0.0);
  // The same hot spots in the plate however it is cut; its edge stays at 0 degrees.
  Random random(seed);
  for (int spot = 0; spot < 16; ++spot) {
    const int row = static_cast<int>(random.Below(size)) - block.row0;
    const int column = static_cast<int>(random.Below(size)) - block.column0;
    const double degrees = 1000.0 * (1.0 + random.Real());
    if (row >= 0 && row < block.rows && column >= 0 && column < block.columns) {
      now[block.At(row, column)] = degrees;
    }
  }
  std::vector<double> next = now;

  MPI_Datatype column_type;
  MPI_Type_vector(block.rows, 1, block.stride(), MPI_DOUBLE, &column_type);
  MPI_Type_commit(&column_type);

  if (rank == 0) {
    std::printf("heat2d: %d x %d cells, %d steps, seed %" PRIu64 ", %d x %d ranks\n", size, size,
                steps, seed, dims[0], dims[1]);
    std::fflush(stdout);
  }
  for (int step = 1; step <= steps; ++step) {
    // The tag names the direction in which the rim travels.
    enum { kUp, kDown, kLeft, kRight };
    MPI_Request requests[8];
    MPI_Irecv(&now[block.At(-1, 0)], block.columns, MPI_DOUBLE, north, kDown, plate, &requests[0]);
    MPI_Irecv(&now[block.At(block.rows, 0)], block.columns, MPI_DOUBLE, south, kUp, plate,
              &requests[1]);
    MPI_Irecv(&now[block.At(0, -1)], 1, column_type, west, kRight, plate, &requests[2]);
    MPI_Irecv(&now[block.At(0, block.columns)], 1, column_type, east, kLeft, plate, &requests[3]);
    MPI_Isend(&now[block.At(0, 0)], block.columns, MPI_DOUBLE, north, kUp, plate, &requests[4]);
    MPI_Isend(&now[block.At(block.rows - 1, 0)], block.columns, MPI_DOUBLE, south, kDown, plate,
              &requests[5]);
    MPI_Isend(&now[block.At(0, 0)], 1, column_type, west, kLeft, plate, &requests[6]);
    MPI_Isend(&now[block.At(0, block.columns - 1)], 1, column_type, east, kRight, plate,
              &requests[7]);
    MPI_Waitall(8, requests, MPI_STATUSES_IGNORE);

    double change = 0.0;
    for (int i = 0; i < block.rows; ++i) {
      for (int j = 0; j < block.columns; ++j) {
        const int c = block.At(i, j);
        const double flow = (now[c - block.stride()] + now[c + block.stride()]) +
                            (now[c - 1] + now[c + 1]) - 4.0 * now[c];
        next[c] = now[c] + 0.2 * flow;
        change = std::max(change, std::fabs(next[c] - now[c]));
      }
    }
    now.swap(next);
    if (print_every > 0 && step % print_every == 0) {
      double residual = 0.0;
      MPI_Allreduce(&change, &residual, 1, MPI_DOUBLE, MPI_MAX, plate);
      if (rank == 0) {
        std::printf("step %d: largest change %.17g\n", step, residual);
        std::fflush(stdout);
      }
    }
  }

  // Rank 0 puts the plate together; a block goes as one message, without its rim.
  MPI_Datatype inner_type;
  const int whole[2] = {block.rows + 2, block.stride()};
  const int inner[2] = {block.rows, block.columns};
  const int start[2] = {1, 1};
  MPI_Type_create_subarray(2, whole, inner, start, MPI_ORDER_C, MPI_DOUBLE, &inner_type);
  MPI_Type_commit(&inner_type);
  if (rank == 0) {
    std::vector<double> cells(static_cast<std::size_t>(size) * size);
    MPI_Request mine;
    MPI_Isend(now.data(), 1, inner_type, 0, kBlockTag, plate, &mine);
    for (int r = 0; r < ranks; ++r) {
      int other[2];
      MPI_Cart_coords(plate, r, 2, other);
      const Block from = MakeBlock(size, dims, other);
      const int full[2] = {size, size};
      const int part[2] = {from.rows, from.columns};
      const int at[2] = {from.row0, from.column0};
      MPI_Datatype place;
      MPI_Type_create_subarray(2, full, part, at, MPI_ORDER_C, MPI_DOUBLE, &place);
      MPI_Type_commit(&place);
      MPI_Recv(cells.data(), 1, place, r, kBlockTag, plate, MPI_STATUS_IGNORE);
      MPI_Type_free(&place);
    }
    MPI_Wait(&mine, MPI_STATUS_IGNORE);
    Digest digest;
    digest.Add(cells.data(), cells.size() * sizeof(double));
    PrintResult(digest);
  } else {
    MPI_Send(now.data(), 1, inner_type, 0, kBlockTag, plate);
  }
  MPI_Type_free(&inner_type);
  MPI_Type_free(&column_type);
  MPI_Comm_free(&plate);
  MPI_Finalize();
  return 0;
}
