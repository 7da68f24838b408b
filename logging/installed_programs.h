// Where the programs are that libftmpi.so starts.
#pragma once

#include <string>

namespace ftmpi::logging {

// ftmpi/ beside the object that this function is linked into (libftmpi.so), absolute. False:
// `error` says why it can't be found out.
bool InstalledPrograms(std::string* directory, std::string* error);

}  // namespace ftmpi::logging
