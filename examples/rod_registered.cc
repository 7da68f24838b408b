// rod_registered: heat in a rod, whose state the program saves itself through ftmpi's interface
// (FT_STATE=registered): three lines more than without. Without ftmpi's checkpoints these calls do
// nothing.
//
//   mpirun -np 4 -x FT_MODE=causal -x FT_STATE=registered -x FT_CKPT_INTERVAL=10 ./rod_registered
//   ... a rank is lost ...
//   mpi-ft-recover
#include <ftmpi.h>

#include <vector>

#include "example.h"

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int ranks = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);

  int cells = 200000;
  int steps = 2000;
  int print_every = 100;
  CLI::App app("Heat in a rod; its state is saved through ftmpi's interface.");
  app.add_option("--cells", cells, "cells of each rank")->check(CLI::Range(1, 1 << 28));
  app.add_option("--steps", steps, "time steps")->check(CLI::Range(1, 1 << 30));
  app.add_option("--print-every", print_every, "steps between two lines")
      ->check(CLI::Range(1, 1 << 30));
  if (const auto code = ParseCommandLine(app, argc, argv)) return *code;
  if (rank == 0) std::printf("rod_registered: %d ranks, %d cells each\n", ranks, cells);

  const auto count = static_cast<std::size_t>(cells);
  std::vector<double> now(count + 2, 0.0);  // with a cell of each neighbour at the ends
  std::vector<double> next(count + 2, 0.0);
  int step = 0;

  // What a restarted run needs. There it gets its values here.
  FT_Protect("temperature", now.data(), cells + 2, MPI_DOUBLE);
  FT_Protect("step", &step, 1, MPI_INT);
  int restored = 0;
  FT_Restored(&restored);
  if (restored == 0) {
    for (std::size_t i = 1; i <= count; ++i) {
      now[i] = static_cast<double>((i * 7919 + static_cast<std::size_t>(rank) * 104729) % 1000);
    }
  }

  const int left = rank > 0 ? rank - 1 : MPI_PROC_NULL;
  const int right = rank + 1 < ranks ? rank + 1 : MPI_PROC_NULL;
  while (step < steps) {
    MPI_Sendrecv(&now[1], 1, MPI_DOUBLE, left, 0, &now[count + 1], 1, MPI_DOUBLE, right, 0,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Sendrecv(&now[count], 1, MPI_DOUBLE, right, 1, now.data(), 1, MPI_DOUBLE, left, 1,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    for (std::size_t i = 1; i <= count; ++i)
      next[i] = now[i] + 0.25 * (now[i - 1] - 2.0 * now[i] + now[i + 1]);
    // Not swap(): the protected region stays where it is.
    std::copy(next.begin() + 1, next.end() - 1, now.begin() + 1);
    ++step;
    if (step % print_every == 0) {
      double mine = 0.0;
      for (std::size_t i = 1; i <= count; ++i) mine += now[i] * now[i];
      double all = 0.0;
      MPI_Reduce(&mine, &all, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
      if (rank == 0) {
        std::printf("step %d: %.17g\n", step, all);
        std::fflush(stdout);
      }
    }
    // Here every message has been received: a place to save, if it is time to.
    FT_Checkpoint();
  }

  Digest digest;
  digest.Add(now.data() + 1, count * sizeof(double));
  std::uint64_t value = digest.value();
  std::uint64_t together = 0;
  MPI_Reduce(&value, &together, 1, MPI_UINT64_T, MPI_BXOR, 0, MPI_COMM_WORLD);
  if (rank == 0) {
    Digest all;
    all.Add(together);
    PrintResult(all);
  }
  MPI_Finalize();
  return 0;
}
