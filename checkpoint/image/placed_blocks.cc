#include "checkpoint/image/placed_blocks.h"

#include <sys/mman.h>

#include <atomic>

namespace ftmpi::image::placed {

__thread Placement* t_placement = nullptr;

namespace {

constexpr std::size_t kBits = 64;
// A bit per block.
std::array<std::atomic<std::uint64_t>, kBlocks / kBits> g_used;
std::array<std::atomic<std::uint64_t>, kBlocks / kBits> g_kept;
std::size_t g_first_word = 0;  // no word before it has a free block, unless one was freed
bool g_reserved = false;

std::uint64_t Bit(std::size_t number) { return std::uint64_t{1} << number % kBits; }

// False: it is in use.
bool Claim(std::size_t number) {
  return (g_used[number / kBits].fetch_or(Bit(number)) & Bit(number)) == 0;
}

void* NextFree() {
  for (std::size_t n = 0; n < g_used.size(); ++n) {
    const std::size_t word = (g_first_word + n) % g_used.size();
    const std::uint64_t used = g_used[word].load();
    if (used == ~std::uint64_t{0}) continue;
    g_first_word = word;
    const std::size_t number = word * kBits + static_cast<std::size_t>(__builtin_ctzll(~used));
    if (Claim(number)) return AddressOf(number);
  }
  return nullptr;
}

}  // namespace

bool Reserve(const char** reason) {
  if (g_reserved) return true;
  void* wanted = reinterpret_cast<void*>(kBase);
  void* mapped = mmap(wanted, kBlock * kBlocks, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (mapped == wanted) {
    g_reserved = true;
    return true;
  }
  if (mapped != MAP_FAILED) munmap(mapped, kBlock * kBlocks);
  *reason = "the addresses of the MPI library's objects are not free";
  return false;
}

void Keep(const void* block) {
  const std::size_t number = NumberOf(block);
  g_kept[number / kBits].fetch_or(Bit(number));
}

bool Kept(const void* block) {
  const std::size_t number = NumberOf(block);
  return (g_kept[number / kBits].load() & Bit(number)) != 0;
}

void Release(void* block) {
  const std::size_t number = NumberOf(block);
  g_kept[number / kBits].fetch_and(~Bit(number));
  g_used[number / kBits].fetch_and(~Bit(number));
}

Placement::Placement(std::size_t size) : size_(size), outer_(t_placement) { t_placement = this; }

Placement::Placement(std::size_t size, void* target, unsigned skip)
    : size_(size), target_(target), skip_(skip), outer_(t_placement) {
  t_placement = this;
}

Placement::Placement() : noting_(true), outer_(t_placement) { t_placement = this; }

Placement::~Placement() { t_placement = outer_; }

void* Placement::Take(std::size_t size) {
  if (noting_ || size == 0 || size != size_ || size > kBlock) return nullptr;
  if (target_ == nullptr) return NextFree();
  if (skip_-- != 0) return nullptr;
  return Claim(NumberOf(target_)) ? target_ : nullptr;
}

void Placement::Note(void* block, std::size_t size) {
  if (noting_ && noted_count_ < kNotes) noted_[noted_count_++] = {block, size};
}

// The last one counts: memory may be freed and allocated again meanwhile.
std::size_t Placement::SizeOf(const void* block) const {
  for (std::size_t n = noted_count_; n-- > 0;) {
    if (noted_[n].block == block) return noted_[n].size;
  }
  return 0;
}

unsigned Placement::CountBefore(const void* block) const {
  const std::size_t size = SizeOf(block);
  std::size_t last = noted_count_;
  while (last > 0 && noted_[last - 1].block != block) --last;
  unsigned count = 0;
  for (std::size_t n = 0; n + 1 < last; ++n) count += noted_[n].size == size ? 1 : 0;
  return count;
}

}  // namespace ftmpi::image::placed
