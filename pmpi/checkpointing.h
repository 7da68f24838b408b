// Checkpoints in the message engine: the participant of the coordination
// (checkpoint/coordination.h) on the wire, the cut, and the image of the process.
//
// On when FT_STATE=image and images can be taken of the process. Expects the engine's lock.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "checkpoint/cut_record.h"
#include "logging/wire_header.h"

namespace ftmpi::engine {
struct Peer;
}

namespace ftmpi::checkpointing {

// The rank takes part in checkpoints.
extern bool g_on;
// A cut is asked for: TryCut is to be called wherever the engine's state can be recorded.
extern bool g_wanted;

// While one lives no state is recorded: frames of Open MPI's are on the stack, or will be.
extern int g_no_cut;
class NoCut {
 public:
  NoCut() { ++g_no_cut; }
  ~NoCut() { --g_no_cut; }
  NoCut(const NoCut&) = delete;
  NoCut& operator=(const NoCut&) = delete;
};

struct JobNames {
  std::uint64_t job = 0;
  std::string job_directory;
  std::string local_directory;
};

// The leader of each node starts its checkpoint server, with which it returns.
void StartNodeServer(const JobNames& names);
// In MPI_Init, collective, after the wire is up; `csn`: the checkpoint that the rank starts from,
// 0: none. Starts the node's checkpoint server too (in a restart it runs already).
void Start(const JobNames& names, std::uint32_t csn);
// MPI_Finalize begins: no checkpoint is taken from here on; waits for the end of one that is being
// written.
void Stop();

// The word that a message to the peer carries (WireHeader::csn). For each message that is logged,
// in the order of its channel; also for one that a recovered rank does not send again.
std::uint32_t WordFor(engine::Peer* peer);
// The word of the message with this number (from 1) on the channel, which is sent again.
std::uint32_t ResendWord(engine::Peer* peer, std::uint64_t number);
// A message has arrived. True: it was kept back, the engine must not take it in now.
bool OnMessage(engine::Peer* peer, const logging::WireHeader& header, const std::byte* payload);
// A control message of the coordination.
void OnControl(int source, std::span<const std::byte> message);
// The number of the first checkpoint whose cut is still to come.
std::uint64_t NextCsn();
// Now and then.
void Tick();
// Records the state if that is possible now.
void TryCut();
// A checkpoint of this rank is to be taken: a cut is made as soon as that is possible. False: none
// can be taken, and why has been said.
bool WantCut();

// The image's cut says how the channels stand (pmpi/restart.h); it was made in state interval
// `interval`. `saved`: how many messages in transit of each sender come with the checkpoint
// (`received`).
void Restore(const checkpoint::CutRecord& cut, std::uint64_t interval,
             std::span<const checkpoint::ChannelCut> saved);

}  // namespace ftmpi::checkpointing
