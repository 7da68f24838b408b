// HDF5 on sealed files. HDF5 reads and writes through a driver of ours, so that its every access
// goes through SealedReader or SealedWriter and with them through the environment; its own error
// stack is silent, and what goes wrong becomes a StoreError that names the file. One thread.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "checkpoint/sealed_file.h"

namespace ftmpi::checkpoint {

// An identifier of HDF5 that is closed when it goes out of scope.
class Hdf5Handle {
 public:
  using Closer = herr_t (*)(hid_t);
  Hdf5Handle() = default;
  Hdf5Handle(hid_t id, Closer closer) : id_(id), closer_(closer) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), closer_(other.closer_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    Close();
    id_ = std::exchange(other.id_, H5I_INVALID_HID);
    closer_ = other.closer_;
    return *this;
  }
  Hdf5Handle(const Hdf5Handle&) = delete;
  Hdf5Handle& operator=(const Hdf5Handle&) = delete;
  ~Hdf5Handle() { Close(); }

  [[nodiscard]] hid_t get() const { return id_; }
  herr_t Close() { return id_ < 0 ? 0 : closer_(std::exchange(id_, H5I_INVALID_HID)); }

 private:
  hid_t id_ = H5I_INVALID_HID;
  Closer closer_ = nullptr;
};

// An open HDF5 file. The functions of HDF5 that are called with its handle (and with those of
// objects in it) are passed through Check, which turns their failures into exceptions.
class Hdf5File {
 public:
  // A new file in `writer`, which the caller finishes after Close with content_length().
  static std::unique_ptr<Hdf5File> Create(SealedWriter* writer, const std::string& path);
  // Read-only.
  static std::unique_ptr<Hdf5File> Open(SealedReader* reader);
  ~Hdf5File();
  Hdf5File(const Hdf5File&) = delete;
  Hdf5File& operator=(const Hdf5File&) = delete;

  [[nodiscard]] hid_t id() const { return file_.get(); }
  // The handle that a function of HDF5 returned; throws if it failed. `what` completes "can't ...".
  Hdf5Handle Check(hid_t id, Hdf5Handle::Closer closer, const char* what);
  void Check(herr_t result, const char* what) { CheckResult(result < 0, what); }
  // The same for functions that return a size or the like.
  void CheckResult(bool failed, const char* what);
  // Flushes and closes. Every handle of an object in the file must have been closed.
  void Close();
  [[nodiscard]] std::uint64_t content_length() const;

  // What the driver's functions work on (internal).
  struct Channel;

 private:
  Hdf5File() = default;

  std::unique_ptr<Channel> channel_;
  Hdf5Handle file_;
};

}  // namespace ftmpi::checkpoint
