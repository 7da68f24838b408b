// What the protocols of two ranks say to each other, riding on a message or in a control message of
// their own. Format: logging/WIRE.md, "Protocol data".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "logging/determinant.h"
#include "logging/determinant_codec.h"
#include "logging/rank_map.h"

namespace ftmpi::logging {

class ProtocolHost;

inline constexpr std::uint8_t kProtocolDataVersion = 1;

enum ProtocolDataFlag : std::uint8_t {
  kMoreFollows = 1,        // the next protocol data on this channel goes on in the middle of this
  kAcknowledgeAtOnce = 2,  // the sender waits for what the receiver has to acknowledge (the
                           // thesis's NEED_RSNACK, 3.3.3)
};

struct RankAndIndex {
  std::int32_t rank = -1;
  std::uint64_t index = 0;
};

struct ProtocolData {
  std::uint8_t flags = 0;
  std::vector<Determinant> determinants;
  std::vector<RankAndIndex> held;    // the sender holds rank's determinants up to index, as far
                                     // as these are not stable (acknowledgement)
  std::vector<RankAndIndex> stable;  // rank's determinants up to index are stable
  std::vector<RankAndIndex>
      dependencies;                    // the sender's interval `answered` depends on rank's index
  std::vector<RankAndIndex> requests;  // say when your interval index is stable, and what it
                                       // depends on (rank is the receiver)
  std::vector<RankAndIndex> answered;  // the answer, for the sender's (rank's) interval index
};

// Builds one message's protocol data. Memory is used again from message to message.
class ProtocolDataWriter {
 public:
  ProtocolDataWriter() : encoder_(&bytes_) {}
  ProtocolDataWriter(const ProtocolDataWriter&) = delete;
  ProtocolDataWriter& operator=(const ProtocolDataWriter&) = delete;

  void Begin();
  void AddFlag(ProtocolDataFlag flag) { flags_ |= flag; }
  void Add(const Determinant& determinant) { encoder_.Add(determinant); }
  void AddHeld(int rank, std::uint64_t index) { AddPair(kHeld, rank, index); }
  void AddStable(int rank, std::uint64_t index) { AddPair(kStable, rank, index); }
  void AddDependency(int rank, std::uint64_t index) { AddPair(kDependencyOn, rank, index); }
  void AddAnswer(int rank, std::uint64_t index) { AddPair(kAnswer, rank, index); }
  void AddRequest(int rank, std::uint64_t index) { AddPair(kRequest, rank, index); }

  // The finished bytes, valid until the next Begin(); empty if nothing but flags was added and
  // `flags_alone` is false.
  [[nodiscard]] std::span<const std::byte> Finish(bool flags_alone = false);
  // Finishes; returns what is to ride on a message if it fits `maximum`, else sends it by itself,
  // as one or several control messages, and returns nothing.
  [[nodiscard]] std::span<const std::byte> FinishRiding(ProtocolHost* host, int destination,
                                                        std::uint64_t maximum,
                                                        std::uint64_t maximum_control);
  // Finishes and sends it by itself, in parts of at most `maximum_control` bytes.
  void FinishAlone(ProtocolHost* host, int destination, std::uint64_t maximum_control,
                   bool flags_alone = false);

  // Kinds of records beside determinants.
  static constexpr std::uint8_t kHeld = 8;
  static constexpr std::uint8_t kStable = 9;
  static constexpr std::uint8_t kDependencyOn = 10;
  static constexpr std::uint8_t kRequest = 11;
  static constexpr std::uint8_t kAnswer = 12;

 private:
  void AddPair(std::uint8_t kind, int rank, std::uint64_t index);

  std::vector<std::byte> bytes_;
  std::vector<std::byte> part_;
  DeterminantEncoder encoder_;
  std::uint8_t flags_ = 0;
};

// Takes protocol data apart, putting parts together again.
class ProtocolDataReader {
 public:
  enum class Result : std::uint8_t { kComplete, kPartial, kMalformed };

  explicit ProtocolDataReader(int size) : size_(size), decoder_(size, kMaximumDeterminants) {}

  // Data that arrived from `source`. kComplete: data() holds the whole, until the next call.
  // kPartial: there is more to come. kMalformed: nothing was changed but that parts kept so far
  // from this source are dropped.
  [[nodiscard]] Result Read(int source, std::span<const std::byte> bytes);
  [[nodiscard]] const ProtocolData& data() const { return data_; }

 private:
  static constexpr std::size_t kMaximumDeterminants = std::size_t{1} << 24;
  static constexpr std::size_t kMaximumBytes = std::size_t{1} << 30;

  [[nodiscard]] bool Parse(std::span<const std::byte> body);

  int size_;
  DeterminantDecoder decoder_;
  ProtocolData data_;
  RankMap<std::vector<std::byte>> partial_;
};

}  // namespace ftmpi::logging
