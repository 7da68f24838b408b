// Error classes, codes and strings that the program adds to MPI's (MPI-3.1, 8.5).
#pragma once

namespace ftmpi::objects {

// After a restart: adds them again. Ends the job with a message when Open MPI's numbers are others.
void RestoreErrorCodes();

}  // namespace ftmpi::objects
