#include "tests/checkpoint/image/image_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "checkpoint/image/image_error.h"

namespace ftmpi::image_test {
namespace {

using image::ImageError;

constexpr std::uint64_t kPage = 4096;

bool IsZero(const char* bytes, std::uint64_t length) {
  return length == 0 || (bytes[0] == 0 && std::memcmp(bytes, bytes + 1, length - 1) == 0);
}

bool WriteAll(int descriptor, const void* data, std::uint64_t length, std::uint64_t offset) {
  const auto* bytes = static_cast<const char*>(data);
  while (length > 0) {
    const ssize_t written = pwrite(descriptor, bytes, length, static_cast<off_t>(offset));
    if (written <= 0) return false;
    bytes += written;
    offset += static_cast<std::uint64_t>(written);
    length -= static_cast<std::uint64_t>(written);
  }
  return true;
}

void ReadAll(int descriptor, void* data, std::uint64_t length, std::uint64_t offset) {
  auto* bytes = static_cast<char*>(data);
  while (length > 0) {
    const ssize_t got = pread(descriptor, bytes, length, static_cast<off_t>(offset));
    if (got <= 0)
      throw ImageError("the image file can't be read: " +
                       std::string(got == 0 ? "too short" : std::strerror(errno)));
    bytes += got;
    offset += static_cast<std::uint64_t>(got);
    length -= static_cast<std::uint64_t>(got);
  }
}

bool In(std::span<const checkpoint::PageRange> ranges, std::uint64_t page) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const auto& range) { return page - range.first < range.count; });
}

bool Listed(const checkpoint::Section& section, std::uint64_t page) {
  if ((section.flags & checkpoint::kSectionListedPages) == 0) return true;
  return In({reinterpret_cast<const checkpoint::PageRange*>(section.ranges), section.range_count},
            page);
}

struct BlobHeader {
  char name[64];
  std::uint64_t size;
};

}  // namespace

bool FileSink::Put(const image::Image& image) {
  const int file = open(path_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const std::uint64_t counts[2] = {image.sections.size(), image.blobs.size()};
  std::uint64_t offset = 0;
  const auto append = [&](const void* data, std::uint64_t length) {
    const bool ok = WriteAll(file, data, length, offset);
    offset += length;
    return ok;
  };
  bool ok = append(counts, sizeof counts);
  for (const auto& section : image.sections) {
    ok = ok && append(&section, sizeof section) &&
         append(reinterpret_cast<const void*>(section.ranges),
                section.range_count * sizeof(checkpoint::PageRange));
  }
  for (const auto& blob : image.blobs) {
    BlobHeader header{};
    std::strncpy(header.name, blob.name.c_str(), sizeof header.name - 1);
    header.size = blob.bytes.size();
    ok = ok && append(&header, sizeof header) && append(blob.bytes.data(), blob.bytes.size());
  }
  // Pages of zeros are left out as holes of the file.
  for (const auto& section : image.sections) {
    const auto* bytes = reinterpret_cast<const char*>(section.address);
    for (std::uint64_t at = 0; at < section.length; at += kPage) {
      const std::uint64_t length = std::min(kPage, section.length - at);
      if (Listed(section, at / kPage) && !IsZero(bytes + at, length))
        ok = ok && WriteAll(file, bytes + at, length, offset + at);
    }
    offset += section.length;
  }
  ok = ok && ftruncate(file, static_cast<off_t>(offset)) == 0;
  return close(file) == 0 && ok;
}

FileSource::FileSource(const std::string& path)
    : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (descriptor_ < 0) throw ImageError("the image file " + path + " can't be opened");
  constexpr int kOutOfTheWay = 250;
  const int high = fcntl(descriptor_, F_DUPFD_CLOEXEC, kOutOfTheWay);
  close(descriptor_);
  descriptor_ = high;
  std::uint64_t counts[2] = {0, 0};
  ReadAll(descriptor_, counts, sizeof counts, 0);
  std::uint64_t offset = sizeof counts;
  sections_.resize(counts[0]);
  ranges_.resize(counts[0]);
  for (std::size_t i = 0; i < sections_.size(); ++i) {
    ReadAll(descriptor_, &sections_[i], sizeof sections_[i], offset);
    offset += sizeof sections_[i];
    ranges_[i].resize(sections_[i].range_count);
    const std::uint64_t size = ranges_[i].size() * sizeof(checkpoint::PageRange);
    ReadAll(descriptor_, ranges_[i].data(), size, offset);
    offset += size;
  }
  const std::string base = path + ".base";
  if (access(base.c_str(), R_OK) == 0) base_ = std::make_unique<FileSource>(base);
  for (std::uint64_t i = 0; i < counts[1]; ++i) {
    BlobHeader header{};
    ReadAll(descriptor_, &header, sizeof header, offset);
    offset += sizeof header;
    auto& bytes = blobs_[header.name];
    bytes.resize(header.size);
    ReadAll(descriptor_, bytes.data(), header.size, offset);
    offset += header.size;
  }
  for (const auto& section : sections_) {
    offsets_.push_back(offset);
    offset += section.length;
  }
}

std::span<const std::byte> FileSource::FindBlob(const std::string& name) {
  const auto found = blobs_.find(name);
  if (found == blobs_.end()) throw ImageError("the image file has no " + name);
  return found->second;
}

bool FileSource::Lists(std::size_t index, std::uint64_t page) const {
  return (sections_[index].flags & checkpoint::kSectionListedPages) == 0 ||
         In(ranges_[index], page);
}

bool FileSource::ReadPage(std::uint64_t address, std::uint64_t length, std::byte* to) {
  for (std::size_t i = 0; i < sections_.size(); ++i) {
    const std::uint64_t at = address - sections_[i].address;
    if (at >= sections_[i].length || !Lists(i, at / kPage)) continue;
    ReadAll(descriptor_, to, std::min(length, sections_[i].length - at), offsets_[i] + at);
    return true;
  }
  return base_ != nullptr && base_->ReadPage(address, length, to);
}

void FileSource::Read(const checkpoint::Section& section) {
  const auto index = static_cast<std::size_t>(&section - sections_.data());
  auto* bytes = reinterpret_cast<std::byte*>(section.address);
  if ((section.flags & checkpoint::kSectionListedPages) == 0) {
    try {
      ReadAll(descriptor_, bytes, section.length, offsets_[index]);
    } catch (const ImageError& error) {
      throw ImageError(std::string(error.what()) + " (section " + section.name + " of " +
                       std::to_string(section.length) + " bytes)");
    }
    return;
  }
  for (std::uint64_t at = 0; at < section.length; at += kPage) {
    if (!ReadPage(section.address + at, std::min(kPage, section.length - at), bytes + at))
      throw ImageError("no file of the chain has a page of " + std::string(section.name));
  }
}

}  // namespace ftmpi::image_test
