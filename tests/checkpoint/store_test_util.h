// What the tests of the checkpoint store share: memory of this process as the memory that is
// checkpointed, with content that follows from a seed.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/memory_source.h"
#include "checkpoint/rank_file_writer.h"
#include "logging/log_error.h"

namespace ftmpi::checkpoint {

inline constexpr std::uint64_t kTestJob = 0x1234567890abcdef;

// Memory that stands for other addresses: an image as it would lie in another process.
class FakeMemory final : public MemorySource {
 public:
  void Add(std::uint64_t address, std::vector<std::byte>* bytes) {
    parts_.push_back({address, bytes});
  }
  using MemorySource::Read;
  void Read(std::span<const MemoryExtent> extents, std::span<std::byte> buffer) override {
    for (const MemoryExtent& extent : extents) {
      ReadOne(extent.address, buffer.first(extent.length));
      buffer = buffer.subspan(extent.length);
    }
  }

 private:
  void ReadOne(std::uint64_t address, std::span<std::byte> buffer) {
    for (const Part& part : parts_) {
      if (address >= part.address && address + buffer.size() <= part.address + part.bytes->size()) {
        std::memcpy(buffer.data(), part.bytes->data() + (address - part.address), buffer.size());
        return;
      }
    }
    std::memcpy(buffer.data(), reinterpret_cast<const void*>(address), buffer.size());
  }

  struct Part {
    std::uint64_t address;
    std::vector<std::byte>* bytes;
  };
  std::vector<Part> parts_;
};

inline std::vector<std::byte> Noise(std::size_t bytes, std::uint64_t seed) {
  std::vector<std::byte> result(bytes);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (std::byte& each : result) {
    state = state * 6364136223846793005 + 1442695040888963407;
    each = static_cast<std::byte>(state >> 56);
  }
  return result;
}

inline CheckpointAttributes TestAttributes(std::uint64_t csn, int rank = 0, int np = 1) {
  CheckpointAttributes attributes{};
  attributes.job = kTestJob;
  attributes.csn = csn;
  attributes.state_interval = 100 + csn;
  attributes.time = 1700000000000000000 + csn;
  attributes.epoch = 2;
  attributes.incarnation = 1;
  attributes.rank = rank;
  attributes.np = np;
  attributes.kind = CheckpointKind::kCoordinated;
  attributes.state = kStateImage;
  std::snprintf(attributes.program_build_id, sizeof attributes.program_build_id, "0123abcd");
  std::snprintf(attributes.ftmpi_version, sizeof attributes.ftmpi_version, "0.1.0");
  std::snprintf(attributes.mpi_version, sizeof attributes.mpi_version, "Open MPI v4.1.4");
  std::snprintf(attributes.node, sizeof attributes.node, "node%d", rank);
  return attributes;
}

inline Section TestSection(std::uint64_t address, std::uint64_t length, const char* name) {
  Section section{};
  section.address = address;
  section.length = length;
  section.protection = 3;
  section.kind = SectionKind::kArena;
  std::snprintf(section.name, sizeof section.name, "%s", name);
  return section;
}

template <typename T>
Dataset TestDataset(const char* name, ElementType type, const std::vector<T>& values) {
  Dataset dataset{};
  dataset.address = reinterpret_cast<std::uint64_t>(values.data());
  dataset.count = values.size() * sizeof(T) / ElementSize(type);
  dataset.type = type;
  std::snprintf(dataset.name, sizeof dataset.name, "%s", name);
  return dataset;
}

// The message of the LogError that `action` throws; "" when it throws none.
inline std::string ErrorOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const logging::LogError& error) {
    return error.what();
  }
  return "";
}

}  // namespace ftmpi::checkpoint
