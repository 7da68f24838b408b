// How a datatype was made, asked from Open MPI, and making it again. Reference counts of Open MPI
// are as before after each call.
#pragma once

#include <mpi.h>

#include "pmpi/object_table.h"

namespace ftmpi {

// False: Open MPI can't say, or in a way that is not known here.
bool ReadRecipe(MPI_Datatype datatype, objects::Recipe* recipe);
// MPI error code. A new datatype, not committed.
int MakeFromRecipe(const objects::Recipe& recipe, MPI_Datatype* made);
// Open MPI keeps one datatype for all calls with the same arguments, which can't be freed.
bool IsCached(const objects::Recipe& recipe);
// Do two datatypes agree in size, extent and true extent?
bool SameLayout(MPI_Datatype one, MPI_Datatype other);
// One more reference of Open MPI's. MPI error code.
int AddReference(MPI_Datatype datatype);

}  // namespace ftmpi
