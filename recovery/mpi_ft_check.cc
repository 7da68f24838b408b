// mpi-ft-check: says whether images can be taken of a program (man page:
// recovery/man/mpi-ft-check.1).
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "recovery/program_check.h"

namespace {

constexpr int kYes = 0;
constexpr int kNo = 1;
constexpr int kUnknown = 125;  // wrong arguments, no such program

int Run(int argc, char** argv) {
  CLI::App application("Says whether images can be taken of an MPI program, without running it.",
                       "mpi-ft-check");
  application.set_version_flag("--version", "mpi-ft-check " FTMPI_VERSION);
  bool json = false;
  std::vector<std::string> command;
  application.add_flag("--json", json, "print JSON");
  application.add_option("PROGRAM", command, "the program; its arguments are not looked at")
      ->required();
  application.positionals_at_end();
  application.prefix_command();
  try {
    application.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return application.exit(error) == 0 ? kYes : kUnknown;
  }
  // The parser leaves all options that it does not know to the program, also those in front of it.
  for (int n = 1; n < argc && command.front() != argv[n]; ++n) {
    if (argv[n] == std::string("--json")) continue;
    fmt::print(stderr, "mpi-ft-check: there is no option {}; see mpi-ft-check --help\n", argv[n]);
    return kUnknown;
  }
  const std::string path = ftmpi::recovery::FindProgram(command.front());
  if (path.empty() || access(path.c_str(), R_OK) != 0) {
    fmt::print(stderr,
               "mpi-ft-check: {}: there is no such program, or it can't be read; give its path\n",
               command.front());
    return kUnknown;
  }
  const ftmpi::recovery::ProgramCheck check = ftmpi::recovery::CheckProgramFile(path);
  fmt::print("{}", json ? CheckJson(check) : CheckText(check));
  return check.obstacles.empty() ? kYes : kNo;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "mpi-ft-check: {}\n", error.what());
    return kUnknown;
  }
}
