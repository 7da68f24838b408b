#include "pmpi/inject.h"

#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <string_view>
#include <vector>

#include "pmpi/message.h"

namespace ftmpi::inject {

bool g_armed = false;

namespace {

struct Injection {
  long rank = -1;
  std::string call = "any";
  long count = 1;
  int signal = SIGKILL;
  long epoch = 0;
};

std::vector<Injection> g_injections;

struct SignalName {
  const char* name;
  int number;
};
constexpr SignalName kSignals[] = {{"KILL", SIGKILL}, {"SEGV", SIGSEGV}, {"ABRT", SIGABRT},
                                   {"TERM", SIGTERM}, {"STOP", SIGSTOP}, {"BUS", SIGBUS},
                                   {"FPE", SIGFPE},   {"ILL", SIGILL}};

bool ParseNumber(std::string_view text, long minimum, long* number) {
  auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return code == std::errc() && rest == text.data() + text.size() && *number >= minimum;
}

bool ParseOne(std::string_view text, Injection* injection, std::string* error) {
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const std::size_t equals = item.find('=');
    const std::string_view key = item.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : item.substr(equals + 1);
    bool good = false;
    if (key == "rank") {
      good = ParseNumber(value, 0, &injection->rank);
    } else if (key == "count") {
      good = ParseNumber(value, 1, &injection->count);
    } else if (key == "epoch") {
      good = ParseNumber(value, 0, &injection->epoch);
    } else if (key == "call") {
      good = value == "any" || value.starts_with("MPI_");
      injection->call = value;
    } else if (key == "signal") {
      const std::string_view name = value.starts_with("SIG") ? value.substr(3) : value;
      for (const SignalName& known : kSignals) {
        if (name != known.name) continue;
        injection->signal = known.number;
        good = true;
      }
    }
    if (!good) {
      *error = "FT_INJECT: \"" + std::string(item) +
               "\" is not valid: use "
               "rank=R,call=MPI_Function|any,count=N,signal=KILL|SEGV|ABRT|TERM|STOP,epoch=E";
      return false;
    }
  }
  if (injection->rank < 0) {
    *error = "FT_INJECT names no rank: use rank=R,call=MPI_Function|any,count=N,signal=KILL";
    return false;
  }
  return true;
}

}  // namespace

bool Arm(const std::string& text, int rank, int size, unsigned epoch, std::string* error) {
  std::string_view rest = text;
  g_injections.clear();
  while (!rest.empty()) {
    const std::size_t semicolon = rest.find(';');
    Injection injection;
    if (!ParseOne(rest.substr(0, semicolon), &injection, error)) return false;
    rest = semicolon == std::string_view::npos ? std::string_view() : rest.substr(semicolon + 1);
    if (injection.rank >= size) {
      *error = "FT_INJECT: rank=" + std::to_string(injection.rank) +
               " is not a rank of this job of " + std::to_string(size);
      return false;
    }
    if (injection.rank == rank && injection.epoch == static_cast<long>(epoch))
      g_injections.push_back(injection);
  }
  g_armed = !g_injections.empty();
  return true;
}

void Count(const char* function) {
  for (Injection& injection : g_injections) {
    if (injection.call != "any" && std::strcmp(injection.call.c_str(), function) != 0) continue;
    if (--injection.count != 0) continue;
    kill(getpid(), injection.signal);
  }
}

}  // namespace ftmpi::inject
