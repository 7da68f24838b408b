// A trivial file of an image, for tests: count of sections and blobs, their descriptions, their
// bytes. Stands in for the checkpoint store.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "checkpoint/image/source.h"

namespace ftmpi::image_test {

class FileSink : public image::Sink {
 public:
  explicit FileSink(std::string path) : path_(std::move(path)) {}
  bool Put(const image::Image& image) override;

 private:
  std::string path_;
};

class FileSource : public image::Source {
 public:
  explicit FileSource(const std::string& path);  // throws ImageError
  std::span<const std::byte> FindBlob(const std::string& name) override;
  std::span<const checkpoint::Section> Sections() override { return sections_; }
  void Read(const checkpoint::Section& section) override;

 private:
  int descriptor_;
  std::vector<checkpoint::Section> sections_;
  std::vector<std::uint64_t> offsets_;
  std::map<std::string, std::vector<std::byte>> blobs_;
};

}  // namespace ftmpi::image_test
