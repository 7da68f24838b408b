// What mpi-ft-check says of a program: whether images can be taken of it, and what else of it bears
// on its recovery. From its file alone; nothing is run. checkpoint/image/check.h has the rules that
// the library itself follows at start.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/image/check.h"

namespace ftmpi::recovery {

struct ProgramCheck {
  std::string path;
  image::ProgramFacts facts;
  std::vector<image::Reason> obstacles;  // why no image can be taken; empty: one can
  bool linked_mpi = false;               // with libmpi, directly
  bool linked_ftmpi = false;             // else LD_PRELOAD is needed
  bool fortran = false;                  // starts MPI through Fortran's interface
  // What a recovery can't cross, or an image can't hold, if the program does it; sentences.
  std::vector<std::string> remarks;
};

// The file that a shell would run under this name. Empty: there is none.
std::string FindProgram(const std::string& name);

ProgramCheck CheckProgramFile(const std::string& path);

// For a person, each line ended.
std::string CheckText(const ProgramCheck& check);
// The same as a JSON document.
std::string CheckJson(const ProgramCheck& check);

}  // namespace ftmpi::recovery
