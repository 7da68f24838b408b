// Random allocations of all kinds and sizes, each block filled with a pattern of its own that is
// checked before it is freed, by one thread and by several; checkpoints with blocks alive.
#include <malloc.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "checkpoint.h"

namespace {

struct Block {
  unsigned char* data;
  std::size_t size;
  unsigned char pattern;
};

[[noreturn]] void Wrong(const char* what) {
  std::printf("wrong: %s\n", what);
  std::exit(9);
}

void Check(const Block& block) {
  for (std::size_t i = 0; i<block.size; i += block.size> 5000 ? 501 : 1)
    if (block.data[i] != static_cast<unsigned char>(block.pattern + i)) Wrong("content");
}

void Fill(Block* block, unsigned char pattern) {
  block->pattern = pattern;
  for (std::size_t i = 0; i < block->size; ++i)
    block->data[i] = static_cast<unsigned char>(pattern + i);
}

class Blocks {
 public:
  explicit Blocks(unsigned seed) : random_(seed) {}

  void Work(int steps) {
    for (int i = 0; i < steps; ++i) {
      const unsigned kind = random_() % 8;
      if (blocks_.size() > 400 || (kind < 3 && !blocks_.empty())) {
        Remove(random_() % blocks_.size());
      } else if (kind == 3 && !blocks_.empty()) {
        Resize(&blocks_[random_() % blocks_.size()]);
      } else {
        Add(kind);
      }
    }
  }
  void CheckAll() const {
    for (const Block& block : blocks_) Check(block);
  }
  ~Blocks() {
    while (!blocks_.empty()) Remove(0);
  }

 private:
  std::size_t Size() {
    switch (random_() % 20) {
      case 0:
        return random_() % 600000;
      case 1:
      case 2:
      case 3:
        return random_() % 20000;
      default:
        return random_() % 300;
    }
  }
  void Add(unsigned kind) {
    Block block{nullptr, Size(), 0};
    std::size_t alignment = 16;
    if (kind == 4) {
      block.data = static_cast<unsigned char*>(std::calloc(block.size / 3 + 1, 3));
      for (std::size_t i = 0; i < block.size; ++i)
        if (block.data[i] != 0) Wrong("calloc");
    } else if (kind == 5) {
      alignment = std::size_t{16} << (random_() % 12);
      void* memory = nullptr;
      if (posix_memalign(&memory, alignment, block.size) != 0) Wrong("posix_memalign");
      block.data = static_cast<unsigned char*>(memory);
    } else if (kind == 6) {
      block.data = static_cast<unsigned char*>(::operator new(block.size));
    } else {
      block.data = static_cast<unsigned char*>(std::malloc(block.size));
    }
    if (block.data == nullptr || reinterpret_cast<std::uintptr_t>(block.data) % alignment != 0)
      Wrong("alignment");
    if (malloc_usable_size(block.data) < block.size) Wrong("usable size");
    Fill(&block, static_cast<unsigned char>(random_()));
    blocks_.push_back(block);
  }
  void Resize(Block* block) {
    const std::size_t size = Size() + 1;
    block->data = static_cast<unsigned char*>(std::realloc(block->data, size));
    const std::size_t kept = size < block->size ? size : block->size;
    Check({block->data, kept, block->pattern});
    block->size = size;
    Fill(block, static_cast<unsigned char>(random_()));
  }
  void Remove(std::size_t index) {
    Check(blocks_[index]);
    std::free(blocks_[index].data);
    blocks_[index] = blocks_.back();
    blocks_.pop_back();
  }

  std::mt19937 random_;
  std::vector<Block> blocks_;
};

}  // namespace

int main() {
  volatile std::size_t huge = SIZE_MAX;
  Blocks mine(1);
  for (int round = 0; round < 3; ++round) {
    mine.Work(4000);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 3; ++i)
      threads.emplace_back([=] {
        Blocks blocks(100 * i + static_cast<unsigned>(round));
        blocks.Work(2000);
      });
    for (std::thread& thread : threads) thread.join();
    CHECKPOINT();
    mine.CheckAll();
    std::printf("round %d\n", round);
  }
  if (std::malloc(huge / 4) != nullptr || std::calloc(huge / 2, 4) != nullptr ||
      reallocarray(nullptr, huge / 2, 4) != nullptr)
    Wrong("too much");
  std::free(nullptr);
  void* empty = std::malloc(0);
  if (empty == nullptr) Wrong("malloc(0)");
  std::free(empty);
  std::printf("done\n");
  return 0;
}
