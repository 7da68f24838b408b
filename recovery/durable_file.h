// Files that must survive the process and the node that wrote them: whole-file reads, atomic and
// durable replacement. Errors are JobDirectoryErrors that name the file, the step that failed and
// the reason.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ftmpi::recovery {

// The file's bytes; nullopt when there is no such file.
std::optional<std::string> ReadWholeFile(const std::string& path);
// Temporary name in the same directory, write, fsync, rename, fsync of the directory. On an error
// the old file is intact and the temporary one is gone.
void ReplaceFile(const std::string& path, std::string_view content);
// As ReplaceFile, without the two fsyncs: whole or not at all to readers, but not durable.
void ReplaceFileLoosely(const std::string& path, std::string_view content);
// Makes the directory unless it exists (its parent must exist).
void MakeDirectory(const std::string& path);
// Writes all of it; errno on failure.
bool WriteAll(int file, std::string_view bytes);

}  // namespace ftmpi::recovery
