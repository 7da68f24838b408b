// What of the library's static memory is saved with the state heap (pmpi/state_heap.h): variables
// that are marked FTMPI_SAVED lie side by side in a section of their own, which goes into an image
// and comes back as bytes.
//
// A saved variable may point into the state heap, into the program's memory, to functions and to
// predefined objects of the MPI library; not to Open MPI's other objects, to mapped files or to
// memory of the normal heap.
#pragma once

#include <cstddef>

#define FTMPI_SAVED __attribute__((section("ftmpi_saved")))

namespace ftmpi::saved_state {

// Copies the marked variables into the state heap's saved area, before an image is taken.
void Store();
// Copies them back in a process into which the image has been mapped. Ends the job when the image
// is of another build (its identity is checked before; this is an invariant).
void Load();

}  // namespace ftmpi::saved_state
