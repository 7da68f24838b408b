// What runs when the process exits. libc's own table is not part of an image and holds addresses
// encrypted with the pointer guard of the process, so in a process with an image libc's table has
// one entry, and this list has all others: the program's in the arena (they are restored with it),
// those of libraries in the library's memory (they are as the new process made them).
#pragma once

namespace ftmpi::image {

// Registers the one entry in libc's table, and the dynamic linker's own end (may be null). Before
// main(), once the pointer guard is what it will be.
void StartExitHandlers(void (*dynamic_linker_fini)());

}  // namespace ftmpi::image
