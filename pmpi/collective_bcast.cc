// MPI_Bcast and MPI_Ibcast.
//
// All algorithms move bytes in a row: ranks may describe the same data by different datatypes, so
// only the number of bytes is known alike to all. Data with gaps is packed once at the root and
// unpacked at the others.
//
// Scatter and ring: Barnett, Gupta, Payne, Shuler, van de Geijn, Watts, "Interprocessor Collective
// Communication Library" (1994). Chain: segments handed on from rank to rank.
#include <algorithm>

#include "pmpi/collective.h"
#include "pmpi/collective_selection.h"

namespace ftmpi {
namespace {

void Binomial(Schedule& schedule, std::byte* bytes, std::uint64_t length, int root) {
  const int size = schedule.size();
  const int relative = (schedule.rank() - root + size) % size;
  int mask = 1;
  for (; mask < size; mask *= 2) {
    if ((relative & mask) == 0) continue;
    schedule.ReceiveBytes(bytes, length, (relative - mask + root) % size);
    schedule.EndRound();
    break;
  }
  for (mask /= 2; mask > 0; mask /= 2) {
    if (relative + mask < size) {
      schedule.SendBytes(bytes, length, (relative + mask + root) % size);
    }
  }
  schedule.EndRound();
}

void ScatterRing(Schedule& schedule, std::byte* bytes, std::uint64_t length, int root) {
  const int size = schedule.size();
  const int relative = (schedule.rank() - root + size) % size;
  const std::uint64_t chunk =
      (length + static_cast<std::uint64_t>(size) - 1) / static_cast<std::uint64_t>(size);
  // Where the chunk of a relative rank begins; `size` and beyond: the end.
  const auto offset = [chunk, length](int of) {
    return std::min(length, static_cast<std::uint64_t>(of) * chunk);
  };
  const auto actual = [size, root](int of) { return (of + root) % size; };

  // Each rank gets the chunks of its subtree of the binomial tree, and passes on its children's.
  int mask = 1;
  for (; mask < size; mask *= 2) {
    if ((relative & mask) == 0) continue;
    const std::uint64_t begin = offset(relative);
    const std::uint64_t end = offset(relative + mask);
    if (end > begin) {
      schedule.ReceiveBytes(bytes + begin, end - begin, actual(relative - mask));
      schedule.EndRound();
    }
    break;
  }
  for (mask /= 2; mask > 0; mask /= 2) {
    if (relative + mask >= size) continue;
    const std::uint64_t begin = offset(relative + mask);
    const std::uint64_t end = offset(relative + 2 * mask);
    if (end > begin) schedule.SendBytes(bytes + begin, end - begin, actual(relative + mask));
  }
  schedule.EndRound();

  const int right = actual(relative + 1);
  const int left = actual(relative - 1 + size);
  for (int step = 0; step < size - 1; ++step) {
    const int outgoing = (relative - step + size) % size;
    const int incoming = (relative - step - 1 + 2 * size) % size;
    const std::uint64_t in_length = offset(incoming + 1) - offset(incoming);
    const std::uint64_t out_length = offset(outgoing + 1) - offset(outgoing);
    if (in_length > 0) schedule.ReceiveBytes(bytes + offset(incoming), in_length, left);
    if (out_length > 0) schedule.SendBytes(bytes + offset(outgoing), out_length, right);
    schedule.EndRound();
  }
}

void Chain(Schedule& schedule, std::byte* bytes, std::uint64_t length, int root) {
  const int size = schedule.size();
  const int relative = (schedule.rank() - root + size) % size;
  const std::uint64_t segment = BcastSegmentBytes(size, length);
  const std::uint64_t segments = (length + segment - 1) / segment;
  const int previous = (schedule.rank() - 1 + size) % size;
  const int next = (schedule.rank() + 1) % size;
  const auto length_of = [&](std::uint64_t index) {
    return std::min(segment, length - index * segment);
  };
  // While a segment comes in, the one before goes out.
  for (std::uint64_t i = 0; i <= segments; ++i) {
    if (relative > 0 && i < segments) {
      schedule.ReceiveBytes(bytes + i * segment, length_of(i), previous);
    }
    if (relative + 1 < size && i > 0) {
      schedule.SendBytes(bytes + (i - 1) * segment, length_of(i - 1), next);
    }
    schedule.EndRound();
  }
}

struct BcastCall {
  void* buffer;
  int count;
  MPI_Datatype datatype;
  int root;
  Data data = {};

  int Check(const Communicator& communicator) {
    const int error = PrepareData(buffer, count, datatype, &data);
    if (error != MPI_SUCCESS) return error;
    if (buffer == MPI_IN_PLACE) return MPI_ERR_ARG;
    return CheckRoot(communicator, root);
  }

  void Build(Schedule& schedule) const {
    const std::uint64_t length = data.bytes();
    if (length == 0 || (schedule.inter() && root == MPI_PROC_NULL)) return;
    const bool sends = schedule.inter() ? root == MPI_ROOT : root == schedule.rank();
    std::byte* bytes = sends                    ? schedule.Packed(data)
                       : data.layout.contiguous ? data.begin()
                                                : schedule.Temporary(length);
    if (!schedule.inter()) {
      BuildBcast(schedule, bytes, length, root);
    } else if (sends) {
      schedule.SendBytes(bytes, length, 0);
      schedule.EndRound();
    } else {
      if (schedule.rank() == 0) {
        schedule.ReceiveBytes(bytes, length, root);
        schedule.EndRound();
      }
      schedule.EnterLocal();
      BuildBcast(schedule, bytes, length, 0);
      schedule.LeaveLocal();
    }
    if (!sends && !data.layout.contiguous) schedule.Unpack(bytes, data);
  }
};

}  // namespace

void BuildBcast(Schedule& schedule, std::byte* bytes, std::uint64_t length, int root) {
  const Algorithm algorithm = SelectBcast(schedule.size(), length);
  if (algorithm == Algorithm::kBinomial || length == 0) {
    Binomial(schedule, bytes, length, root);
  } else if (algorithm == Algorithm::kChain) {
    Chain(schedule, bytes, length, root);
  } else {
    ScatterRing(schedule, bytes, length, root);
  }
}

}  // namespace ftmpi

FTMPI_EXPORT int MPI_Bcast(void* buffer, int count, MPI_Datatype datatype, int root,
                           MPI_Comm comm) {
  FTMPI_PASS_THROUGH(PMPI_Bcast(buffer, count, datatype, root, comm));
  return ftmpi::RunCollective(
      comm, "MPI_Bcast", ftmpi::BcastCall{buffer, count, datatype, root},
      [&](MPI_Comm foreign) { return PMPI_Bcast(buffer, count, datatype, root, foreign); });
}

FTMPI_EXPORT int MPI_Ibcast(void* buffer, int count, MPI_Datatype datatype, int root, MPI_Comm comm,
                            MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Ibcast(buffer, count, datatype, root, comm, request));
  return ftmpi::StartCollective(
      comm, "MPI_Ibcast", request, ftmpi::BcastCall{buffer, count, datatype, root},
      [&](MPI_Comm foreign, MPI_Request* foreign_request) {
        return PMPI_Ibcast(buffer, count, datatype, root, foreign, foreign_request);
      });
}
