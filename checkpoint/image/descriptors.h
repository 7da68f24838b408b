// The program's open files. Regular files, directories and character devices are opened anew at the
// same descriptors; pipes, sockets and the like can't be. Descriptors of MPI, and those that were
// inherited at start, are left as the new process has them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace ftmpi::image {

// Before main(): descriptors that are open now are inherited.
void NoteInheritedDescriptors();
// Descriptors that appear between the two belong to a library: around MPI_Init and the like.
void LibraryOpens();
void LibraryOpened();
// One descriptor that a library has just made.
void NoteLibraryDescriptor(int descriptor);
// It was closed, or is the program's now.
void ForgetDescriptor(int descriptor);

// Adds what can't be restored to `reasons`. Throws ImageError when /proc can't be read.
std::vector<std::byte> CaptureDescriptors(std::vector<std::string>* reasons);

// At the start of the process to restore: keeps the descriptors free for the program's files.
// Checks that the files are there, of the right kind and long enough. Throws ImageError.
void ReserveDescriptors(std::span<const std::byte> state);
// Opens the files at their descriptors, sets offsets, cuts back what was appended since. Throws
// ImageError.
void RestoreDescriptors(std::span<const std::byte> state);

}  // namespace ftmpi::image
