// Which pages of an image were written since the last one.
//
// Userfault: the kernel write-protects pages and takes the protection away itself at the first
// write (userfaultfd with WP_ASYNC), also when a system call writes; PAGEMAP_SCAN tells which pages
// have lost it and protects them again in one step. Linux 6.7 or later.
//
// Hash: XXH3 of each page is compared with that of the last image. Costs nothing while the program
// runs, and reading all memory at each capture. Works everywhere. A page that changes without its
// 64-bit hash changing is missed: one in 2^64 changes.
//
// mprotect with a SIGSEGV handler is not offered: system calls into protected memory (read(),
// recv(), a peer's process_vm_readv) fail with EFAULT instead of faulting.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/image/modules.h"
#include "checkpoint/section.h"

namespace ftmpi::image {

enum class TrackingMethod : std::uint8_t { kUserfault, kHash };

class PageTracker {
 public:
  // nullptr: pages can be tracked by userfault here; else why not.
  static const char* UserfaultUnavailable();

  // Throws ImageError when the method is not available.
  explicit PageTracker(TrackingMethod method);
  ~PageTracker();
  PageTracker(const PageTracker&) = delete;
  PageTracker& operator=(const PageTracker&) = delete;

  // The pages of [memory) that were written since the last call that covered them, those that were
  // never covered included (pages of zeros that nobody has touched may be left out then). From now
  // on they count as not written. `memory` is page-aligned. Nobody may write to it during the call.
  // Ascending, relative to memory.begin.
  std::vector<checkpoint::PageRange> TakeWritten(AddressRange memory);

  // False until something was taken: then there is nothing to build on.
  bool HasBase() const { return !protected_.empty() || !hashes_.empty(); }

  // Its descriptors, which are no part of an image; -1: none.
  std::array<int, 2> Descriptors() const { return {userfault_, pagemap_}; }

  // Forgets everything: all pages count as written. After an image that was not saved.
  void Reset();

 private:
  std::vector<checkpoint::PageRange> TakeByUserfault(AddressRange memory);
  std::vector<checkpoint::PageRange> TakeByHash(AddressRange memory);
  // Pages written in a part that is protected already. False: it is not (mapped anew).
  bool Scan(AddressRange part, std::vector<AddressRange>* written);
  void Protect(AddressRange part);

  TrackingMethod method_;
  int userfault_ = -1;
  int pagemap_ = -1;
  std::vector<AddressRange> protected_;            // sorted, disjoint
  std::map<std::uint64_t, std::uint64_t> hashes_;  // by page address
};

}  // namespace ftmpi::image
