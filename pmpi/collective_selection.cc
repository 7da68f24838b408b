#include "pmpi/collective_selection.h"

#include <array>
#include <bit>
#include <cstdlib>
#include <initializer_list>

namespace ftmpi {
namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;

// --- The table ----------------------------------------------------------------------------------
// Measured on shared memory, where a copy costs as much as a transfer: what moves fewer bytes wins
// over what takes fewer rounds only with several ranks.
constexpr std::uint64_t kBcastLarge = 256 * kKiB;  // from here: scatter and ring
constexpr int kBcastLargeRanks = 5;                // fewer ranks: binomial at any size
constexpr std::uint64_t kBcastChain = 8 * kMiB;    // from here, many ranks: chain
constexpr int kBcastChainRanks = 8;
constexpr std::uint64_t kGatherBinomial = 8 * kKiB;       // up to here, per block
constexpr std::uint64_t kAllgatherBruck = 64 * kKiB;      // of the whole result: Bruck up to here,
constexpr std::uint64_t kAllgatherDoubling = 512 * kKiB;  // recursive doubling up to here
constexpr std::uint64_t kAlltoallBruck = 256;             // up to here, per block,
constexpr int kAlltoallBruckRanks = 8;                    // from this many ranks
constexpr std::uint64_t kAlltoallPairwise = 256 * kKiB;   // from here, per block,
constexpr int kAlltoallPairwiseRanks = 16;                // from this many ranks
constexpr std::uint64_t kReduceShort = 64 * kKiB;         // binomial up to here
constexpr std::uint64_t kAllreduceShort = 32 * kKiB;      // recursive doubling up to here
// From here, if commutative and the ranks are not a power of two: ring.
constexpr std::uint64_t kAllreduceRing = 512 * kKiB;
constexpr std::uint64_t kReduceScatterShort = 64 * kKiB;  // recursive halving up to here
constexpr std::uint64_t kSegment = 128 * kKiB;
constexpr int kWindow = 32;

// --- Forced choices -----------------------------------------------------------------------------
struct Name {
  Algorithm algorithm;
  const char* name;
};

constexpr Name kNames[] = {
    {Algorithm::kDissemination, "dissemination"},
    {Algorithm::kRecursiveDoubling, "recursive_doubling"},
    {Algorithm::kBinomial, "binomial"},
    {Algorithm::kLinear, "linear"},
    {Algorithm::kScatterRing, "scatter_ring"},
    {Algorithm::kChain, "chain"},
    {Algorithm::kBruck, "bruck"},
    {Algorithm::kRing, "ring"},
    {Algorithm::kPairwise, "pairwise"},
    {Algorithm::kRabenseifner, "rabenseifner"},
    {Algorithm::kRecursiveHalving, "recursive_halving"},
    {Algorithm::kReduceScatterv, "reduce_scatterv"},
};

const char* NameOf(Algorithm algorithm) {
  for (const Name& entry : kNames) {
    if (entry.algorithm == algorithm) return entry.name;
  }
  return "?";
}

struct Variable {
  Collective collective;
  const char* name;
  std::initializer_list<Algorithm> allowed;
};

const Variable kVariables[] = {
    {Collective::kBarrier,
     "FT_COLLECTIVE_BARRIER",
     {Algorithm::kDissemination, Algorithm::kRecursiveDoubling}},
    {Collective::kBcast,
     "FT_COLLECTIVE_BCAST",
     {Algorithm::kBinomial, Algorithm::kScatterRing, Algorithm::kChain}},
    {Collective::kGather, "FT_COLLECTIVE_GATHER", {Algorithm::kBinomial, Algorithm::kLinear}},
    {Collective::kScatter, "FT_COLLECTIVE_SCATTER", {Algorithm::kBinomial, Algorithm::kLinear}},
    {Collective::kAllgather,
     "FT_COLLECTIVE_ALLGATHER",
     {Algorithm::kBruck, Algorithm::kRecursiveDoubling, Algorithm::kRing}},
    {Collective::kAllgatherv, "FT_COLLECTIVE_ALLGATHERV", {Algorithm::kBruck, Algorithm::kRing}},
    {Collective::kAlltoall,
     "FT_COLLECTIVE_ALLTOALL",
     {Algorithm::kBruck, Algorithm::kLinear, Algorithm::kPairwise}},
    {Collective::kAlltoallv, "FT_COLLECTIVE_ALLTOALLV", {Algorithm::kLinear, Algorithm::kPairwise}},
    {Collective::kReduce, "FT_COLLECTIVE_REDUCE", {Algorithm::kBinomial, Algorithm::kRabenseifner}},
    {Collective::kAllreduce,
     "FT_COLLECTIVE_ALLREDUCE",
     {Algorithm::kRecursiveDoubling, Algorithm::kRing, Algorithm::kRabenseifner}},
    {Collective::kReduceScatter,
     "FT_COLLECTIVE_REDUCE_SCATTER",
     {Algorithm::kRecursiveHalving, Algorithm::kPairwise, Algorithm::kReduceScatterv}},
    {Collective::kScan, "FT_COLLECTIVE_SCAN", {Algorithm::kRecursiveDoubling, Algorithm::kLinear}},
};

std::array<Algorithm, static_cast<std::size_t>(Collective::kCount)> g_forced{};

Algorithm Forced(Collective collective) { return g_forced[static_cast<std::size_t>(collective)]; }

bool IsPowerOfTwo(int ranks) { return std::has_single_bit(static_cast<unsigned>(ranks)); }

}  // namespace

bool ReadCollectiveSelection(std::string* error) {
  for (const Variable& variable : kVariables) {
    Algorithm& forced = g_forced[static_cast<std::size_t>(variable.collective)];
    forced = Algorithm::kAutomatic;
    const char* value = std::getenv(variable.name);
    if (value == nullptr || *value == '\0') continue;
    std::string names;
    for (Algorithm algorithm : variable.allowed) {
      names += names.empty() ? "" : ", ";
      names += NameOf(algorithm);
      if (std::string(value) == NameOf(algorithm)) forced = algorithm;
    }
    if (forced == Algorithm::kAutomatic) {
      *error = std::string(variable.name) + "=" + value + ": no such algorithm; one of " + names +
               ", or unset it for the choice by size";
      return false;
    }
  }
  return true;
}

std::string ForcedCollectives() {
  std::string text;
  for (const Variable& variable : kVariables) {
    const Algorithm forced = g_forced[static_cast<std::size_t>(variable.collective)];
    if (forced == Algorithm::kAutomatic) continue;
    text += text.empty() ? "" : " ";
    text += std::string(variable.name) + "=" + NameOf(forced);
  }
  return text;
}

Algorithm SelectBarrier(int ranks) {
  const Algorithm forced = Forced(Collective::kBarrier);
  if (forced != Algorithm::kAutomatic) return forced;
  return IsPowerOfTwo(ranks) ? Algorithm::kRecursiveDoubling : Algorithm::kDissemination;
}

Algorithm SelectBcast(int ranks, std::uint64_t bytes) {
  const Algorithm forced = Forced(Collective::kBcast);
  if (forced != Algorithm::kAutomatic) return forced;
  if (bytes < kBcastLarge || ranks < kBcastLargeRanks) return Algorithm::kBinomial;
  if (bytes >= kBcastChain && ranks >= kBcastChainRanks) return Algorithm::kChain;
  return Algorithm::kScatterRing;
}

Algorithm SelectGather(int ranks, std::uint64_t bytes) {
  const Algorithm forced = Forced(Collective::kGather);
  // Subtrees travel as one message.
  if (bytes * static_cast<std::uint64_t>(ranks) >= std::uint64_t{1} << 30) {
    return Algorithm::kLinear;
  }
  if (forced != Algorithm::kAutomatic) return forced;
  return bytes <= kGatherBinomial ? Algorithm::kBinomial : Algorithm::kLinear;
}

Algorithm SelectScatter(int ranks, std::uint64_t bytes) {
  const Algorithm forced = Forced(Collective::kScatter);
  if (bytes * static_cast<std::uint64_t>(ranks) >= std::uint64_t{1} << 30) {
    return Algorithm::kLinear;
  }
  if (forced != Algorithm::kAutomatic) return forced;
  return bytes <= kGatherBinomial ? Algorithm::kBinomial : Algorithm::kLinear;
}

Algorithm SelectAllgather(int ranks, std::uint64_t bytes) {
  const Algorithm forced = Forced(Collective::kAllgather);
  if (forced != Algorithm::kAutomatic &&
      (forced != Algorithm::kRecursiveDoubling || IsPowerOfTwo(ranks))) {
    return forced;
  }
  // Between two ranks recursive doubling is the one exchange that there is.
  if (ranks == 2) return Algorithm::kRecursiveDoubling;
  const std::uint64_t total = bytes * static_cast<std::uint64_t>(ranks);
  if (IsPowerOfTwo(ranks))
    return total <= kAllgatherDoubling ? Algorithm::kRecursiveDoubling : Algorithm::kRing;
  return total <= kAllgatherBruck ? Algorithm::kBruck : Algorithm::kRing;
}

Algorithm SelectAllgatherv(int ranks, std::uint64_t bytes) {
  const Algorithm forced = Forced(Collective::kAllgatherv);
  if (forced != Algorithm::kAutomatic) return forced;
  return bytes <= kAllgatherBruck && ranks > 2 ? Algorithm::kBruck : Algorithm::kRing;
}

Algorithm SelectAlltoall(int ranks, std::uint64_t bytes) {
  const Algorithm forced = Forced(Collective::kAlltoall);
  if (forced != Algorithm::kAutomatic) return forced;
  if (bytes <= kAlltoallBruck && ranks >= kAlltoallBruckRanks) return Algorithm::kBruck;
  return bytes >= kAlltoallPairwise && ranks >= kAlltoallPairwiseRanks ? Algorithm::kPairwise
                                                                       : Algorithm::kLinear;
}

Algorithm SelectAlltoallv(int /*ranks*/) {
  const Algorithm forced = Forced(Collective::kAlltoallv);
  // The sizes of the other ranks' blocks are not known here.
  return forced != Algorithm::kAutomatic ? forced : Algorithm::kLinear;
}

Algorithm SelectReduce(int ranks, std::uint64_t bytes, std::uint64_t elements,
                       bool /*commutative*/) {
  Algorithm choice = Forced(Collective::kReduce);
  if (choice == Algorithm::kAutomatic) {
    choice = bytes <= kReduceShort ? Algorithm::kBinomial : Algorithm::kRabenseifner;
  }
  if (elements < static_cast<std::uint64_t>(ranks)) choice = Algorithm::kBinomial;
  return choice;
}

Algorithm SelectAllreduce(int ranks, std::uint64_t bytes, std::uint64_t elements,
                          bool commutative) {
  Algorithm choice = Forced(Collective::kAllreduce);
  if (elements < static_cast<std::uint64_t>(ranks)) return Algorithm::kRecursiveDoubling;
  if (choice == Algorithm::kAutomatic) {
    choice = bytes <= kAllreduceShort                          ? Algorithm::kRecursiveDoubling
             : bytes >= kAllreduceRing && !IsPowerOfTwo(ranks) ? Algorithm::kRing
                                                               : Algorithm::kRabenseifner;
  }
  if (choice == Algorithm::kRing && !commutative) return Algorithm::kRabenseifner;
  return choice;
}

Algorithm SelectReduceScatter(int ranks, std::uint64_t bytes, bool commutative) {
  if (!commutative && ranks > 1) return Algorithm::kReduceScatterv;
  const Algorithm forced = Forced(Collective::kReduceScatter);
  if (forced != Algorithm::kAutomatic) return forced;
  return bytes <= kReduceScatterShort ? Algorithm::kRecursiveHalving : Algorithm::kPairwise;
}

Algorithm SelectScan(int /*ranks*/) {
  const Algorithm forced = Forced(Collective::kScan);
  return forced != Algorithm::kAutomatic ? forced : Algorithm::kRecursiveDoubling;
}

std::uint64_t BcastSegmentBytes(int /*ranks*/, std::uint64_t /*bytes*/) { return kSegment; }

int ExchangeWindow() { return kWindow; }

}  // namespace ftmpi
