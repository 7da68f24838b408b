// mpi-ft-inventory: collects on one node what it holds of a failed job and writes it to the job
// directory (recovery/INVENTORY.md). Started by mpi-ft-recover on each node; not for people.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "logging/environment.h"
#include "recovery/checkpoint_delivery.h"
#include "recovery/durable_file.h"
#include "recovery/inventory.h"

namespace {

// "1,5,7"; empty: none.
bool ParseRanks(const std::string& text, int size, std::vector<std::int32_t>* ranks) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    std::int32_t rank = -1;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + comma, rank);
    if (error != std::errc() || end != text.data() + comma || rank < 0 || rank >= size)
      return false;
    ranks->push_back(rank);
    at = comma + 1;
  }
  return true;
}

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
  application
      .add_option("--output", output, "file to write; with --deliver the job directory to copy to")
      ->required();
  std::uint64_t csn = 0;
  std::string own;
  std::string copied;
  application.add_option("--deliver", csn, "copy the node's files of this checkpoint instead");
  application.add_option("--own", own, "... ranks whose files are in its store of level local");
  application.add_option("--copied", copied, "... of level partner");
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
  if (csn != 0) {
    ftmpi::recovery::DeliveryOptions delivery;
    delivery.local_directory = options.directory;
    delivery.job_directory = output;
    delivery.job = options.job;
    delivery.csn = csn;
    delivery.epoch = options.epoch;
    delivery.np = options.ranks;
    if (!ParseRanks(own, options.ranks, &delivery.own) ||
        !ParseRanks(copied, options.ranks, &delivery.copied)) {
      fmt::print(stderr, "mpi-ft-inventory: --own {} --copied {}: no lists of ranks\n", own,
                 copied);
      return 2;
    }
    delivery.on_part = [&say] { say("copying"); };
    ftmpi::recovery::Deliver(ftmpi::logging::Environment::Posix(), delivery);
    say("done");
    return 0;
  }
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
