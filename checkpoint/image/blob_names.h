// The named parts of an image beside its memory. What is in them: checkpoint/image/IMAGE.md.
#pragma once

namespace ftmpi::image {

inline constexpr char kRegistersBlob[] = "process/registers";
inline constexpr char kMappingsBlob[] = "process/mappings";
inline constexpr char kModulesBlob[] = "process/modules";

}  // namespace ftmpi::image
