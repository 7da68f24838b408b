#include "checkpoint/image/page_tracker.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include "checkpoint/image/image_error.h"
#include "checkpoint/image/layout.h"
#include "checkpoint/image/system_calls.h"

namespace ftmpi::image {
namespace {

// Linux 6.7, include/uapi/linux/fs.h and userfaultfd.h; Debian 12's headers are older.
struct PageRegion {
  std::uint64_t start;
  std::uint64_t end;
  std::uint64_t categories;
};
struct ScanArgument {
  std::uint64_t size;
  std::uint64_t flags;
  std::uint64_t start;
  std::uint64_t end;
  std::uint64_t walk_end;
  std::uint64_t regions;
  std::uint64_t region_count;
  std::uint64_t max_pages;
  std::uint64_t category_inverted;
  std::uint64_t category_mask;
  std::uint64_t category_anyof_mask;
  std::uint64_t return_mask;
};
static_assert(sizeof(ScanArgument) == 96);
constexpr unsigned long kPagemapScan = _IOWR('f', 16, ScanArgument);
constexpr std::uint64_t kPageIsWritten = 1U << 1;
constexpr std::uint64_t kScanProtectMatching = 1U << 0;
constexpr std::uint64_t kScanCheckProtection = 1U << 1;
constexpr std::uint64_t kFeatureUnpopulated = 1U << 13;
constexpr std::uint64_t kFeatureAsynchronous = 1U << 15;

constexpr std::size_t kRegionsAtOnce = 512;

// A descriptor out of the way of the program's, which expects the lowest number.
int MoveAway(int descriptor) {
  if (descriptor < 0) return descriptor;
  constexpr int kOutOfTheWay = 200;
  const int high = fcntl(descriptor, F_DUPFD_CLOEXEC, kOutOfTheWay);
  if (high < 0) return descriptor;
  close(descriptor);
  return high;
}

int OpenUserfault() {
  const int descriptor =
      static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY));
  if (descriptor < 0) return -1;
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = kFeatureAsynchronous | kFeatureUnpopulated;
  if (ioctl(descriptor, UFFDIO_API, &api) == 0) return MoveAway(descriptor);
  const int error = errno;
  close(descriptor);
  errno = error;
  return -1;
}

bool HasScan() {
  const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  ScanArgument argument{};
  argument.size = sizeof argument;
  argument.start = argument.end = PageDown(reinterpret_cast<std::uint64_t>(&argument));
  argument.end += kPage;
  argument.category_mask = argument.return_mask = kPageIsWritten;
  PageRegion region{};
  argument.regions = reinterpret_cast<std::uint64_t>(&region);
  argument.region_count = 1;
  const bool works = pagemap >= 0 && ioctl(pagemap, kPagemapScan, &argument) >= 0;
  if (pagemap >= 0) close(pagemap);
  return works;
}

std::vector<checkpoint::PageRange> ToPages(const std::vector<AddressRange>& written,
                                           std::uint64_t begin) {
  std::vector<checkpoint::PageRange> pages;
  for (const AddressRange& range : written) {
    const std::uint64_t first = (range.begin - begin) / kPage;
    const std::uint64_t count = (range.end - range.begin) / kPage;
    if (!pages.empty() && pages.back().first + pages.back().count == first) {
      pages.back().count += count;
    } else {
      pages.push_back({first, count});
    }
  }
  return pages;
}

}  // namespace

const char* PageTracker::UserfaultUnavailable() {
  const int descriptor = OpenUserfault();
  if (descriptor < 0) {
    return errno == EPERM ? "userfaultfd is forbidden here"
                          : "the kernel's userfaultfd has no asynchronous write protection (Linux "
                            "6.7 is needed)";
  }
  close(descriptor);
  return HasScan() ? nullptr : "the kernel has no PAGEMAP_SCAN (Linux 6.7 is needed)";
}

PageTracker::PageTracker(TrackingMethod method) : method_(method) {
  if (method != TrackingMethod::kUserfault) return;
  if (const char* why = UserfaultUnavailable())
    throw ImageError(std::string("written pages can't be tracked by userfaultfd: ") + why +
                     "; take FT_INCREMENTAL=hash");
  userfault_ = OpenUserfault();
  pagemap_ = MoveAway(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (userfault_ < 0 || pagemap_ < 0)
    throw ImageError(std::string("written pages can't be tracked by userfaultfd: ") +
                     std::strerror(errno));
}

PageTracker::~PageTracker() {
  // Closing takes the protection away.
  if (userfault_ >= 0) close(userfault_);
  if (pagemap_ >= 0) close(pagemap_);
}

void PageTracker::Reset() {
  protected_.clear();
  hashes_.clear();
}

std::vector<checkpoint::PageRange> PageTracker::TakeWritten(AddressRange memory) {
  return method_ == TrackingMethod::kUserfault ? TakeByUserfault(memory) : TakeByHash(memory);
}

bool PageTracker::Scan(AddressRange part, std::vector<AddressRange>* written) {
  std::array<PageRegion, kRegionsAtOnce> regions;
  ScanArgument argument{};
  argument.size = sizeof argument;
  argument.flags = kScanProtectMatching | kScanCheckProtection;
  argument.category_mask = argument.return_mask = kPageIsWritten;
  argument.regions = reinterpret_cast<std::uint64_t>(regions.data());
  argument.region_count = regions.size();
  argument.start = part.begin;
  argument.end = part.end;
  while (argument.start < argument.end) {
    const int count = ioctl(pagemap_, kPagemapScan, &argument);
    if (count < 0) {
      if (errno == EPERM) return false;
      throw ImageError(std::string("written pages can't be asked for (PAGEMAP_SCAN): ") +
                       std::strerror(errno));
    }
    for (int i = 0; i < count; ++i) {
      const PageRegion& region = regions[static_cast<std::size_t>(i)];
      written->push_back({region.start, region.end});
    }
    argument.start = argument.walk_end;
  }
  return true;
}

void PageTracker::Protect(AddressRange part) {
  uffdio_register request{};
  request.range = {part.begin, part.end - part.begin};
  request.mode = UFFDIO_REGISTER_MODE_WP;
  if (ioctl(userfault_, UFFDIO_REGISTER, &request) != 0)
    throw ImageError(std::string("memory can't be tracked (UFFDIO_REGISTER): ") +
                     std::strerror(errno));
  uffdio_writeprotect protection{};
  protection.range = request.range;
  protection.mode = UFFDIO_WRITEPROTECT_MODE_WP;
  if (ioctl(userfault_, UFFDIO_WRITEPROTECT, &protection) != 0)
    throw ImageError(std::string("memory can't be tracked (UFFDIO_WRITEPROTECT): ") +
                     std::strerror(errno));
}

std::vector<checkpoint::PageRange> PageTracker::TakeByUserfault(AddressRange memory) {
  std::vector<AddressRange> written;
  const auto take_new = [&](AddressRange part) {
    if (part.begin >= part.end) return;
    Protect(part);
    written.push_back(part);
  };
  std::uint64_t at = memory.begin;
  std::vector<AddressRange> now;
  for (const AddressRange& known : protected_) {
    const AddressRange part = {std::max(known.begin, memory.begin),
                               std::min(known.end, memory.end)};
    if (part.begin >= part.end) {
      now.push_back(known);
      continue;
    }
    take_new({at, part.begin});
    const std::size_t before = written.size();
    if (!Scan(part, &written)) {
      written.resize(before);
      take_new(part);
    }
    at = part.end;
    if (known.begin < part.begin) now.push_back({known.begin, part.begin});
    if (known.end > part.end) now.push_back({part.end, known.end});
  }
  take_new({at, memory.end});
  now.push_back(memory);
  std::sort(now.begin(), now.end(), [](auto a, auto b) { return a.begin < b.begin; });
  protected_ = std::move(now);
  return ToPages(written, memory.begin);
}

std::vector<checkpoint::PageRange> PageTracker::TakeByHash(AddressRange memory) {
  std::vector<AddressRange> written;
  for (std::uint64_t page = memory.begin; page < memory.end; page += kPage) {
    const std::uint64_t hash = XXH3_64bits(reinterpret_cast<const void*>(page), kPage);
    const auto [entry, is_new] = hashes_.try_emplace(page, hash);
    if (!is_new && entry->second == hash) continue;
    entry->second = hash;
    written.push_back({page, page + kPage});
  }
  return ToPages(written, memory.begin);
}

}  // namespace ftmpi::image
