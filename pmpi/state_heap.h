// Memory of what the engine keeps for the program: communicators, requests, queues, and whatever
// else an MPI call has under way. It is part of the process image: a restored process finds it at
// the same address, so that the handles which the program holds, and the frames of the MPI call in
// which the image was taken, stay valid.
//
// While the heap is active every `new` in libftmpi comes from it. Objects that belong to the
// process (logs, the wire, Open MPI's handles) may lie in it too, but nothing that is saved may
// point to memory outside of it, or to objects of the process: see pmpi/saved_state.h.
//
// `new` in the main thread comes from it, in other threads from the normal heap; `delete` by any.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ftmpi::state_heap {

// Far above the image's own arena (checkpoint/image/layout.h), below where libraries are.
inline constexpr std::uint64_t kBase = std::uint64_t{64} << 40;
inline constexpr std::uint64_t kLimit = std::uint64_t{1} << 40;  // bytes of addresses

// Reserves the addresses and makes an empty heap. False: `reason` says why it can't be.
bool Create(const char** reason);
// In a process that is to be restored: reserves the addresses for the image.
bool Reserve(const char** reason);
// The image's heap has been mapped and is used from here on.
void Adopt();
bool Active();

// What an image has to hold: from kBase, a whole number of pages.
std::uint64_t BytesInUse();
// Room in the heap, of kSavedBytes, for what is saved beside it (pmpi/saved_state.h).
inline constexpr std::size_t kSavedBytes = 64 * 1024;
std::byte* SavedArea();

inline bool Owns(const void* block) {
  return reinterpret_cast<std::uint64_t>(block) - kBase < kLimit;
}

}  // namespace ftmpi::state_heap
