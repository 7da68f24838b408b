// mpi-ft-inventory: collects on one node what it holds of a failed job and writes it to the job
// directory (recovery/INVENTORY.md). Started by mpi-ft-recover on each node; not for people.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <exception>
#include <string>

#include "logging/environment.h"
#include "recovery/durable_file.h"
#include "recovery/inventory.h"

namespace {

int Run(int argc, char** argv) {
  CLI::App application("Collects what this node holds of a failed job (started by mpi-ft-recover).",
                       "mpi-ft-inventory");
  ftmpi::recovery::InventoryOptions options;
  std::string job;
  std::string output;
  application.add_option("--directory", options.directory, "node-local directory of the job")
      ->required();
  application.add_option("--spill-directory", options.spill_directory, "FT_SPILL_DIR of the job");
  application.add_option("--node", options.node, "name under which the job knows this node")
      ->required();
  application.add_option("--job", job, "job id, 16 hexadecimal digits")->required();
  application.add_option("--epoch", options.epoch, "current recovery epoch")->required();
  application.add_option("--ranks", options.ranks, "size of the job")->required();
  application.add_option("--output", output, "file to write")->required();
  CLI11_PARSE(application, argc, argv);
  const auto [end, error] = std::from_chars(job.data(), job.data() + job.size(), options.job, 16);
  if (error != std::errc() || end != job.data() + job.size()) {
    fmt::print(stderr, "mpi-ft-inventory: --job {}: no hexadecimal number\n", job);
    return 2;
  }
  // Lines that tell mpi-ft-recover that the node is alive and at work.
  const auto say = [](const std::string& what) {
    fmt::print("ftmpi-inventory: {}\n", what);
    std::fflush(stdout);
  };
  say("started");
  options.on_rank = [&say](int rank) { say(fmt::format("rank {}", rank)); };
  const ftmpi::recovery::NodeInventory inventory =
      ftmpi::recovery::CollectInventory(ftmpi::logging::Environment::Posix(), options);
  ftmpi::recovery::ReplaceFile(output, ftmpi::recovery::EncodeInventory(inventory));
  say("done");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "mpi-ft-inventory: {}\n", error.what());
    return 1;
  }
}
