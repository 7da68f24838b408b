// Whether an image fits into a process: same modules at the same addresses, same kind of machine.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "checkpoint/image/modules.h"

namespace ftmpi::image {

std::vector<std::byte> EncodeModules(const std::vector<Module>& modules);
std::vector<Module> DecodeModules(std::span<const std::byte> bytes);

// Throws ImageError that names each module that differs between an image and this process, in file,
// build id or address. Only modules of the start are compared: what a library loads later is its
// own, and what the program loads later is loaded anew.
void RequireSameModules(const std::vector<Module>& image, const std::vector<Module>& process);

}  // namespace ftmpi::image
