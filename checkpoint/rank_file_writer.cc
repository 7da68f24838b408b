#include "checkpoint/rank_file_writer.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "checkpoint/hdf5_values.h"
#include "checkpoint/kind_names.h"
#include "checkpoint/store_error.h"

namespace ftmpi::checkpoint {
namespace {

using logging::Environment;

bool IsZero(std::span<const std::byte> page) {
  return page.empty() || (page[0] == std::byte{0} &&
                          std::memcmp(page.data(), page.data() + 1, page.size() - 1) == 0);
}

void Append(std::vector<PageRun>* runs, std::uint64_t page, bool zero) {
  if (!runs->empty()) {
    PageRun& last = runs->back();
    if (last.first_page + last.pages == page && last.zero == (zero ? 1U : 0U)) {
      ++last.pages;
      return;
    }
  }
  runs->push_back({page, 1, zero ? 1U : 0U});
}

class RankFileWriter {
 public:
  RankFileWriter(Hdf5File* file, const Manifest& manifest, MemorySource* memory,
                 const WriteOptions& options, WrittenFile* written)
      : file_(file), manifest_(manifest), memory_(memory), options_(options), written_(written) {}

  void Write() {
    WriteAttributes();
    // Groups in the middle of a dataset's name are made as needed.
    for (const char* group : {"engine", "process", "registered", "mtv"}) {
      const std::string prefix = std::string(group) + "/";
      if (std::any_of(
              manifest_.datasets.begin(), manifest_.datasets.end(),
              [&](const Dataset& each) { return std::string(each.name).starts_with(prefix); })) {
        Group(file_->id(), group);
      }
    }
    for (const Dataset& dataset : manifest_.datasets) WriteDataset(dataset);
    if ((manifest_.attributes.state & kStateImage) == 0) return;
    const Hdf5Handle image = Group(file_->id(), "image");
    for (std::size_t i = 0; i < manifest_.sections.size(); ++i) {
      WriteSection(image.get(), i, manifest_.sections[i]);
    }
  }

 private:
  Hdf5Handle Group(hid_t parent, const char* name) {
    return file_->Check(H5Gcreate2(parent, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose,
                        "create a group");
  }

  void WriteAttributes() {
    const CheckpointAttributes& of = manifest_.attributes;
    const hid_t root = file_->id();
    char job[32];
    std::snprintf(job, sizeof job, "%016" PRIx64, of.job);
    WriteText(file_, root, "format", "ftmpi checkpoint");
    WriteNumber(file_, root, "format_version", kFormatVersion);
    WriteText(file_, root, "job", job);
    WriteNumber(file_, root, "csn", of.csn);
    WriteNumber(file_, root, "base_csn", of.base_csn);
    WriteNumber(file_, root, "base_seal", options_.base_seal);
    WriteNumber(file_, root, "state_interval", of.state_interval);
    WriteNumber(file_, root, "time", of.time);
    WriteNumber(file_, root, "epoch", of.epoch);
    WriteNumber(file_, root, "incarnation", of.incarnation);
    WriteNumber(file_, root, "rank", static_cast<std::uint64_t>(of.rank));
    WriteNumber(file_, root, "np", static_cast<std::uint64_t>(of.np));
    WriteText(file_, root, "kind", KindName(of.kind));
    WriteText(file_, root, "state", StateName(of.state));
    WriteText(file_, root, "status", IsPermanentByItself(of.kind) ? "permanent" : "tentative");
    WriteText(file_, root, "program_build_id", of.program_build_id);
    WriteText(file_, root, "ftmpi_version", of.ftmpi_version);
    WriteText(file_, root, "mpi_version", of.mpi_version);
    WriteText(file_, root, "node", of.node);
  }

  void WriteDataset(const Dataset& dataset) {
    const std::uint64_t bytes = dataset.count * ElementSize(dataset.type);
    DatasetWriter writer(file_, file_->id(), dataset.name, dataset.type, bytes,
                         options_.compression);
    for (std::uint64_t done = 0; done < bytes;) {
      std::span<std::byte> room = writer.Room();
      room = room.first(std::min<std::uint64_t>(room.size(), bytes - done));
      memory_->Read(dataset.address + done, room);
      writer.Advance(room.size());
      done += room.size();
    }
    written_->data_bytes += writer.Finish();
  }

  std::vector<PageRange> Ranges(const Section& section) {
    const std::uint64_t pages = (section.length + kPageSize - 1) / kPageSize;
    if ((section.flags & kSectionListedPages) == 0) {
      if (pages == 0) return {};
      return {{0, pages}};
    }
    std::vector<PageRange> ranges(section.range_count);
    memory_->Read(section.ranges, std::as_writable_bytes(std::span(ranges)));
    if (const char* why = Invalid(section, ranges)) {
      throw StoreError(std::string("the checkpoint that the rank asks for can't be: ") + why +
                       " (section " + section.name + ")");
    }
    return ranges;
  }

  void WriteSection(hid_t image, std::size_t index, const Section& section) {
    char name[24];
    std::snprintf(name, sizeof name, "%06zu", index);
    const Hdf5Handle group = Group(image, name);
    WriteText(file_, group.get(), "name", section.name);
    WriteNumber(file_, group.get(), "address", section.address);
    WriteNumber(file_, group.get(), "length", section.length);
    WriteNumber(file_, group.get(), "protection", section.protection);
    WriteNumber(file_, group.get(), "section_kind", static_cast<std::uint64_t>(section.kind));
    WriteNumber(file_, group.get(), "listed_pages",
                (section.flags & kSectionListedPages) != 0 ? 1 : 0);
    const std::vector<PageRange> ranges = Ranges(section);
    std::uint64_t expected = 0;
    for (const PageRange& range : ranges) expected += range.count * kPageSize;
    DatasetWriter writer(file_, group.get(), "data", ElementType::kUint8, expected,
                         options_.compression);
    std::vector<PageRun> runs;
    WritePages(section, ranges, &writer, &runs);
    written_->data_bytes += writer.Finish();
    WriteRuns(file_, group.get(), runs);
  }

  // Reads as many pages at a time as there is room for, whole ones but for the section's last.
  void WritePages(const Section& section, std::span<const PageRange> ranges, DatasetWriter* writer,
                  std::vector<PageRun>* runs) {
    std::vector<MemoryExtent> extents;
    std::size_t at = 0;
    std::uint64_t page = ranges.empty() ? 0 : ranges[0].first;
    while (at < ranges.size()) {
      const std::span<std::byte> room = writer->Room();
      const std::size_t first = at;
      const std::uint64_t first_page = page;
      std::uint64_t bytes = 0;
      extents.clear();
      while (at < ranges.size() && bytes < room.size()) {
        const std::uint64_t begin = page * kPageSize;
        const std::uint64_t end =
            std::min((ranges[at].first + ranges[at].count) * kPageSize, section.length);
        const std::uint64_t part = std::min<std::uint64_t>(end - begin, room.size() - bytes);
        extents.push_back({section.address + begin, part});
        bytes += part;
        page += part / kPageSize;
        if (begin + part == end && ++at < ranges.size()) page = ranges[at].first;
      }
      memory_->Read(extents, room.first(bytes));
      writer->Advance(Compact(room.first(bytes), section, ranges.subspan(first), first_page, runs));
    }
  }

  // Takes the zero pages out of `pages`, which are those of `ranges` from `page` on, and notes in
  // `runs` what each was. Returns the bytes that are left.
  std::uint64_t Compact(std::span<std::byte> pages, const Section& section,
                        std::span<const PageRange> ranges, std::uint64_t page,
                        std::vector<PageRun>* runs) {
    std::uint64_t kept = 0;
    for (std::uint64_t at = 0; at < pages.size();) {
      if (page == ranges.front().first + ranges.front().count) {
        ranges = ranges.subspan(1);
        page = ranges.front().first;
      }
      const std::span<std::byte> content =
          pages.subspan(at, std::min(kPageSize, section.length - page * kPageSize));
      const bool zero = IsZero(content);
      Append(runs, page, zero);
      if (zero) {
        written_->zero_bytes += content.size();
      } else {
        if (kept != at) std::memmove(pages.data() + kept, content.data(), content.size());
        kept += content.size();
      }
      at += content.size();
      ++page;
    }
    return kept;
  }

  Hdf5File* const file_;
  const Manifest& manifest_;
  MemorySource* const memory_;
  const WriteOptions& options_;
  WrittenFile* const written_;
};

}  // namespace

std::string TemporaryName(const std::string& path) { return path + ".new"; }

WrittenFile WriteRankFile(Environment* environment, const std::string& path,
                          const Manifest& manifest, MemorySource* memory,
                          const WriteOptions& options) {
  const CheckpointAttributes& of = manifest.attributes;
  if (const char* why = Invalid(of, manifest.sections, manifest.datasets)) {
    throw StoreError(std::string("the checkpoint that the rank asks for can't be: ") + why);
  }
  FileIdentity identity;
  identity.type = FileType::kRank;
  identity.job = of.job;
  identity.csn = of.csn;
  identity.base_csn = of.base_csn;
  identity.base_seal = options.base_seal;
  identity.rank = of.rank;
  identity.np = of.np;
  identity.epoch = of.epoch;
  identity.time = of.time;
  identity.kind = of.kind;
  const std::string temporary = TemporaryName(path);
  if (environment->Exists(temporary)) environment->Remove(temporary);  // of a writer that died
  WrittenFile written;
  try {
    SealedWriter sealed(environment, temporary);
    {
      const std::unique_ptr<Hdf5File> file = Hdf5File::Create(&sealed, temporary);
      RankFileWriter(file.get(), manifest, memory, options, &written).Write();
      file->Close();
      written.seal = sealed.Finish(file->content_length(), identity);
    }
    written.file_bytes = sealed.file_length();
    environment->Rename(temporary, path);
  } catch (const logging::LogError&) {
    logging::RemoveQuietly(environment, temporary);
    throw;
  }
  environment->SyncDirectory(logging::DirectoryOf(path));
  return written;
}

}  // namespace ftmpi::checkpoint
