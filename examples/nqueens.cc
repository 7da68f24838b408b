// nqueens: in how many ways can N queens stand on an N x N board without attacking each other?
//
//   mpirun -np 4 nqueens --size 14
//
// After the program of the same name in D. B. Johnson's thesis, section 3.4.4: the placements of
// the first two queens are the subproblems; rank 0 gives each rank an equal share of them, every
// rank works its share off without a word, and reports its count in the end. It hardly
// communicates: the opposite of gauss.cc.
#include <mpi.h>

#include <CLI/CLI.hpp>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "example.h"

namespace {

constexpr int kShareTag = 1;
constexpr int kCountTag = 2;

// Columns of the queens in the first two rows.
struct Subproblem {
  int first;
  int second;
};

// A share of the list of subproblems: [begin, end).
struct Share {
  std::int64_t begin;
  std::int64_t end;
};

// Solutions below the rows that are set. Bits say which columns are attacked in the next row: by
// column, along the one diagonal, along the other.
std::uint64_t Count(std::uint32_t all, std::uint32_t columns, std::uint32_t left,
                    std::uint32_t right) {
  if (columns == all) return 1;
  std::uint64_t solutions = 0;
  for (std::uint32_t open = all & ~(columns | left | right); open != 0; open &= open - 1) {
    const std::uint32_t queen = open & -open;
    solutions += Count(all, columns | queen, (left | queen) << 1, (right | queen) >> 1);
  }
  return solutions;
}

std::uint64_t Solve(int size, const Subproblem& subproblem) {
  const std::uint32_t all = (std::uint32_t{1} << size) - 1;
  const std::uint32_t first = std::uint32_t{1} << subproblem.first;
  const std::uint32_t second = std::uint32_t{1} << subproblem.second;
  return Count(all, first | second, ((first << 1) | second) << 1, ((first >> 1) | second) >> 1);
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);

  int size = 13;
  int print_every = 10;
  CLI::App app{"Counts the solutions of the N queens problem"};
  app.add_option("--size", size, "board size N")->check(CLI::Range(2, 20))->capture_default_str();
  app.add_option("--print-every", print_every,
                 "a line after that many subproblems of rank 0; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  if (const auto code = ParseCommandLine(app, argc, argv)) return *code;

  // Every rank makes the same list of subproblems; only shares of it travel.
  std::vector<Subproblem> subproblems;
  for (int first = 0; first < size; ++first) {
    for (int second = 0; second < size; ++second) {
      if (second < first - 1 || second > first + 1) subproblems.push_back({first, second});
    }
  }
  const auto total = static_cast<std::int64_t>(subproblems.size());

  Share share{};
  if (rank == 0) {
    std::printf("nqueens: size %d, %" PRId64 " subproblems, %d ranks\n", size, total, ranks);
    std::fflush(stdout);
    for (int r = 1; r < ranks; ++r) {
      const Share other{total * r / ranks, total * (r + 1) / ranks};
      MPI_Send(&other, 2, MPI_INT64_T, r, kShareTag, MPI_COMM_WORLD);
    }
    share = {0, total / ranks};
  } else {
    MPI_Recv(&share, 2, MPI_INT64_T, 0, kShareTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  }

  std::uint64_t solutions = 0;
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    solutions += Solve(size, subproblems[static_cast<std::size_t>(i)]);
    if (rank == 0 && print_every > 0 && (i + 1) % print_every == 0) {
      std::printf("rank 0: %" PRId64 " of %" PRId64 " subproblems, %" PRIu64 " solutions\n", i + 1,
                  share.end, solutions);
      std::fflush(stdout);
    }
  }

  if (rank == 0) {
    Digest digest;
    for (int r = 1; r < ranks; ++r) {
      std::uint64_t count = 0;
      MPI_Recv(&count, 1, MPI_UINT64_T, r, kCountTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      std::printf("rank %d: %" PRIu64 " solutions\n", r, count);
      std::fflush(stdout);
      solutions += count;
    }
    std::printf("solutions: %" PRIu64 "\n", solutions);
    digest.Add(solutions);
    PrintResult(digest);
  } else {
    MPI_Send(&solutions, 1, MPI_UINT64_T, 0, kCountTag, MPI_COMM_WORLD);
  }
  MPI_Finalize();
  return 0;
}
