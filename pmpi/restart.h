// A rank that starts from an image: what the new process brings up before the image is mapped, and
// how the engine goes on in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ftmpi::restart {

// The checkpoint to start from; 0: none. From the environment (FTMPI_RESTART_CSN, "Variables" in
// recovery/JOB_DIRECTORY.md), or from this rank's replay log where each rank has its own.
std::uint32_t Csn();
// Each rank starts from a checkpoint of its own, or from the initial state.
bool EachFromItsOwn();

// Starts MPI and all of the engine that is the process's own.
void BringUp(int* argc, char*** argv);

// A dataset of the image, by name. Throws ImageError.
std::span<const std::byte> FindBlob(const char* name);

// In the process that replaces the captured one, inside the MPI call in which the image was taken:
// the image is mapped, the library's static memory is still the new process's. Joins them.
void GoOn();

}  // namespace ftmpi::restart
