// Keyvals of datatypes and windows: Open MPI's, recorded and made again after a restart with the
// same numbers (pmpi/OBJECTS.md). Those of communicators are ours (pmpi/attribute.h).
#pragma once

#include <vector>

namespace ftmpi::objects {

// Of datatypes; those that were freed are among them while they may still be in use.
std::vector<int> DatatypeKeyvals();
// After all datatypes were described: drops the freed keyvals that no datatype uses.
void ForgetUnusedKeyvals();
// Makes all again; ends the job with a message if Open MPI does not give out the same numbers.
void RestoreKeyvals();
// When the attributes are set again: frees those that the program has freed.
void FreeFreedKeyvals();

}  // namespace ftmpi::objects
