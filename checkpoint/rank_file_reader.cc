#include "checkpoint/rank_file_reader.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <new>

#include "checkpoint/kind_names.h"
#include "checkpoint/store_error.h"

namespace ftmpi::checkpoint {
namespace {

// Copies a text of the file to a fixed member; false: too long.
template <std::size_t kSize>
bool Put(const std::string& text, char (&member)[kSize]) {
  if (text.size() >= kSize) return false;
  std::memcpy(member, text.c_str(), text.size() + 1);
  return true;
}

std::string SectionPath(std::size_t index) {
  char name[40];
  std::snprintf(name, sizeof name, "image/%06zu", index);
  return name;
}

bool HasLink(Hdf5File* file, const char* name) {
  return H5Lexists(file->id(), name, H5P_DEFAULT) > 0;
}

}  // namespace

RankFileReader::RankFileReader(logging::Environment* environment, const std::string& path)
    : sealed_(environment, path) {
  if (sealed_.identity().type != FileType::kRank) Fail("it is no rank's file");
  file_ = Hdf5File::Open(&sealed_);
  ReadAttributes();
  FindDatasets();
  ReadSections();
}

void RankFileReader::Fail(const std::string& why) const { throw StoreError(path() + ": " + why); }

void RankFileReader::ReadAttributes() {
  Hdf5File* file = file_.get();
  const hid_t root = file->id();
  if (ReadText(file, root, "format") != "ftmpi checkpoint" ||
      ReadNumber(file, root, "format_version") != kFormatVersion) {
    Fail("its attributes are not those of a checkpoint of version " +
         std::to_string(kFormatVersion));
  }
  CheckpointAttributes& of = attributes_;
  const std::string job = ReadText(file, root, "job");
  const auto [end, error] = std::from_chars(job.data(), job.data() + job.size(), of.job, 16);
  if (error != std::errc() || end != job.data() + job.size()) Fail("its job id is no number");
  of.csn = ReadNumber(file, root, "csn");
  of.base_csn = ReadNumber(file, root, "base_csn");
  of.state_interval = ReadNumber(file, root, "state_interval");
  of.time = ReadNumber(file, root, "time");
  of.epoch = static_cast<std::uint32_t>(ReadNumber(file, root, "epoch"));
  of.incarnation = static_cast<std::uint32_t>(ReadNumber(file, root, "incarnation"));
  of.rank = static_cast<std::int32_t>(ReadNumber(file, root, "rank"));
  of.np = static_cast<std::int32_t>(ReadNumber(file, root, "np"));
  const std::string kind = ReadText(file, root, "kind");
  for (const CheckpointKind each : {CheckpointKind::kCoordinated, CheckpointKind::kInduced,
                                    CheckpointKind::kIndependent, CheckpointKind::kFailureTime}) {
    if (kind == KindName(each)) of.kind = each;
  }
  const std::string state = ReadText(file, root, "state");
  for (const std::uint32_t each : {kStateImage, kStateRegistered, kStateImage | kStateRegistered}) {
    if (state == StateName(each)) of.state = each;
  }
  if (!Put(ReadText(file, root, "program_build_id"), of.program_build_id) ||
      !Put(ReadText(file, root, "ftmpi_version"), of.ftmpi_version) ||
      !Put(ReadText(file, root, "mpi_version"), of.mpi_version) ||
      !Put(ReadText(file, root, "node"), of.node)) {
    Fail("a text among its attributes is too long");
  }
  if (const char* why = Invalid(of)) Fail(why);
  const FileIdentity& sealed = sealed_.identity();
  FileIdentity inside{
      FileType::kRank, of.job, of.csn,   of.base_csn, ReadNumber(file, root, "base_seal"),
      of.rank,         of.np,  of.epoch, of.time,     of.kind};
  if (inside != sealed) Fail("its attributes contradict its seal");
}

void RankFileReader::FindDatasets() {
  std::vector<std::string> names;
  // No exception may pass through HDF5, which is C.
  const auto add = [](hid_t, const char* name, const H5L_info_t* link, void* into) -> herr_t {
    if (link->type != H5L_TYPE_HARD) return 0;
    try {
      static_cast<std::vector<std::string>*>(into)->push_back(name);
      return 0;
    } catch (const std::bad_alloc&) {
      return -1;
    }
  };
  for (const char* name : {"in_transit", "dependency_vector"}) {
    if (HasLink(file_.get(), name)) names.emplace_back(name);
  }
  for (const char* group : {"mtv", "engine", "process", "registered"}) {
    if (!HasLink(file_.get(), group)) continue;
    std::vector<std::string> members;
    file_->Check(H5Literate_by_name(file_->id(), group, H5_INDEX_NAME, H5_ITER_INC, nullptr, add,
                                    &members, H5P_DEFAULT),
                 "list a group");
    for (const std::string& member : members) names.push_back(std::string(group) + "/" + member);
  }
  if (names.size() > kMaximumDatasets) Fail("it has too many datasets");
  for (const std::string& name : names) {
    Dataset dataset{};
    if (!Put(name, dataset.name)) Fail("a dataset's name is too long");
    const DatasetReader reader(file_.get(), file_->id(), name.c_str());
    dataset.type = reader.type();
    dataset.count = reader.bytes() / ElementSize(reader.type());
    if (const char* why = Invalid(dataset)) Fail(why);
    datasets_.push_back(dataset);
  }
}

void RankFileReader::ReadSections() {
  if ((attributes_.state & kStateImage) == 0) return;
  H5G_info_t information;
  file_->Check(H5Gget_info_by_name(file_->id(), "image", &information, H5P_DEFAULT),
               "find the image");
  if (information.nlinks > kMaximumSections) Fail("it has too many sections");
  std::vector<Section> all;
  for (std::size_t i = 0; i < information.nlinks; ++i) {
    Hdf5File* file = file_.get();
    const Hdf5Handle group = file->Check(H5Gopen2(file->id(), SectionPath(i).c_str(), H5P_DEFAULT),
                                         H5Gclose, "open a section");
    StoredSection stored;
    Section& section = stored.section;
    if (!Put(ReadText(file, group.get(), "name"), section.name))
      Fail("a section's name is too long");
    section.address = ReadNumber(file, group.get(), "address");
    section.length = ReadNumber(file, group.get(), "length");
    section.protection = static_cast<std::uint32_t>(ReadNumber(file, group.get(), "protection"));
    section.kind = static_cast<SectionKind>(ReadNumber(file, group.get(), "section_kind"));
    section.flags = ReadNumber(file, group.get(), "listed_pages") != 0 ? kSectionListedPages : 0;
    stored.runs = ReadRuns(file, group.get());
    all.push_back(section);
    if (const char* why = Invalid(section)) Fail(why);
    AddRuns(&stored);
    const DatasetReader data(file, group.get(), "data");
    if (data.bytes() != stored.data_bytes) {
      Fail("a section has other bytes than its page map says (" + std::string(section.name) + ")");
    }
    sections_.push_back(std::move(stored));
  }
  if (const char* why = Invalid(attributes_, all, {})) Fail(why);
}

// Checks a section's page map and finds out where each run's bytes are.
void RankFileReader::AddRuns(StoredSection* stored) {
  const Section& section = stored->section;
  const std::uint64_t pages = (section.length + kPageSize - 1) / kPageSize;
  std::uint64_t next = 0;
  std::uint64_t covered = 0;
  for (const PageRun& run : stored->runs) {
    if (run.pages == 0 || run.first_page < next || run.first_page > pages ||
        run.pages > pages - run.first_page || run.zero > 1) {
      Fail("a section's page map is impossible (" + std::string(section.name) + ")");
    }
    next = run.first_page + run.pages;
    covered += run.pages;
    stored->data_offsets.push_back(stored->data_bytes);
    if (run.zero == 0) {
      stored->data_bytes += std::min(next * kPageSize, section.length) - run.first_page * kPageSize;
    }
  }
  if ((section.flags & kSectionListedPages) == 0 && covered != pages) {
    Fail("a complete section has not all its pages (" + std::string(section.name) + ")");
  }
}

DatasetReader* RankFileReader::SectionData(std::size_t section) {
  if (!open_section_ || open_section_index_ != section) {
    open_section_.reset();
    open_section_ = std::make_unique<DatasetReader>(file_.get(), file_->id(),
                                                    (SectionPath(section) + "/data").c_str());
    open_section_index_ = section;
  }
  return open_section_.get();
}

void RankFileReader::ReadSectionData(std::size_t section, std::uint64_t offset,
                                     std::span<std::byte> buffer) {
  SectionData(section)->ReadAt(offset, buffer);
}

void RankFileReader::ReadDataset(std::size_t dataset, std::uint64_t offset,
                                 std::span<std::byte> buffer) {
  if (!open_dataset_ || open_dataset_index_ != dataset) {
    open_dataset_.reset();
    open_dataset_ =
        std::make_unique<DatasetReader>(file_.get(), file_->id(), datasets_.at(dataset).name);
    open_dataset_index_ = dataset;
  }
  open_dataset_->ReadAt(offset, buffer);
}

void RankFileReader::CheckAll() {
  sealed_.CheckAll();
  for (const Dataset& dataset : datasets_) {
    DatasetReader(file_.get(), file_->id(), dataset.name).CheckAll();
  }
  for (std::size_t i = 0; i < sections_.size(); ++i) SectionData(i)->CheckAll();
}

}  // namespace ftmpi::checkpoint
