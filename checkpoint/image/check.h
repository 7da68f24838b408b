// Why a program, or this machine, can't have process images: found without running the program.
// The library asks at start; mpi-ft-check PROGRAM prints the same. What only shows at a capture
// (threads, sockets, deleted files) is named then: capture.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ftmpi::image {

enum class Obstacle : std::uint8_t {
  kUnreadable,     // not there, or may not be read
  kNotElf,         // a script, or a program of another kind
  kOtherMachine,   // not x86-64
  kStatic,         // not linked dynamically: nothing can be interposed
  kPrivileged,     // setuid, setgid or file capabilities: LD_PRELOAD is ignored
  kOwnMalloc,      // defines malloc itself
  kSanitizer,      // built with a sanitizer, which has its own memory layout
  kRandomisation,  // address randomisation can't be switched off here
  kAddressSpace,   // ulimit -v
  kProc,           // /proc is not mounted
};

struct Reason {
  Obstacle obstacle;
  std::string message;  // a sentence for the user: what and what to do about it
};

// Empty: nothing speaks against it.
std::vector<Reason> CheckProgram(const std::string& path);

// What an executable's file says of it.
struct ProgramFacts {
  bool dynamic = false;
  bool position_independent = false;
  std::string build_id;                // hexadecimal; empty: has none
  std::vector<std::string> libraries;  // that it needs itself (DT_NEEDED)
  std::vector<std::string> imports;    // dynamic symbols that it takes from libraries
};

// Empty facts for what CheckProgram refuses as no program of this machine.
ProgramFacts ReadProgramFacts(const std::string& path);
std::vector<Reason> CheckMachine();

// The messages, one after another.
std::string Joined(const std::vector<Reason>& reasons);

}  // namespace ftmpi::image
