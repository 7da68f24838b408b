// gauss: solves a dense system of N linear equations by Gaussian elimination with partial pivoting.
//
//   mpirun -np 4 gauss --size 800
//
// After the program of the same name in D. B. Johnson's thesis, section 3.4.4. Each rank holds
// every P-th row. In each step the ranks send their candidate for the pivot (row and value) to rank
// 0, which decides; the owner of the pivot row sends it to all; every rank reduces its rows. At the
// end rank 0 collects the rows and solves by back substitution. Nothing here depends on timing, and
// each row sees the same operations in the same order on any number of ranks, so the result has the
// same bits.
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

constexpr int kRowTag = 1;
constexpr int kCandidateTag = 2;
constexpr int kReducedTag = 3;

struct Candidate {
  double value;  // absolute value in the pivot column; negative: no row left
  std::int64_t row;
};

// The better pivot; of equal values the lower row, so that the choice is the same on any layout.
bool Better(const Candidate& a, const Candidate& b) {
  return a.value > b.value || (a.value == b.value && a.row < b.row);
}

// The row as the system has it: coefficients and right-hand side.
std::vector<double> MakeRow(int row, int size, std::uint64_t seed) {
  Random random(seed * 0x9e3779b97f4a7c15 + static_cast<std::uint64_t>(row));
  std::vector<double> values(size + 1);
  for (double& value : values) value = random.Real();
  return values;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);

  int size = 500;
  std::uint64_t seed = 1;
  int print_every = 50;
  CLI::App app{"Solves a random system of linear equations by Gaussian elimination"};
  app.add_option("--size", size, "number of equations")
      ->check(CLI::Range(1, 20000))
      ->capture_default_str();
  app.add_option("--seed", seed, "seed of the matrix")->capture_default_str();
  app.add_option("--print-every", print_every, "a line after that many steps; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  if (const auto code = ParseCommandLine(app, argc, argv)) return *code;

  // Rank 0 makes the matrix and deals out the rows like cards: row i goes to rank i % ranks.
  const int width = size + 1;
  std::vector<std::vector<double>> rows;  // mine: rows[k] is row rank + k * ranks
  if (rank == 0) {
    std::printf("gauss: %d equations, seed %" PRIu64 ", %d ranks\n", size, seed, ranks);
    std::fflush(stdout);
    for (int i = 0; i < size; ++i) {
      std::vector<double> row = MakeRow(i, size, seed);
      if (i % ranks == 0) {
        rows.push_back(std::move(row));
      } else {
        MPI_Send(row.data(), width, MPI_DOUBLE, i % ranks, kRowTag, MPI_COMM_WORLD);
      }
    }
  } else {
    for (int i = rank; i < size; i += ranks) {
      rows.emplace_back(width);
      MPI_Recv(rows.back().data(), width, MPI_DOUBLE, 0, kRowTag, MPI_COMM_WORLD,
               MPI_STATUS_IGNORE);
    }
  }

  // Rows are not swapped: order[k] says which row was the pivot of step k.
  std::vector<std::int64_t> order(size);
  std::vector<char> used(rows.size(), 0);
  std::vector<double> pivot(width);
  for (int k = 0; k < size; ++k) {
    Candidate candidate{-1.0, size};
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Candidate mine{std::fabs(rows[i][k]), rank + static_cast<std::int64_t>(i) * ranks};
      if (used[i] == 0 && Better(mine, candidate)) candidate = mine;
    }
    if (rank == 0) {
      for (int r = 1; r < ranks; ++r) {
        Candidate other{};
        MPI_Recv(&other, sizeof other, MPI_BYTE, r, kCandidateTag, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
        if (Better(other, candidate)) candidate = other;
      }
    } else {
      MPI_Send(&candidate, sizeof candidate, MPI_BYTE, 0, kCandidateTag, MPI_COMM_WORLD);
    }
    MPI_Bcast(&candidate, sizeof candidate, MPI_BYTE, 0, MPI_COMM_WORLD);
    if (candidate.value == 0.0) {
      // Every rank knows it and ends the same way.
      if (rank == 0)
        std::fprintf(stderr, "gauss: the matrix is singular in column %d; try another --seed\n", k);
      MPI_Finalize();
      return 1;
    }
    order[k] = candidate.row;
    const int owner = static_cast<int>(candidate.row % ranks);
    if (rank == owner) {
      const auto i = static_cast<std::size_t>(candidate.row / ranks);
      used[i] = 1;
      pivot = rows[i];
    }
    MPI_Bcast(pivot.data() + k, width - k, MPI_DOUBLE, owner, MPI_COMM_WORLD);

    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (used[i] != 0) continue;
      const double factor = rows[i][k] / pivot[k];
      rows[i][k] = 0.0;
      for (int j = k + 1; j < width; ++j) rows[i][j] -= factor * pivot[j];
    }
    if (rank == 0 && print_every > 0 && (k + 1) % print_every == 0) {
      std::printf("step %d: pivot row %" PRId64 ", value %.17g\n", k + 1, candidate.row, pivot[k]);
      std::fflush(stdout);
    }
  }

  if (rank != 0) {
    for (auto& row : rows) MPI_Send(row.data(), width, MPI_DOUBLE, 0, kReducedTag, MPI_COMM_WORLD);
    MPI_Finalize();
    return 0;
  }

  // Rank 0: collect, substitute back, check against the original system.
  std::vector<std::vector<double>> reduced(size);
  for (int i = 0; i < size; ++i) {
    if (i % ranks == 0) {
      reduced[i] = std::move(rows[i / ranks]);
    } else {
      reduced[i].resize(width);
      MPI_Recv(reduced[i].data(), width, MPI_DOUBLE, i % ranks, kReducedTag, MPI_COMM_WORLD,
               MPI_STATUS_IGNORE);
    }
  }
  std::vector<double> x(size);
  for (int k = size - 1; k >= 0; --k) {
    const std::vector<double>& row = reduced[order[k]];
    double sum = row[size];
    for (int j = k + 1; j < size; ++j) sum -= row[j] * x[j];
    x[k] = sum / row[k];
  }
  double residual = 0.0;
  double largest = 0.0;
  for (int i = 0; i < size; ++i) {
    const std::vector<double> row = MakeRow(i, size, seed);
    double sum = -row[size];
    for (int j = 0; j < size; ++j) sum += row[j] * x[j];
    residual = std::max(residual, std::fabs(sum));
    largest = std::max(largest, std::fabs(x[i]));
  }
  std::printf("residual: %.3e (largest unknown %.3e)\n", residual, largest);
  Digest digest;
  digest.Add(x.data(), x.size() * sizeof(double));
  PrintResult(digest);
  MPI_Finalize();
  return 0;
}
