#include "tests/logging/fault_environment.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "logging/log_error.h"

namespace ftmpi::logging {
namespace {

[[noreturn]] void Throw(const std::string& path, int error_number) {
  throw LogError("injected failure of " + path + ": " + std::strerror(error_number), error_number);
}

class FaultMappedFile final : public MappedFile {
 public:
  FaultMappedFile(FaultEnvironment* environment, std::string path, std::unique_ptr<MappedFile> base)
      : environment_(environment), path_(std::move(path)), base_(std::move(base)) {}

  std::byte* data() override { return base_->data(); }
  std::uint64_t capacity() const override { return base_->capacity(); }
  std::uint64_t allocated() const override { return base_->allocated(); }
  void Allocate(std::uint64_t size) override {
    environment_->Pass(FaultPoint::kAllocate, path_);
    const std::uint64_t more = size - std::min(size, allocated());
    if (more > environment_->space()) Throw(path_, ENOSPC);
    base_->Allocate(size);
    environment_->TakeSpace(more);
  }
  void Populate(std::uint64_t begin, std::uint64_t end) override {
    environment_->Pass(FaultPoint::kMap, path_);
    base_->Populate(begin, end);
  }
  void Truncate(std::uint64_t size) override {
    environment_->Pass(FaultPoint::kAllocate, path_);
    base_->Truncate(size);
  }
  void Discard(std::uint64_t begin, std::uint64_t end) override {
    environment_->Pass(FaultPoint::kAllocate, path_);
    base_->Discard(begin, end);
  }
  void Remap(std::uint64_t capacity) override {
    environment_->Pass(FaultPoint::kMap, path_);
    base_->Remap(capacity);
  }

 private:
  FaultEnvironment* const environment_;
  const std::string path_;
  const std::unique_ptr<MappedFile> base_;
};

class FaultWritableFile final : public WritableFile {
 public:
  FaultWritableFile(FaultEnvironment* environment, std::string path,
                    std::unique_ptr<WritableFile> base)
      : environment_(environment), path_(std::move(path)), base_(std::move(base)) {}

  void Append(std::span<const std::byte> data) override {
    environment_->Pass(FaultPoint::kWrite, path_);
    const std::uint64_t budget = environment_->WriteBudget(data.size());
    base_->Append(data.first(budget));
    environment_->TakeSpace(budget);
    if (budget < data.size()) Throw(path_, ENOSPC);
  }
  void Sync() override {
    environment_->Pass(FaultPoint::kSync, path_);
    base_->Sync();
  }
  void Truncate(std::uint64_t size) override {
    environment_->Pass(FaultPoint::kAllocate, path_);
    base_->Truncate(size);
  }
  void Close() override {
    environment_->Pass(FaultPoint::kSync, path_);
    base_->Close();
  }

 private:
  FaultEnvironment* const environment_;
  const std::string path_;
  const std::unique_ptr<WritableFile> base_;
};

class FaultUpdatableFile final : public UpdatableFile {
 public:
  FaultUpdatableFile(FaultEnvironment* environment, std::string path,
                     std::unique_ptr<UpdatableFile> base)
      : environment_(environment), path_(std::move(path)), base_(std::move(base)) {}

  void WriteAt(std::uint64_t offset, std::span<const std::byte> data) override {
    environment_->Pass(FaultPoint::kWrite, path_);
    const std::uint64_t budget = environment_->WriteBudget(data.size());
    if (budget > 0) base_->WriteAt(offset, data.first(budget));
    environment_->TakeSpace(budget);
    if (budget < data.size()) Throw(path_, ENOSPC);
  }
  std::size_t ReadAt(std::uint64_t offset, std::span<std::byte> buffer) override {
    return base_->ReadAt(offset, buffer);
  }
  void Truncate(std::uint64_t size) override {
    environment_->Pass(FaultPoint::kAllocate, path_);
    base_->Truncate(size);
  }
  void StartWriting(std::uint64_t begin, std::uint64_t length) noexcept override {
    base_->StartWriting(begin, length);
  }
  void Sync() override {
    environment_->Pass(FaultPoint::kSync, path_);
    base_->Sync();
  }
  void Close() override {
    environment_->Pass(FaultPoint::kSync, path_);
    base_->Close();
  }

 private:
  FaultEnvironment* const environment_;
  const std::string path_;
  const std::unique_ptr<UpdatableFile> base_;
};

}  // namespace

void FaultEnvironment::FailAt(FaultPoint point, std::uint64_t n, int error_number) {
  fail_point_ = point;
  fail_at_ = count(point) + n;
  error_number_ = error_number;
  failed_ = false;
}

void FaultEnvironment::CutWriteAt(std::uint64_t n, std::uint64_t bytes) {
  cut_at_ = count(FaultPoint::kWrite) + n;
  cut_bytes_ = bytes;
  failed_ = false;
}

void FaultEnvironment::CrashAt(std::uint64_t n) {
  crash_at_ = count(FaultPoint::kAny) + n;
  failed_ = false;
}

void FaultEnvironment::Clear() {
  fail_at_ = cut_at_ = crash_at_ = 0;
  space_ = kUnlimited;
  failed_ = false;
}

void FaultEnvironment::Pass(FaultPoint point, const std::string& path) {
  const std::uint64_t all = ++counts_[static_cast<std::size_t>(FaultPoint::kAny)];
  ++counts_[static_cast<std::size_t>(point)];
  if (crash_at_ != 0 && all >= crash_at_) {
    failed_ = true;
    throw SimulatedCrash{};
  }
  if (fail_at_ != 0 && (fail_point_ == FaultPoint::kAny || fail_point_ == point) &&
      count(fail_point_) == fail_at_) {
    failed_ = true;
    Throw(path, error_number_);
  }
}

std::uint64_t FaultEnvironment::WriteBudget(std::uint64_t wanted) {
  if (cut_at_ != 0 && count(FaultPoint::kWrite) == cut_at_ && cut_bytes_ < wanted) {
    failed_ = true;
    return cut_bytes_;
  }
  return std::min(wanted, space_);
}

void FaultEnvironment::TakeSpace(std::uint64_t bytes) {
  if (space_ != kUnlimited) space_ -= std::min(space_, bytes);
}

std::unique_ptr<MappedFile> FaultEnvironment::CreateMapped(const std::string& path,
                                                           std::uint64_t capacity) {
  Pass(FaultPoint::kMap, path);
  return std::make_unique<FaultMappedFile>(this, path, base_->CreateMapped(path, capacity));
}

std::unique_ptr<MappedFile> FaultEnvironment::OpenMapped(const std::string& path, MapMode mode) {
  Pass(FaultPoint::kMap, path);
  return std::make_unique<FaultMappedFile>(this, path, base_->OpenMapped(path, mode));
}

std::unique_ptr<WritableFile> FaultEnvironment::CreateWritable(const std::string& path) {
  Pass(FaultPoint::kOpen, path);
  return std::make_unique<FaultWritableFile>(this, path, base_->CreateWritable(path));
}

std::unique_ptr<UpdatableFile> FaultEnvironment::CreateUpdatable(const std::string& path) {
  Pass(FaultPoint::kOpen, path);
  return std::make_unique<FaultUpdatableFile>(this, path, base_->CreateUpdatable(path));
}

std::unique_ptr<ReadableFile> FaultEnvironment::OpenReadable(const std::string& path) {
  Pass(FaultPoint::kOpen, path);
  return base_->OpenReadable(path);
}

void FaultEnvironment::Rename(const std::string& from, const std::string& to) {
  Pass(FaultPoint::kRename, from);
  base_->Rename(from, to);
}

void FaultEnvironment::Remove(const std::string& path) {
  Pass(FaultPoint::kRemove, path);
  base_->Remove(path);
}

void FaultEnvironment::MakeDirectory(const std::string& path) {
  Pass(FaultPoint::kOpen, path);
  base_->MakeDirectory(path);
}

void FaultEnvironment::RemoveDirectory(const std::string& path) {
  Pass(FaultPoint::kRemove, path);
  base_->RemoveDirectory(path);
}

std::vector<std::string> FaultEnvironment::List(const std::string& directory) {
  Pass(FaultPoint::kOpen, directory);
  return base_->List(directory);
}

bool FaultEnvironment::Exists(const std::string& path) {
  Pass(FaultPoint::kOpen, path);
  return base_->Exists(path);
}

std::uint64_t FaultEnvironment::FileSize(const std::string& path) {
  Pass(FaultPoint::kOpen, path);
  return base_->FileSize(path);
}

void FaultEnvironment::SyncDirectory(const std::string& directory) {
  Pass(FaultPoint::kSync, directory);
  base_->SyncDirectory(directory);
}

}  // namespace ftmpi::logging
