#include "recovery/launcher_command.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace ftmpi::recovery {
namespace {

enum class Fate { kKeep, kDrop, kExport, kApplicationFile };

struct Option {
  std::string_view name;  // without dashes
  int values;
  Fate fate;
};

constexpr std::array kOptions = {
    // Where and how many: decided anew.
    Option{"c", 1, Fate::kDrop},
    Option{"n", 1, Fate::kDrop},
    Option{"np", 1, Fate::kDrop},
    Option{"N", 1, Fate::kDrop},
    Option{"H", 1, Fate::kDrop},
    Option{"host", 1, Fate::kDrop},
    Option{"hostfile", 1, Fate::kDrop},
    Option{"machinefile", 1, Fate::kDrop},
    Option{"default-hostfile", 1, Fate::kDrop},
    Option{"rf", 1, Fate::kDrop},
    Option{"rankfile", 1, Fate::kDrop},
    Option{"map-by", 1, Fate::kDrop},
    Option{"rank-by", 1, Fate::kDrop},
    Option{"ppr", 1, Fate::kDrop},
    Option{"npernode", 1, Fate::kDrop},
    Option{"npersocket", 1, Fate::kDrop},
    Option{"pernode", 0, Fate::kDrop},
    Option{"bycore", 0, Fate::kDrop},
    Option{"bynode", 0, Fate::kDrop},
    Option{"byslot", 0, Fate::kDrop},
    Option{"cpus-per-proc", 1, Fate::kDrop},
    Option{"cpus-per-rank", 1, Fate::kDrop},
    Option{"nolocal", 0, Fate::kDrop},
    Option{"oversubscribe", 0, Fate::kDrop},
    Option{"nooversubscribe", 0, Fate::kDrop},
    Option{"max-vm-size", 1, Fate::kDrop},
    Option{"novm", 0, Fate::kDrop},
    Option{"wd", 1, Fate::kDrop},
    Option{"wdir", 1, Fate::kDrop},
    Option{"set-cwd-to-session-dir", 0, Fate::kDrop},
    // About one run of mpirun.
    Option{"report-pid", 1, Fate::kDrop},
    Option{"report-uri", 1, Fate::kDrop},
    Option{"timeout", 1, Fate::kDrop},
    Option{"report-state-on-timeout", 0, Fate::kDrop},
    Option{"get-stack-traces", 0, Fate::kDrop},
    Option{"output-proctable", 0, Fate::kDrop},
    Option{"display-allocation", 0, Fate::kDrop},
    Option{"display-devel-allocation", 0, Fate::kDrop},
    Option{"display-map", 0, Fate::kDrop},
    Option{"display-devel-map", 0, Fate::kDrop},
    Option{"display-diffable-map", 0, Fate::kDrop},
    Option{"display-topo", 0, Fate::kDrop},
    Option{"report-bindings", 0, Fate::kDrop},
    Option{"report-events", 1, Fate::kDrop},
    Option{"show-progress", 0, Fate::kDrop},
    Option{"preload-files", 1, Fate::kDrop},
    Option{"preload-binary", 0, Fate::kDrop},
    Option{"s", 0, Fate::kDrop},
    Option{"enable-recovery", 0, Fate::kDrop},
    Option{"disable-recovery", 0, Fate::kDrop},
    Option{"max-restarts", 1, Fate::kDrop},
    Option{"continuous", 0, Fate::kDrop},
    // How it runs, how its output looks.
    Option{"mca", 2, Fate::kKeep},
    Option{"gmca", 2, Fate::kKeep},
    Option{"am", 1, Fate::kKeep},
    Option{"tune", 1, Fate::kKeep},
    Option{"bind-to", 1, Fate::kKeep},
    Option{"bind-to-core", 0, Fate::kKeep},
    Option{"bind-to-socket", 0, Fate::kKeep},
    Option{"use-hwthread-cpus", 0, Fate::kKeep},
    Option{"cpu-list", 1, Fate::kKeep},
    Option{"cpu-set", 1, Fate::kKeep},
    Option{"allow-run-as-root", 0, Fate::kKeep},
    Option{"prefix", 1, Fate::kKeep},
    Option{"noprefix", 0, Fate::kKeep},
    Option{"path", 1, Fate::kKeep},
    Option{"personality", 1, Fate::kKeep},
    Option{"launch-agent", 1, Fate::kKeep},
    Option{"do-not-resolve", 0, Fate::kKeep},
    Option{"use-regexp", 0, Fate::kKeep},
    Option{"enable-instant-on-support", 0, Fate::kKeep},
    Option{"fwd-mpirun-port", 0, Fate::kKeep},
    Option{"tmpdir", 1, Fate::kKeep},
    Option{"stdin", 1, Fate::kKeep},
    Option{"tag-output", 0, Fate::kKeep},
    Option{"timestamp-output", 0, Fate::kKeep},
    Option{"merge-stderr-to-stdout", 0, Fate::kKeep},
    Option{"output-filename", 1, Fate::kKeep},
    Option{"xml", 0, Fate::kKeep},
    Option{"xml-file", 1, Fate::kKeep},
    Option{"index-argv-by-rank", 0, Fate::kKeep},
    Option{"report-child-jobs-separately", 0, Fate::kKeep},
    Option{"q", 0, Fate::kKeep},
    Option{"quiet", 0, Fate::kKeep},
    Option{"v", 0, Fate::kKeep},
    Option{"verbose", 0, Fate::kKeep},
    Option{"debug-daemons", 0, Fate::kKeep},
    Option{"debug-daemons-file", 0, Fate::kKeep},
    Option{"leave-session-attached", 0, Fate::kKeep},
    // Special.
    Option{"x", 1, Fate::kExport},
    Option{"app", 1, Fate::kApplicationFile},
};

LauncherCommand Problem(std::string text, bool several_programs = false) {
  LauncherCommand command;
  command.problem = std::move(text);
  command.several_programs = several_programs;
  return command;
}

}  // namespace

LauncherCommand ParseLauncherCommand(const std::vector<std::string>& arguments) {
  LauncherCommand command;
  std::size_t at = 1;
  while (at < arguments.size() && arguments[at].size() > 1 && arguments[at][0] == '-') {
    std::string_view name = arguments[at];
    name.remove_prefix(name.starts_with("--") ? 2 : 1);
    const auto option = std::find_if(kOptions.begin(), kOptions.end(),
                                     [&](const Option& known) { return known.name == name; });
    if (option == kOptions.end()) {
      return Problem("mpirun's option '" + arguments[at] + "' is not known here");
    }
    const auto end = at + 1 + static_cast<std::size_t>(option->values);
    if (end > arguments.size()) {
      return Problem("mpirun's option '" + arguments[at] + "' has no value");
    }
    switch (option->fate) {
      case Fate::kDrop:
        break;
      case Fate::kKeep:
        command.kept.insert(command.kept.end(), arguments.begin() + static_cast<std::ptrdiff_t>(at),
                            arguments.begin() + static_cast<std::ptrdiff_t>(end));
        break;
      case Fate::kExport:
        command.exported.push_back(arguments[at + 1].substr(0, arguments[at + 1].find('=')));
        break;
      case Fate::kApplicationFile:
        return Problem("mpirun was given an application file (--app " + arguments[at + 1] + ")",
                       true);
    }
    at = end;
  }
  command.program.assign(
      arguments.begin() + static_cast<std::ptrdiff_t>(std::min(at, arguments.size())),
      arguments.end());
  if (command.program.empty()) return Problem("mpirun's command line names no program");
  // mpirun cuts its command line at each lone colon, also among the program's arguments.
  if (std::find(command.program.begin(), command.program.end(), ":") != command.program.end()) {
    return Problem("mpirun was given several programs (separated by ':')", true);
  }
  return command;
}

}  // namespace ftmpi::recovery
