// Why no image of this process would be complete: the program holds objects of Open MPI's, or works
// in a way that an image can't follow. Replay from the beginning is not concerned.
#pragma once

namespace ftmpi::image_obstacle {

// Notes a reason, a phrase for a message ("the program uses ..."); the first one stays. `reason` is
// kept as it is: a literal.
void Note(const char* reason);
// The reason, or null: there is none.
const char* Found();

}  // namespace ftmpi::image_obstacle
