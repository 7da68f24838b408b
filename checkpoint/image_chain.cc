#include "checkpoint/image_chain.h"

#include <algorithm>
#include <cstdio>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/store_error.h"

namespace ftmpi::checkpoint {

ImageChain::ImageChain(logging::Environment* environment, const std::string& root,
                       CheckpointKind kind, std::uint64_t csn, std::int32_t rank) {
  std::uint64_t expected_seal = 0;
  for (;;) {
    const std::string path = PathOf(root, kind, csn, rank);
    auto file = std::make_unique<RankFileReader>(environment, path);
    const CheckpointAttributes& of = file->attributes();
    if (of.csn != csn || of.rank != rank || of.kind != kind ||
        (!files_.empty() && of.job != newest().attributes().job)) {
      throw StoreError(path + ": of another job, checkpoint or rank than its name says");
    }
    if (!files_.empty() && file->seal() != expected_seal) {
      throw StoreError(path + ": not the file that " + files_.back()->path() +
                       " builds on (its seal is another); files of two checkpoints were mixed");
    }
    const std::uint64_t base = of.base_csn;
    expected_seal = file->identity().base_seal;
    files_.push_back(std::move(file));
    if (base == kNoBase) return;
    if (files_.size() >= kMaximumChain) {
      throw StoreError(path + ": more than " + std::to_string(kMaximumChain) +
                       " files build on each other");
    }
    csn = base;
  }
}

// Appends the pieces of addresses [begin, end) as files `file` and older have them.
void ImageChain::Find(std::size_t file, std::uint64_t begin, std::uint64_t end,
                      std::uint64_t section_address, std::vector<Piece>* pieces) {
  if (begin >= end) return;
  if (file == files_.size()) {
    char where[64];
    std::snprintf(where, sizeof where, "0x%llx to 0x%llx", static_cast<unsigned long long>(begin),
                  static_cast<unsigned long long>(end));
    throw StoreError(newest().path() + ": damaged: memory " + where +
                     " is in none of the files that it builds on");
  }
  const std::vector<StoredSection>& sections = files_[file]->sections();
  auto at = std::partition_point(sections.begin(), sections.end(), [&](const StoredSection& each) {
    return each.section.address + each.section.length <= begin;
  });
  for (; at != sections.end() && at->section.address < end && begin < end; ++at) {
    const std::uint64_t base = at->section.address;
    const std::uint64_t limit = std::min(end, base + at->section.length);
    if (base > begin) {
      Find(file + 1, begin, base, section_address, pieces);
      begin = base;
    }
    auto run = std::partition_point(at->runs.begin(), at->runs.end(), [&](const PageRun& each) {
      return base + (each.first_page + each.pages) * kPageSize <= begin;
    });
    for (; run != at->runs.end() && begin < limit; ++run) {
      const std::uint64_t run_begin = base + run->first_page * kPageSize;
      const std::uint64_t run_end = std::min(run_begin + run->pages * kPageSize, limit);
      if (run_begin >= limit) break;
      if (run_begin > begin) {
        Find(file + 1, begin, run_begin, section_address, pieces);
        begin = run_begin;
      }
      Piece piece{};
      piece.offset = begin - section_address;
      piece.length = run_end - begin;
      piece.zero = run->zero != 0;
      piece.file = file;
      piece.section = static_cast<std::size_t>(at - sections.begin());
      piece.data_offset =
          at->data_offsets[static_cast<std::size_t>(run - at->runs.begin())] + (begin - run_begin);
      pieces->push_back(piece);
      begin = run_end;
    }
    Find(file + 1, begin, limit, section_address, pieces);
    begin = std::max(begin, limit);
  }
  Find(file + 1, begin, end, section_address, pieces);
}

std::vector<ImageChain::Piece> ImageChain::Resolve(std::size_t section) {
  const Section& of = newest().sections().at(section).section;
  std::vector<Piece> pieces;
  Find(0, of.address, of.address + of.length, of.address, &pieces);
  return pieces;
}

void ImageChain::Read(const Piece& piece, std::uint64_t offset_in_piece,
                      std::span<std::byte> buffer) {
  if (piece.zero) {
    std::fill(buffer.begin(), buffer.end(), std::byte{0});
    return;
  }
  files_[piece.file]->ReadSectionData(piece.section, piece.data_offset + offset_in_piece, buffer);
}

void ImageChain::CheckAll() {
  for (const auto& file : files_) file->CheckAll();
  for (std::size_t i = 0; i < newest().sections().size(); ++i) Resolve(i);
}

}  // namespace ftmpi::checkpoint
