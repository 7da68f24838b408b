// tsp: the shortest round trip through N cities, by branch and bound.
//
//   mpirun -np 4 tsp --size 15 --seed 7
//
// After the program of the same name in D. B. Johnson's thesis, section 3.4.4. Rank 0, the master,
// keeps the best tour and hands out subproblems, one per first edge of the tour; a worker that has
// finished one asks for the next. A worker that finds a better tour reports it; the master answers
// with the best length that it knows, and tells the other workers, who look for such news now and
// then. So who gets which subproblem, who finds what, and how much is searched, differs from run to
// run; the tour that comes out does not: of several shortest ones it is the lexicographically
// first.
#include <mpi.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "example.h"

namespace {

constexpr int kMaximumSize = 32;

enum Tag {
  // to the master
  kRequestTag = 1,  // empty: give me a subproblem
  kTourTag,         // Tour: I found this
  // to a worker
  kSubproblemTag,  // int: second city of the tour
  kAnswerTag,      // int64: the best length known, in answer to kTourTag
  kBoundTag,       // int64: somebody found a tour of this length
  kStopTag,        // empty: that was all
};

// A tour and its length, as it travels.
struct Tour {
  std::int64_t length = std::numeric_limits<std::int64_t>::max();
  std::int32_t city[kMaximumSize] = {};

  // Shorter, or as short and lexicographically first.
  [[nodiscard]] bool Beats(const Tour& other) const {
    if (length != other.length) return length < other.length;
    return std::lexicographical_compare(city, city + kMaximumSize, other.city,
                                        other.city + kMaximumSize);
  }
};

struct Map {
  Map(int cities, std::uint64_t seed) : size(cities), distance(cities * cities), cheapest(cities) {
    Random random(seed);
    std::vector<double> x(size);
    std::vector<double> y(size);
    for (int i = 0; i < size; ++i) {
      x[i] = random.Real();
      y[i] = random.Real();
    }
    for (int i = 0; i < size; ++i) {
      cheapest[i] = std::numeric_limits<std::int64_t>::max();
      for (int j = 0; j < size; ++j) {
        // Whole numbers: sums are exact, in whatever order.
        distance[i * size + j] = std::llround(
            10000 * std::sqrt((x[i] - x[j]) * (x[i] - x[j]) + (y[i] - y[j]) * (y[i] - y[j])));
        if (j != i) cheapest[i] = std::min(cheapest[i], distance[i * size + j]);
      }
    }
  }
  [[nodiscard]] std::int64_t Distance(int from, int to) const { return distance[from * size + to]; }

  int size;
  std::vector<std::int64_t> distance;
  std::vector<std::int64_t> cheapest;  // the shortest edge at each city
};

// Searches the tours that begin with a given edge. What to do with a found tour, and where to hear
// of others' tours, is the derived class's affair.
class Search {
 public:
  Search(const Map& map, int poll_every) : map_(map), poll_every_(poll_every) {}
  virtual ~Search() = default;

  void Run(int second) {
    tour_.city[0] = 0;
    tour_.city[1] = second;
    std::int64_t rest = 0;  // each city left has to be left by an edge
    for (int i = 1; i < map_.size; ++i) rest += map_.cheapest[i];
    Visit(2, (std::uint64_t{1} << second) | 1, map_.Distance(0, second), rest);
  }

 protected:
  // A tour at least as good as `best_length_` came up.
  virtual void Found(const Tour& tour) = 0;
  // Time to look for news.
  virtual void Poll() = 0;

  std::int64_t best_length_ = std::numeric_limits<std::int64_t>::max();

 private:
  // `depth` cities are set, `length` is the way so far, `rest` bounds from below what the cities
  // from the last one on still cost.
  void Visit(int depth, std::uint64_t visited, std::int64_t length, std::int64_t rest) {
    if (poll_every_ > 0 && ++nodes_ % static_cast<std::uint64_t>(poll_every_) == 0) Poll();
    const int last = tour_.city[depth - 1];
    if (depth == map_.size) {
      // Each tour can be walked in two directions: take it in the lexicographically first.
      if (map_.size > 2 && tour_.city[1] > last) return;
      tour_.length = length + map_.Distance(last, 0);
      if (tour_.length <= best_length_) Found(tour_);
      return;
    }
    // Equally long tours are not cut off: the lexicographically first of them is wanted.
    if (length + rest > best_length_) return;
    for (int next = 1; next < map_.size; ++next) {
      if ((visited >> next & 1) != 0) continue;
      tour_.city[depth] = next;
      Visit(depth + 1, visited | std::uint64_t{1} << next, length + map_.Distance(last, next),
            rest - map_.cheapest[last]);
    }
  }

  const Map& map_;
  Tour tour_;
  std::uint64_t nodes_ = 0;
  int poll_every_;
};

std::string Cities(const Tour& tour, int size) {
  std::string text;
  for (int i = 0; i < size; ++i) text += " " + std::to_string(tour.city[i]);
  return text;
}

// Rank 0 says what it hears.
Transcript g_transcript;

void PrintTour(const char* what, int rank, const Tour& tour, int size) {
  g_transcript.Print("%s: length %" PRId64 " (rank %d):%s\n", what, tour.length, rank,
                     Cities(tour, size).c_str());
}

// One rank alone.
class SerialSearch final : public Search {
 public:
  explicit SerialSearch(const Map& map) : Search(map, 0), size_(map.size) {}
  [[nodiscard]] const Tour& best() const { return best_; }

 protected:
  void Found(const Tour& tour) override {
    if (!tour.Beats(best_)) return;
    best_ = tour;
    best_length_ = tour.length;
    PrintTour("better", 0, best_, size_);
  }
  void Poll() override {}

 private:
  int size_;
  Tour best_;
};

class Worker final : public Search {
 public:
  using Search::Search;

  void Serve() {
    for (;;) {
      MPI_Send(nullptr, 0, MPI_BYTE, 0, kRequestTag, MPI_COMM_WORLD);
      MPI_Status status;
      MPI_Probe(0, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
      // News that came while we were busy stand in front of the answer.
      while (status.MPI_TAG == kBoundTag) {
        ReceiveBound(kBoundTag);
        MPI_Probe(0, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
      }
      int second = 0;
      MPI_Recv(&second, 1, MPI_INT, 0, status.MPI_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      if (status.MPI_TAG == kStopTag) return;
      Run(second);
    }
  }

 protected:
  void Found(const Tour& tour) override {
    MPI_Send(&tour, sizeof tour, MPI_BYTE, 0, kTourTag, MPI_COMM_WORLD);
    ReceiveBound(kAnswerTag);
  }
  void Poll() override {
    int flag = 0;
    MPI_Iprobe(0, kBoundTag, MPI_COMM_WORLD, &flag, MPI_STATUS_IGNORE);
    if (flag != 0) ReceiveBound(kBoundTag);
  }

 private:
  void ReceiveBound(int tag) {
    std::int64_t length = 0;
    MPI_Recv(&length, 1, MPI_INT64_T, 0, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    best_length_ = std::min(best_length_, length);
  }
};

// Hands out subproblems and collects tours until all workers have been told to stop.
Tour Master(const Map& map, int ranks) {
  Tour best;
  int next = 1;
  for (int stopped = 0; stopped < ranks - 1;) {
    Tour tour;
    MPI_Status status;
    MPI_Recv(&tour, sizeof tour, MPI_BYTE, MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
    const int worker = status.MPI_SOURCE;
    if (status.MPI_TAG == kTourTag) {
      const bool shorter = tour.length < best.length;
      if (tour.Beats(best)) {
        best = tour;
        PrintTour("better", worker, best, map.size);
      }
      MPI_Send(&best.length, 1, MPI_INT64_T, worker, kAnswerTag, MPI_COMM_WORLD);
      for (int r = 1; shorter && r < ranks; ++r) {
        if (r != worker) MPI_Send(&best.length, 1, MPI_INT64_T, r, kBoundTag, MPI_COMM_WORLD);
      }
    } else if (next < map.size) {
      g_transcript.Print("first edge 0-%d: rank %d\n", next, worker);
      MPI_Send(&next, 1, MPI_INT, worker, kSubproblemTag, MPI_COMM_WORLD);
      ++next;
    } else {
      MPI_Send(nullptr, 0, MPI_INT, worker, kStopTag, MPI_COMM_WORLD);
      ++stopped;
    }
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);

  int size = 15;
  std::uint64_t seed = 1;
  int poll_every = 4096;
  CLI::App app{"Solves a travelling salesman problem by branch and bound"};
  app.add_option("--size", size, "number of cities")
      ->check(CLI::Range(3, kMaximumSize))
      ->capture_default_str();
  app.add_option("--seed", seed, "seed of the map")->capture_default_str();
  app.add_option("--poll-every", poll_every, "search nodes between two looks for better bounds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  if (const auto code = ParseCommandLine(app, argc, argv)) return *code;

  const Map map(size, seed);
  Tour best;
  if (rank == 0) {
    g_transcript.Print("tsp: %d cities, seed %" PRIu64 ", %d ranks\n", size, seed, ranks);
  }
  if (ranks == 1) {
    SerialSearch search(map);
    for (int second = 1; second < size; ++second) search.Run(second);
    best = search.best();
  } else if (rank == 0) {
    best = Master(map, ranks);
  } else {
    Worker(map, poll_every).Serve();
  }

  if (rank == 0) {
    g_transcript.Print("shortest: %" PRId64 "\ntour:%s\n", best.length, Cities(best, size).c_str());
    g_transcript.PrintTrace();
    Digest digest;
    digest.Add(best);
    PrintResult(digest);
  }
  MPI_Finalize();
  return 0;
}
