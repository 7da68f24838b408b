// Determinants as bytes on the wire. Format: logging/WIRE.md, "Protocol data".
//
// Consecutive determinants of one rank that describe consecutive messages of one sender take one
// record together (thesis 3.2.5: one contiguous range of RSNs per packet).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "logging/determinant.h"

namespace ftmpi::logging {

// LEB128: seven bits per byte, least significant first.
void PutVarint(std::vector<std::byte>* out, std::uint64_t value);
// Takes a number off the front of `in`. False: truncated, longer than 64 bits, or not in its
// shortest form.
[[nodiscard]] bool GetVarint(std::span<const std::byte>* in, std::uint64_t* value);

// Writes determinants to `out`, joining neighbours into ranges. Finish() before `out` is used.
class DeterminantEncoder {
 public:
  explicit DeterminantEncoder(std::vector<std::byte>* out) : out_(out) {}

  // Starts anew: `out` begins a new message.
  void Reset();
  void Add(const Determinant& determinant);
  void Finish();

 private:
  std::vector<std::byte>* out_;
  Determinant first_;                // of the range that is being built
  std::uint64_t count_ = 0;          // determinants in it
  std::int32_t previous_rank_ = -1;  // end of the range written last
  std::uint64_t previous_index_ = 0;
};

// Reads them back.
class DeterminantDecoder {
 public:
  // Ranks must be less than `size`; at most `maximum` determinants are taken from one message.
  DeterminantDecoder(int size, std::size_t maximum) : size_(size), maximum_(maximum) {}

  void Reset();
  // Takes one record off the front of `in` and appends its determinants to `out`. False: malformed
  // (then `in` and `out` are undefined). Never reads outside `in`.
  [[nodiscard]] bool Next(std::span<const std::byte>* in, std::vector<Determinant>* out);

 private:
  int size_;
  std::size_t maximum_;
  std::size_t taken_ = 0;
  std::int32_t previous_rank_ = -1;
  std::uint64_t previous_index_ = 0;
};

// The low four bits of a record's first byte: an EventKind, or what logging/protocol_data.h adds.
inline constexpr std::uint8_t kRecordKindMask = 0x0f;

}  // namespace ftmpi::logging
