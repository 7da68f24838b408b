// What the example programs share: a digest of their result, and the command line of a parallel
// program.
#pragma once

#include <mpi.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>

// 64-bit FNV-1a over the exact bytes of whatever is added: two runs have the same digest only when
// they have the same result down to the last bit.
class Digest {
 public:
  void Add(const void* data, std::size_t bytes) {
    const auto* p = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i < bytes; ++i) value_ = (value_ ^ p[i]) * 0x100000001b3;
  }
  template <typename T>
  void Add(const T& value) {
    Add(&value, sizeof value);
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325;
};

// The last line of every example.
inline void PrintResult(const Digest& digest) {
  std::printf("result: %016" PRIx64 "\n", digest.value());
  std::fflush(stdout);
}

// Prints lines and remembers a digest of all of them, for programs whose course differs from run to
// run: what the program says in the end about its own course (the line `trace: <digest>`) must
// agree with what stands above it.
class Transcript {
 public:
  __attribute__((format(printf, 2, 3))) void Print(const char* format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    const int length = std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    std::fputs(text, stdout);
    std::fflush(stdout);
    digest_.Add(text, std::min(static_cast<std::size_t>(length), sizeof text - 1));
  }
  void PrintTrace() const {
    std::printf("trace: %016" PRIx64 "\n", digest_.value());
    std::fflush(stdout);
  }

 private:
  Digest digest_;
};

// A small generator with the same numbers everywhere (splitmix64); the ones of <random> differ
// between standard libraries as soon as a distribution is used.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [0, bound).
  std::uint64_t Below(std::uint64_t bound) { return Next() % bound; }
  // In [-1, 1).
  double Real() { return static_cast<double>(Next() >> 11) * 0x1p-52 - 1.0; }

 private:
  std::uint64_t state_;
};

// Parses the command line, the same on every rank. Where the program has to end (--help, an unknown
// option), rank 0 alone says why and every rank gets the exit code; MPI is finalised then.
inline std::optional<int> ParseCommandLine(CLI::App& app, int argc, char** argv) {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = rank == 0 ? app.exit(error) : error.get_exit_code();
    MPI_Finalize();
    return code;
  }
  return std::nullopt;
}
