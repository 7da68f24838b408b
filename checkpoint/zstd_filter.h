// The HDF5 filter Zstandard (registered id 32015), as the public plug-ins have it: a chunk is one
// zstd frame with its content size. Ours, because Debian brings none for HDF5 1.10.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ftmpi::checkpoint {

inline constexpr int kZstdFilter = 32015;

// Makes it known to HDF5. False: HDF5 refused.
bool RegisterZstdFilter();

// Compresses into `out` (resized); false when that would not be smaller or went wrong: store the
// bytes as they are.
bool ZstdCompress(std::span<const std::byte> data, int level, std::vector<std::byte>* out);
// Exactly out.size() bytes; false: not a frame of such content.
bool ZstdDecompress(std::span<const std::byte> frame, std::span<std::byte> out);

}  // namespace ftmpi::checkpoint
