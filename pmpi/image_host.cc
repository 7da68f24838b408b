// libftmpi as the host of the process image (checkpoint/image/host.h): which processes get images,
// and where a restarted one gets its own from.
#include <mpi.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "checkpoint/image/descriptors.h"
#include "checkpoint/image/host.h"
#include "checkpoint/image/image_error.h"
#include "checkpoint/server_client.h"
#include "checkpoint/server_start.h"
#include "logging/environment.h"
#include "logging/replay_log.h"
#include "pmpi/checkpoint_levels.h"
#include "pmpi/checkpoint_sink.h"
#include "pmpi/companion_link.h"
#include "pmpi/configuration.h"
#include "pmpi/image_obstacle.h"
#include "pmpi/message.h"
#include "pmpi/restart.h"
#include "pmpi/state_heap.h"

namespace ftmpi {
namespace {

using checkpoint::Section;
using image::ImageError;

const char* Variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// The node's first rank does.
void StartServerOfNode(const std::string& local_directory) {
  if (std::atoi(Variable("OMPI_COMM_WORLD_LOCAL_RANK")) != 0) return;
  mkdir(local_directory.c_str(), 0755);
  checkpointing::JobNames names{};
  names.job_directory = Variable("FTMPI_JOBDIR");
  names.local_directory = local_directory;
  const auto epoch =
      static_cast<std::uint32_t>(std::strtoul(Variable("FTMPI_RECOVER_EPOCH"), nullptr, 10));
  std::string error;
  if (!checkpoint_levels::StartServer(names, epoch, &error)) throw ImageError(error);
}

// An image on the node's checkpoint server.
class ServerSource : public image::Source {
 public:
  void Open() {
    const std::string local = Variable("FTMPI_LOCAL");
    const auto epoch =
        static_cast<std::uint32_t>(std::strtoul(Variable("FTMPI_RECOVER_EPOCH"), nullptr, 10));
    const int rank = std::atoi(Variable("OMPI_COMM_WORLD_RANK"));
    const std::string directory = Variable("FTMPI_JOBDIR");
    const logging::ReplayLog log = logging::ReadReplayLog(
        logging::Environment::Posix(),
        directory + "/epoch-" + std::to_string(epoch) + "/" + logging::ReplayLogFileName(rank));
    const std::string path = checkpoint::ServerSocketPath(local, epoch);
    StartServerOfNode(local);
    // The node's first rank is about to start it.
    constexpr int kTries = 600;
    constexpr int kMilliseconds = 50;
    bool connected = false;
    for (int n = 0; n < kTries && !connected; ++n) {
      if (access(path.c_str(), F_OK) == 0) connected = connection_.Connect(path.c_str());
      if (!connected) poll(nullptr, 0, kMilliseconds);
    }
    if (!connected)
      throw ImageError("the checkpoint server of this node can't be reached at " + path + ": " +
                       connection_.error());
    checkpoint::OpenRequest request{};
    request.job = log.job;
    request.csn = restart::Csn();
    request.rank = rank;
    request.kind = restart::EachFromItsOwn() ? checkpoint::CheckpointKind::kIndependent
                                             : checkpoint::CheckpointKind::kCoordinated;
    request.level = checkpoint::Level::kShared;
    std::uint32_t section_count = 0;
    std::uint32_t dataset_count = 0;
    if (!connection_.Open(request, &attributes_, &section_count, &dataset_count)) Fail();
    sections_.resize(section_count);
    datasets_.resize(dataset_count);
    if (!connection_.TakeManifest(sections_, datasets_)) Fail();
    blobs_.resize(dataset_count);
  }

  std::span<const std::byte> FindBlob(const std::string& name) override {
    for (std::size_t n = 0; n < datasets_.size(); ++n) {
      if (name != datasets_[n].name) continue;
      const std::uint64_t bytes = datasets_[n].count * checkpoint::ElementSize(datasets_[n].type);
      if (blobs_[n].size() != bytes) {
        blobs_[n].resize(bytes);
        if (!connection_.ReadDataset(static_cast<std::uint32_t>(n), blobs_[n].data(), bytes))
          Fail();
      }
      return blobs_[n];
    }
    throw ImageError("the checkpoint has no " + name + "; use another checkpoint");
  }

  std::span<const Section> Sections() override { return sections_; }

  void Read(const Section& section) override {
    for (std::size_t n = 0; n < sections_.size(); ++n) {
      if (sections_[n].address != section.address) continue;
      auto* target = reinterpret_cast<void*>(section.address);
      const bool state = section.address == state_heap::kBase;
      if (state && mprotect(target, section.length, PROT_READ | PROT_WRITE) != 0)
        throw ImageError("there is no memory for the engine's state");
      if (!connection_.ReadSection(static_cast<std::uint32_t>(n), target, section.length, state))
        Fail();
      return;
    }
    throw ImageError("a section that is not in the checkpoint was asked for");
  }

 private:
  [[noreturn]] void Fail() {
    throw ImageError("checkpoint " + std::to_string(restart::Csn()) +
                     " can't be read: " + connection_.error());
  }

  checkpoint::ServerConnection connection_;
  checkpoint::CheckpointAttributes attributes_{};
  std::vector<Section> sections_;
  std::vector<checkpoint::Dataset> datasets_;
  std::vector<std::vector<std::byte>> blobs_;
};

ServerSource& TheSource() {
  static auto& source = *new ServerSource;
  return source;
}

class LibraryHost : public image::Host {
 public:
  image::StartMode Mode() override {
    std::string error;
    const logging::Mode mode = ModeFromEnvironment(&error);
    if (!error.empty() || mode == logging::Mode::kOff) return image::StartMode::kOff;
    if (StateFromEnvironment(&error) != SavedState::kImage || !LooksLikeRank())
      return image::StartMode::kOff;
    if (restart::Csn() != 0) return image::StartMode::kRestore;
    // The others of this node may need it before this rank comes to MPI_Init.
    if (restart::EachFromItsOwn()) {
      try {
        StartServerOfNode(Variable("FTMPI_LOCAL"));
      } catch (const ImageError& failure) {
        RestoreFailed(failure.what());
      }
    }
    return image::StartMode::kRecord;
  }
  bool IsLibraryRoot(const char* file_name) override {
    return std::strncmp(file_name, "libftmpi.so", 11) == 0 ||
           std::strncmp(file_name, "libmpi.so", 9) == 0;
  }
  bool IsLibraryVariable(const char* name) override {
    for (const char* prefix : {"OMPI_", "PMIX_", "ORTE_", "OPAL_", "PRTE_", "FT_", "FTMPI_"}) {
      if (std::strncmp(name, prefix, std::strlen(prefix)) == 0) return true;
    }
    return false;
  }
  // Said in MPI_Init, where it is known which ranks it concerns.
  void NotImaged(const std::string& reason) override { image_obstacle::NoteAtStart(reason); }
  image::Source& OpenImage() override {
    const char* reason = nullptr;
    if (!state_heap::Reserve(&reason)) throw ImageError(reason);
    TheSource().Open();
    return TheSource();
  }
  void StartLibraries(int* argc, char*** argv) override { restart::BringUp(argc, argv); }
  [[noreturn]] void RestoreFailed(const std::string& reason) override {
    Fatal("the rank can't be started from checkpoint %u: %s", restart::Csn(), reason.c_str());
  }
};

}  // namespace

namespace restart {

std::span<const std::byte> FindBlob(const char* name) { return TheSource().FindBlob(name); }

}  // namespace restart

namespace image {

Host& TheHost() {
  static auto& host = *new LibraryHost;
  return host;
}

}  // namespace image
}  // namespace ftmpi
