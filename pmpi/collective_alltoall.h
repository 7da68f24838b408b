// The exchange of blocks between all pairs of ranks, for MPI_Alltoall and its v and w forms.
#pragma once

#include "pmpi/collective.h"

namespace ftmpi {

// Blocks to and from every rank. `in_place`: the blocks of `receive` are also what is sent.
// `uniform`: all blocks of all ranks have the same number of bytes, so that the algorithm may be
// chosen by it.
void BuildExchange(Schedule& schedule, const Blocks& send, const Blocks& receive, bool in_place,
                   bool uniform);

}  // namespace ftmpi
