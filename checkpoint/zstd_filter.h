// The HDF5 filter Zstandard (registered id 32015), as the public plug-ins have it: a chunk is one
// zstd frame with its content size. Ours, because Debian 12 brings none; zstd_plugin.cc makes it a
// plug-in for h5dump, h5py and others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ftmpi::checkpoint {

inline constexpr int kZstdFilter = 32015;

// The filter's H5Z_class2_t.
const void* ZstdFilterClass();

// Compresses into `out` (resized); false when that would not be smaller or went wrong: store the
// bytes as they are.
bool ZstdCompress(std::span<const std::byte> data, int level, std::vector<std::byte>* out);
// Exactly out.size() bytes; false: not a frame of such content.
bool ZstdDecompress(std::span<const std::byte> frame, std::span<std::byte> out);

}  // namespace ftmpi::checkpoint
