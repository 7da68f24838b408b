// Levels of checkpoints in a rank (checkpoint/LEVELS.md): where the files of a checkpoint go, the
// partner node, and what makes a checkpoint on the nodes permanent.
//
// Off, and at no cost, unless FT_CKPT_LEVELS names more than shared. What is kept here belongs to
// the process; nothing of it is saved.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/server_protocol.h"
#include "pmpi/checkpointing.h"

namespace ftmpi::checkpoint_levels {

// Where a rank's file goes.
struct Place {
  checkpoint::Level level = checkpoint::Level::kShared;
  std::string partner;     // kPartner: host of the node that gets the copy
  std::uint16_t port = 0;  // ... and where its checkpoint server listens
};

// Rank 0 draws the secret of the checkpoint servers and hands it to all. Collective, before
// StartServer, in a job that does not start from an image.
void ShareSecret(const checkpointing::JobNames& names);
// Starts the checkpoint server of this node; in a recovery it empties the node's stores first. In a
// restart from an image MPI is not up yet. False: `error`.
bool StartServer(const checkpointing::JobNames& names, std::uint32_t epoch, std::string* error);
// Collective over MPI_COMM_WORLD, once the servers run: the nodes learn where their partners are.
void MeetPartners(const checkpointing::JobNames& names);

[[nodiscard]] Place PlaceOf(std::uint32_t csn);
[[nodiscard]] inline bool IsShared(std::uint32_t csn) {
  return PlaceOf(csn).level == checkpoint::Level::kShared;
}

// Rank 0: the commit record of a checkpoint on the nodes, durable. False: it could not be written,
// which has been said.
bool RecordCommit(std::uint32_t csn);
// Such a checkpoint is permanent: its node's first rank has the node's stores tidied up.
void OnPermanent(std::uint32_t csn);
// Rank 0: such a checkpoint was given up.
void RemoveGivenUp(std::uint32_t csn);

}  // namespace ftmpi::checkpoint_levels
