#include "pmpi/checkpoint_levels.h"

#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/deletion.h"
#include "checkpoint/level_record.h"
#include "checkpoint/partner_secret.h"
#include "checkpoint/server_client.h"
#include "checkpoint/server_start.h"
#include "logging/environment.h"
#include "logging/log_error.h"
#include "pmpi/engine.h"
#include "pmpi/engine_state.h"
#include "pmpi/message.h"

namespace ftmpi::checkpoint_levels {
namespace {

using checkpoint::Level;
using engine::g;
using logging::Environment;

constexpr int kMeetingTag = 32001;

// How a node's checkpoint server is reached.
struct Contact {
  char host[256];
  std::uint32_t port;
};

struct Levels {
  checkpointing::JobNames names;
  std::string secret;
  std::uint16_t port = 0;  // of this node's server, where this rank has started it
  Contact partner{};       // of the next node; port 0: there is none
  int ranks_here = 0;      // on this node
  int ranks_before = 0;    // on the node whose copies this one holds
};

Levels& TheLevels() {
  static auto& levels = *new Levels;
  return levels;
}

const CheckpointLevels& Settings() { return g.configuration.checkpoints.levels; }

bool Leads() { return engine::NodeLeader(g.rank) == g.rank; }

bool Connect(checkpoint::ServerConnection* server) {
  const std::string path = checkpoint::ServerSocketPath(TheLevels().names.local_directory, g.epoch);
  return server->Connect(path.c_str());
}

// Of checkpoints of the epochs before, which can't be continued.
void EmptyStores(const std::string& local_directory) {
  for (const std::string& root : {checkpoint::LocalStoreDirectory(local_directory),
                                  checkpoint::PartnerStoreDirectory(local_directory)}) {
    try {
      checkpoint::DeleteAllCheckpoints(Environment::Posix(), root);
    } catch (const logging::LogError& error) {
      Message("old checkpoints on this node can't be removed: %s; the job goes on", error.what());
    }
  }
}

// The nodes keep FT_CKPT_KEEP checkpoints of each level; the records of older ones mean nothing.
void RemoveOlderRecords(const checkpoint::LevelRecord& newest) {
  Environment* environment = Environment::Posix();
  const std::string& root = TheLevels().names.job_directory;
  int kept = 1;
  try {
    for (const checkpoint::CheckpointListing& each :
         checkpoint::ListCheckpoints(environment, root)) {
      if (each.csn >= newest.csn || each.has_index || !each.has_level) continue;
      const auto record = checkpoint::ReadLevelRecord(environment, root, each.csn);
      if (!record || record->level != newest.level) continue;
      if (kept++ < g.configuration.checkpoint_keep) continue;
      checkpoint::DeleteCheckpoint(environment, root, each.csn);
    }
  } catch (const logging::LogError& error) {
    Message("the record of an older checkpoint can't be removed: %s; the job goes on",
            error.what());
  }
}

}  // namespace

void ShareSecret(const checkpointing::JobNames& names) {
  if (Settings().partner == 0) return;
  std::array<char, checkpoint::kPartnerSecretLength + 1> secret{};
  if (g.rank == 0) {
    std::string error;
    const std::string drawn = checkpoint::DrawPartnerSecret(names.job_directory, &error);
    if (drawn.empty()) Fatal("%s", error.c_str());
    std::copy(drawn.begin(), drawn.end(), secret.begin());
  }
  PMPI_Bcast(secret.data(), static_cast<int>(secret.size()), MPI_CHAR, 0, MPI_COMM_WORLD);
  TheLevels().secret = secret.data();
}

bool StartServer(const checkpointing::JobNames& names, std::uint32_t epoch, std::string* error) {
  Levels& levels = TheLevels();
  // In a restart the configuration is not read yet.
  CheckpointLevels settings;
  if (!ReadCheckpointLevels(&settings, error)) return false;
  if (epoch > 0) EmptyStores(names.local_directory);
  checkpoint::ServerFacts facts;
  facts.job_directory = names.job_directory;
  facts.local_directory = names.local_directory;
  facts.epoch = epoch;
  if (settings.partner != 0) {
    if (levels.secret.empty()) {
      levels.secret = checkpoint::ReadPartnerSecret(names.job_directory, error);
      if (levels.secret.empty()) return false;
    }
    facts.secret = levels.secret;
  }
  return checkpoint::StartCheckpointServer(facts, "", &levels.port, error);
}

void MeetPartners(const checkpointing::JobNames& names) {
  Levels& levels = TheLevels();
  levels.names = names;
  if (Settings().shared_only()) return;
  std::vector<int> leaders;
  for (int rank = 0; rank < g.size; ++rank) {
    if (engine::NodeLeader(rank) == rank) leaders.push_back(rank);
  }
  const auto count = leaders.size();
  const auto mine = static_cast<std::size_t>(
      std::find(leaders.begin(), leaders.end(), engine::NodeLeader(g.rank)) - leaders.begin());
  const int next = leaders[(mine + 1) % count];
  const int before = leaders[(mine + count - 1) % count];
  for (int rank = 0; rank < g.size; ++rank) {
    if (engine::NodeLeader(rank) == leaders[mine]) ++levels.ranks_here;
    if (engine::NodeLeader(rank) == before) ++levels.ranks_before;
  }
  if (Settings().partner == 0) return;
  if (count == 1) {
    if (g.epoch == 0) {
      Fatal(
          "FT_CKPT_LEVELS asks for copies on a partner node, and all ranks are on one node: leave "
          "partner out, or use more nodes");
    }
    if (g.rank == 0) {
      Message(
          "there is one node left: checkpoints of level partner stay on it until others are "
          "written to the job directory");
    }
    return;
  }
  if (Leads()) {
    Contact own{};
    gethostname(own.host, sizeof own.host - 1);
    own.port = levels.port;
    PMPI_Sendrecv(&own, sizeof own, MPI_BYTE, before, kMeetingTag, &levels.partner,
                  sizeof levels.partner, MPI_BYTE, next, kMeetingTag, MPI_COMM_WORLD,
                  MPI_STATUS_IGNORE);
    for (int rank = 0; rank < g.size; ++rank) {
      if (rank == g.rank || engine::NodeLeader(rank) != g.rank) continue;
      PMPI_Send(&levels.partner, sizeof levels.partner, MPI_BYTE, rank, kMeetingTag,
                MPI_COMM_WORLD);
    }
  } else {
    PMPI_Recv(&levels.partner, sizeof levels.partner, MPI_BYTE, engine::NodeLeader(g.rank),
              kMeetingTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  }
  if (levels.partner.port == 0) Fatal("the checkpoint server of a partner node does not listen");
}

Place PlaceOf(std::uint32_t csn) {
  Place place;
  place.level = LevelOf(Settings(), csn);
  if (place.level != Level::kPartner) return place;
  const Contact& partner = TheLevels().partner;
  if (partner.port == 0) {
    place.level = Level::kLocal;
  } else {
    place.partner = partner.host;
    place.port = static_cast<std::uint16_t>(partner.port);
  }
  return place;
}

bool RecordCommit(std::uint32_t csn) {
  const Levels& levels = TheLevels();
  Environment* environment = Environment::Posix();
  checkpoint::LevelRecord record;
  record.level = PlaceOf(csn).level;
  record.job = levels.names.job;
  record.csn = csn;
  record.epoch = g.epoch;
  record.np = g.size;
  record.time = environment->WallClockNanoseconds();
  try {
    checkpoint::WriteLevelRecord(environment, levels.names.job_directory, record);
  } catch (const logging::LogError& error) {
    Message("checkpoint %u could not be made permanent: %s", csn, error.what());
    return false;
  }
  RemoveOlderRecords(record);
  return true;
}

void OnPermanent(std::uint32_t csn) {
  if (!Leads()) return;
  const Levels& levels = TheLevels();
  const Level level = PlaceOf(csn).level;
  const int files = levels.ranks_here + (level == Level::kPartner ? levels.ranks_before : 0);
  checkpoint::ServerConnection server;
  if (!Connect(&server) || !server.MakePermanent(levels.names.job, csn, g.size, level, files,
                                                 g.configuration.checkpoint_keep)) {
    Message("older checkpoints on this node could not be removed: %s; the job goes on",
            server.error());
  }
}

void RemoveGivenUp(std::uint32_t csn) {
  const std::uint64_t job = TheLevels().names.job;
  checkpoint::ServerConnection server;
  // On the other nodes it goes with the next commit of its level.
  if (!Connect(&server) || !server.Abort(job, csn, g.size, PlaceOf(csn).level) ||
      !server.Abort(job, csn, g.size, Level::kShared)) {
    Message("files of checkpoint %u, which was given up, can't be removed: %s", csn,
            server.error());
  }
}

}  // namespace ftmpi::checkpoint_levels
