#include "pmpi/error_handler.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <unordered_map>

#include "pmpi/capture.h"
#include "pmpi/communicator.h"
#include "pmpi/engine.h"
#include "pmpi/image_obstacle.h"
#include "pmpi/message.h"
#include "pmpi/object_table.h"
#include "pmpi/passthrough.h"
#include "pmpi/saved_state.h"

namespace ftmpi {
namespace {

struct HandlerRecord {
  MPI_Comm_errhandler_function* function = nullptr;
  HandlerLanguage language = HandlerLanguage::kC;
  int references = 1;
};

FTMPI_SAVED std::unordered_map<MPI_Errhandler, HandlerRecord> g_handlers;

// Where Open MPI's objects are kept over a restart.
template <typename Function>
void KeepHandler(MPI_Errhandler handler, objects::HandlerOf of, Function* function) {
  if (objects::Object* object = objects::Find(handler))
    object->record = objects::HandlerRecord{of, reinterpret_cast<void (*)()>(function)};
}

bool IsPredefined(MPI_Errhandler handler) {
  return handler == MPI_ERRORS_ARE_FATAL || handler == MPI_ERRORS_RETURN;
}

[[noreturn]] void Abort(Communicator* communicator, int code, const char* function) {
  std::array<char, MPI_MAX_ERROR_STRING + 1> text{};
  int length = 0;
  if (PMPI_Error_string(code, text.data(), &length) != MPI_SUCCESS) {
    std::snprintf(text.data(), text.size(), "unknown error code %d", code);
  }
  const char* const name = communicator->name.empty() ? "(unnamed)" : communicator->name.c_str();
  Message("%s failed on communicator %s (rank %d of %d): %s", function, name, communicator->rank,
          communicator->size, text.data());
  // Open MPI's own words and way to end the job.
  PMPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_ARE_FATAL);
  PMPI_Comm_call_errhandler(MPI_COMM_WORLD, code);
  PMPI_Abort(MPI_COMM_WORLD, code);
  _exit(1);
}

// A handler that was made behind our back (Open MPI's C++ bindings): Open MPI calls it, with its
// own MPI_COMM_WORLD for the communicator.
void CallThroughOpenMpi(MPI_Errhandler handler, int code) {
  if (PMPI_Comm_set_errhandler(MPI_COMM_WORLD, handler) == MPI_SUCCESS) {
    PMPI_Comm_call_errhandler(MPI_COMM_WORLD, code);
  }
  PMPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
}

}  // namespace

void RegisterErrorHandler(MPI_Errhandler handler, MPI_Comm_errhandler_function* function,
                          HandlerLanguage language) {
  HandlerRecord record;
  record.function = function;
  record.language = language;
  g_handlers[handler] = record;
}

void RetainErrorHandler(MPI_Errhandler handler) {
  const auto found = g_handlers.find(handler);
  if (found != g_handlers.end()) ++found->second.references;
}

void ReleaseErrorHandler(MPI_Errhandler handler) {
  const auto found = g_handlers.find(handler);
  if (found == g_handlers.end() || --found->second.references > 0) return;
  g_handlers.erase(found);
  PMPI_Errhandler_free(&handler);
}

int RaiseError(Communicator* communicator, int error_code, const char* function) {
  if (communicator == nullptr) communicator = g_world;
  if (communicator == nullptr) return error_code;  // the end of MPI_Finalize
  MPI_Errhandler handler = communicator->errhandler;
  if (handler == MPI_ERRORS_RETURN) return error_code;
  if (handler == MPI_ERRORS_ARE_FATAL) Abort(communicator, error_code, function);
  const auto found = g_handlers.find(handler);
  if (found == g_handlers.end()) {
    CallThroughOpenMpi(handler, error_code);
    return error_code;
  }
  const HandlerRecord record = found->second;
  const image::ProgramScope scope;
  int code = error_code;
  MPI_Comm handle = communicator->handle();
  if (record.language == HandlerLanguage::kFortran) {
    MPI_Fint index = MPI_Comm_c2f(handle);
    MPI_Fint fortran_code = code;
    using FortranHandler = void (*)(MPI_Fint*, MPI_Fint*);
    reinterpret_cast<FortranHandler>(reinterpret_cast<void (*)()>(record.function))(&index,
                                                                                    &fortran_code);
    return error_code;
  }
  // The further arguments are what Open MPI gives: the function's name, and a null.
  record.function(&handle, &code, function, nullptr);
  return error_code;
}

}  // namespace ftmpi

using namespace ftmpi;  // NOLINT: entry points live outside the namespace

FTMPI_EXPORT int MPI_Comm_create_errhandler(MPI_Comm_errhandler_function* user_function,
                                            MPI_Errhandler* errhandler) {
  FTMPI_PASS_THROUGH(PMPI_Comm_create_errhandler(user_function, errhandler));
  EngineLock lock;
  const char* const function = "MPI_Comm_create_errhandler";
  if (user_function == nullptr || errhandler == nullptr) {
    return RaiseError(nullptr, MPI_ERR_ARG, function);
  }
  const int error = objects::Make(
      errhandler, [&] { return PMPI_Comm_create_errhandler(user_function, errhandler); });
  if (error != MPI_SUCCESS) return RaiseError(nullptr, error, function);
  KeepHandler(*errhandler, objects::HandlerOf::kCommunicator, user_function);
  RegisterErrorHandler(*errhandler, user_function, HandlerLanguage::kC);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Win_create_errhandler(MPI_Win_errhandler_function* function,
                                           MPI_Errhandler* errhandler) {
  FTMPI_PASS_THROUGH(PMPI_Win_create_errhandler(function, errhandler));
  passthrough::Enter("MPI_Win_create_errhandler");
  const int error =
      objects::Make(errhandler, [&] { return PMPI_Win_create_errhandler(function, errhandler); });
  if (error != MPI_SUCCESS) return RaiseError(nullptr, error, "MPI_Win_create_errhandler");
  KeepHandler(*errhandler, objects::HandlerOf::kWindow, function);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_File_create_errhandler(MPI_File_errhandler_function* function,
                                            MPI_Errhandler* errhandler) {
  FTMPI_PASS_THROUGH(PMPI_File_create_errhandler(function, errhandler));
  passthrough::Enter("MPI_File_create_errhandler");
  const int error =
      objects::Make(errhandler, [&] { return PMPI_File_create_errhandler(function, errhandler); });
  if (error != MPI_SUCCESS) return RaiseError(nullptr, error, "MPI_File_create_errhandler");
  KeepHandler(*errhandler, objects::HandlerOf::kFile, function);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_set_errhandler(MPI_Comm comm, MPI_Errhandler errhandler) {
  FTMPI_PASS_THROUGH(PMPI_Comm_set_errhandler(comm, errhandler));
  EngineLock lock;
  const char* const function = "MPI_Comm_set_errhandler";
  Communicator* communicator = FindCommunicator(comm);
  if (communicator == nullptr) return RaiseError(nullptr, MPI_ERR_COMM, function);
  if (!IsPredefined(errhandler) && g_handlers.count(errhandler) == 0) {
    // Open MPI knows whether it is a handler for communicators at all.
    if (errhandler == nullptr || errhandler == MPI_ERRHANDLER_NULL ||
        PMPI_Comm_set_errhandler(MPI_COMM_SELF, errhandler) != MPI_SUCCESS) {
      return RaiseError(communicator, MPI_ERR_ARG, function);
    }
    PMPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    image_obstacle::Note("the program uses error handlers of MPI's C++ interface");
  }
  RetainErrorHandler(errhandler);
  ReleaseErrorHandler(communicator->errhandler);
  communicator->errhandler = errhandler;
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_get_errhandler(MPI_Comm comm, MPI_Errhandler* errhandler) {
  FTMPI_PASS_THROUGH(PMPI_Comm_get_errhandler(comm, errhandler));
  EngineLock lock;
  const char* const function = "MPI_Comm_get_errhandler";
  Communicator* communicator = FindCommunicator(comm);
  if (communicator == nullptr) return RaiseError(nullptr, MPI_ERR_COMM, function);
  if (errhandler == nullptr) return RaiseError(communicator, MPI_ERR_ARG, function);
  RetainErrorHandler(communicator->errhandler);
  *errhandler = communicator->errhandler;
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_call_errhandler(MPI_Comm comm, int errorcode) {
  FTMPI_PASS_THROUGH(PMPI_Comm_call_errhandler(comm, errorcode));
  EngineLock lock;
  const char* const function = "MPI_Comm_call_errhandler";
  Communicator* communicator = FindCommunicator(comm);
  if (communicator == nullptr) return RaiseError(nullptr, MPI_ERR_COMM, function);
  RaiseError(communicator, errorcode, function);
  return MPI_SUCCESS;
}

// Also frees the handlers of windows and files, which are Open MPI's alone.
FTMPI_EXPORT int MPI_Errhandler_free(MPI_Errhandler* errhandler) {
  FTMPI_PASS_THROUGH(PMPI_Errhandler_free(errhandler));
  EngineLock lock;
  const char* const function = "MPI_Errhandler_free";
  if (errhandler == nullptr || *errhandler == nullptr || *errhandler == MPI_ERRHANDLER_NULL) {
    return RaiseError(nullptr, MPI_ERR_ARG, function);
  }
  if (g_handlers.count(*errhandler) != 0) {
    ReleaseErrorHandler(*errhandler);
    *errhandler = MPI_ERRHANDLER_NULL;
    return MPI_SUCCESS;
  }
  // What MPI_Comm_get_errhandler gave for a predefined handler has no count of ours to go down.
  if (IsPredefined(*errhandler)) {
    *errhandler = MPI_ERRHANDLER_NULL;
    return MPI_SUCCESS;
  }
  const int error = PMPI_Errhandler_free(errhandler);
  return error == MPI_SUCCESS ? error : RaiseError(nullptr, error, function);
}
