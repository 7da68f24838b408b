// Copies of the messages that are in transit at a checkpoint of this rank (Ouyang & Heiser 4.2.1,
// "saved"): so that all ranks can start from it without anybody's log. Expects the engine's lock.
//
// Large messages, whose payload follows on another communicator, are not copied: for them a
// restart needs the sender's log, and mpi-ft-recover says so when it is lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/cut_record.h"
#include "checkpoint/transit_file.h"
#include "logging/wire_header.h"

namespace ftmpi::in_transit {

// The rank makes a cut: copies of an earlier checkpoint are forgotten.
void Begin(std::uint32_t csn);
// A message that was sent in front of its sender's cut arrives, behind our cut; it has this number
// on its channel.
void Save(int source, std::uint64_t number, const logging::WireHeader& header,
          const std::byte* payload);
// Starts to write all copies so far beside the rank's checkpoint file.
void StartWriting(std::uint64_t job, const std::string& job_directory);
bool Writing();
// The writing that was started has ended: true, once. `count`: of messages that it covers.
bool WritingEnded(std::uint64_t* count, bool* success);

// At a restart: the copies that come with the checkpoint, in order of arrival.
std::vector<checkpoint::TransitMessage> Load(std::uint64_t job, const std::string& job_directory,
                                             const checkpoint::CutRecord& cut);

}  // namespace ftmpi::in_transit
