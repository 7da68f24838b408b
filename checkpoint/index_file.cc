#include "checkpoint/index_file.h"

#include <cinttypes>
#include <cstdio>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/kind_names.h"
#include "checkpoint/rank_file_writer.h"
#include "checkpoint/store_error.h"

namespace ftmpi::checkpoint {
namespace {

using logging::Environment;

void WriteContent(Hdf5File* file, const IndexFile& index) {
  const FileIdentity& of = index.identity;
  const hid_t root = file->id();
  char job[32];
  std::snprintf(job, sizeof job, "%016" PRIx64, of.job);
  WriteText(file, root, "format", "ftmpi checkpoint index");
  WriteNumber(file, root, "format_version", kFormatVersion);
  WriteText(file, root, "job", job);
  WriteNumber(file, root, "csn", of.csn);
  WriteNumber(file, root, "epoch", of.epoch);
  WriteNumber(file, root, "np", static_cast<std::uint64_t>(of.np));
  WriteNumber(file, root, "time", of.time);
  WriteText(file, root, "kind", KindName(of.kind));
  WriteText(file, root, "status", "permanent");
  WriteFileEntries(file, index.entries);
  for (const FileEntry& entry : index.entries) {
    const std::string link = "rank-" + std::to_string(entry.rank);
    file->Check(H5Lcreate_external(RankFileName(entry.rank).c_str(), "/", root, link.c_str(),
                                   H5P_DEFAULT, H5P_DEFAULT),
                "link a rank's file");
  }
}

}  // namespace

std::uint64_t WriteIndexFile(Environment* environment, const std::string& path,
                             const IndexFile& index) {
  const std::string temporary = TemporaryName(path);
  if (environment->Exists(temporary)) environment->Remove(temporary);  // of a writer that died
  std::uint64_t bytes = 0;
  try {
    SealedWriter sealed(environment, temporary);
    const std::unique_ptr<Hdf5File> file = Hdf5File::Create(&sealed, temporary);
    WriteContent(file.get(), index);
    file->Close();
    sealed.Finish(file->content_length(), index.identity);
    bytes = sealed.file_length();
    environment->Rename(temporary, path);
  } catch (const logging::LogError&) {
    logging::RemoveQuietly(environment, temporary);
    throw;
  }
  environment->SyncDirectory(logging::DirectoryOf(path));
  return bytes;
}

IndexFile ReadIndexFile(Environment* environment, const std::string& path) {
  SealedReader sealed(environment, path);
  sealed.CheckAll();
  IndexFile index;
  index.identity = sealed.identity();
  index.seal = sealed.seal();
  const auto fail = [&](const char* why) { throw StoreError(path + ": " + why); };
  if (index.identity.type != FileType::kIndex) fail("it is no checkpoint.h5 but a rank's file");
  const std::unique_ptr<Hdf5File> file = Hdf5File::Open(&sealed);
  if (ReadText(file.get(), file->id(), "format") != "ftmpi checkpoint index" ||
      ReadNumber(file.get(), file->id(), "csn") != index.identity.csn) {
    fail("its attributes contradict its seal");
  }
  index.entries = ReadFileEntries(file.get());
  std::int32_t next = 0;
  for (const FileEntry& entry : index.entries) {
    if (entry.rank < next || entry.rank >= index.identity.np) fail("it lists impossible ranks");
    next = entry.rank + 1;
  }
  return index;
}

}  // namespace ftmpi::checkpoint
