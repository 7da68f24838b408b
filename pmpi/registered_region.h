// A region of registered state: how it looks as a dataset; and what the parts of
// pmpi/registered*.cc share. Nobody else includes this.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/section.h"
#include "pmpi/checkpointing.h"

namespace ftmpi::registered {

inline constexpr char kGroup[] = "registered/";

struct Region {
  void* pointer;
  int count;
  MPI_Datatype datatype;
  MPI_Datatype holder;  // HoldDatatype: the program may free its own
};
using Regions = std::map<std::string, Region>;  // by name
Regions& TheRegions();

// Why it can't be a region, or null.
const char* Wrong(const char* name, const Region& region);
// Its dataset, with the address of its memory; 0 where it must be packed (then it has bytes).
checkpoint::Dataset Describe(const std::string& name, const Region& region);
// Its memory where that is one piece, else null.
void* InPlace(const Region& region);
// Packs it. MPI error code.
int Pack(const Region& region, std::vector<std::byte>* packed);
// "float64"
const char* TypeName(checkpoint::ElementType type);

// The first of FT_Restored, FT_Checkpoint and MPI_Finalize: output counts from here.
void Resume();
// No region is filled from now on.
void ForgetSaved();
void StartCheckpoints(const checkpointing::JobNames& names, std::uint32_t csn);

}  // namespace ftmpi::registered
