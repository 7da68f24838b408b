// What the tests of the storage formats share: directories of their own, files as bytes, messages
// whose content follows from their numbers.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "logging/environment.h"
#include "logging/log_error.h"
#include "logging/payload_log.h"

namespace ftmpi::logging {

// A directory that goes with the object; in shared memory if that is there.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    const char* base = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    path_ = std::string(base) + "/ftmpi-test-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) throw LogError("mkdtemp " + path_);
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  void Clear() const {
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      std::filesystem::remove_all(entry.path());
    }
  }
  [[nodiscard]] std::vector<std::string> Names() const { return Environment::Posix()->List(path_); }

 private:
  std::string path_;
};

// A directory with a small tmpfs, as long as the object lives; needs root.
class SmallFileSystem {
 public:
  SmallFileSystem(const std::string& path, const std::string& size) : path_(path) {
    std::filesystem::create_directory(path);
    mounted_ = ::mount("tmpfs", path.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~SmallFileSystem() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallFileSystem(const SmallFileSystem&) = delete;
  SmallFileSystem& operator=(const SmallFileSystem&) = delete;

  [[nodiscard]] bool mounted() const { return mounted_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool mounted_ = false;
};

inline std::vector<char> ReadBytes(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  EXPECT_TRUE(stream.is_open()) << path;
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

inline void WriteBytes(const std::string& path, const std::vector<char>& bytes) {
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  stream.close();
  EXPECT_TRUE(stream.good()) << path;
}

// Runs `action`, which must throw LogError; returns its message.
inline std::string ErrorOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const LogError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no LogError was thrown";
  return "";
}

struct Message {
  int destination = 0;
  std::uint64_t ssn = 0;
  std::uint64_t length = 0;
  std::uint64_t interval = 0;
  std::uint8_t flags = 0;

  bool operator==(const Message&) const = default;
};

// Byte `i` of the payload of a message.
inline unsigned char PayloadByte(const Message& message, std::uint64_t i) {
  const std::uint64_t mixed = (message.ssn * 0x9e3779b97f4a7c15U +
                               static_cast<std::uint64_t>(message.destination) * 31U + i / 8 + 1) *
                              0xbf58476d1ce4e5b9U;
  return static_cast<unsigned char>(mixed >> (8 * (i % 8)));
}

inline void FillHeader(LogRecord* record, const Message& message) {
  // What is true of one transmission only is set to something too: a reader must not see it.
  std::memset(&record->header, 0xa5, sizeof(record->header));
  record->header.version = kWireVersion;
  record->header.kind = MessageKind::kInline;
  record->header.flags = message.flags;
  record->header.reserved0 = 0;
  record->header.tag = 7;
  record->header.communicator = 1;
  record->header.ssn = message.ssn;
  record->header.payload_length = message.length;
  record->header.interval = message.interval;
  record->header.source_rank = 3;
}

inline LogRecord* Append(PayloadLog* log, const Message& message) {
  LogRecord* const record = log->Reserve(message.length, message.destination);
  FillHeader(record, message);
  auto* const payload = reinterpret_cast<unsigned char*>(record->payload());
  for (std::uint64_t i = 0; i < message.length; ++i) payload[i] = PayloadByte(message, i);
  log->Commit(record, message.length);
  return record;
}

inline Message HeaderOf(const LogRecord& record) {
  return {record.destination, record.header.ssn, record.header.payload_length,
          record.header.interval, record.header.flags};
}

inline bool PayloadIs(const LogRecord& record, const Message& message) {
  const auto* const payload = reinterpret_cast<const unsigned char*>(record.payload());
  for (std::uint64_t i = 0; i < message.length; ++i) {
    if (payload[i] != PayloadByte(message, i)) return false;
  }
  return true;
}

// All records in log order; payloads that are not what they should be are failures.
inline std::vector<Message> ReadAll(PayloadLog* log) {
  std::vector<Message> messages;
  std::uint64_t last_position = 0;
  log->ForEach([&](LogRecord& record, std::uint64_t position) {
    messages.push_back(HeaderOf(record));
    EXPECT_TRUE(PayloadIs(record, messages.back())) << "ssn " << messages.back().ssn;
    EXPECT_GT(position, last_position);
    EXPECT_LT(position, log->end_position());
    last_position = position;
    return true;
  });
  return messages;
}

}  // namespace ftmpi::logging
