// mpi-ft-recover: brings a failed job back (man page: recovery/man/mpi-ft-recover.1).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>

#include "recovery/job_directory.h"
#include "recovery/recover_command.h"

namespace {

// What mpi-ft-recover itself ends with when it doesn't start the job (as env and timeout do); else
// it ends with the job's exit code.
constexpr int kRefused = 125;

int Run(int argc, char** argv) {
  using ftmpi::recovery::CommandOptions;
  CommandOptions options;
  CLI::App application(
      "Recovers an MPI job that ran under ftmpi and failed: finds out what is left of it, shows "
      "the "
      "plan, starts it again and replays it up to where it was.",
      "mpi-ft-recover");
  application.set_version_flag("--version", "mpi-ft-recover " FTMPI_VERSION);
  std::string directory;
  long node_timeout = options.node_timeout.count();
  long wait = options.wait.count();
  long grace = options.grace.count();
  application.add_option("JOBDIR", directory,
                         "the job's directory (default: the newest ./ftmpi-*)");
  application.add_flag("-n,--dry-run", options.dry_run, "show the plan and stop");
  application.add_flag("--json", options.json, "print the plan as JSON and stop");
  application.add_flag("-v,--verbose", options.verbose, "say more");
  application.add_flag("--force", options.force,
                       "recover also where only you can know that it makes sense: after MPI_Abort, "
                       "after more losses than the mode promises to survive, after two deaths at "
                       "the same point");
  application.add_option("--hosts", options.hosts, "nodes to use (default: those that are left)")
      ->delimiter(',')
      ->take_all()
      ->allow_extra_args(false);
  application
      .add_option("--mpirun-arg", options.mpirun_arguments,
                  "a further argument for mpirun; may be repeated")
      ->take_all()
      ->allow_extra_args(false);
  application.add_option("--to", options.to,
                         "start from this checkpoint (see mpi-ft-ls), 0: from the beginning");
  application.add_option("--mpirun", options.mpirun, "the mpirun to use (default: as recorded)");
  application.add_option("--inventory-program", options.inventory_program,
                         "path of mpi-ft-inventory on the nodes (default: as installed here)");
  application
      .add_option("--node-timeout", node_timeout,
                  "seconds without an answer after which a node counts as lost")
      ->check(CLI::Range(1L, 86400L))
      ->capture_default_str();
  application
      .add_option("--wait", wait, "seconds to wait for what is left of the failed job to end")
      ->check(CLI::Range(0L, 86400L))
      ->capture_default_str();
  application
      .add_option("--grace", grace, "seconds that mpirun has to end once the job's ranks have")
      ->check(CLI::Range(1L, 86400L))
      ->capture_default_str();
  try {
    application.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = application.exit(error);
    return code == 0 ? 0 : kRefused;
  }
  options.node_timeout = std::chrono::seconds(node_timeout);
  options.wait = std::chrono::seconds(wait);
  options.grace = std::chrono::seconds(grace);
  if (directory.empty()) {
    const std::optional<std::string> newest = ftmpi::recovery::FindNewestJobDirectory(".");
    if (!newest) {
      ftmpi::recovery::Say(
          "no job directory (ftmpi-*) here; give its path, or change to the directory in which the "
          "job was started");
      return kRefused;
    }
    directory = *newest;
  }
  std::error_code error;
  options.job_directory = std::filesystem::canonical(directory, error).string();
  if (error) {
    ftmpi::recovery::Say(
        fmt::format("{}: {}; give the path of a job directory", directory, error.message()));
    return kRefused;
  }
  return ftmpi::recovery::RecoverCommand(options);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    ftmpi::recovery::Say(error.what());
    return kRefused;
  }
}
