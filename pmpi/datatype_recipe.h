// How a datatype was made, asked from Open MPI, and making it again. Reference counts of Open MPI
// are as before after each call.
#pragma once

#include <mpi.h>

#include <vector>

#include "pmpi/object_table.h"

namespace ftmpi {

// False: Open MPI can't say, or in a way that is not known here.
bool ReadRecipe(MPI_Datatype datatype, objects::Recipe* recipe);
// Makes what the datatype is made of, to be freed with FreeParts, also after an error. MPI error
// code.
int MakeParts(const objects::Recipe& recipe, std::vector<MPI_Datatype>* parts);
void FreeParts(const std::vector<MPI_Datatype>& parts);
// MPI error code. A new datatype, not committed: one call of Open MPI's.
int MakeFromParts(const objects::Recipe& recipe, const std::vector<MPI_Datatype>& parts,
                  MPI_Datatype* made);
// Open MPI keeps one datatype for all calls with the same arguments, which can't be freed.
bool IsCached(const objects::Recipe& recipe);
// Do two datatypes agree in size, extent and true extent?
bool SameLayout(MPI_Datatype one, MPI_Datatype other);
}  // namespace ftmpi
