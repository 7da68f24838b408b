#include "checkpoint/zstd_filter.h"

#include <hdf5.h>
#include <zstd.h>

#include <cstdlib>
#include <memory>

namespace ftmpi::checkpoint {
namespace {

// HDF5's contract: *buffer is from malloc; on success it is replaced and the number of valid bytes
// returned; 0 is failure (and, for an optional filter, "leave the chunk as it is").
std::size_t Filter(unsigned flags, std::size_t parameters, const unsigned* values,
                   std::size_t bytes, std::size_t* size, void** buffer) {
  const auto replace = [&](void* by, std::size_t length, std::size_t capacity) {
    std::free(*buffer);
    *buffer = by;
    *size = capacity;
    return length;
  };
  if ((flags & H5Z_FLAG_REVERSE) != 0) {
    const unsigned long long length = ZSTD_getFrameContentSize(*buffer, bytes);
    constexpr unsigned long long kLimit = std::size_t{1} << 32;  // of an HDF5 chunk
    if (length == ZSTD_CONTENTSIZE_UNKNOWN || length == ZSTD_CONTENTSIZE_ERROR || length == 0 ||
        length > kLimit) {
      return 0;
    }
    void* out = std::malloc(length);
    if (out == nullptr) return 0;
    const std::size_t got = ZSTD_decompress(out, length, *buffer, bytes);
    if (ZSTD_isError(got) != 0 || got != length) {
      std::free(out);
      return 0;
    }
    return replace(out, got, length);
  }
  const std::size_t capacity = ZSTD_compressBound(bytes);
  void* out = std::malloc(capacity);
  if (out == nullptr) return 0;
  const int level = parameters > 0 ? static_cast<int>(values[0]) : ZSTD_CLEVEL_DEFAULT;
  const std::size_t got = ZSTD_compress(out, capacity, *buffer, bytes, level);
  if (ZSTD_isError(got) != 0 || got >= bytes) {
    std::free(out);
    return 0;
  }
  return replace(out, got, capacity);
}

}  // namespace

const void* ZstdFilterClass() {
  static const H5Z_class2_t filter = {H5Z_CLASS_T_VERS, kZstdFilter, 1,       1,
                                      "Zstandard",      nullptr,     nullptr, Filter};
  return &filter;
}

bool ZstdCompress(std::span<const std::byte> data, int level, std::vector<std::byte>* out) {
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  static const std::unique_ptr<ZSTD_CCtx, Free> context(ZSTD_createCCtx());
  if (!context) return false;
  out->resize(ZSTD_compressBound(data.size()));
  const std::size_t got =
      ZSTD_compressCCtx(context.get(), out->data(), out->size(), data.data(), data.size(), level);
  if (ZSTD_isError(got) != 0 || got >= data.size()) return false;
  out->resize(got);
  return true;
}

bool ZstdDecompress(std::span<const std::byte> frame, std::span<std::byte> out) {
  if (ZSTD_getFrameContentSize(frame.data(), frame.size()) != out.size()) return false;
  const std::size_t got = ZSTD_decompress(out.data(), out.size(), frame.data(), frame.size());
  return ZSTD_isError(got) == 0 && got == out.size();
}

}  // namespace ftmpi::checkpoint
