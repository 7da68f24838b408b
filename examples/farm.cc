// farm: a task farm, as non-deterministic as a program gets.
//
//   mpirun -np 4 farm --tasks 200
//
// Rank 0 hands tasks to whoever asks first and takes results as they come; it looks for requests
// with Iprobe from any source and with any tag, for results with Testsome, and when nothing happens
// waits with Waitany. The workers besides tell each other how far they are, at random, and look for
// such gossip between two slices of work. What happens in which order differs from run to run and
// is printed as it happens (the trace); the result is a sum over all tasks, and always the same.
//
// The line `trace: <digest>` at the end covers all the lines above it: they must belong together.
#include <mpi.h>

#include <CLI/CLI.hpp>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <vector>

#include "example.h"

namespace {

enum Tag {
  kFirstRequestTag = 1,  // + worker's number of requests so far modulo kRequestTags
  kRequestTags = 5,
  kTaskTag = 10,
  kStopTag = 11,
  kGossipTag = 12,
  kReportTag = 13,
};
constexpr int kResultTags = 7;   // a result has tag task % kResultTags
constexpr int kIdlePolls = 200;  // fruitless looks before the master waits
constexpr int kSlices = 8;       // a task is done in that many slices

struct Result {
  std::int64_t task;
  std::uint64_t value;
};

struct Report {
  std::int64_t tasks;
  std::int64_t gossip;         // messages from other workers
  std::uint64_t gossip_trace;  // digest of the order in which they came
};

// Some work whose outcome depends on the task alone. Between slices `poll` is called.
template <typename Poll>
std::uint64_t DoTask(std::int64_t task, std::uint64_t seed, std::int64_t work, Poll poll) {
  Random random(seed ^ (static_cast<std::uint64_t>(task) * 0xd1342543de82ef95));
  // Tasks differ in length by up to four times.
  const auto rounds = static_cast<std::int64_t>(random.Below(4) + 1) * work / kSlices;
  std::uint64_t value = 0;
  for (int slice = 0; slice < kSlices; ++slice) {
    for (std::int64_t i = 0; i < rounds; ++i) value = (value ^ random.Next()) * 0x100000001b3;
    poll();
  }
  return value;
}

class Master {
 public:
  Master(int ranks, std::int64_t tasks, MPI_Comm results, Transcript* transcript)
      : tasks_(tasks), workers_(ranks - 1), comm_(results), transcript_(transcript) {}

  // Runs until all results are in and all workers have been told to stop.
  void Run() {
    // Results may come from anybody, with any of the result tags, into any of these.
    std::vector<Result> buffers(static_cast<std::size_t>(2) * workers_);
    std::vector<MPI_Request> receives(buffers.size());
    for (std::size_t i = 0; i < buffers.size(); ++i) Post(&buffers[i], &receives[i]);
    std::vector<int> indices(buffers.size());
    std::vector<MPI_Status> statuses(buffers.size());
    int idle = 0;
    while (done_ < tasks_ || stopped_ < workers_) {
      bool something = AnswerRequest();
      int completed = 0;
      MPI_Testsome(static_cast<int>(receives.size()), receives.data(), &completed, indices.data(),
                   statuses.data());
      for (int k = 0; k < completed; ++k) {
        const auto i = static_cast<std::size_t>(indices[k]);
        Take(buffers[i], statuses[k].MPI_SOURCE);
        Post(&buffers[i], &receives[i]);
        something = true;
      }
      idle = something ? 0 : idle + 1;
      // A result is due without our doing anything as long as somebody has a task.
      if (idle > kIdlePolls && handed_out_ > done_) {
        int index = 0;
        MPI_Status status;
        MPI_Waitany(static_cast<int>(receives.size()), receives.data(), &index, &status);
        Take(buffers[index], status.MPI_SOURCE);
        Post(&buffers[index], &receives[index]);
        idle = 0;
      }
    }
    for (MPI_Request& receive : receives) {
      MPI_Cancel(&receive);
      MPI_Wait(&receive, MPI_STATUS_IGNORE);
    }
    while (!sends_.empty()) {
      MPI_Wait(&sends_.front().request, MPI_STATUS_IGNORE);
      sends_.pop_front();
    }
  }

  void Take(const Result& result, int worker) {
    ++done_;
    transcript_->Print("%" PRId64 ": task %" PRId64 " by rank %d\n", done_, result.task, worker);
    // The sum does not depend on the order, the lines do.
    sum_ += result.value;
  }

  [[nodiscard]] std::uint64_t sum() const { return sum_; }

 private:
  struct Send {
    std::int64_t task;
    MPI_Request request;
  };

  void Post(Result* buffer, MPI_Request* request) {
    MPI_Irecv(buffer, sizeof(Result), MPI_BYTE, MPI_ANY_SOURCE, MPI_ANY_TAG, comm_, request);
  }

  // If a worker has asked for a task, gives it one, or tells it to stop.
  bool AnswerRequest() {
    int flag = 0;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &flag, &status);
    if (flag == 0) return false;
    MPI_Recv(nullptr, 0, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, MPI_COMM_WORLD,
             MPI_STATUS_IGNORE);
    const bool more = handed_out_ < tasks_;
    sends_.push_back({more ? handed_out_++ : -1, MPI_REQUEST_NULL});
    Send& send = sends_.back();  // a deque's elements stay where they are
    MPI_Isend(&send.task, 1, MPI_INT64_T, status.MPI_SOURCE, more ? kTaskTag : kStopTag,
              MPI_COMM_WORLD, &send.request);
    if (!more) ++stopped_;
    // Sends that are through need no room any more.
    int sent = 1;
    while (!sends_.empty() && sent != 0) {
      MPI_Test(&sends_.front().request, &sent, MPI_STATUS_IGNORE);
      if (sent != 0) sends_.pop_front();
    }
    return true;
  }

  std::int64_t tasks_;
  int workers_;
  MPI_Comm comm_;
  std::int64_t handed_out_ = 0;
  std::int64_t done_ = 0;
  int stopped_ = 0;
  std::uint64_t sum_ = 0;
  Transcript* transcript_;
  std::deque<Send> sends_;
};

class Worker {
 public:
  Worker(int rank, int ranks, std::uint64_t seed, std::int64_t work, MPI_Comm results)
      : rank_(rank),
        ranks_(ranks),
        seed_(seed),
        work_(work),
        comm_(results),
        sent_to_(ranks, 0),
        random_(seed + static_cast<std::uint64_t>(rank)) {}

  void Run() {
    for (int request = 0;; ++request) {
      MPI_Send(nullptr, 0, MPI_BYTE, 0, kFirstRequestTag + request % kRequestTags, MPI_COMM_WORLD);
      std::int64_t task = 0;
      MPI_Status status;
      MPI_Recv(&task, 1, MPI_INT64_T, 0, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
      if (status.MPI_TAG == kStopTag) break;
      const Result result{task, DoTask(task, seed_, work_, [this] { LookForGossip(); })};
      MPI_Send(&result, sizeof result, MPI_BYTE, 0, static_cast<int>(task % kResultTags), comm_);
      ++report_.tasks;
      TellSomebody();
    }
  }

  // Takes the gossip that is still under way and returns what is to be reported. `expected` is how
  // much of it others have sent here.
  Report Finish(std::int64_t expected) {
    while (report_.gossip < expected) ReceiveGossip();
    report_.gossip_trace = trace_.value();
    return report_;
  }

  [[nodiscard]] const std::vector<std::int64_t>& sent_to() const { return sent_to_; }

 private:
  void TellSomebody() {
    const int other = 1 + static_cast<int>(random_.Below(static_cast<std::uint64_t>(ranks_ - 1)));
    if (other == rank_) return;
    MPI_Send(&report_.tasks, 1, MPI_INT64_T, other, kGossipTag, MPI_COMM_WORLD);
    ++sent_to_[other];
  }

  void LookForGossip() {
    int flag = 0;
    MPI_Iprobe(MPI_ANY_SOURCE, kGossipTag, MPI_COMM_WORLD, &flag, MPI_STATUS_IGNORE);
    if (flag != 0) ReceiveGossip();
  }

  void ReceiveGossip() {
    std::int64_t tasks = 0;
    MPI_Status status;
    MPI_Recv(&tasks, 1, MPI_INT64_T, MPI_ANY_SOURCE, kGossipTag, MPI_COMM_WORLD, &status);
    ++report_.gossip;
    trace_.Add(static_cast<std::int64_t>(status.MPI_SOURCE));
    trace_.Add(tasks);
  }

  int rank_;
  int ranks_;
  std::uint64_t seed_;
  std::int64_t work_;
  MPI_Comm comm_;
  std::vector<std::int64_t> sent_to_;  // gossip, by rank
  Random random_;
  Report report_{};
  Digest trace_;
};

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);

  std::int64_t tasks = 200;
  std::int64_t work = 200000;
  std::uint64_t seed = 1;
  CLI::App app{"A task farm"};
  app.add_option("--tasks", tasks, "number of tasks")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--work", work, "rounds of work in a small task")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--seed", seed, "seed of the tasks")->capture_default_str();
  if (const auto code = ParseCommandLine(app, argc, argv)) return *code;

  // Results have a communicator of their own: receives for any tag can wait there without taking
  // the requests that come on MPI_COMM_WORLD.
  MPI_Comm results;
  MPI_Comm_dup(MPI_COMM_WORLD, &results);
  Transcript transcript;
  Master master(ranks, tasks, results, &transcript);
  Worker worker(rank, ranks, seed, work, results);
  if (rank == 0) {
    transcript.Print("farm: %" PRId64 " tasks, seed %" PRIu64 ", %d ranks\n", tasks, seed, ranks);
    if (ranks == 1) {
      for (std::int64_t task = 0; task < tasks; ++task) {
        master.Take({task, DoTask(task, seed, work, [] {})}, 0);
      }
    } else {
      master.Run();
    }
  } else {
    worker.Run();
  }

  // How much gossip was sent to whom is known only when everybody has stopped.
  std::int64_t expected = 0;
  MPI_Reduce_scatter_block(worker.sent_to().data(), &expected, 1, MPI_INT64_T, MPI_SUM,
                           MPI_COMM_WORLD);
  if (rank != 0) {
    const Report report = worker.Finish(expected);
    MPI_Send(&report, sizeof report, MPI_BYTE, 0, kReportTag, MPI_COMM_WORLD);
  } else {
    for (int r = 1; r < ranks; ++r) {
      Report report{};
      MPI_Recv(&report, sizeof report, MPI_BYTE, r, kReportTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      transcript.Print("rank %d: %" PRId64 " tasks, %" PRId64
                       " pieces of gossip, in order %016" PRIx64 "\n",
                       r, report.tasks, report.gossip, report.gossip_trace);
    }
    transcript.PrintTrace();
    Digest digest;
    digest.Add(master.sum());
    PrintResult(digest);
  }
  MPI_Comm_free(&results);
  MPI_Finalize();
  return 0;
}
