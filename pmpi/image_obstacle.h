// Why no image of this process would be complete: the program holds objects of Open MPI's, or works
// in a way that an image can't follow. Replay from the beginning is not concerned.
#pragma once

#include <string>

namespace ftmpi::image_obstacle {

// Notes a reason, a phrase for a message ("the program uses ..."); the first one stays. `reason` is
// kept as it is: a literal.
void Note(const char* reason);
// The reason, or null: there is none.
const char* Found();

// Found before MPI_Init: this process gets no images. A sentence.
void NoteAtStart(const std::string& reason);
// Collective over MPI_COMM_WORLD, by Open MPI: whether images can be taken of every rank. `can`: of
// this one. If not, the first rank of which none can be taken says so and why; the job goes on.
bool AgreeOnImages(bool can);

}  // namespace ftmpi::image_obstacle
