#include "pmpi/attribute.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>
#include <vector>

#include "checkpoint/image/library_scope.h"
#include "pmpi/communicator.h"
#include "pmpi/saved_state.h"

namespace ftmpi {
namespace {

struct Keyval {
  MPI_Comm_copy_attr_function* copy = nullptr;
  MPI_Comm_delete_attr_function* remove = nullptr;
  void* extra_state = nullptr;
  AttributeLanguage language = AttributeLanguage::kC;
  std::uint64_t references = 0;  // attributes that are set with it
  bool freed = false;
};

// Far above what Open MPI gives to the keyvals of datatypes and windows.
constexpr int kFirstKeyval = 1 << 20;
#ifdef OPEN_MPI
constexpr int kLastPredefined = IMPI_HOST_COLOR;
#else
constexpr int kLastPredefined = MPI_WIN_MODEL;
#endif

FTMPI_SAVED std::unordered_map<int, Keyval> g_keyvals;
FTMPI_SAVED int g_next_keyval = kFirstKeyval;
FTMPI_SAVED std::uint64_t g_sequence = 0;
FTMPI_SAVED std::array<int, kLastPredefined - MPI_TAG_UB + 1> g_predefined_values{};

// The keyval for a new use of it, or null.
Keyval* FindKeyval(int keyval) {
  const auto found = g_keyvals.find(keyval);
  return found == g_keyvals.end() || found->second.freed ? nullptr : &found->second;
}

void DropReference(int keyval) {
  const auto found = g_keyvals.find(keyval);
  if (found == g_keyvals.end()) return;
  if (--found->second.references == 0 && found->second.freed) g_keyvals.erase(found);
}

Attribute MakeAttribute(void* value, AttributeLanguage language) {
  Attribute attribute;
  attribute.language = language;
  const auto number = reinterpret_cast<MPI_Aint>(value);
  switch (language) {
    case AttributeLanguage::kC:
      attribute.pointer = value;
      break;
    case AttributeLanguage::kFortranInteger:
      attribute.integer = static_cast<MPI_Fint>(number);
      break;
    case AttributeLanguage::kFortranAddress:
      attribute.address = number;
      break;
  }
  return attribute;
}

// The value as `language` sees it: the table of MPI-3.1, 17.2.7.
void* ValueFor(Attribute* attribute, AttributeLanguage language) {
  MPI_Aint number = 0;
  switch (attribute->language) {
    case AttributeLanguage::kC:
      if (language == AttributeLanguage::kC) return attribute->pointer;
      number = reinterpret_cast<MPI_Aint>(attribute->pointer);
      break;
    case AttributeLanguage::kFortranInteger:
      if (language == AttributeLanguage::kC) return &attribute->integer;
      number = attribute->integer;
      break;
    case AttributeLanguage::kFortranAddress:
      if (language == AttributeLanguage::kC) return &attribute->address;
      number = attribute->address;
      break;
  }
  if (language == AttributeLanguage::kFortranInteger) number = static_cast<MPI_Fint>(number);
  return reinterpret_cast<void*>(number);
}

int CallDelete(Communicator* communicator, int keyval, Attribute* attribute) {
  const auto found = g_keyvals.find(keyval);
  if (found == g_keyvals.end() || found->second.remove == nullptr) return MPI_SUCCESS;
  const Keyval entry = found->second;  // the callback may free the keyval
  const image::ProgramScope scope;
  return entry.remove(communicator->handle(), keyval, ValueFor(attribute, entry.language),
                      entry.extra_state);
}

// The keyvals of a communicator's attributes in the order in which they were set.
std::vector<int> InOrderOfSetting(const Communicator& communicator) {
  std::vector<std::pair<std::uint64_t, int>> order;
  order.reserve(communicator.attributes.size());
  for (const auto& [keyval, attribute] : communicator.attributes) {
    order.emplace_back(attribute.sequence, keyval);
  }
  std::sort(order.begin(), order.end());
  std::vector<int> keyvals;
  keyvals.reserve(order.size());
  for (const auto& entry : order) keyvals.push_back(entry.second);
  return keyvals;
}

}  // namespace

bool IsPredefinedKeyval(int keyval) { return keyval >= MPI_TAG_UB && keyval <= kLastPredefined; }

bool IsOpenMpiKeyval(int keyval) { return keyval >= 0 && keyval < kFirstKeyval; }

int CreateKeyval(MPI_Comm_copy_attr_function* copy, MPI_Comm_delete_attr_function* remove,
                 void* extra_state, AttributeLanguage language) {
  const int keyval = g_next_keyval++;
  Keyval& entry = g_keyvals[keyval];
  entry.copy = copy;
  entry.remove = remove;
  entry.extra_state = extra_state;
  entry.language = language;
  return keyval;
}

int FreeKeyval(int keyval) {
  Keyval* entry = FindKeyval(keyval);
  if (entry == nullptr) return MPI_ERR_KEYVAL;
  entry->freed = true;
  if (entry->references == 0) g_keyvals.erase(keyval);
  return MPI_SUCCESS;
}

int SetAttribute(Communicator* communicator, int keyval, void* value, AttributeLanguage language) {
  if (FindKeyval(keyval) == nullptr) return MPI_ERR_KEYVAL;
  auto old = communicator->attributes.find(keyval);
  if (old != communicator->attributes.end()) {
    // MPI-3.1, 6.7.2: the delete function is called for the value that is replaced.
    const int error = CallDelete(communicator, keyval, &old->second);
    if (error != MPI_SUCCESS) return error;
    old = communicator->attributes.find(keyval);  // the callback may have changed the map
  }
  Attribute attribute = MakeAttribute(value, language);
  attribute.sequence = ++g_sequence;
  if (old != communicator->attributes.end()) {
    old->second = attribute;
    return MPI_SUCCESS;
  }
  Keyval* entry = FindKeyval(keyval);
  if (entry == nullptr) return MPI_ERR_KEYVAL;
  ++entry->references;
  communicator->attributes.emplace(keyval, attribute);
  return MPI_SUCCESS;
}

int GetAttribute(Communicator* communicator, int keyval, AttributeLanguage language, void** value,
                 int* found) {
  *found = 0;
  if (IsPredefinedKeyval(keyval)) {
    if (!communicator->predefined_attributes) return MPI_SUCCESS;
    void* pointer = nullptr;
    const int error = PMPI_Comm_get_attr(MPI_COMM_WORLD, keyval, &pointer, found);
    if (error != MPI_SUCCESS || *found == 0) return error;
    // C gets the address of the integer, Fortran the integer. The program may keep the address,
    // over a restart too: it is that of an integer of ours.
    int& kept = g_predefined_values[static_cast<std::size_t>(keyval - MPI_TAG_UB)];
    kept = *static_cast<int*>(pointer);
    *value = language == AttributeLanguage::kC
                 ? static_cast<void*>(&kept)
                 : reinterpret_cast<void*>(static_cast<MPI_Aint>(kept));
    return MPI_SUCCESS;
  }
  const auto attribute = communicator->attributes.find(keyval);
  if (attribute == communicator->attributes.end()) {
    return FindKeyval(keyval) != nullptr ? MPI_SUCCESS : MPI_ERR_KEYVAL;
  }
  *value = ValueFor(&attribute->second, language);
  *found = 1;
  return MPI_SUCCESS;
}

int DeleteAttribute(Communicator* communicator, int keyval) {
  const auto found = communicator->attributes.find(keyval);
  if (found == communicator->attributes.end()) {
    // Open MPI takes a keyval that is not set for success too; MPI-3.1 leaves it open.
    return FindKeyval(keyval) != nullptr ? MPI_SUCCESS : MPI_ERR_KEYVAL;
  }
  const int error = CallDelete(communicator, keyval, &found->second);
  if (error != MPI_SUCCESS) return error;
  if (communicator->attributes.erase(keyval) != 0) DropReference(keyval);
  return MPI_SUCCESS;
}

int CopyAttributes(Communicator* from, Communicator* to) {
  for (const int keyval : InOrderOfSetting(*from)) {
    const auto attribute = from->attributes.find(keyval);
    const auto found = g_keyvals.find(keyval);
    if (attribute == from->attributes.end() || found == g_keyvals.end()) continue;
    const Keyval entry = found->second;
    if (entry.copy == nullptr) continue;
    int flag = 0;
    union {
      void* pointer;
      MPI_Aint address;
    } copy{};
    void* value = ValueFor(&attribute->second, entry.language);
    const int error = [&] {
      const image::ProgramScope scope;
      return entry.copy(from->handle(), keyval, entry.extra_state, value, &copy, &flag);
    }();
    if (error != MPI_SUCCESS) return error;
    if (flag == 0) continue;
    Attribute made = MakeAttribute(copy.pointer, entry.language);
    made.sequence = ++g_sequence;
    const auto still = g_keyvals.find(keyval);
    if (still == g_keyvals.end()) continue;
    ++still->second.references;
    to->attributes.emplace(keyval, made);
  }
  return MPI_SUCCESS;
}

int DeleteAllAttributes(Communicator* communicator) {
  std::vector<int> keyvals = InOrderOfSetting(*communicator);
  std::reverse(keyvals.begin(), keyvals.end());
  for (const int keyval : keyvals) {
    const auto attribute = communicator->attributes.find(keyval);
    if (attribute == communicator->attributes.end()) continue;
    const int error = CallDelete(communicator, keyval, &attribute->second);
    if (error != MPI_SUCCESS) return error;
    if (communicator->attributes.erase(keyval) != 0) DropReference(keyval);
  }
  return MPI_SUCCESS;
}

}  // namespace ftmpi
