// Blobs of plain values, texts and arrays, in the order they were written. Reader and writer are of
// one build (images name it); a reader checks all lengths.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "checkpoint/image/image_error.h"

namespace ftmpi::image {

class Encoder {
 public:
  template <typename T>
  Encoder& Value(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return Bytes(&value, sizeof value);  // NOLINT(bugprone-sizeof-expression): pointers, too
  }
  Encoder& Text(const std::string& text) {
    Value<std::uint64_t>(text.size());
    return Bytes(text.data(), text.size());
  }
  Encoder& Bytes(const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), begin, begin + size);
    return *this;
  }
  std::vector<std::byte> Take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

class Decoder {
 public:
  // `name` is for messages.
  Decoder(std::span<const std::byte> bytes, std::string name)
      : bytes_(bytes), name_(std::move(name)) {}

  template <typename T>
  T Value() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    Bytes(&value, sizeof value);  // NOLINT(bugprone-sizeof-expression): pointers, too
    return value;
  }
  std::string Text() {
    const auto size = Value<std::uint64_t>();
    Need(size);
    std::string text(size, '\0');
    Bytes(text.data(), size);
    return text;
  }
  void Bytes(void* data, std::size_t size) {
    Need(size);
    if (size != 0) std::memcpy(data, bytes_.data() + position_, size);
    position_ += size;
  }
  // A number of things of which each takes at least `least` bytes.
  std::uint64_t Count(std::size_t least) {
    const auto count = Value<std::uint64_t>();
    if (count > (bytes_.size() - position_) / least) Need(bytes_.size() + 1);
    return count;
  }

 private:
  void Need(std::uint64_t size) const {
    if (size > bytes_.size() - position_) {
      throw ImageError("the image's " + name_ + " is damaged: it ends at byte " +
                       std::to_string(bytes_.size()) + "; use another checkpoint");
    }
  }

  std::span<const std::byte> bytes_;
  std::string name_;
  std::size_t position_ = 0;
};

}  // namespace ftmpi::image
