#include "pmpi/object_keyval.h"

#include <mpi.h>

#include <map>
#include <set>

#include "pmpi/message.h"
#include "pmpi/object_table.h"
#include "pmpi/passthrough.h"
#include "pmpi/saved_state.h"

namespace ftmpi::objects {
namespace {

// The program's functions, which Open MPI calls through ours: they work in the program's name, and
// no image is taken while Open MPI's frames are below them. Open MPI gets the record's address as
// extra state.
struct Keyval {
  bool window = false;
  bool freed = false;
  void (*copy)() = nullptr;
  void (*remove)() = nullptr;
  void* extra_state = nullptr;
};

using Keyvals = std::map<int, Keyval*>;
FTMPI_SAVED Keyvals* g_keyvals = nullptr;

template <typename Handle>
int CallCopy(Handle old, int number, void* extra_state, void* in, void* out, int* flag) {
  const auto* keyval = static_cast<const Keyval*>(extra_state);
  const checkpointing::NoCut no_cut;
  const image::ProgramScope scope;
  using Copy = int (*)(Handle, int, void*, void*, void*, int*);
  return reinterpret_cast<Copy>(keyval->copy)(old, number, keyval->extra_state, in, out, flag);
}

template <typename Handle>
int CallDelete(Handle object, int number, void* value, void* extra_state) {
  const auto* keyval = static_cast<const Keyval*>(extra_state);
  const checkpointing::NoCut no_cut;
  const image::ProgramScope scope;
  using Delete = int (*)(Handle, int, void*, void*);
  return reinterpret_cast<Delete>(keyval->remove)(object, number, value, keyval->extra_state);
}

int MakeKeyval(Keyval* keyval, int* number) {
  return keyval->window
             ? PMPI_Win_create_keyval(CallCopy<MPI_Win>, CallDelete<MPI_Win>, number, keyval)
             : PMPI_Type_create_keyval(CallCopy<MPI_Datatype>, CallDelete<MPI_Datatype>, number,
                                       keyval);
}

// Makes a keyval for the program, or hands the call on where nothing is kept.
template <typename Copy, typename Delete>
int Create(bool window, Copy* copy, Delete* remove, int* number, void* extra_state) {
  const image::LibraryScope scope;
  auto* keyval = new Keyval;
  keyval->window = window;
  keyval->copy = reinterpret_cast<void (*)()>(copy);
  keyval->remove = reinterpret_cast<void (*)()>(remove);
  keyval->extra_state = extra_state;
  const int error = MakeKeyval(keyval, number);
  if (error != MPI_SUCCESS) {
    delete keyval;
    return error;
  }
  if (g_keyvals == nullptr) g_keyvals = new Keyvals;
  Keyval*& entry = (*g_keyvals)[*number];
  delete entry;  // a freed one, whose number Open MPI has given out again
  entry = keyval;
  return MPI_SUCCESS;
}

void Freed(int number) {
  if (g_keyvals == nullptr) return;
  const auto found = g_keyvals->find(number);
  if (found != g_keyvals->end()) found->second->freed = true;
}

int Free(bool window, int number) {
  return window ? PMPI_Win_free_keyval(&number) : PMPI_Type_free_keyval(&number);
}

}  // namespace

std::vector<int> DatatypeKeyvals() {
  std::vector<int> numbers;
  if (g_keyvals == nullptr) return numbers;
  for (const auto& [number, keyval] : *g_keyvals) {
    if (!keyval->window) numbers.push_back(number);
  }
  return numbers;
}

void ForgetUnusedKeyvals() {
  if (g_keyvals == nullptr) return;
  std::set<int> used;
  for (const Object* object : All()) {
    const auto* record = std::get_if<DatatypeRecord>(&object->record);
    if (record == nullptr) continue;
    for (const auto& attribute : record->attributes) used.insert(attribute.first);
  }
  for (auto entry = g_keyvals->begin(); entry != g_keyvals->end();) {
    if (entry->second->freed && used.count(entry->first) == 0) {
      delete entry->second;
      entry = g_keyvals->erase(entry);
    } else {
      ++entry;
    }
  }
}

void RestoreKeyvals() {
  if (g_keyvals == nullptr) return;
  // Open MPI gives out the lowest free number; by ascending numbers, what comes before is free or
  // belongs to something else.
  std::vector<int> between;
  for (const auto& [number, keyval] : *g_keyvals) {
    int made = MPI_KEYVAL_INVALID;
    do {
      if (made != MPI_KEYVAL_INVALID) between.push_back(made);
      if (MakeKeyval(keyval, &made) != MPI_SUCCESS) Fatal("MPI can't make a keyval");
    } while (made < number);
    if (made != number) {
      Fatal(
          "the program's keyval %d could not be made again: is the MPI library's configuration "
          "another one than at the checkpoint?",
          number);
    }
  }
  // `between` may hold numbers of the other kind: Open MPI numbers all keyvals together.
  for (int number : between) {
    if (Free(false, number) != MPI_SUCCESS) Free(true, number);
  }
}

void FreeFreedKeyvals() {
  if (g_keyvals == nullptr) return;
  for (const auto& [number, keyval] : *g_keyvals) {
    if (keyval->freed) Free(keyval->window, number);
  }
}

}  // namespace ftmpi::objects

// NOLINTBEGIN: parameter names are those of mpi.h
using namespace ftmpi;  // NOLINT

FTMPI_EXPORT int MPI_Type_create_keyval(MPI_Type_copy_attr_function* type_copy_attr_fn,
                                        MPI_Type_delete_attr_function* type_delete_attr_fn,
                                        int* type_keyval, void* extra_state) {
  FTMPI_PASS_THROUGH(
      PMPI_Type_create_keyval(type_copy_attr_fn, type_delete_attr_fn, type_keyval, extra_state));
  passthrough::Enter("MPI_Type_create_keyval");
  const bool plain = !objects::g_on || type_copy_attr_fn == nullptr ||
                     type_delete_attr_fn == nullptr || type_keyval == nullptr;
  return passthrough::Result(plain ? PMPI_Type_create_keyval(type_copy_attr_fn, type_delete_attr_fn,
                                                             type_keyval, extra_state)
                                   : objects::Create(false, type_copy_attr_fn, type_delete_attr_fn,
                                                     type_keyval, extra_state),
                             "MPI_Type_create_keyval");
}

FTMPI_EXPORT int MPI_Win_create_keyval(MPI_Win_copy_attr_function* win_copy_attr_fn,
                                       MPI_Win_delete_attr_function* win_delete_attr_fn,
                                       int* win_keyval, void* extra_state) {
  FTMPI_PASS_THROUGH(
      PMPI_Win_create_keyval(win_copy_attr_fn, win_delete_attr_fn, win_keyval, extra_state));
  passthrough::Enter("MPI_Win_create_keyval");
  const bool plain = !objects::g_on || win_copy_attr_fn == nullptr ||
                     win_delete_attr_fn == nullptr || win_keyval == nullptr;
  return passthrough::Result(
      plain ? PMPI_Win_create_keyval(win_copy_attr_fn, win_delete_attr_fn, win_keyval, extra_state)
            : objects::Create(true, win_copy_attr_fn, win_delete_attr_fn, win_keyval, extra_state),
      "MPI_Win_create_keyval");
}

FTMPI_EXPORT int MPI_Type_free_keyval(int* type_keyval) {
  FTMPI_PASS_THROUGH(PMPI_Type_free_keyval(type_keyval));
  passthrough::Enter("MPI_Type_free_keyval");
  const int number = type_keyval == nullptr ? MPI_KEYVAL_INVALID : *type_keyval;
  const int error = PMPI_Type_free_keyval(type_keyval);
  if (error == MPI_SUCCESS && objects::g_on) objects::Freed(number);
  return passthrough::Result(error, "MPI_Type_free_keyval");
}

FTMPI_EXPORT int MPI_Win_free_keyval(int* win_keyval) {
  FTMPI_PASS_THROUGH(PMPI_Win_free_keyval(win_keyval));
  passthrough::Enter("MPI_Win_free_keyval");
  const int number = win_keyval == nullptr ? MPI_KEYVAL_INVALID : *win_keyval;
  const int error = PMPI_Win_free_keyval(win_keyval);
  if (error == MPI_SUCCESS && objects::g_on) objects::Freed(number);
  return passthrough::Result(error, "MPI_Win_free_keyval");
}
// NOLINTEND
