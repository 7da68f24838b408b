// What the checkpoint servers of a job know each other by: JOBDIR/partner-secret, of mode 0600
// (checkpoint/LEVELS.md, Partners). Only libc: it runs in the rank before MPI is up.
#pragma once

#include <cstddef>
#include <string>

namespace ftmpi::checkpoint {

inline constexpr const char* kPartnerSecretName = "partner-secret";
inline constexpr std::size_t kPartnerSecretLength = 64;  // hexadecimal digits

// A new one, written to the job directory in place of an old one. Empty: `error` says why.
std::string DrawPartnerSecret(const std::string& job_directory, std::string* error);
// The one that was written. Empty: `error`.
std::string ReadPartnerSecret(const std::string& job_directory, std::string* error);

}  // namespace ftmpi::checkpoint
