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

// LEB128: seven bits per byte, least significant first. Writes up to kMaximumVarint bytes at `at`;
// returns the end of what was written.
inline constexpr std::size_t kMaximumVarint = 10;
inline std::byte* PutVarint(std::byte* at, std::uint64_t value) {
  while (value >= 0x80) {
    *at++ = static_cast<std::byte>(value | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<std::byte>(value);
  return at;
}

// Takes a number off the front of `in`. False: truncated, longer than 64 bits, or not in its
// shortest form.
[[nodiscard]] bool GetLongVarint(std::span<const std::byte>* in, std::uint64_t* value);
[[nodiscard]] inline bool GetVarint(std::span<const std::byte>* in, std::uint64_t* value) {
  if (in->empty() || (in->front() & std::byte{0x80}) != std::byte{0}) {
    return GetLongVarint(in, value);
  }
  *value = static_cast<std::uint64_t>(in->front());
  *in = in->subspan(1);
  return true;
}

// Appends up to `kMaximum` bytes to `out`: `write` gets the place, returns the end.
template <std::size_t kMaximum, typename Write>
void AppendBytes(std::vector<std::byte>* out, Write write) {
  const std::size_t size = out->size();
  out->resize(size + kMaximum);
  std::byte* end = write(out->data() + size);
  out->resize(static_cast<std::size_t>(end - out->data()));
}

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
