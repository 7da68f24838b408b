#include "pmpi/checkpoint_sink.h"

#include <mpi.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "checkpoint/image/modules.h"
#include "checkpoint/server_client.h"
#include "checkpoint/server_start.h"
#include "pmpi/engine_state.h"
#include "pmpi/excluded.h"
#include "pmpi/message.h"
#include "pmpi/state_heap.h"

namespace ftmpi::checkpoint_sink {
namespace {

using checkpoint::Dataset;
using checkpoint::ElementType;
using checkpoint::Section;
using engine::g;

void AddDataset(std::vector<Dataset>* datasets, const std::string& name, const void* data,
                std::uint64_t count, ElementType type) {
  Dataset& dataset = datasets->emplace_back();
  dataset.address = reinterpret_cast<std::uint64_t>(data);
  dataset.count = count;
  dataset.type = type;
  std::snprintf(dataset.name, sizeof dataset.name, "%s", name.c_str());
}

// As BuildOfFile (recovery/module_builds.h) makes it from the file.
std::string BuildOf(const image::Module& module) {
  return module.build_id.empty() ? "size:" + std::to_string(module.size) : module.build_id;
}

// One line for each file that the process started with.
std::string BuildsOf(const std::vector<image::Module>& modules) {
  std::string text;
  for (const image::Module& module : modules) {
    if (!module.startup || module.path.empty() || module.path.front() != '/') continue;
    text += BuildOf(module) + " " + module.path + "\n";
  }
  return text;
}

// As of the last SyncOutput: nothing was read since.
std::uint64_t StdinTaken() {
  const std::uint64_t taken = g.status->stdin_taken.load();
  if (g.status->stdin_closed.load() == 0) return taken;
  // The companion can't look into the pipe any more, and puts nothing more into it.
  struct stat input {};
  int unread = 0;
  if (fstat(STDIN_FILENO, &input) != 0 || !S_ISFIFO(input.st_mode) ||
      ioctl(STDIN_FILENO, FIONREAD, &unread) != 0) {
    return taken;
  }
  return taken - std::min(taken, static_cast<std::uint64_t>(unread));
}

}  // namespace

std::string MpiLibraryVersion() {
  char version[MPI_MAX_LIBRARY_VERSION_STRING] = {0};
  int length = 0;
  PMPI_Get_library_version(version, &length);
  return std::string(version).substr(0, std::string(version).find('\n'));
}

checkpoint::CheckpointAttributes AttributesOf(std::uint64_t job, std::uint32_t csn,
                                              std::uint64_t interval, std::uint32_t state) {
  checkpoint::CheckpointAttributes attributes{};
  attributes.job = job;
  attributes.csn = csn;
  attributes.state_interval = interval;
  attributes.epoch = g.epoch;
  attributes.rank = g.rank;
  attributes.np = g.size;
  attributes.kind = g.configuration.checkpoints.kind;
  attributes.state = state;
  std::snprintf(attributes.ftmpi_version, sizeof attributes.ftmpi_version, "%s", FTMPI_VERSION);
  std::snprintf(attributes.program_build_id, sizeof attributes.program_build_id, "-");
  std::snprintf(attributes.mpi_version, sizeof attributes.mpi_version, "-");
  gethostname(attributes.node, sizeof attributes.node - 1);
  return attributes;
}

ServerSink* Make(std::uint64_t job, const std::string& local_directory, std::uint32_t csn,
                 std::uint32_t base_csn, std::vector<std::byte> cut) {
  auto* sink = new ServerSink;
  sink->job_ = job;
  sink->csn_ = csn;
  sink->base_csn_ = base_csn;
  sink->mpi_version_ = MpiLibraryVersion();
  sink->socket_ = checkpoint::ServerSocketPath(local_directory, g.epoch);
  sink->place_ = checkpoint_levels::PlaceOf(csn);
  sink->cut_ = std::move(cut);
  sink->record_.interval = g.interval;
  sink->record_.stdout_taken = g.status->stdout_taken.load();
  sink->record_.stderr_taken = g.status->stderr_taken.load();
  sink->record_.stdin_taken = StdinTaken();
  return sink;
}

bool ServerSink::Put(const image::Image& image) {
  excluded::GiveUp();
  checkpoint::CheckpointAttributes attributes =
      AttributesOf(job_, csn_, record_.interval, checkpoint::kStateImage);
  attributes.base_csn = base_csn_;
  std::snprintf(attributes.mpi_version, sizeof attributes.mpi_version, "%s", mpi_version_.c_str());
  const std::vector<image::Module> modules = image::ListModules();
  std::snprintf(attributes.program_build_id, sizeof attributes.program_build_id, "%s",
                BuildOf(modules.front()).c_str());
  const std::string builds = BuildsOf(modules);

  std::vector<Section> sections = image.sections;
  Section& state = sections.emplace_back();
  state = Section{};
  state.address = state_heap::kBase;
  state.length = state_heap::BytesInUse();
  state.protection = PROT_READ | PROT_WRITE;
  state.kind = checkpoint::SectionKind::kOther;
  std::snprintf(state.name, sizeof state.name, "%s", checkpoint_datasets::kStateSection);
  std::sort(sections.begin(), sections.end(),
            [](const Section& a, const Section& b) { return a.address < b.address; });

  std::vector<Dataset> datasets;
  for (const image::Blob& blob : image.blobs)
    AddDataset(&datasets, blob.name, blob.bytes.data(), blob.bytes.size(), ElementType::kByte);
  AddDataset(&datasets, checkpoint_datasets::kCut, cut_.data(), cut_.size(), ElementType::kByte);
  AddDataset(&datasets, checkpoint_datasets::kBuilds, builds.data(), builds.size(),
             ElementType::kByte);
  AddDataset(&datasets, checkpoint_datasets::kState, &record_, sizeof record_ / 8,
             ElementType::kUint64);

  checkpoint::ServerConnection server;
  checkpoint::WriteAnswer answer;
  bool written =
      server.Connect(socket_.c_str()) && server.Write(attributes, sections, datasets, place_.level,
                                                      g.configuration.compression, &answer);
  if (written && place_.level == checkpoint::Level::kPartner) {
    checkpoint::CopyRequest copy{};
    copy.csn = csn_;
    copy.rank = attributes.rank;
    copy.kind = attributes.kind;
    copy.port = place_.port;
    copy.level = place_.level;
    std::snprintf(copy.host, sizeof copy.host, "%s", place_.partner.c_str());
    written = server.Push(copy);
  }
  if (!written) Message("checkpoint %u can't be written: %s", csn_, server.error());
  return written;
}

}  // namespace ftmpi::checkpoint_sink
