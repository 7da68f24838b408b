#include "pmpi/reduction.h"

#include <map>

#include "pmpi/capture.h"
#include "pmpi/engine.h"
#include "pmpi/object_table.h"
#include "pmpi/passthrough.h"
#include "pmpi/saved_state.h"

namespace ftmpi {
namespace {

// The pair that was checked last: programs mostly repeat one.
struct Checked {
  MPI_Op op = MPI_OP_NULL;
  MPI_Datatype datatype = MPI_DATATYPE_NULL;
  bool commutative = false;
};
Checked g_checked;

struct HeldOp {
  int schedules = 0;
  bool freed = false;  // by the program
};
FTMPI_SAVED std::map<MPI_Op, HeldOp>* g_held_ops = nullptr;  // outlives static destruction
std::map<MPI_Op, HeldOp>* HeldOps() {
  if (g_held_ops == nullptr) g_held_ops = new std::map<MPI_Op, HeldOp>;
  return g_held_ops;
}

bool IsPredefined(MPI_Op op) {
  // Open MPI has no inquiry for this; MPI-3.1 5.9.2 and 11.3.4 list them all.
  static const MPI_Op predefined[] = {MPI_SUM,    MPI_MAX,    MPI_MIN,     MPI_PROD, MPI_LAND,
                                      MPI_BAND,   MPI_LOR,    MPI_BOR,     MPI_LXOR, MPI_BXOR,
                                      MPI_MAXLOC, MPI_MINLOC, MPI_REPLACE, MPI_NO_OP};
  for (MPI_Op known : predefined) {
    if (op == known) return true;
  }
  return false;
}

}  // namespace

int PrepareReduction(MPI_Op op, MPI_Datatype datatype, Reduction* reduction) {
  if (op == MPI_OP_NULL || op == nullptr) return MPI_ERR_OP;
  if (!GetLayout(datatype, &reduction->layout)) return MPI_ERR_TYPE;
  reduction->op = op;
  reduction->datatype = datatype;
  if (__builtin_expect(g_checked.op != op || g_checked.datatype != datatype, 0)) {
    if (op == MPI_REPLACE || op == MPI_NO_OP) return MPI_ERR_OP;  // one-sided operations only
    // Open MPI checks the pair before it looks at the count.
    std::int64_t nothing[2] = {0, 0};
    if (PMPI_Reduce_local(&nothing[0], &nothing[1], 0, datatype, op) != MPI_SUCCESS) {
      return MPI_ERR_OP;
    }
    int commutative = 0;
    if (PMPI_Op_commutative(op, &commutative) != MPI_SUCCESS) return MPI_ERR_OP;
    g_checked = Checked{op, datatype, commutative != 0};
  }
  reduction->commutative = g_checked.commutative;
  return MPI_SUCCESS;
}

int ReduceLocal(const void* in, void* inout, int count, MPI_Datatype datatype, MPI_Op op) {
  if (__builtin_expect(objects::Find(op) == nullptr, 1))
    return PMPI_Reduce_local(in, inout, count, datatype, op);
  const checkpointing::NoCut no_cut;
  const image::ProgramScope scope;
  return PMPI_Reduce_local(in, inout, count, datatype, op);
}

bool RetainOp(MPI_Op op) {
  if (IsPredefined(op)) return false;
  ++(*HeldOps())[op].schedules;
  return true;
}

void ReleaseOp(MPI_Op op) {
  const auto found = HeldOps()->find(op);
  if (found == HeldOps()->end() || --found->second.schedules > 0) return;
  const bool freed = found->second.freed;
  HeldOps()->erase(found);
  if (freed) PMPI_Op_free(&op);
}

}  // namespace ftmpi

using ftmpi::EngineLock;
namespace objects = ftmpi::objects;

FTMPI_EXPORT int MPI_Op_create(MPI_User_function* function, int commute, MPI_Op* op) {
  FTMPI_PASS_THROUGH(PMPI_Op_create(function, commute, op));
  ftmpi::passthrough::Enter("MPI_Op_create");
  const int error = objects::Make(op, [&] { return PMPI_Op_create(function, commute, op); });
  if (error != MPI_SUCCESS) return ftmpi::RaiseError(nullptr, error, "MPI_Op_create");
  if (objects::Object* object = objects::Find(*op))
    object->record = objects::OperationRecord{function, commute != 0};
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Op_free(MPI_Op* op) {
  FTMPI_PASS_THROUGH(PMPI_Op_free(op));
  EngineLock lock;
  if (op == nullptr) return PMPI_Op_free(op);
  ftmpi::g_checked = ftmpi::Checked{};  // the handle may come back as another operation
  const auto found = ftmpi::HeldOps()->find(*op);
  if (found == ftmpi::HeldOps()->end()) return PMPI_Op_free(op);
  found->second.freed = true;
  *op = MPI_OP_NULL;
  return MPI_SUCCESS;
}
