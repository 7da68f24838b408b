#include "checkpoint/image/process_role.h"

#include <unistd.h>

#include <cstring>

#include "checkpoint/image/arena.h"

namespace ftmpi::image {
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

Role RoleOf(const char* mark) {
  if (mark == nullptr) return Role::kInert;
  long pid = 0;
  for (; *mark >= '0' && *mark <= '9' && pid < (1L << 40); ++mark) pid = pid * 10 + (*mark - '0');
  if (pid != getpid()) return Role::kInert;
  if (std::strcmp(mark, ":record") == 0) return Role::kRecord;
  if (std::strcmp(mark, ":restore") == 0) return Role::kRestore;
  return Role::kInert;
}

}  // namespace

Role CurrentRole() {
  if (g_role != Role::kUndecided) return g_role;
  if (environ == nullptr) return Role::kUndecided;
  Role role = RoleOf(Find(kRoleVariable));
  // Before the first thread: no lock. The role is set first, since Create allocates nothing but
  // what it makes itself.
  if (role != Role::kInert) {
    g_failure = arena::Reserve();
    if (g_failure == nullptr && role == Role::kRecord && !arena::Create())
      g_failure = "there is no memory for the arena";
    if (g_failure != nullptr) role = Role::kInert;
  }
  g_role = role;
  return role;
}

const char* RoleFailure() { return g_failure; }

bool ArenaActive() { return CurrentRole() == Role::kRecord; }

void BecomeRecording() { g_role = Role::kRecord; }
void BecomeInert() { g_role = Role::kInert; }

}  // namespace ftmpi::image
