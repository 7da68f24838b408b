// The gate of one output stream of a rank: takes what the rank writes, holds it until it is
// committable (output commit, thesis 2.1.8), swallows what an earlier incarnation has shown
// already, and passes the rest on to where the stream originally went, counted.
//
// Descriptors are owned. Nothing blocks: the original descriptor is written only as far as it
// takes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "logging/rank_status.h"
#include "recovery/companion_held_output.h"

namespace ftmpi::recovery {

class OutputGate {
 public:
  // `from`: our end of the pipe or pty; `to`: the original descriptor.
  OutputGate(int from, int to);
  ~OutputGate();
  OutputGate(const OutputGate&) = delete;
  OutputGate& operator=(const OutputGate&) = delete;

  // The first `bytes` bytes, whose XXH64 is `hash`, have been shown by earlier incarnations.
  void Swallow(std::uint64_t bytes, std::uint64_t hash);
  // The rank starts from a checkpoint: it had written `start` bytes by then. Before Swallow, whose
  // bytes it then prints from there on (and which are not compared: their beginning is not printed
  // again).
  void StartAt(std::uint64_t start);
  // After Swallow: the rank had written these bytes before StartAt, and they were not shown.
  void ShowFirst(std::string_view bytes);
  // What is held back, and where in the stream it begins.
  [[nodiscard]] std::string Held() const { return held_.Copy(); }
  [[nodiscard]] std::uint64_t held_start() const { return released_; }
  // The last bytes shown, as many as the reader's pipe may hold and lose: TakeBackUnread may take
  // them back.
  [[nodiscard]] const std::string& recent() const { return recent_; }
  // What is taken meanwhile is neither shown nor counted: a program that was started from
  // registered state writes again what it had written in front of its checkpoint.
  void BeginDropping() { dropping_ = true; }
  void EndDropping() { dropping_ = false; }
  // Bytes that the program has written, those before StartAt included.
  [[nodiscard]] std::uint64_t taken() const { return taken_; }
  void set_spill_directory(const std::string& directory) { held_.set_spill_directory(directory); }

  // Takes all that can be read now. `status` may be null (before MPI_Init: initial state, which
  // is always committable). False: end of the stream, or nothing more will come.
  bool Take(const logging::RankStatus* status);
  // Passes on what may go now; `everything`: regardless of committability. `count` is called before
  // bytes are written, with the gate's counters as they will be.
  void Release(const logging::RankStatus* status, bool everything,
               const std::function<void()>& count);
  // Stops passing on; what is held is dropped.
  void Discard();

  // Held output that is not committable yet.
  [[nodiscard]] bool Waiting(const logging::RankStatus* status) const;
  // Something may be released as soon as the original descriptor takes it.
  [[nodiscard]] bool WantsToWrite(const logging::RankStatus* status) const;
  // Something is held and somebody may read it.
  [[nodiscard]] bool HasMore() const { return !broken_ && !held_.empty(); }
  // Enough is on its way: the rank is to wait for the reader, as it would without us.
  [[nodiscard]] bool Full(const logging::RankStatus* status) const;

  // Counters of all bytes shown, by all incarnations: shown() <= counted (a write that is under
  // way).
  [[nodiscard]] std::uint64_t released() const { return released_; }
  [[nodiscard]] std::uint64_t hash() const;
  // Corrects the counters by what the reader of the original pipe left unread when it closed it.
  void TakeBackUnread();

  [[nodiscard]] int from() const { return from_; }
  [[nodiscard]] int to() const { return to_; }
  [[nodiscard]] bool ended() const { return from_ < 0; }
  [[nodiscard]] bool broken() const { return broken_; }
  // Bytes of earlier incarnations that this one has not printed (yet).
  [[nodiscard]] std::uint64_t swallow_left() const { return swallow_left_; }
  // The bytes swallowed were not those shown before. Known when swallow_left() is 0.
  [[nodiscard]] bool different() const { return different_; }
  void CloseFrom();
  void CloseTo();

 private:
  std::string_view SwallowFrom(std::string_view bytes);
  void Count(std::string_view bytes);
  void TakeBack(std::size_t bytes);

  int from_;
  int to_;
  bool to_is_socket_ = false;
  bool to_blocks_ = false;          // could not be made non-blocking
  bool broken_ = false;             // nobody reads the original any more
  bool other_side_closed_ = false;  // of a pty: a read has told so
  bool full_pipe_ = false;          // the last write was cut short
  HeldOutput held_;
  std::uint64_t released_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t start_ = 0;
  bool dropping_ = false;
  std::uint64_t swallow_left_ = 0;
  std::uint64_t swallow_hash_ = 0;
  bool different_ = false;
  bool has_hash_ = true;
  std::string recent_;  // the last bytes counted, as many as a pipe may hold
  struct Hashes;
  std::unique_ptr<Hashes> hashes_;
};

}  // namespace ftmpi::recovery
