#include "pmpi/checkpoint_sink.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "checkpoint/manifest.h"
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

}  // namespace

ServerSink* Make(std::uint64_t job, const std::string& local_directory, std::uint32_t csn,
                 std::vector<std::byte> cut) {
  auto* sink = new ServerSink;
  sink->job_ = job;
  sink->csn_ = csn;
  sink->socket_ = checkpoint::ServerSocketPath(local_directory, g.epoch);
  sink->cut_ = std::move(cut);
  sink->record_.interval = g.interval;
  sink->record_.stdout_taken = g.status->stdout_taken.load();
  sink->record_.stderr_taken = g.status->stderr_taken.load();
  return sink;
}

bool ServerSink::Put(const image::Image& image) {
  excluded::GiveUp();
  checkpoint::CheckpointAttributes attributes{};
  attributes.job = job_;
  attributes.csn = csn_;
  attributes.state_interval = record_.interval;
  attributes.epoch = g.epoch;
  attributes.rank = g.rank;
  attributes.np = g.size;
  attributes.kind = checkpoint::CheckpointKind::kCoordinated;
  attributes.state = checkpoint::kStateImage;
  std::snprintf(attributes.ftmpi_version, sizeof attributes.ftmpi_version, "%s", FTMPI_VERSION);
  std::snprintf(attributes.program_build_id, sizeof attributes.program_build_id, "-");
  std::snprintf(attributes.mpi_version, sizeof attributes.mpi_version, "-");
  gethostname(attributes.node, sizeof attributes.node - 1);

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
  AddDataset(&datasets, checkpoint_datasets::kState, &record_, sizeof record_ / 8,
             ElementType::kUint64);

  checkpoint::ServerConnection server;
  checkpoint::WriteAnswer answer;
  const bool written =
      server.Connect(socket_.c_str()) &&
      server.Write(attributes, sections, datasets, checkpoint::Level::kShared, 0, &answer);
  if (!written) Message("checkpoint %u can't be written: %s", csn_, server.error());
  return written;
}

}  // namespace ftmpi::checkpoint_sink
