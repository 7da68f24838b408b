#include "pmpi/registered.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/server_client.h"
#include "checkpoint/server_start.h"
#include "pmpi/companion_link.h"
#include "pmpi/datatype.h"
#include "pmpi/engine.h"
#include "pmpi/include/ftmpi.h"
#include "pmpi/message.h"
#include "pmpi/registered_region.h"

namespace ftmpi::registered {

bool g_on = false;
std::uint64_t g_sent = 0;
std::uint64_t g_arrived = 0;

namespace {

// The checkpoint that the job was started from: regions are filled from it as they are named.
struct Saved {
  checkpoint::ServerConnection server;
  std::vector<checkpoint::Section> sections;
  std::vector<checkpoint::Dataset> datasets;
};
std::unique_ptr<Saved> g_saved;

bool g_restored = false;
bool g_resumed = false;

void OpenSaved(const checkpointing::JobNames& names, std::uint32_t csn) {
  g_saved = std::make_unique<Saved>();
  const std::string path = checkpoint::ServerSocketPath(names.local_directory, engine::Epoch());
  checkpoint::OpenRequest request{};
  request.job = names.job;
  request.csn = csn;
  request.rank = engine::Rank();
  request.kind = checkpoint::CheckpointKind::kCoordinated;
  request.level = checkpoint::Level::kShared;
  checkpoint::CheckpointAttributes attributes{};
  std::uint32_t section_count = 0;
  std::uint32_t dataset_count = 0;
  bool good = g_saved->server.Connect(path.c_str()) &&
              g_saved->server.Open(request, &attributes, &section_count, &dataset_count);
  if (good) {
    g_saved->sections.resize(section_count);
    g_saved->datasets.resize(dataset_count);
    good = g_saved->server.TakeManifest(g_saved->sections, g_saved->datasets);
  }
  if (!good) Fatal("checkpoint %u can't be read: %s", csn, g_saved->server.error());
}

// The dataset of that region in the checkpoint, or datasets.size().
std::size_t Find(const std::string& name) {
  const std::string wanted = std::string(kGroup) + name;
  const auto found =
      std::find_if(g_saved->datasets.begin(), g_saved->datasets.end(),
                   [&](const checkpoint::Dataset& dataset) { return wanted == dataset.name; });
  return static_cast<std::size_t>(found - g_saved->datasets.begin());
}

int Fill(const std::string& name, const Region& region) {
  const std::size_t index = Find(name);
  if (index == g_saved->datasets.size()) return FT_SUCCESS;
  const checkpoint::Dataset& saved = g_saved->datasets[index];
  const checkpoint::Dataset wanted = Describe(name, region);
  if (saved.type != wanted.type || saved.count != wanted.count) {
    Message(
        "FT_Protect: region %s has %lu elements of %s in the checkpoint, and %lu of %s in the "
        "program: protect it with the same count and datatype",
        name.c_str(), static_cast<unsigned long>(saved.count), TypeName(saved.type),
        static_cast<unsigned long>(wanted.count), TypeName(wanted.type));
    return FT_ERR_MISMATCH;
  }
  const std::uint64_t bytes = saved.count * checkpoint::ElementSize(saved.type);
  const auto number = static_cast<std::uint32_t>(index);
  if (void* target = InPlace(region)) {
    if (g_saved->server.ReadDataset(number, target, bytes)) return FT_SUCCESS;
  } else {
    std::vector<std::byte> packed(bytes);
    if (g_saved->server.ReadDataset(number, packed.data(), bytes)) {
      return UnpackData(packed.data(), bytes, region.pointer, region.count, region.datatype) ==
                     MPI_SUCCESS
                 ? FT_SUCCESS
                 : FT_ERR_ARGUMENT;
    }
  }
  Fatal("region %s of the checkpoint can't be read: %s", name.c_str(), g_saved->server.error());
}

}  // namespace

Regions& TheRegions() {
  static auto& regions = *new Regions;
  return regions;
}

void Start(const checkpointing::JobNames& names, std::uint32_t csn) {
  checkpointing::StartNodeServer(names);
  PMPI_Barrier(MPI_COMM_WORLD);
  if (csn != 0) {
    OpenSaved(names, csn);
    g_restored = true;
  }
  g_resumed = csn == 0;
  StartCheckpoints(names, csn);
  g_on = true;
}

void Resume() {
  if (g_resumed) return;
  g_resumed = true;
  std::fflush(stdout);
  if (!CompanionResumed()) Fatal("the companion process is gone: the output can't be taken up");
}

void Stop() {
  if (g_on) Resume();
}

void ForgetSaved() { g_saved.reset(); }

int Protect(const char* name, void* pointer, int count, MPI_Datatype datatype) {
  Region region{pointer, count, datatype, MPI_DATATYPE_NULL};
  const char* wrong = name == nullptr ? "it has no name" : Wrong(name, region);
  if (wrong != nullptr) {
    Message("FT_Protect: region %s can't be saved: %s", name != nullptr ? name : "(null)", wrong);
    return FT_ERR_ARGUMENT;
  }
  int result = FT_SUCCESS;
  if (g_saved) result = Fill(name, region);
  Unprotect(name);
  region.holder = HoldDatatype(datatype);
  TheRegions()[name] = region;
  return result;
}

int Unprotect(const char* name) {
  if (name == nullptr) return FT_ERR_ARGUMENT;
  const auto found = TheRegions().find(name);
  if (found == TheRegions().end()) return FT_ERR_ARGUMENT;
  if (found->second.holder != MPI_DATATYPE_NULL)
    ReleaseDatatype(found->second.holder, found->second.datatype);
  TheRegions().erase(found);
  return FT_SUCCESS;
}

int Restored(int* flag) {
  if (flag == nullptr) return FT_ERR_ARGUMENT;
  Resume();
  *flag = g_restored ? 1 : 0;
  return FT_SUCCESS;
}

}  // namespace ftmpi::registered
