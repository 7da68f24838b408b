// FT_Checkpoint in registered state: checkpoint/REGISTERED.md, "Checkpoint".
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/server_client.h"
#include "checkpoint/server_start.h"
#include "logging/environment.h"
#include "logging/log_error.h"
#include "pmpi/checkpoint_datasets.h"
#include "pmpi/checkpoint_sink.h"
#include "pmpi/companion_link.h"
#include "pmpi/engine.h"
#include "pmpi/engine_state.h"
#include "pmpi/events.h"
#include "pmpi/include/ftmpi.h"
#include "pmpi/match_queue.h"
#include "pmpi/message.h"
#include "pmpi/registered.h"
#include "pmpi/registered_region.h"
#include "pmpi/replay.h"

namespace ftmpi::registered {
namespace {

using checkpoint::Dataset;
using checkpoint::ElementType;
using checkpoint_datasets::EngineRecord;
using engine::g;

checkpointing::JobNames g_names;
std::uint32_t g_csn = 0;         // of the last attempt
std::uint64_t g_last_saved = 0;  // monotonic ns: when the last one became permanent, or the start
constexpr int kParts = 4;

std::uint64_t Now() { return logging::Environment::Posix()->MonotonicNanoseconds(); }

// Over all ranks, by Open MPI; the engine is served meanwhile.
void Reduce(std::int64_t* numbers, int count, MPI_Op operation) {
  MPI_Request request = MPI_REQUEST_NULL;
  if (PMPI_Iallreduce(MPI_IN_PLACE, numbers, count, MPI_INT64_T, operation, MPI_COMM_WORLD,
                      &request) != MPI_SUCCESS)
    Fatal("the ranks can't agree on a checkpoint: MPI_Iallreduce failed");
  engine::WaitUntil([&] {
    int done = 0;
    PMPI_Test(&request, &done, MPI_STATUS_IGNORE);
    return done != 0;
  });
}

std::int64_t Unmatched() {
  std::int64_t count = 0;
  engine::ForEachMatchQueue([&count](MatchQueue* queue) {
    for (const UnexpectedMessage* message = queue->arrival_head; message != nullptr;
         message = message->arrival_next)
      ++count;
  });
  return count;
}

// Waits until all that the program has printed is shown: what a checkpoint has behind it can't be
// taken back.
bool ShowOutput() {
  events::FlushPollFailures();
  std::fflush(nullptr);
  if (!SyncOutput()) return false;
  const std::uint64_t deadline = Now() + g.configuration.checkpoints.timeout;
  const auto shown = [] {
    return g.status->stdout_released.load() >= g.status->stdout_taken.load();
  };
  engine::WaitUntil([&] { return shown() || Now() > deadline; });
  if (!shown()) Message("checkpoint %u: nobody reads the program's standard output", g_csn);
  return shown();
}

bool Write() {
  EngineRecord record{};
  record.interval = g.interval;
  record.stdout_taken = g.status->stdout_taken.load();
  record.stderr_taken = g.status->stderr_taken.load();
  std::vector<Dataset> datasets;
  std::vector<std::vector<std::byte>> packed;
  packed.reserve(TheRegions().size());
  for (const auto& [name, region] : TheRegions()) {
    Dataset dataset = Describe(name, region);
    if (dataset.address == 0 && dataset.count > 0) {
      if (Pack(region, &packed.emplace_back()) != MPI_SUCCESS) {
        Message("checkpoint %u: region %s can't be packed", g_csn, name.c_str());
        return false;
      }
      dataset.address = reinterpret_cast<std::uint64_t>(packed.back().data());
    }
    datasets.push_back(dataset);
  }
  Dataset& state = datasets.emplace_back();
  state.address = reinterpret_cast<std::uint64_t>(&record);
  state.count = sizeof record / 8;
  state.type = ElementType::kUint64;
  std::snprintf(state.name, sizeof state.name, "%s", checkpoint_datasets::kState);

  const checkpoint::CheckpointAttributes attributes =
      checkpoint_sink::AttributesOf(g_names.job, g_csn, g.interval, checkpoint::kStateRegistered);
  checkpoint::ServerConnection server;
  checkpoint::WriteAnswer answer;
  const bool written =
      server.Connect(checkpoint::ServerSocketPath(g_names.local_directory, g.epoch).c_str()) &&
      server.Write(attributes, {}, datasets, checkpoint::Level::kShared, 0, &answer);
  if (!written) Message("checkpoint %u can't be written: %s", g_csn, server.error());
  return written;
}

// At rank 0, when every rank's file is there, or not.
bool Commit(bool complete) {
  checkpoint::ServerConnection server;
  if (!server.Connect(checkpoint::ServerSocketPath(g_names.local_directory, g.epoch).c_str())) {
    Message("checkpoint %u can't be made permanent: %s", g_csn, server.error());
    return false;
  }
  if (!complete) {
    if (!server.Abort(g_names.job, g_csn, g.size, checkpoint::Level::kShared))
      Message("what was written of checkpoint %u can't be removed: %s", g_csn, server.error());
    return false;
  }
  const bool done = server.MakePermanent(g_names.job, g_csn, g.size, checkpoint::Level::kShared, 0);
  if (!done) Message("checkpoint %u can't be made permanent: %s", g_csn, server.error());
  return done;
}

// Nothing that was sent in front of a permanent checkpoint is needed any more.
void TrimLog() {
  engine::LogAllBuilt();
  try {
    g.payload_log->TrimBefore(g.payload_log->end_position());
  } catch (const logging::LogError& error) {
    Message("the message log can't be trimmed, so it grows: %s; the job goes on", error.what());
  }
}

}  // namespace

void StartCheckpoints(const checkpointing::JobNames& names, std::uint32_t csn) {
  g_names = names;
  g_csn = csn;
  g_last_saved = Now();
}

int Checkpoint() {
  Resume();
  const bool asks = g.rank == 0 && Now() - g_last_saved >= g.configuration.checkpoints.interval;
  std::int64_t sums[kParts] = {static_cast<std::int64_t>(g_sent - g_arrived), Unmatched(),
                               engine::ReplayUnderWay() ? 1 : 0, asks ? 1 : 0};
  Reduce(sums, kParts, MPI_SUM);
  if (sums[2] != 0) return FT_SUCCESS;
  if (const std::int64_t under_way = std::max(sums[0], sums[1]); under_way != 0) {
    if (g.rank == 0) {
      Message(
          "FT_Checkpoint was called while %ld messages were in transit: nothing is saved. Call it "
          "where all that was sent has been received",
          static_cast<long>(under_way));
    }
    return FT_ERR_IN_TRANSIT;
  }
  if (sums[3] == 0) return FT_SUCCESS;

  ++g_csn;
  ForgetSaved();
  std::int64_t good = ShowOutput() && Write() ? 1 : 0;
  Reduce(&good, 1, MPI_MIN);
  if (g.rank == 0) good = Commit(good != 0) ? 1 : 0;
  Reduce(&good, 1, MPI_MIN);
  if (good == 0) {
    if (g.rank == 0) Message("checkpoint %u was given up; the job goes on", g_csn);
    return FT_ERR_NOT_SAVED;
  }
  g_last_saved = Now();
  TrimLog();
  return FT_SUCCESS;
}

}  // namespace ftmpi::registered
