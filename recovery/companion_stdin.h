// Standard input of rank 0: input from the outside world, logged before the rank sees it
// (thesis 2.1.8) and replayed from the log in a recovery. Format of the log:
// recovery/JOB_DIRECTORY.md.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace ftmpi::recovery {

// The log JOBDIR/stdin.log, append-only.
class StdinLog {
 public:
  struct Piece {
    std::uint64_t file_offset;
    std::uint64_t length;
  };

  StdinLog() = default;
  ~StdinLog();
  StdinLog(const StdinLog&) = delete;
  StdinLog& operator=(const StdinLog&) = delete;

  // Makes the log; an existing one is an error. Throws JobDirectoryError.
  void Create(const std::string& path, std::uint64_t job);
  // Opens the log of an earlier incarnation, cutting off a last record that was not completely
  // written (the rank never saw it). Without a file it is made. Throws JobDirectoryError: foreign,
  // other job, other version, damaged before its end.
  void Open(const std::string& path, std::uint64_t job);
  // The bytes are on stable storage when it returns. Empty: end of input. Throws JobDirectoryError.
  void Append(std::string_view bytes);
  // Reads logged bytes again.
  std::string Read(std::uint64_t file_offset, std::size_t length) const;

  [[nodiscard]] bool is_open() const { return file_ >= 0; }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] std::uint64_t length() const { return length_; }
  // The logged pieces in order.
  [[nodiscard]] const std::deque<Piece>& pieces() const { return pieces_; }
  void DropFrontPiece() { pieces_.pop_front(); }

 private:
  void Load(const std::string& path, std::uint64_t job);

  std::string path_;
  int file_ = -1;
  std::uint64_t job_ = 0;
  std::uint64_t end_ = 0;     // of the file
  std::uint64_t length_ = 0;  // of the stream
  bool ended_ = false;
  std::deque<Piece> pieces_;
};

// Reads the original descriptor 0, logs, feeds the rank. Owns both descriptors. Nothing blocks.
class StdinFeeder {
 public:
  StdinFeeder(int from, int to);
  ~StdinFeeder();
  StdinFeeder(const StdinFeeder&) = delete;
  StdinFeeder& operator=(const StdinFeeder&) = delete;

  // A recovery: the log comes first, from byte `start` on, which the rank's checkpoint has not.
  // Throws JobDirectoryError, also for a log that is shorter.
  void Replay(const std::string& path, std::uint64_t job, std::uint64_t start);
  // The job directory is known: from now on everything is logged. Does nothing after Replay.
  void StartLog(const std::string& path, std::uint64_t job);

  // Reads and logs what there is.
  void Take();
  // Gives the rank what it takes.
  void Feed();
  // Bytes of the input that the rank has taken, those before a recovery's start included. Asked
  // while the rank reads nothing. Once the pipe is closed (to() < 0) also those that lie in it.
  [[nodiscard]] std::uint64_t Taken() const;

  [[nodiscard]] int from() const { return from_; }
  [[nodiscard]] int to() const { return to_; }
  [[nodiscard]] bool WantsToRead() const;
  [[nodiscard]] bool WantsToWrite() const;

 private:
  void CloseFrom();
  void CloseTo();
  void SkipLogged(std::uint64_t bytes);

  int from_;
  int to_;
  StdinLog log_;
  std::uint64_t fed_ = 0;  // bytes that were put into the pipe, and those before the start
  std::string early_;      // read before there was a log; all of it
  std::size_t early_fed_ = 0;
  bool end_read_ = false;  // the original's end was reached
  std::string window_;     // piece of the log that is being fed
  std::size_t window_fed_ = 0;
};

}  // namespace ftmpi::recovery
