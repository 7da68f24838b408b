// What is asked of Open MPI's objects before an image is taken, and making them again in a process
// that starts from one.
#include <array>

#include "pmpi/datatype_recipe.h"
#include "pmpi/error_code.h"
#include "pmpi/image_obstacle.h"
#include "pmpi/message.h"
#include "pmpi/object_keyval.h"
#include "pmpi/object_table.h"

namespace ftmpi::objects {

namespace placed = image::placed;

namespace {

// --- Asking -------------------------------------------------------------------------------------

bool DescribeRecipe(MPI_Datatype datatype, DatatypeRecord* record) {
  if (record->described) return true;
  record->recipe = Recipe{};
  if (!ReadRecipe(datatype, &record->recipe)) return false;
  if (!IsCached(record->recipe)) {
    std::vector<MPI_Datatype> parts;
    MPI_Datatype twin = MPI_DATATYPE_NULL;
    const bool made = MakeParts(record->recipe, &parts) == MPI_SUCCESS &&
                      MakeFromParts(record->recipe, parts, &twin) == MPI_SUCCESS;
    FreeParts(parts);
    if (!made) return false;
    const bool same = SameLayout(datatype, twin);
    PMPI_Type_free(&twin);
    if (!same) return false;
  }
  record->described = true;
  return true;
}

bool DescribeRecord(Object* object, DatatypeRecord* record) {
  auto* datatype = static_cast<MPI_Datatype>(object->handle);
  if (!DescribeRecipe(datatype, record)) {
    image_obstacle::Note("the program uses a datatype that can't be made again");
    return false;
  }
  std::array<char, MPI_MAX_OBJECT_NAME + 1> name{};
  int length = 0;
  if (PMPI_Type_get_name(datatype, name.data(), &length) == MPI_SUCCESS) record->name = name.data();
  record->attributes.clear();
  for (const int keyval : DatatypeKeyvals()) {
    void* value = nullptr;
    int found = 0;
    if (PMPI_Type_get_attr(datatype, keyval, static_cast<void*>(&value), &found) == MPI_SUCCESS &&
        found != 0) {
      record->attributes.emplace_back(keyval, value);
    }
  }
  return true;
}

bool DescribeRecord(Object* /*object*/, OperationRecord* record) {
  if (record->function != nullptr) return true;
  image_obstacle::Note("the program uses a reduction that can't be made again");
  return false;
}

bool DescribeRecord(Object* /*object*/, HandlerRecord* record) {
  if (record->function != nullptr) return true;
  image_obstacle::Note("the program uses an error handler that can't be made again");
  return false;
}

bool DescribeRecord(Object* object, InfoRecord* record) {
  auto* info = static_cast<MPI_Info>(object->handle);
  record->hints.clear();
  int keys = 0;
  bool good = PMPI_Info_get_nkeys(info, &keys) == MPI_SUCCESS;
  for (int n = 0; n < keys && good; ++n) {
    std::array<char, MPI_MAX_INFO_KEY + 1> key{};
    int length = 0;
    int found = 0;
    good = PMPI_Info_get_nthkey(info, n, key.data()) == MPI_SUCCESS &&
           PMPI_Info_get_valuelen(info, key.data(), &length, &found) == MPI_SUCCESS && found != 0;
    if (!good) break;
    std::string value(static_cast<std::size_t>(length) + 1, '\0');
    good = PMPI_Info_get(info, key.data(), length, value.data(), &found) == MPI_SUCCESS;
    value.resize(static_cast<std::size_t>(length));
    record->hints.emplace_back(key.data(), value);
  }
  if (!good) image_obstacle::Note("the program uses an MPI_Info object that can't be made again");
  return good;
}

// --- Making again -------------------------------------------------------------------------------

[[noreturn]] void Failed(const char* what) {
  Fatal(
      "%s of the program could not be made again as it was at the checkpoint: has the MPI library "
      "or its configuration changed? Use another checkpoint",
      what);
}

// Makes an object of Open MPI's at the address `wanted`. `free`, which may be null, undoes a trial
// that says which of the allocations is the object.
template <typename Handle, typename Make>
void MakeAt(void* wanted, const char* what, Make make, int (*free)(Handle*)) {
  std::size_t size = SizeOf(static_cast<Handle*>(nullptr));
  unsigned before = 0;
  if (free != nullptr) {
    placed::Placement trial;
    Handle handle{};
    if (make(&handle) != MPI_SUCCESS) Failed(what);
    size = trial.SizeOf(handle);
    before = trial.CountBefore(handle);
    free(&handle);
  }
  Handle handle{};
  {
    placed::Placement placement(size, wanted, before);
    if (make(&handle) != MPI_SUCCESS) Failed(what);
  }
  if (static_cast<void*>(handle) != wanted) Failed(what);
  placed::Keep(wanted);
}

void Remake(Object* object, DatatypeRecord* record) {
  const char* const what = "a datatype";
  const Recipe& recipe = record->recipe;
  std::vector<MPI_Datatype> parts;
  if (MakeParts(recipe, &parts) != MPI_SUCCESS) Failed(what);
  MakeAt<MPI_Datatype>(
      object->handle, what, [&](MPI_Datatype* made) { return MakeFromParts(recipe, parts, made); },
      IsCached(recipe) ? nullptr : PMPI_Type_free);
  FreeParts(parts);
  auto* datatype = static_cast<MPI_Datatype>(object->handle);
  MPI_Datatype handle = datatype;
  // The copy of a committed datatype was born committed.
  const bool committed = record->committed || recipe.combiner == MPI_COMBINER_DUP;
  if (committed && PMPI_Type_commit(&handle) != MPI_SUCCESS) Failed(what);
  if (PMPI_Type_set_name(datatype, record->name.c_str()) != MPI_SUCCESS) Failed(what);
  for (const auto& [keyval, value] : record->attributes) {
    if (PMPI_Type_set_attr(datatype, keyval, value) != MPI_SUCCESS) Failed("an attribute");
  }
}

void Remake(Object* object, OperationRecord* record) {
  MakeAt<MPI_Op>(
      object->handle, "a reduction",
      [record](MPI_Op* made) {
        return PMPI_Op_create(record->function, record->commutative ? 1 : 0, made);
      },
      PMPI_Op_free);
}

void Remake(Object* object, HandlerRecord* record) {
  MakeAt<MPI_Errhandler>(
      object->handle, "an error handler",
      [record](MPI_Errhandler* made) {
        switch (record->of) {
          case HandlerOf::kWindow:
            return PMPI_Win_create_errhandler(
                reinterpret_cast<MPI_Win_errhandler_function*>(record->function), made);
          case HandlerOf::kFile:
            return PMPI_File_create_errhandler(
                reinterpret_cast<MPI_File_errhandler_function*>(record->function), made);
          case HandlerOf::kCommunicator:
            break;
        }
        return PMPI_Comm_create_errhandler(
            reinterpret_cast<MPI_Comm_errhandler_function*>(record->function), made);
      },
      PMPI_Errhandler_free);
}

void Remake(Object* object, InfoRecord* record) {
  const char* const what = "an MPI_Info object";
  MakeAt<MPI_Info>(object->handle, what, PMPI_Info_create, PMPI_Info_free);
  auto* info = static_cast<MPI_Info>(object->handle);
  for (const auto& [key, value] : record->hints) {
    if (PMPI_Info_set(info, key.c_str(), value.c_str()) != MPI_SUCCESS) Failed(what);
  }
}

}  // namespace

bool Describe() {
  if (!g_on) return true;
  const image::LibraryScope scope;
  bool good = true;
  for (Object* object : All()) {
    good = std::visit([object](auto& record) { return DescribeRecord(object, &record); },
                      object->record) &&
           good;
  }
  ForgetUnusedKeyvals();
  return good;
}

void Restore() {
  if (!g_on) return;
  const image::LibraryScope scope;
  const checkpointing::NoCut no_cut;
  // As in MPI_Init: errors of Open MPI's come back to us, who call the program's handlers.
  PMPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  PMPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  RestoreErrorCodes();
  RestoreKeyvals();
  const std::vector<Object*> all = AllToRestore();
  for (Object* object : all)
    std::visit([object](auto& record) { Remake(object, &record); }, object->record);
  FreeFreedKeyvals();
}

}  // namespace ftmpi::objects
