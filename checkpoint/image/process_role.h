// What this process is to the image library: decided once, from a mark that startup.cc leaves in
// the environment when it executes the program anew without address randomisation:
//
//   FTMPI_IMAGE=record:<pid>:<inode>    memory goes to the arena, images can be taken
//   FTMPI_IMAGE=restore:<pid>:<inode>   an image will be mapped; nothing goes to the arena before
//
// The process id makes children of such a process (system(), popen(), fork and exec) inert; the
// inode of the executable tells a program that the process executes in its own place.
#pragma once

#include <cstdint>
#include <string>

namespace ftmpi::image {

enum class Role : std::uint8_t {
  kUndecided,  // so early in the start of the process that there is no environment yet
  kInert,
  kRecord,
  kRestore,  // until the image is mapped, then kRecord
};

inline constexpr char kRoleVariable[] = "FTMPI_IMAGE";

// "FTMPI_IMAGE=..." for this process.
std::string RoleMark(Role role);
// True if the mark is that of another process: this one is a child of a rank.
bool IsChildOfMarked();

// True once the process is known to get no image: all memory is libc's then, as without the
// library. Looked at first by malloc and its kin.
extern bool g_memory_is_libcs;

// Allocates nothing; may be called at any time.
Role CurrentRole();
// Why the role that the environment names could not be taken; nullptr: it could, or names none.
const char* RoleFailure();
// True if the program's allocations belong to the arena now.
bool ArenaActive();
// The image is mapped: this process is what the captured one was.
void BecomeRecording();
// The arena can't be used after all.
void BecomeInert();

}  // namespace ftmpi::image
