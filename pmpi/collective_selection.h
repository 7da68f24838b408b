// Which algorithm a collective uses: one table of thresholds for all of them.
//
// The choice depends only on what all ranks of the call know alike (collective, number of ranks,
// bytes), never on buffers, datatypes' layouts or load: ranks that chose differently would wait for
// each other for ever. FT_COLLECTIVE_<NAME>=<algorithm> (FT_COLLECTIVE_BCAST=chain) forces one, for
// tests and tuning; where a forced algorithm can't be used (recursive doubling of an allgather over
// 3 ranks, a ring with an operation that is not commutative) the table decides.
#pragma once

#include <cstdint>
#include <string>

namespace ftmpi {

enum class Collective : std::uint8_t {
  kBarrier,
  kBcast,
  kGather,
  kScatter,
  kAllgather,
  kAllgatherv,
  kAlltoall,
  kAlltoallv,  // and w
  kReduce,
  kAllreduce,
  kReduceScatter,  // and the block form
  kScan,           // and exscan
  kCount,
};

enum class Algorithm : std::uint8_t {
  kAutomatic,          // not forced
  kDissemination,      // barrier
  kRecursiveDoubling,  // barrier, allgather, allreduce, scan
  kBinomial,           // bcast, gather, scatter, reduce
  kLinear,             // gather, scatter, alltoall(v), scan: all messages of a window at once
  kScatterRing,        // bcast: scatter and ring allgather (van de Geijn)
  kChain,              // bcast: segments along a chain
  kBruck,              // allgather(v), alltoall
  kRing,               // allgather(v), allreduce
  kPairwise,           // alltoall(v), reduce_scatter: one partner after the other
  kRabenseifner,       // reduce, allreduce: recursive halving, then gather or allgather
  kRecursiveHalving,   // reduce_scatter
  kReduceScatterv,     // reduce_scatter: ordered reduction to one rank, then scatterv
};

// Reads and checks FT_COLLECTIVE_*. False: `error` names the variable, its value and what is
// allowed. Called in MPI_Init; without the call nothing is forced.
bool ReadCollectiveSelection(std::string* error);
// What is forced, as "FT_COLLECTIVE_BCAST=chain ...", for the ranks to agree on; empty: nothing.
std::string ForcedCollectives();

// `ranks` of the group; `bytes` of one rank's contribution (one block for gather, scatter,
// allgather and alltoall; the whole vector for bcast and reductions; the whole result for
// allgatherv).
Algorithm SelectBarrier(int ranks);
Algorithm SelectBcast(int ranks, std::uint64_t bytes);
Algorithm SelectGather(int ranks, std::uint64_t bytes);
Algorithm SelectScatter(int ranks, std::uint64_t bytes);
Algorithm SelectAllgather(int ranks, std::uint64_t bytes);
Algorithm SelectAllgatherv(int ranks, std::uint64_t bytes);
Algorithm SelectAlltoall(int ranks, std::uint64_t bytes);
Algorithm SelectAlltoallv(int ranks);
// `elements` of the vector: a vector shorter than the group can't be cut into blocks.
Algorithm SelectReduce(int ranks, std::uint64_t bytes, std::uint64_t elements, bool commutative);
Algorithm SelectAllreduce(int ranks, std::uint64_t bytes, std::uint64_t elements, bool commutative);
Algorithm SelectReduceScatter(int ranks, std::uint64_t bytes, bool commutative);
Algorithm SelectScan(int ranks);

// Bytes of a segment of a pipelined broadcast.
std::uint64_t BcastSegmentBytes(int ranks, std::uint64_t bytes);
// Messages in each direction that a linear exchange keeps under way.
int ExchangeWindow();

}  // namespace ftmpi
