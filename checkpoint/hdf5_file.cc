#include "checkpoint/hdf5_file.h"

#include <cstring>
#include <new>

#include "checkpoint/store_error.h"
#include "checkpoint/zstd_filter.h"

namespace ftmpi::checkpoint {

struct Hdf5File::Channel {
  SealedWriter* writer = nullptr;  // one of the two
  SealedReader* reader = nullptr;
  std::string path;
  std::uint64_t end_of_allocation = 0;
  // What went wrong first. From then on writes are swallowed, so that HDF5 can close the file,
  // which is of no use any more.
  std::exception_ptr error;
};

namespace {

using Channel = Hdf5File::Channel;

struct DriverFile {
  H5FD_t base;  // HDF5's; must be first
  Channel* channel;
};

struct DriverInformation {
  Channel* channel;
};

Channel* ChannelOf(const H5FD_t* file) {
  return reinterpret_cast<const DriverFile*>(file)->channel;
}

hid_t Driver();

H5FD_t* DriverOpen(const char*, unsigned, hid_t access, haddr_t) {
  const auto* information = static_cast<const DriverInformation*>(H5Pget_driver_info(access));
  if (information == nullptr) return nullptr;
  auto* file = new (std::nothrow) DriverFile{};
  if (file == nullptr) return nullptr;
  file->channel = information->channel;
  return &file->base;
}

herr_t DriverClose(H5FD_t* file) {
  delete reinterpret_cast<DriverFile*>(file);
  return 0;
}

herr_t DriverQuery(const H5FD_t*, unsigned long* flags) {
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA |
           H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return 0;
}

haddr_t DriverEndOfAllocation(const H5FD_t* file, H5FD_mem_t) {
  return ChannelOf(file)->end_of_allocation;
}

herr_t DriverSetEndOfAllocation(H5FD_t* file, H5FD_mem_t, haddr_t address) {
  ChannelOf(file)->end_of_allocation = address;
  return 0;
}

haddr_t DriverEndOfFile(const H5FD_t* file, H5FD_mem_t) {
  const Channel* channel = ChannelOf(file);
  return channel->reader != nullptr ? channel->reader->content_length() : channel->writer->size();
}

// No exception may pass through HDF5, which is C.
herr_t DriverRead(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, std::size_t size,
                  void* buffer) noexcept {
  Channel* channel = ChannelOf(file);
  if (channel->error) return -1;
  try {
    const std::span bytes(static_cast<std::byte*>(buffer), size);
    if (channel->reader != nullptr) {
      channel->reader->ReadAt(address, bytes);
    } else {
      channel->writer->ReadAt(address, bytes);
    }
    return 0;
  } catch (...) {
    channel->error = std::current_exception();
    return -1;
  }
}

herr_t DriverWrite(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, std::size_t size,
                   const void* buffer) noexcept {
  Channel* channel = ChannelOf(file);
  if (channel->error) return 0;
  if (channel->writer == nullptr) return -1;
  try {
    channel->writer->WriteAt(address, std::span(static_cast<const std::byte*>(buffer), size));
  } catch (...) {
    // HDF5 is not told: after a close that failed it keeps half a file, on which it crashes when
    // the process ends. Hdf5File::Check tells the caller.
    channel->error = std::current_exception();
  }
  return 0;
}

const H5FD_class_t kDriverClass = {
    .name = "ftmpi",
    .maxaddr = (haddr_t{1} << 62) - 1,
    .fc_degree = H5F_CLOSE_STRONG,
    .terminate = nullptr,
    .sb_size = nullptr,
    .sb_encode = nullptr,
    .sb_decode = nullptr,
    .fapl_size = sizeof(DriverInformation),
    .fapl_get = nullptr,
    .fapl_copy = nullptr,
    .fapl_free = nullptr,
    .dxpl_size = 0,
    .dxpl_copy = nullptr,
    .dxpl_free = nullptr,
    .open = DriverOpen,
    .close = DriverClose,
    .cmp = nullptr,
    .query = DriverQuery,
    .get_type_map = nullptr,
    .alloc = nullptr,
    .free = nullptr,
    .get_eoa = DriverEndOfAllocation,
    .set_eoa = DriverSetEndOfAllocation,
    .get_eof = DriverEndOfFile,
    .get_handle = nullptr,
    .read = DriverRead,
    .write = DriverWrite,
    .flush = nullptr,
    .truncate = nullptr,
    .lock = nullptr,
    .unlock = nullptr,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

// Once per process: HDF5 quiet, the driver and the filter known to it.
hid_t Driver() {
  static const hid_t driver = [] {
    if (H5open() < 0 || H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) < 0) return hid_t{-1};
    if (H5Zregister(ZstdFilterClass()) < 0) return hid_t{-1};
    return H5FDregister(&kDriverClass);
  }();
  if (driver < 0) throw StoreError("the HDF5 library can't be started");
  return driver;
}

// The innermost message of HDF5's error stack.
std::string Hdf5Reason() {
  std::string reason;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned, const H5E_error2_t* error, void* text) -> herr_t {
        auto* into = static_cast<std::string*>(text);
        if (into->empty() && error->desc != nullptr) *into = error->desc;
        return 0;
      },
      &reason);
  return reason.empty() ? "unknown error of HDF5" : reason;
}

Hdf5Handle AccessProperties(Channel* channel) {
  const hid_t driver = Driver();
  Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  const DriverInformation information{channel};
  // Chunks of a block's size lie on blocks, so that they are hashed as they pass.
  if (access.get() < 0 || H5Pset_driver(access.get(), driver, &information) < 0 ||
      H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110) < 0 ||
      H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG) < 0 ||
      H5Pset_alignment(access.get(), kBlockSize, kBlockSize) < 0) {
    throw StoreError(channel->path + ": HDF5 can't be set up: " + Hdf5Reason());
  }
  return access;
}

}  // namespace

std::unique_ptr<Hdf5File> Hdf5File::Create(SealedWriter* writer, const std::string& path) {
  std::unique_ptr<Hdf5File> file(new Hdf5File);
  file->channel_ = std::make_unique<Channel>();
  file->channel_->writer = writer;
  file->channel_->path = path;
  const Hdf5Handle access = AccessProperties(file->channel_.get());
  file->file_ = file->Check(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()),
                            H5Fclose, "create the HDF5 file");
  return file;
}

std::unique_ptr<Hdf5File> Hdf5File::Open(SealedReader* reader) {
  std::unique_ptr<Hdf5File> file(new Hdf5File);
  file->channel_ = std::make_unique<Channel>();
  file->channel_->reader = reader;
  file->channel_->path = reader->path();
  const Hdf5Handle access = AccessProperties(file->channel_.get());
  file->file_ = file->Check(H5Fopen(reader->path().c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose,
                            "open the HDF5 file");
  return file;
}

Hdf5File::~Hdf5File() {
  // Nobody asked for what is still in HDF5's caches: it need not reach the file.
  if (channel_ && channel_->writer != nullptr && !channel_->error) {
    channel_->error = std::make_exception_ptr(StoreError(channel_->path + ": given up"));
  }
  file_.Close();
}

void Hdf5File::CheckResult(bool failed, const char* what) {
  if (channel_->error) std::rethrow_exception(channel_->error);
  if (!failed) return;
  throw StoreError(channel_->path + ": can't " + what + ": " + Hdf5Reason());
}

Hdf5Handle Hdf5File::Check(hid_t id, Hdf5Handle::Closer closer, const char* what) {
  Hdf5Handle handle(id, closer);
  CheckResult(id < 0, what);
  return handle;
}

void Hdf5File::Close() { CheckResult(file_.Close() < 0, "close the HDF5 file"); }

std::uint64_t Hdf5File::content_length() const { return channel_->end_of_allocation; }

}  // namespace ftmpi::checkpoint
