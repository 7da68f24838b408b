#include "logging/stream_copy.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

namespace ftmpi::logging {
namespace {

// Every alignment of both ends around the length from which it streams: the bytes arrive, and none
// beside them are touched.
TEST(StreamCopy, CopiesExactlyTheBytes) {
  constexpr std::size_t kGuard = 128;
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, kStreamCopyFrom - 1, kStreamCopyFrom, kStreamCopyFrom + 63,
        3 * kStreamCopyFrom + 17}) {
    for (std::size_t to = 0; to < 64; to += 7) {
      for (std::size_t from = 0; from < 16; from += 5) {
        std::vector<std::byte> source(length + kGuard);
        for (std::size_t n = 0; n < source.size(); ++n)
          source[n] = static_cast<std::byte>(n * 31 + n / 251);
        std::vector<std::byte> target(length + 2 * kGuard, std::byte{0xEE});
        StreamCopy(target.data() + to, source.data() + from, length);
        for (std::size_t n = 0; n < target.size(); ++n) {
          const bool inside = n >= to && n < to + length;
          ASSERT_EQ(target[n], inside ? source[from + n - to] : std::byte{0xEE})
              << "byte " << n << ", length " << length << ", offsets " << to << " and " << from;
        }
      }
    }
  }
}

}  // namespace
}  // namespace ftmpi::logging
