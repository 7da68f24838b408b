// FT_INJECT: a failure at a chosen MPI call, for users who want to see a recovery and for tests.
//
//   FT_INJECT=rank=2,call=MPI_Send,count=1000,signal=KILL
//
// Rank 2 sends itself SIGKILL when it makes its 1000th call of MPI_Send (call=any: of any MPI
// function). Only in a job's first run, not when it is recovered (epoch=N: in recovery epoch N).
// Several, separated by semicolons.
#pragma once

#include <string>

namespace ftmpi::inject {

extern bool g_armed;  // this rank is to fail

// Reads FT_INJECT for this rank and epoch. False: `error` says what is wrong with it.
bool Arm(const std::string& text, int rank, int size, unsigned epoch, std::string* error);
// Counts one MPI call; fails when it is the one.
void Count(const char* function);

}  // namespace ftmpi::inject
