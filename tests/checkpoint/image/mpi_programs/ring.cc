// Messages around a ring, reductions, C++ containers and output; a barrier in each round.
#include <mpi.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  std::vector<double> field(200000, rank + 0.5);
  std::map<int, std::string> history;
  std::ofstream record("record-" + std::to_string(rank));
  record.precision(17);
  for (int round = 0; round < 6; ++round) {
    std::vector<double> received(field.size());
    MPI_Sendrecv(field.data(), static_cast<int>(field.size()), MPI_DOUBLE, (rank + 1) % size, 5,
                 received.data(), static_cast<int>(received.size()), MPI_DOUBLE,
                 (rank + size - 1) % size, 5, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    for (std::size_t i = 0; i < field.size(); ++i)
      field[i] =
          0.3 * field[i] + 0.7 * received[i] + 1e-3 * static_cast<double>(i % 7) / (round + 1);
    double local = 0;
    double total = 0;
    for (const double value : field) local += value;
    MPI_Allreduce(&local, &total, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    history[round] = std::to_string(total);
    MPI_Barrier(MPI_COMM_WORLD);
    record << round << ' ' << local << ' ' << total << '\n';
    if (rank == 0) std::printf("round %d total %.17g\n", round, total);
  }
  if (rank == 0)
    for (const auto& [round, text] : history) std::cout << round << ": " << text << '\n';
  MPI_Finalize();
  return 0;
}
