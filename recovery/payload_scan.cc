#include "recovery/payload_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>

#include "logging/environment.h"
#include "logging/log_error.h"
#include "logging/payload_log_base.h"
#include "logging/payload_log_format.h"

namespace ftmpi::recovery {
namespace {

using logging::Environment;
using logging::LogRecord;
using logging::SegmentHeader;
using logging::SegmentKind;

// Counts the records of one mapped segment. Empty: whole, `*open` says whether it may be the last.
std::string ScanSegment(std::span<const std::byte> file, std::uint64_t job, int rank,
                        std::uint32_t number, bool spilled, PayloadInventory* inventory,
                        std::map<std::int32_t, ChannelInventory>* channels, bool* open) {
  if (file.size() < logging::kSegmentHeaderSize) return "shorter than a segment's header";
  SegmentHeader header;
  std::memcpy(&header, file.data(), sizeof header);
  if (header.magic != logging::kSegmentMagic) return "no payload log segment";
  if (header.version != logging::kSegmentVersion) {
    return fmt::format("version {} of the format, this program reads {}", header.version,
                       logging::kSegmentVersion);
  }
  if (header.checksum != logging::HeaderChecksum(header)) return "damaged header";
  if (header.job != job) return fmt::format("belongs to job {:016x}", header.job);
  if (header.rank != rank || header.segment != number) {
    return fmt::format("is segment {} of rank {} by its header", header.segment, header.rank);
  }
  *open = header.end_checksum == 0;
  if (!*open && header.end_checksum != logging::EndChecksum(header)) return "damaged end";
  if (header.kind == SegmentKind::kDropped) return "";
  if (spilled ? header.kind != SegmentKind::kSpilled || *open
              : header.kind != SegmentKind::kMemory) {
    return "of the wrong kind for its place";
  }
  const std::uint64_t end = *open ? file.size() : header.end;
  if (end > file.size()) return "cut off";
  std::uint64_t offset = logging::kSegmentHeaderSize;
  std::uint64_t records = 0;
  while (*open ? offset + sizeof(LogRecord) <= end : offset < end) {
    if (end - offset < sizeof(LogRecord)) return fmt::format("cut off at offset {}", offset);
    LogRecord record;
    std::memcpy(&record, file.data() + offset, sizeof record);
    if (*open && record.length == 0) break;
    if (record.magic != logging::PayloadLog::kRecordMagic || record.length > end - offset ||
        record.capacity > record.length || record.segment != number ||
        record.length != logging::LogRecordLength(record.capacity) ||
        record.header.payload_length > record.capacity ||
        record.checksum != logging::LogRecordChecksum(record, record.length)) {
      return fmt::format("damaged record at offset {}", offset);
    }
    ChannelInventory& channel = (*channels)[record.destination];
    channel.destination = record.destination;
    ++channel.messages;
    channel.bytes += record.header.payload_length;
    channel.last_interval = std::max(channel.last_interval, record.header.interval);
    if ((record.header.flags & logging::kFlagSchedule) == 0) {
      channel.last_ssn = std::max(channel.last_ssn, record.header.ssn);
    }
    ++inventory->records;
    ++records;
    offset += record.length;
  }
  if (!*open && (offset != end || records != header.records)) {
    return fmt::format("has {} records, {} by its header", records, header.records);
  }
  return "";
}

}  // namespace

PayloadInventory ScanPayloadLog(Environment* environment, const std::string& directory,
                                const std::string& spill_directory, std::uint64_t job, int rank) {
  struct Place {
    std::string in_memory;
    std::string spilled;
  };
  std::map<std::uint32_t, Place> segments;
  if (!spill_directory.empty() && environment->Exists(spill_directory)) {
    for (const std::string& name : environment->List(spill_directory)) {
      if (const auto number = logging::ParseSpillFileName(name, job, rank)) {
        segments[*number].spilled = logging::JoinPath(spill_directory, name);
      }
    }
  }
  for (const std::string& name : environment->List(directory)) {
    if (const auto number = logging::ParseSegmentFileName(name, rank)) {
      segments[*number].in_memory = logging::JoinPath(directory, name);
    }
  }
  PayloadInventory inventory;
  if (segments.empty()) return inventory;
  inventory.present = true;
  std::map<std::int32_t, ChannelInventory> channels;
  std::uint32_t expected = segments.begin()->first;
  try {
    const auto base = logging::ReadPayloadLogBase(environment, directory, {job, rank});
    if (base) {
      expected = base->first_segment;
      segments.erase(segments.begin(), segments.lower_bound(expected));
      for (const auto& [destination, messages] : base->messages) {
        channels[destination].destination = destination;
        channels[destination].before = messages;
      }
    } else if (expected != 1) {
      inventory.damaged = fmt::format("segments 1 to {} of rank {}'s payload log are missing in {}",
                                      expected - 1, rank, directory);
      segments.clear();
    }
  } catch (const logging::LogError& error) {
    inventory.damaged = error.what();
    segments.clear();
  }
  for (const auto& [number, place] : segments) {
    if (number != expected) {
      inventory.damaged = fmt::format("segment {} of rank {}'s payload log is missing in {}",
                                      expected, rank, directory);
      break;
    }
    ++expected;
    bool open = false;
    std::string path;
    try {
      // A spilled segment leaves a stub where it was: the file in memory says which one counts.
      bool spilled = place.in_memory.empty();
      std::unique_ptr<logging::MappedFile> file;
      if (!spilled) {
        path = place.in_memory;
        file = environment->OpenMapped(path, logging::MapMode::kPrivate);
        SegmentHeader header{};
        if (file->allocated() >= sizeof header) std::memcpy(&header, file->data(), sizeof header);
        spilled = header.kind == SegmentKind::kSpilled && !place.spilled.empty();
      }
      if (spilled) {
        path = place.spilled;
        file = environment->OpenMapped(path, logging::MapMode::kPrivate);
      }
      const std::string reason =
          ScanSegment({file->data(), static_cast<std::size_t>(file->allocated())}, job, rank,
                      number, spilled, &inventory, &channels, &open);
      if (!reason.empty()) inventory.damaged = path + ": " + reason;
    } catch (const logging::LogError& error) {
      inventory.damaged = error.what();
    }
    if (inventory.damaged.empty() && open && number != segments.rbegin()->first) {
      inventory.damaged = path + ": not closed, but it is not the last segment";
    }
    if (!inventory.damaged.empty()) break;
  }
  for (const auto& [destination, channel] : channels) inventory.channels.push_back(channel);
  return inventory;
}

}  // namespace ftmpi::recovery
