#include "pmpi/error_code.h"

#include <mpi.h>

#include <map>
#include <string>
#include <vector>

#include "pmpi/message.h"
#include "pmpi/object_table.h"
#include "pmpi/passthrough.h"
#include "pmpi/saved_state.h"

namespace ftmpi::objects {
namespace {

struct Addition {
  bool is_class = false;
  int error_class = 0;  // of a code
  int number = 0;       // that Open MPI gave
};
struct Additions {
  std::vector<Addition> numbers;  // in the order of their making
  std::map<int, std::string> strings;
};
FTMPI_SAVED Additions* g_additions = nullptr;

Additions& TheAdditions() {
  if (g_additions == nullptr) g_additions = new Additions;
  return *g_additions;
}

void Note(const Addition& added) {
  const image::LibraryScope scope;
  if (g_on) TheAdditions().numbers.push_back(added);
}

}  // namespace

void RestoreErrorCodes() {
  if (g_additions == nullptr) return;
  for (const Addition& added : g_additions->numbers) {
    int number = 0;
    const int error = added.is_class ? PMPI_Add_error_class(&number)
                                     : PMPI_Add_error_code(added.error_class, &number);
    if (error != MPI_SUCCESS || number != added.number) {
      Fatal(
          "the program's error %s %d could not be added again: is the MPI library's "
          "configuration another one than at the checkpoint?",
          added.is_class ? "class" : "code", added.number);
    }
  }
  for (const auto& [number, text] : g_additions->strings) {
    if (PMPI_Add_error_string(number, text.c_str()) != MPI_SUCCESS)
      Fatal("the text of the program's error code %d could not be added again", number);
  }
}

}  // namespace ftmpi::objects

// NOLINTBEGIN: parameter names are those of mpi.h
using namespace ftmpi;  // NOLINT

FTMPI_EXPORT int MPI_Add_error_class(int* errorclass) {
  FTMPI_PASS_THROUGH(PMPI_Add_error_class(errorclass));
  passthrough::Enter("MPI_Add_error_class");
  const int error = PMPI_Add_error_class(errorclass);
  if (error == MPI_SUCCESS) objects::Note({true, 0, *errorclass});
  return passthrough::Result(error, "MPI_Add_error_class");
}

FTMPI_EXPORT int MPI_Add_error_code(int errorclass, int* errorcode) {
  FTMPI_PASS_THROUGH(PMPI_Add_error_code(errorclass, errorcode));
  passthrough::Enter("MPI_Add_error_code");
  const int error = PMPI_Add_error_code(errorclass, errorcode);
  if (error == MPI_SUCCESS) objects::Note({false, errorclass, *errorcode});
  return passthrough::Result(error, "MPI_Add_error_code");
}

FTMPI_EXPORT int MPI_Add_error_string(int errorcode, const char* string) {
  FTMPI_PASS_THROUGH(PMPI_Add_error_string(errorcode, string));
  passthrough::Enter("MPI_Add_error_string");
  const int error = PMPI_Add_error_string(errorcode, string);
  if (error == MPI_SUCCESS && objects::g_on) {
    const image::LibraryScope scope;
    objects::TheAdditions().strings[errorcode] = string;
  }
  return passthrough::Result(error, "MPI_Add_error_string");
}
// NOLINTEND
