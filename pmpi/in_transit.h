// Copies of the messages that are in transit at a checkpoint of this rank (Ouyang & Heiser 4.2.1,
// "saved"): so that all ranks can start from it without anybody's log. Expects the engine's lock.
//
// A large message's payload is fetched first, into a copy; the engine takes the message in when it
// is there, and what follows on its channel after it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/cut_record.h"
#include "checkpoint/transit_file.h"
#include "logging/wire_header.h"

namespace ftmpi::engine {
struct Peer;
}

namespace ftmpi::in_transit {

// The rank makes a cut: copies of an earlier checkpoint are forgotten.
void Begin(std::uint32_t csn);
// A message that was sent in front of its sender's cut arrives, behind our cut; it has this number
// on its channel.
void Save(int source, std::uint64_t number, const logging::WireHeader& header,
          const std::byte* payload);
// The same for a large one, which stays with us until TakeFetched.
void Fetch(engine::Peer* peer, std::uint64_t number, const logging::WireHeader& header);
// Large messages that are not taken in yet, and those of one rank.
bool Fetching();
bool Fetching(const engine::Peer* peer);
// Takes in large messages whose payload has come. True: some were.
bool TakeFetched();
// Writes all copies so far beside the rank's checkpoint file, as soon as nothing is being fetched.
void WantWriting(std::uint64_t job, const std::string& job_directory);
// Starts it if it is wanted and possible.
void TryWriting();
bool Writing();
// The writing that was started has ended: true, once. `count`: of messages that it covers.
bool WritingEnded(std::uint64_t* count, bool* success);

// At a restart: the copies that come with the checkpoint, in order of arrival.
std::vector<checkpoint::TransitMessage> Load(std::uint64_t job, const std::string& job_directory,
                                             const checkpoint::CutRecord& cut);

}  // namespace ftmpi::in_transit
