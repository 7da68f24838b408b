// Coordinated mode: the receiver keeps copies of the messages that are in transit at a checkpoint
// (Keeper::kReceiver), writes them beside its image, and takes them in after a restart.
//
// Expects the engine's lock. All of it is the process's own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/cut_record.h"
#include "checkpoint/in_transit_file.h"
#include "logging/wire_header.h"

namespace ftmpi::engine {
struct Peer;
}

namespace ftmpi::in_transit {

// The cut of a checkpoint is made: copies are kept for this one from here on.
void Begin(const checkpoint::InTransitIdentity& identity);
// A message in transit has arrived, with its payload.
void Save(engine::Peer* peer, const logging::WireHeader& header, const std::byte* payload);
// A large one has arrived: fetches its payload, saves it, has the engine take it in, and calls
// `then`, all from Progress. Until then nothing behind it on its channel may be taken in.
void Fetch(engine::Peer* peer, const logging::WireHeader& header, void (*then)());
[[nodiscard]] bool Fetching(const engine::Peer* peer);
[[nodiscard]] bool FetchingAny();

// Writes what is saved to stable storage: so many messages. -1: it can't be; `error` says why.
std::int64_t Write(const std::string& job_directory, std::string* error);

// A restart: the copies of this rank. Ends the job when the file can't be used, or when it does not
// hold as many messages of each sender as `expected` says (by rank).
std::vector<checkpoint::InTransitMessage> Read(const std::string& job_directory,
                                               const checkpoint::InTransitIdentity& identity,
                                               const std::vector<std::uint64_t>& expected);
// Gives them to the engine.
void TakeInAll(const std::vector<checkpoint::InTransitMessage>& messages);

}  // namespace ftmpi::in_transit
