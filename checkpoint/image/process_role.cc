#include "checkpoint/image/process_role.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "checkpoint/image/arena.h"

namespace ftmpi::image {

bool g_memory_is_libcs = false;

namespace {

Role g_role = Role::kUndecided;
const char* g_failure = nullptr;

// getenv may not be used as early as this runs.
const char* Find(const char* name) {
  const std::size_t length = std::strlen(name);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
      return *entry + length + 1;
  }
  return nullptr;
}

std::uint64_t ExecutableInode() {
  struct stat status {};
  return stat("/proc/self/exe", &status) == 0 ? status.st_ino : 0;
}

struct Mark {
  Role role = Role::kInert;
  std::uint64_t pid = 0;
  std::uint64_t inode = 0;
};

std::uint64_t Number(const char** text) {
  std::uint64_t number = 0;
  for (; **text >= '0' && **text <= '9'; ++*text)
    number = number * 10 + static_cast<std::uint64_t>(**text - '0');
  return number;
}

Mark ReadMark() {
  Mark mark;
  const char* text = Find(kRoleVariable);
  if (text == nullptr) return mark;
  for (const Role role : {Role::kRecord, Role::kRestore}) {
    const char* name = role == Role::kRecord ? "record:" : "restore:";
    if (std::strncmp(text, name, std::strlen(name)) != 0) continue;
    text += std::strlen(name);
    mark.role = role;
    mark.pid = Number(&text);
    if (*text == ':') ++text;
    mark.inode = Number(&text);
    return mark;
  }
  return mark;
}

Role MarkedRole() {
  const Mark mark = ReadMark();
  const bool ours =
      mark.pid == static_cast<std::uint64_t>(getpid()) && mark.inode == ExecutableInode();
  return ours ? mark.role : Role::kInert;
}

}  // namespace

Role CurrentRole() {
  if (g_role != Role::kUndecided) return g_role;
  if (environ == nullptr) return Role::kUndecided;
  Role role = MarkedRole();
  // Before the first thread: no lock. The role is set first, since Create allocates nothing but
  // what it makes itself.
  if (role != Role::kInert) {
    g_failure = arena::Reserve();
    if (g_failure == nullptr && role == Role::kRecord && !arena::Create())
      g_failure = "there is no memory for the arena";
    if (g_failure != nullptr) role = Role::kInert;
  }
  g_role = role;
  g_memory_is_libcs = role == Role::kInert;
  return role;
}

std::string RoleMark(Role role) {
  return std::string(kRoleVariable) + (role == Role::kRestore ? "=restore:" : "=record:") +
         std::to_string(getpid()) + ":" + std::to_string(ExecutableInode());
}

bool IsChildOfMarked() {
  const Mark mark = ReadMark();
  return mark.pid != 0 && mark.pid != static_cast<std::uint64_t>(getpid());
}

const char* RoleFailure() { return g_failure; }

bool ArenaActive() { return CurrentRole() == Role::kRecord; }

void BecomeRecording() { g_role = Role::kRecord; }
void BecomeInert() { g_role = Role::kInert; }

}  // namespace ftmpi::image
