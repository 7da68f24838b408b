#include "recovery/store_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>

#include "recovery/job_directory.h"
#include "recovery/store_listing.h"

namespace ftmpi::recovery {
namespace {

int Run(const StoreCommand& command, int argc, char** argv) {
  CLI::App application(command.purpose, command.name);
  application.set_version_flag("--version", fmt::format("{} {}", command.name, FTMPI_VERSION));
  std::string directory;
  bool json = false;
  application.add_option("JOBDIR", directory,
                         "the job's directory (default: the newest ./ftmpi-*)");
  application.add_flag("--json", json, "print JSON");
  try {
    application.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return application.exit(error) == 0 ? kStoreGood : kStoreUnreadable;
  }
  if (directory.empty()) {
    const std::optional<std::string> newest = FindNewestJobDirectory(".");
    if (!newest) {
      fmt::print(stderr,
                 "{}: no job directory (ftmpi-*) here; give its path, or change to the directory "
                 "in which the job was started\n",
                 command.name);
      return kStoreUnreadable;
    }
    directory = *newest;
  }
  std::error_code error;
  const std::string absolute = std::filesystem::canonical(directory, error).string();
  if (error) {
    fmt::print(stderr, "{}: {}: {}; give the path of a job directory\n", command.name, directory,
               error.message());
    return kStoreUnreadable;
  }
  const StoreListing listing = ListStore(logging::Environment::Posix(), absolute, command.depth);
  const bool damaged = !listing.AllProblems().empty();
  if (json) {
    fmt::print("{}", ListingJson(listing));
  } else if (command.verify) {
    fmt::print("{}", VerificationText(listing));
  } else {
    fmt::print("{}", ListingText(listing));
    std::fflush(stdout);
    for (const std::string& each : listing.AllProblems()) {
      fmt::print(stderr, "{}: {}\n", command.name, each);
    }
  }
  return damaged ? kStoreDamaged : kStoreGood;
}

}  // namespace

int RunStoreCommand(const StoreCommand& command, int argc, char** argv) {
  try {
    return Run(command, argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", command.name, error.what());
    return kStoreUnreadable;
  }
}

}  // namespace ftmpi::recovery
