// Modules that the program loaded while it ran (dlopen; also what libc loads for it): a restored
// process loads them anew, at the same addresses, without running their constructors, whose work
// the image has. The dynamic linker's handles differ then: dlsym and dlclose translate them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/image/modules.h"

namespace ftmpi::image {

// dlopen for this library's own purposes: says nothing about who loads what.
void* OpenUnnoted(const char* path, int flags);

// True if a library has asked for a module of this file name.
bool LoadedByLibrary(const std::string& file_name);

// At the start of the process to restore: keeps the modules' addresses free. Throws ImageError.
void ReserveModules(const std::vector<Module>& image);
// Before memory is restored. Throws ImageError.
void LoadModules(const std::vector<Module>& image);
// After memory is restored: the thread-local data of these modules is where it was.
void RestoreLoadedThreadLocal(const std::vector<Module>& image);

// What the dynamic linker will free when the calling thread's data of that module ends.
void* ThreadLocalBlock(std::uint64_t module_id);

// The handle that the program knows a module by.
void* ProgramHandle(void* handle);

}  // namespace ftmpi::image
