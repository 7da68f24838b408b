// A trivial file of an image, for tests: counts of sections, blobs and listed page ranges, their
// descriptions, their bytes. Stands in for the checkpoint store. An incremental image builds on the
// file named by its link ("<path>.base").
#pragma once

#include <map>
#include <memory>
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
  // Reads the page at `address` from this file if it has it, else from the one that it builds on.
  bool ReadPage(std::uint64_t address, std::uint64_t length, std::byte* to);
  bool Lists(std::size_t index, std::uint64_t page) const;

  std::unique_ptr<FileSource> base_;
  std::vector<std::vector<checkpoint::PageRange>> ranges_;
  int descriptor_;
  std::vector<checkpoint::Section> sections_;
  std::vector<std::uint64_t> offsets_;
  std::map<std::string, std::vector<std::byte>> blobs_;
};

}  // namespace ftmpi::image_test
