// The named parts of an image beside its memory. What is in them: checkpoint/image/IMAGE.md.
#pragma once

namespace ftmpi::image {

inline constexpr char kRegistersBlob[] = "process/registers";
inline constexpr char kMappingsBlob[] = "process/mappings";
inline constexpr char kModulesBlob[] = "process/modules";
inline constexpr char kProcessStateBlob[] = "process/state";
inline constexpr char kLibcStateBlob[] = "process/libc";
inline constexpr char kDescriptorsBlob[] = "process/files";
inline constexpr char kEnvironmentBlob[] = "process/environment";
inline constexpr char kThreadKeysBlob[] = "process/thread_keys";

}  // namespace ftmpi::image
