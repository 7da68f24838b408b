#include "checkpoint/induced.h"

#include <algorithm>
#include <stdexcept>

#include "checkpoint/control_message.h"

namespace ftmpi::checkpoint {

Csn GreatestLine(const std::vector<std::vector<Lines>>& ranks) {
  Csn line = kMaximumCoordinatedCsn;
  // Down from the top: a rank without this line lowers it to the next one that it has.
  for (bool lowered = true; lowered && line > 0;) {
    lowered = false;
    for (const std::vector<Lines>& lines : ranks) {
      Csn best = 0;
      for (const auto& [first, last] : lines) {
        if (first <= line) best = std::max(best, std::min(last, line));
      }
      if (best < line) {
        line = best;
        lowered = true;
      }
    }
  }
  return line;
}

InducedCheckpoints::InducedCheckpoints(const UncoordinatedConfiguration& configuration,
                                       UncoordinatedHost* host)
    : configuration_(configuration),
      host_(host),
      kept_(configuration.rank, configuration.size, host),
      trigger_(configuration.interval, configuration.every) {
  if (configuration.rank < 0 || configuration.rank >= configuration.size) {
    throw std::invalid_argument("induced checkpoints: rank " + std::to_string(configuration.rank) +
                                " is not in 0.." + std::to_string(configuration.size - 1));
  }
  if (configuration.rank == 0) lines_.resize(static_cast<std::size_t>(configuration.size));
}

Action InducedCheckpoints::OnHigherIndex(Channel* channel, Csn index) {
  if (due_ < index) AskForCut(index);
  if (index_ < index) return Action::kCheckpointFirst;
  ++channel->received;
  ++received_;
  return Action::kDeliver;
}

void InducedCheckpoints::AskForCut(Csn index) {
  due_ = index;
  host_->TakeCheckpoint(index);
}

void InducedCheckpoints::OnTick(std::uint64_t now) {
  // A checkpoint of one's own waits for the one before; a forced one does not.
  if (due_ != 0 || !taking_.empty() || !trigger_.Due(now, received_)) return;
  trigger_.OnStart(now, received_);
  CoordinationCheck(index_ < kMaximumCoordinatedCsn, "checkpoint numbers are used up");
  AskForCut(index_ + 1);
}

CutRecord InducedCheckpoints::Cut(std::uint64_t interval) {
  CoordinationCheck(due_ > index_, "a cut is made when one is asked for");
  KeptCheckpoint& checkpoint = taking_.emplace_back();
  checkpoint.number = due_;
  checkpoint.first_line = first_line();
  checkpoint.interval = interval;
  checkpoint.cut = kept_.channels().Record(configuration_.epoch, due_, configuration_.rank);
  index_ = due_;
  due_ = 0;
  return checkpoint.cut;
}

void InducedCheckpoints::OnTaken(Csn number, bool ok) {
  if (number == due_ && number != 0) {
    CoordinationCheck(!ok, "a checkpoint is taken after its cut");
    // Messages sent from here on carry the index, so no line up to it can pass through here.
    index_ = due_;
    due_ = 0;
    return;
  }
  const auto found = std::find_if(taking_.begin(), taking_.end(), [number](const auto& checkpoint) {
    return checkpoint.number == number;
  });
  CoordinationCheck(found != taking_.end(), "the checkpoint taken was cut");
  const Lines lines{found->first_line, number};
  if (ok) {
    kept_.Add(std::move(*found));
  } else {
    host_->Discard(number);
  }
  taking_.erase(found);
  if (ok) Report(lines.first, lines.second);
}

void InducedCheckpoints::Send(int destination, std::uint8_t type, Csn csn, std::uint64_t received) {
  ControlMessage message;
  message.type = static_cast<ControlType>(type);
  message.epoch = configuration_.epoch;
  message.csn = csn;
  message.received = received;
  EncodeControl(message, &bytes_);
  host_->SendControl(destination, bytes_);
}

void InducedCheckpoints::Report(Csn first, Csn last) {
  if (configuration_.rank == 0) {
    CoordinationCheck(OnReport(0, first, last), "rank 0 understands itself");
  } else {
    Send(0, static_cast<std::uint8_t>(ControlType::kIndex), last, first);
  }
}

bool InducedCheckpoints::OnReport(int source, Csn first, Csn last) {
  if (first == 0 || first > last) return false;
  const auto behind = [this](const Lines& entry) { return entry.second > line_; };
  auto& of_source = lines_[static_cast<std::size_t>(source)];
  const bool was_ahead = std::any_of(of_source.begin(), of_source.end(), behind);
  of_source.emplace_back(first, last);
  if (!was_ahead && behind(of_source.back())) ++ahead_;
  if (ahead_ < configuration_.size) return true;  // some rank has no line behind line_ yet
  const Csn line = GreatestLine(lines_);
  if (line <= line_) return true;
  OnLine(line);
  ahead_ = 0;
  for (auto& lines : lines_) {
    std::erase_if(lines, [line](const Lines& entry) { return entry.second < line; });
    if (std::any_of(lines.begin(), lines.end(), behind)) ++ahead_;
  }
  for (int rank = 1; rank < configuration_.size; ++rank) {
    Send(rank, static_cast<std::uint8_t>(ControlType::kLine), line, 0);
  }
  return true;
}

const KeptCheckpoint* InducedCheckpoints::OfLine(Csn line) const {
  for (const KeptCheckpoint& checkpoint : kept_.all()) {
    if (checkpoint.first_line <= line && line <= checkpoint.number) return &checkpoint;
  }
  return nullptr;
}

void InducedCheckpoints::OnLine(Csn line) {
  const KeptCheckpoint* checkpoint = OfLine(line);
  CoordinationCheck(checkpoint != nullptr, "a line that is complete has a checkpoint here");
  line_ = line;
  const auto& all = kept_.all();
  kept_.Collect(static_cast<std::size_t>(
                    std::find_if(all.begin(), all.end(),
                                 [&](const auto& other) { return &other == checkpoint; }) -
                    all.begin()),
                configuration_.epoch);
}

bool InducedCheckpoints::OnControl(int source, std::span<const std::byte> bytes) {
  ControlMessage message;
  if (!DecodeControl(bytes, configuration_.size, &message)) return false;
  if (message.epoch != configuration_.epoch) return message.epoch < configuration_.epoch;
  switch (message.type) {
    case ControlType::kTrim:
      kept_.OnTrim(source, message.received);
      return true;
    case ControlType::kIndex:
      return configuration_.rank == 0 && message.received <= kMaximumCoordinatedCsn &&
             OnReport(source, static_cast<Csn>(message.received), message.csn);
    case ControlType::kLine:
      if (source != 0) return false;
      if (message.csn <= line_) return true;
      if (OfLine(message.csn) == nullptr) return false;
      OnLine(message.csn);
      return true;
    default:
      return false;
  }
}

void InducedCheckpoints::Restore(Csn line, Csn index, std::vector<KeptCheckpoint> on_storage) {
  Csn number = 0;
  for (const KeptCheckpoint& checkpoint : on_storage) {
    if (checkpoint.first_line > line || line > checkpoint.number) continue;
    number = checkpoint.number;
  }
  if (line != 0 && number == 0) {
    throw std::invalid_argument("rank " + std::to_string(configuration_.rank) +
                                " has no checkpoint of recovery line " + std::to_string(line));
  }
  if (index < line || index < number) {
    throw std::invalid_argument("rank " + std::to_string(configuration_.rank) +
                                " can't go on from index " + std::to_string(index) +
                                " with checkpoint " + std::to_string(number));
  }
  kept_.Restore(number, std::move(on_storage));
  line_ = line;
  index_ = index;
}

}  // namespace ftmpi::checkpoint
