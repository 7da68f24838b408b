// The executable and the shared objects of the process: which of them belong to the program, and
// what of their memory an image holds.
//
// Not the program's ("system"): libc and its family, ftmpi, the MPI library, everything these need,
// and what is loaded while in a library (MPI's components). The run-time libraries of the compilers
// (libstdc++, libgcc_s, libgomp, libgfortran, ...) are the program's where it needs them or where
// they are there at its start: their state (streams, locales, exceptions, units) is part of it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ftmpi::image {

struct AddressRange {
  std::uint64_t begin;
  std::uint64_t end;
};

struct Module {
  std::string path;                    // the executable: what /proc/self/exe names
  std::string file_name;               // of the path
  std::uint64_t base;                  // load address
  AddressRange memory;                 // all its segments
  std::string build_id;                // hexadecimal; empty: has none
  std::uint64_t size;                  // of the file, for modules without a build id
  bool executable;                     // the first module
  bool system;                         // not the program's
  bool startup;                        // was there before main()
  std::vector<AddressRange> writable;  // what an image of it must hold, see above
  AddressRange thread_local_data;      // the calling thread's, empty if there is none
  std::uint64_t thread_local_id;       // module number of its TLS, 0: none
  void* thread_local_block;            // see ThreadLocalBlock, loading.h
  std::string soname;
  std::vector<std::string> needed;  // DT_NEEDED
  void* handle;                     // as dlopen returned it to the program
};

// All modules in the order of the dynamic linker. For the program's modules `writable` leaves out
// what is read-only after relocation, and objects of system libraries that were copied into the
// executable (R_X86_64_COPY). Throws ImageError when /proc can't be read.
std::vector<Module> ListModules();

// To be called before main(): the modules that are there now are `startup`. Modules loaded by then
// belong to the program or the system by who needs them; later ones by who loads them.
void NoteStartupModules();
// Modules that appeared since the last call were loaded by a library: at the end of MPI_Init and
// whenever else the library loads something.
void NoteLibraryModules();

// True if the address lies in a system module. For early use: allocates nothing that stays.
bool IsSystemAddress(const void* address);

// True if the executable, or a library that it needs, needs a library of the host
// (Host::IsLibraryRoot): otherwise the process is a shell or another helper of a rank.
bool ExecutableNeedsHostLibrary();

}  // namespace ftmpi::image
