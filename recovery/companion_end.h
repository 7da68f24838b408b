// What a companion does when its rank has ended: records in the job directory, one line for the
// user, and, when the whole job ended well, the removal of what it left behind. (Companion::End.)
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "recovery/companion_job.h"
#include "recovery/job_directory.h"

namespace ftmpi::recovery {

// How a process ended, as waitpid would tell its parent. Empty: it can't be found out any more.
// `stat_file` is a descriptor of /proc/<pid>/stat opened while it lived.
std::optional<int> WaitStatusOf(int pidfd, int stat_file);

// "killed by signal 9 (Killed)", "exit code 3"; "its process vanished" when empty.
std::string DescribeWaitStatus(const std::optional<int>& status);

// The ranks with a file `kind`-<r> in the directory of an epoch. Empty when it can't be read.
std::set<int> RanksWith(const std::string& job_directory, std::uint32_t epoch, const char* kind);

// "rank 3", "ranks 0-2, 5"
std::string DescribeRanks(const std::set<int>& ranks);

// The line that names the ranks of which nothing is heard (their nodes are lost), or the end from
// outside; empty: some rank's own companion has spoken already, or a lower survivor will.
std::string DescribeSilentRanks(const CompanionFactsChecked& facts);
// Whether all ranks have left word of what became of them.
bool EveryRankIsAccountedFor(const CompanionFactsChecked& facts);

// Every rank of this node is done: the companion that is the first to claim it removes for the
// node. The claim is the removal's own lock; false: another one has it, or not all are done.
bool ClaimNode(const CompanionFactsChecked& facts, const JobDescription& job);
// Removes ftmpi's own files of this job, by name, then the directories if nothing else is in them.
void RemoveLocalFiles(const CompanionFactsChecked& facts);
void RemoveJobFiles(const CompanionFactsChecked& facts, const JobDescription& job);
// Records that this node is clean; true: it was the last one.
bool MarkNodeClean(const CompanionFactsChecked& facts, const JobDescription& job);

}  // namespace ftmpi::recovery
