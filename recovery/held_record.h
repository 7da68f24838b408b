// Output that a rank's companion held back when a checkpoint was made, on stable storage
// (coordinated mode, checkpoints of its own): a recovery that starts from the checkpoint shows it,
// since the program does not write it again. Format: recovery/JOB_DIRECTORY.md. All functions throw
// JobDirectoryError.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ftmpi::recovery {

// A piece of a stream's bytes, counted from the program's first.
struct HeldPiece {
  std::uint64_t start = 0;
  std::string bytes;

  // The bytes from `begin` up to `end`; nullopt: they are not all in the piece.
  [[nodiscard]] std::optional<std::string> Part(std::uint64_t begin, std::uint64_t end) const;
  bool operator==(const HeldPiece&) const = default;
};
struct HeldRecord {
  HeldPiece standard_output;
  HeldPiece standard_error;

  bool operator==(const HeldRecord&) const = default;
};

// output/rank-<r>.held
std::string HeldPath(const std::string& job_directory, int rank);
// Atomic and durable.
void WriteHeld(const std::string& path, std::uint64_t job, int rank, const HeldRecord& record);
// nullopt: no such file.
std::optional<HeldRecord> ReadHeld(const std::string& path, std::uint64_t job, int rank);

}  // namespace ftmpi::recovery
