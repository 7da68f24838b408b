#include "pmpi/object_table.h"

#include <algorithm>

#include "pmpi/datatype.h"
#include "pmpi/image_obstacle.h"
#include "pmpi/saved_state.h"

namespace ftmpi::objects {

namespace placed = image::placed;

bool g_on = false;

namespace {

FTMPI_SAVED std::vector<Object*> g_objects;  // by number of the block; null: none was made there
FTMPI_SAVED std::uint64_t g_sequence = 0;

// The size of the allocation that becomes the handle of a trial object.
template <typename Handle>
std::size_t Measure(int (*make)(Handle*), int (*free)(Handle*)) {
  placed::Placement placement;
  Handle handle{};
  if (make(&handle) != MPI_SUCCESS) return 0;
  const std::size_t size = placement.SizeOf(handle);
  free(&handle);
  return size;
}

void NoOperation(void* /*in*/, void* /*inout*/, int* /*count*/, MPI_Datatype* /*datatype*/) {}
void NoHandler(MPI_Comm* /*communicator*/, int* /*code*/, ...) {}

std::vector<Object*> InOrder(std::vector<Object*> objects) {
  std::sort(objects.begin(), objects.end(),
            [](const Object* a, const Object* b) { return a->sequence < b->sequence; });
  return objects;
}

template <typename Record>
Object* AddRecord(const void* handle) {
  if (!placed::Owns(handle)) {
    image_obstacle::Note("the program uses objects of the MPI library that could not be kept");
    return nullptr;
  }
  const std::size_t number = placed::NumberOf(handle);
  if (placed::Kept(handle)) return g_objects[number];  // one that Open MPI gives out repeatedly
  placed::Keep(handle);
  if (number >= g_objects.size()) g_objects.resize(number + 1, nullptr);
  delete g_objects[number];
  auto* object = new Object;
  object->handle = placed::AddressOf(number);
  object->sequence = ++g_sequence;
  object->record = Record{};
  g_objects[number] = object;
  return object;
}

}  // namespace

std::size_t SizeOf(const MPI_Datatype* /*kind*/) {
  static const std::size_t size = Measure<MPI_Datatype>(
      [](MPI_Datatype* made) { return PMPI_Type_contiguous(1, MPI_BYTE, made); }, PMPI_Type_free);
  return size;
}

std::size_t SizeOf(const MPI_Op* /*kind*/) {
  static const std::size_t size = Measure<MPI_Op>(
      [](MPI_Op* made) { return PMPI_Op_create(NoOperation, 1, made); }, PMPI_Op_free);
  return size;
}

std::size_t SizeOf(const MPI_Errhandler* /*kind*/) {
  static const std::size_t size = Measure<MPI_Errhandler>(
      [](MPI_Errhandler* made) { return PMPI_Comm_create_errhandler(NoHandler, made); },
      PMPI_Errhandler_free);
  return size;
}

std::size_t SizeOf(const MPI_Info* /*kind*/) {
  static const std::size_t size = Measure<MPI_Info>(PMPI_Info_create, PMPI_Info_free);
  return size;
}

Object* Added(MPI_Datatype handle) {
  if (!placed::Owns(handle) && CombinerOf(handle) == MPI_COMBINER_NAMED) return nullptr;
  return AddRecord<DatatypeRecord>(handle);
}
Object* Added(MPI_Op handle) { return AddRecord<OperationRecord>(handle); }
Object* Added(MPI_Errhandler handle) { return AddRecord<HandlerRecord>(handle); }
Object* Added(MPI_Info handle) { return AddRecord<InfoRecord>(handle); }

Object* Find(const void* handle) {
  if (!g_on || !placed::Owns(handle) || !placed::Kept(handle)) return nullptr;
  const std::size_t number = placed::NumberOf(handle);
  return placed::AddressOf(number) == handle ? g_objects[number] : nullptr;
}

std::vector<Object*> All() {
  std::vector<Object*> live;
  for (Object*& object : g_objects) {
    if (object == nullptr) continue;
    if (placed::Kept(object->handle)) {
      live.push_back(object);
    } else {
      delete object;
      object = nullptr;
    }
  }
  return InOrder(std::move(live));
}

std::vector<Object*> AllToRestore() {
  std::vector<Object*> saved;
  for (Object* object : g_objects) {
    if (object != nullptr) saved.push_back(object);
  }
  return InOrder(std::move(saved));
}

MPI_Fint FortranIndex(const void* handle) {
  return Find(handle) == nullptr ? 0
                                 : kFirstFortran + static_cast<MPI_Fint>(placed::NumberOf(handle));
}

void* FromFortranIndex(MPI_Fint index) {
  if (!g_on || index < kFirstFortran) return nullptr;
  const auto number = static_cast<std::size_t>(index - kFirstFortran);
  if (number >= g_objects.size() || g_objects[number] == nullptr) return nullptr;
  void* handle = placed::AddressOf(number);
  return placed::Kept(handle) ? handle : nullptr;
}

bool Start(const char** reason) {
  g_on = placed::Reserve(reason);
  return g_on;
}

}  // namespace ftmpi::objects
