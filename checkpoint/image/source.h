// Where an image goes to and comes from. Names of blobs: checkpoint/image/IMAGE.md.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/section.h"

namespace ftmpi::image {

struct Blob {
  std::string name;  // "process/<name>"
  std::vector<std::byte> bytes;
};

// All that is captured of a process. The sections' bytes are in the memory of the process that
// hands the image to a sink.
struct Image {
  std::vector<checkpoint::Section> sections;  // by address, without overlap
  std::vector<Blob> blobs;
  // Incremental: sections with kSectionListedPages point into these.
  std::vector<std::vector<checkpoint::PageRange>> written;
};

class Sink {
 public:
  Sink() = default;
  virtual ~Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  // Called in the frozen copy of the process. True when the image is safe. It may allocate; what it
  // allocates is never freed. Threads don't exist in the copy.
  virtual bool Put(const Image& image) = 0;
};

// Descriptors that a source uses must be out of the way of the program's: as high as possible.
class Source {
 public:
  Source() = default;
  virtual ~Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  // Throws ImageError when there is no such blob.
  virtual std::span<const std::byte> FindBlob(const std::string& name) = 0;
  virtual std::span<const checkpoint::Section> Sections() = 0;
  // Reads all bytes of a section to its address, also those pages that an incremental image does
  // not list: as they are in the images that it builds on. Throws ImageError. Must not allocate
  // from the arena.
  virtual void Read(const checkpoint::Section& section) = 0;
};

}  // namespace ftmpi::image
