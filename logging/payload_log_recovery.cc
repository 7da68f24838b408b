// Opening the payload log that an earlier incarnation left.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "logging/log_error.h"
#include "logging/payload_log_files.h"

namespace ftmpi::logging {

std::map<std::uint32_t, SegmentedPayloadLog::Found> SegmentedPayloadLog::FindFiles() {
  std::map<std::uint32_t, Found> found;
  for (const std::string& name : environment_->List(options_.directory)) {
    if (const auto number = ParseSegmentFileName(name, options_.rank)) {
      found[*number].in_memory = JoinPath(options_.directory, name);
    }
  }
  if (!options_.spill_directory.empty()) {
    for (const std::string& name : environment_->List(options_.spill_directory)) {
      if (const auto number = ParseSpillFileName(name, options_.job, options_.rank)) {
        found[*number].spilled = JoinPath(options_.spill_directory, name);
      }
    }
  }
  return found;
}

void SegmentedPayloadLog::Discard(const Found& found) {
  if (!found.in_memory.empty()) environment_->Remove(found.in_memory);
  if (!found.spilled.empty()) environment_->Remove(found.spilled);
}

void SegmentedPayloadLog::Resume(std::uint64_t last_interval) {
  std::map<std::uint32_t, Found> found = FindFiles();
  const std::optional<PayloadLogBase> base =
      ReadPayloadLogBase(environment_, options_.directory, owner_);
  // What a trim had given up and not removed yet.
  std::map<std::uint32_t, Found> given_up;
  while (base && !found.empty() && found.begin()->first < base->first_segment) {
    given_up.insert(found.extract(found.begin()));
  }
  if (found.empty()) {
    throw LogError("no payload log of rank " + std::to_string(options_.rank) + " in " +
                   options_.directory);
  }

  // First without changing anything: foreign files are an error that leaves them as they are.
  std::map<std::uint32_t, std::string> damaged;
  std::uint32_t expected = base ? base->first_segment : found.begin()->first;
  numbered_ = base || expected == 1;
  if (base) base_ = *base;
  for (const auto& [number, files] : found) {
    std::string damage;
    std::unique_ptr<Segment> segment;
    if (!files.in_memory.empty()) {
      segment = Segment::Open(environment_, files.in_memory, owner_, number, false, &damage);
      if (damage.empty() && segment->kind() == SegmentKind::kSpilled && files.spilled.empty()) {
        throw LogError(files.in_memory + " was moved to the spill directory, and " +
                       (options_.spill_directory.empty() ? "none is given"
                                                         : SpillPath(number) + " does not exist") +
                       "; set FT_SPILL_DIR as it was in the run that wrote the log");
      }
    }
    if (damage.empty() && (!segment || segment->kind() == SegmentKind::kSpilled)) {
      segment = Segment::Open(environment_, files.spilled, owner_, number, true, &damage);
    }
    if (!damage_.empty()) continue;
    if (number != expected) {
      damage_ = InMemoryPath(expected) + " is missing";
    } else if (!damage.empty()) {
      damage_ = damage;
    } else {
      if (segment->kind() != SegmentKind::kMemory) segment->Unmap();
      segments_.push_back(std::move(segment));
      ++expected;
    }
  }

  // Where does the log end?
  std::size_t keep = segments_.size();
  SegmentScan last;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    Segment& segment = *segments_[i];
    if (segment.kind() == SegmentKind::kDropped) continue;
    const bool spilled = segment.kind() == SegmentKind::kSpilled;
    if (spilled) segment.Map(environment_);
    last = segment.Scan(last_interval);
    if (!last.damage.empty()) damage_ = last.damage;
    if (!last.cut && !segment.closed() && i + 1 < segments_.size()) {
      last.cut = true;
      damage_ = segment.path() + " was not closed, but segments follow it";
    }
    if (last.cut) {
      keep = last.records == 0 ? i : i + 1;
      break;
    }
    record_count_ += last.records;
    if (spilled) {
      segment.trim_table();
      segment.Unmap();
    }
  }

  for (const auto& [number, files] : given_up) Discard(files);
  // Drop the rest, newest first. Numbers that were used are used again: their files are gone.
  last_number_ = keep > 0 ? segments_[keep - 1]->number() : found.begin()->first - 1;
  if (keep == 0 && base) last_number_ = base->first_segment - 1;
  for (auto files = found.rbegin(); files != found.rend(); ++files) {
    if (files->first > last_number_) Discard(files->second);
  }
  segments_.resize(keep);
  const bool cut_inside = last.cut && last.records > 0;  // of the last one that is kept
  if (keep > 0) {
    Segment& segment = *segments_.back();
    if (segment.kind() == SegmentKind::kMemory && (cut_inside || !segment.closed())) {
      segment.Close(last.end, last.records);
      segment.file().Truncate(RoundUp(last.end, kPageSize));
    } else if (segment.kind() == SegmentKind::kSpilled && cut_inside) {
      const std::string path = segment.path();
      segment.WriteSpilled(environment_, path, last.end, last.records);
      std::string damage;
      segments_.back() = Segment::Open(environment_, path, owner_, segment.number(), true, &damage);
      if (!damage.empty()) throw LogError(damage);
      segments_.back()->trim_table();
      segments_.back()->Unmap();
    }
    if (cut_inside) record_count_ += last.records;
  }

  // A process that died while it moved or dropped a segment left two copies of it, or no stub.
  for (const auto& segment : segments_) {
    const Found& files = found.at(segment->number());
    if (segment->kind() != SegmentKind::kSpilled) {
      if (!files.spilled.empty()) environment_->Remove(files.spilled);
    } else if (files.in_memory.empty()) {
      Segment::WriteStub(environment_, InMemoryPath(segment->number()), owner_, segment->number(),
                         SegmentKind::kSpilled);
    }
  }
  for (const std::string& name : environment_->List(options_.directory)) {
    if (IsLeftover(name, options_.rank)) environment_->Remove(JoinPath(options_.directory, name));
  }
  if (!options_.spill_directory.empty()) {
    for (const std::string& name : environment_->List(options_.spill_directory)) {
      if (IsSpillLeftover(name, options_.job, options_.rank)) {
        environment_->Remove(JoinPath(options_.spill_directory, name));
      }
    }
  }
  // A log without a file could not be told from one that is lost. Otherwise the next segment is
  // opened when it is needed: reading and trimming go without more memory.
  if (segments_.empty()) OpenSegment(0);
}

void RemovePayloadLog(Environment* environment, const PayloadLogOptions& options) {
  std::vector<std::string> names = environment->List(options.directory);
  // Newest first, as in Remove.
  std::sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    return ParseSegmentFileName(a, options.rank).value_or(0) >
           ParseSegmentFileName(b, options.rank).value_or(0);
  });
  for (const std::string& name : names) {
    if (ParseSegmentFileName(name, options.rank) || IsLeftover(name, options.rank)) {
      environment->Remove(JoinPath(options.directory, name));
    }
  }
  RemovePayloadLogBase(environment, options.directory, options.rank);
  if (options.spill_directory.empty() || !environment->Exists(options.spill_directory)) return;
  for (const std::string& name : environment->List(options.spill_directory)) {
    if (ParseSpillFileName(name, options.job, options.rank) ||
        IsSpillLeftover(name, options.job, options.rank)) {
      environment->Remove(JoinPath(options.spill_directory, name));
    }
  }
}

}  // namespace ftmpi::logging
