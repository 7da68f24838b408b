#include "recovery/program_check.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

namespace ftmpi::recovery {
namespace {

// A function by whose use something can't be recovered.
struct Concern {
  std::string_view function;  // its name, or with a final * how its name begins
  std::string_view remark;
};

constexpr Concern kConcerns[] = {
    {"MPI_Win_*", "one-sided communication: a recovery can't cross it"},
    {"MPI_File_*", "MPI-IO: a recovery can't cross it"},
    {"MPI_Comm_spawn*", "dynamic processes: a recovery can't cross them"},
    {"MPI_Comm_connect", "dynamic processes: a recovery can't cross them"},
    {"pthread_create",
     "threads: an image can be taken only while none of its own runs, and recovery needs one "
     "thread that calls MPI"},
    {"socket", "sockets: no image can be taken while one is open"},
    {"pipe*", "pipes: no image can be taken while one is open"},
    {"timer_create", "POSIX timers: no image can be taken while there is one"},
    {"getpid", "its process id: it is another one after a restart"},
    {"time", "the time of day: it is not logged (MPI_Wtime is)"},
    {"gettimeofday", "the time of day: it is not logged (MPI_Wtime is)"},
    {"clock_gettime", "clocks: they are not logged (MPI_Wtime is)"},
    {"getrandom", "random numbers of the system: they are not logged"},
};

bool Matches(std::string_view pattern, std::string_view name) {
  if (!pattern.ends_with('*')) return pattern == name;
  return name.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool HasLibrary(const image::ProgramFacts& facts, std::string_view beginning) {
  return std::any_of(facts.libraries.begin(), facts.libraries.end(),
                     [&](const std::string& name) { return name.starts_with(beginning); });
}

const char* Said(bool value) { return value ? "yes" : "no"; }

}  // namespace

std::string FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* variable = std::getenv("PATH");
  std::string_view path = variable != nullptr ? variable : "/bin:/usr/bin";
  while (true) {
    const std::size_t colon = path.find(':');
    const std::string_view directory = path.substr(0, colon);
    std::string file = fmt::format("{}/{}", directory.empty() ? "." : directory, name);
    if (access(file.c_str(), X_OK) == 0) return file;
    if (colon == std::string_view::npos) return {};
    path.remove_prefix(colon + 1);
  }
}

ProgramCheck CheckProgramFile(const std::string& path) {
  ProgramCheck check;
  check.path = path;
  check.facts = image::ReadProgramFacts(path);
  check.obstacles = image::CheckProgram(path);
  for (image::Reason& reason : image::CheckMachine()) check.obstacles.push_back(std::move(reason));
  check.linked_mpi = HasLibrary(check.facts, "libmpi.so");
  check.linked_ftmpi = HasLibrary(check.facts, "libftmpi.so");
  const auto& imports = check.facts.imports;
  check.fortran = std::any_of(imports.begin(), imports.end(), [](const std::string& name) {
    return name.starts_with("mpi_init") || name.starts_with("MPI_Init_f");
  });
  if (check.fortran) {
    check.remarks.emplace_back(
        "it starts MPI through Fortran's interface, whose messages are not captured: it is refused "
        "under FT_MODE");
  }
  if (check.facts.dynamic && !check.linked_mpi) {
    check.remarks.emplace_back(
        "it is not linked with libmpi itself; if a library that it loads while it runs brings MPI, "
        "no images are taken");
  }
  for (const Concern& concern : kConcerns) {
    const auto used = std::find_if(imports.begin(), imports.end(), [&](const std::string& name) {
      return Matches(concern.function, name);
    });
    if (used != imports.end())
      check.remarks.push_back(fmt::format("{}: {}", *used, concern.remark));
  }
  return check;
}

std::string CheckText(const ProgramCheck& check) {
  std::string text =
      fmt::format("{}: {}\n", check.path,
                  check.obstacles.empty()
                      ? "images can be taken"
                      : "no images can be taken: it is recovered by replay from its beginning");
  for (const image::Reason& each : check.obstacles) text += fmt::format("  {}\n", each.message);
  text += fmt::format("  linked dynamically: {}\n", Said(check.facts.dynamic));
  text += fmt::format("  position independent: {}\n", Said(check.facts.position_independent));
  text += fmt::format("  build id: {}\n", check.facts.build_id.empty()
                                              ? "none (its size is compared instead)"
                                              : check.facts.build_id);
  text += fmt::format("  linked with libftmpi: {}\n",
                      check.linked_ftmpi ? "yes" : "no (use mpirun -x LD_PRELOAD=libftmpi.so)");
  text += fmt::format("  libraries: {}\n", fmt::join(check.facts.libraries, " "));
  for (const std::string& each : check.remarks) text += fmt::format("  note: {}\n", each);
  return text;
}

std::string CheckJson(const ProgramCheck& check) {
  nlohmann::ordered_json document;
  document["program"] = check.path;
  document["images"] = check.obstacles.empty();
  document["obstacles"] = nlohmann::ordered_json::array();
  for (const image::Reason& each : check.obstacles) document["obstacles"].push_back(each.message);
  document["dynamic"] = check.facts.dynamic;
  document["position_independent"] = check.facts.position_independent;
  document["build_id"] = check.facts.build_id;
  document["linked_mpi"] = check.linked_mpi;
  document["linked_ftmpi"] = check.linked_ftmpi;
  document["fortran"] = check.fortran;
  document["libraries"] = check.facts.libraries;
  document["remarks"] = check.remarks;
  return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace ftmpi::recovery
