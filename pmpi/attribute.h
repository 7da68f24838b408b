// Attributes of communicators and their keyvals (MPI-3.1, 6.7 and 17.2.7).
//
// Keyvals of communicators are ours; those of datatypes and windows stay Open MPI's. Everything
// here expects the engine's lock; callbacks of the program run under it (it is recursive).
#pragma once

#include <mpi.h>

#include <cstdint>

namespace ftmpi {

struct Communicator;

// Who sets or asks: C passes pointers, Fortran integers (MPI-3.1, 17.2.7).
enum class AttributeLanguage : std::uint8_t { kC, kFortranInteger, kFortranAddress };

struct Attribute {
  AttributeLanguage language = AttributeLanguage::kC;
  void* pointer = nullptr;     // kC
  MPI_Fint integer = 0;        // kFortranInteger; C gets its address
  MPI_Aint address = 0;        // kFortranAddress; C gets its address
  std::uint64_t sequence = 0;  // order of setting
};

// Callbacks get their value in the language of the keyval: a pointer for kC, else the integer in
// place of the pointer. A null function copies nothing, or deletes without a call.
int CreateKeyval(MPI_Comm_copy_attr_function* copy, MPI_Comm_delete_attr_function* remove,
                 void* extra_state, AttributeLanguage language);
// MPI error codes: MPI_ERR_KEYVAL for an unknown, freed or predefined keyval.
int FreeKeyval(int keyval);
// `value`: the pointer for kC, else the integer in place of the pointer.
int SetAttribute(Communicator* communicator, int keyval, void* value, AttributeLanguage language);
// `*value`: as above, in the language of the asker. *found = 0: not set.
int GetAttribute(Communicator* communicator, int keyval, AttributeLanguage language, void** value,
                 int* found);
int DeleteAttribute(Communicator* communicator, int keyval);
// Calls the copy functions in the order of setting (MPI_Comm_dup). The first error ends it.
int CopyAttributes(Communicator* from, Communicator* to);
// Calls the delete functions in the reverse order of setting. The first error ends it.
int DeleteAllAttributes(Communicator* communicator);

// Is the keyval one of MPI's own (MPI_TAG_UB, ...)?
bool IsPredefinedKeyval(int keyval);
// Is it a number that Open MPI gives out (to keyvals of datatypes and windows, or inside itself)?
bool IsOpenMpiKeyval(int keyval);

}  // namespace ftmpi
