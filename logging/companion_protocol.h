// What a rank (libftmpi.so) and its companion process say to each other: packets of fixed layout on
// a SOCK_SEQPACKET socket pair. Both ends come from one build and one host, so the layouts are
// native; the version guards against a companion of another installation. Described in
// logging/COMPANION.md.
#pragma once

#include <cstdint>

namespace ftmpi::logging {

inline constexpr std::uint32_t kCompanionMagic = 0x4d504346;  // "FCPM"
inline constexpr std::uint16_t kCompanionVersion = 1;

// Descriptors of the companion at its start.
inline constexpr int kCompanionChannel = 3;  // its end of the socket pair
inline constexpr int kCompanionOutputRead =
    4;  // what the rank writes to 1; a pipe or a pty's master
inline constexpr int kCompanionErrorRead = 5;    // what the rank writes to 2
inline constexpr int kCompanionOutputWrite = 6;  // the original descriptor 1
inline constexpr int kCompanionErrorWrite = 7;   // the original descriptor 2
inline constexpr int kCompanionInputRead = 8;    // the original descriptor 0
inline constexpr int kCompanionInputWrite = 9;   // what the rank reads from 0
inline constexpr int kCompanionDescriptors = 10;

enum class CompanionMessageType : std::uint16_t {
  // From the library.
  kRanks = 1,      // CompanionRanks; rank 0, before kAttach, as often as needed
  kAttach = 2,     // CompanionFacts; answered
  kSync = 3,       // no body; answered when all that is written so far has been taken
  kAborted = 4,    // CompanionCode: MPI_Abort(code)
  kFinalized = 5,  // no body: MPI_Finalize returned
  kNotice = 6,     // CompanionCode: a signal that may announce the job's end
  kExit = 7,       // CompanionCode: exit(code) runs
  kResumed = 9,    // no body: a job started from registered state goes on; answered
  // From the companion.
  kReply = 100,  // CompanionReply
};

struct CompanionHeader {
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t type;      // CompanionMessageType
  std::uint32_t length;    // of the body
  std::uint32_t sequence;  // of a message that is answered; repeated in the answer
};
static_assert(sizeof(CompanionHeader) == 16);

inline constexpr int kCompanionPath = 4096;  // zero-terminated
inline constexpr int kCompanionName = 256;   // zero-terminated
inline constexpr int kCompanionRanksPerMessage = 64;

struct CompanionFacts {
  std::uint64_t job;
  std::int32_t rank;
  std::int32_t np;
  std::uint32_t epoch;
  std::int32_t causal_f;
  std::uint8_t flush_events;
  std::uint8_t keep;
  std::uint8_t own_checkpoints;  // the rank takes checkpoints without the others
  std::uint8_t reserved[5];
  char mode[16];
  char failure_unit[16];
  char job_name[kCompanionName];
  char node[kCompanionName];
  char mpi_version[kCompanionName];
  char ftmpi_version[kCompanionName];
  char job_directory[kCompanionPath];
  char local_directory[kCompanionPath];
  char status_path[kCompanionPath];
};
static_assert(sizeof(CompanionFacts) == 64 + 4 * kCompanionName + 3 * kCompanionPath);

struct CompanionRankPlace {
  std::int64_t pid;
  std::uint64_t pid_start_time;
  char node[kCompanionName];
};
struct CompanionRanks {
  std::int32_t first;  // rank of places[0]
  std::int32_t count;
  CompanionRankPlace places[kCompanionRanksPerMessage];
};

struct CompanionCode {
  std::int32_t code;
  std::int32_t reserved;
};

struct CompanionReply {
  std::int32_t failed;  // 0: done
  std::int32_t reserved;
  char message[1024];  // zero-terminated; why, when failed
};

}  // namespace ftmpi::logging
