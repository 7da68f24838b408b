#include "pmpi/saved_state.h"

#include <cstdint>
#include <cstring>

#include "pmpi/engine_state.h"
#include "pmpi/message.h"
#include "pmpi/state_heap.h"

// The linker's names for the ends of the section.
extern "C" {
extern std::byte __start_ftmpi_saved[] __attribute__((visibility("hidden")));
extern std::byte __stop_ftmpi_saved[] __attribute__((visibility("hidden")));
}

namespace ftmpi::saved_state {
namespace {

struct Head {
  std::uint64_t address;
  std::uint64_t size;
};

std::size_t Size() { return static_cast<std::size_t>(__stop_ftmpi_saved - __start_ftmpi_saved); }

}  // namespace

void Store() {
  const Head head{reinterpret_cast<std::uint64_t>(__start_ftmpi_saved), Size()};
  const auto& program = static_cast<engine::ProgramState&>(engine::g);
  FTMPI_CHECK(head.size + sizeof head + sizeof program <= state_heap::kSavedBytes);
  std::byte* area = state_heap::SavedArea();
  std::memcpy(area, &head, sizeof head);
  std::memcpy(area + sizeof head, __start_ftmpi_saved, head.size);
  std::memcpy(area + sizeof head + head.size, static_cast<const void*>(&program), sizeof program);
}

void Load() {
  Head head{};
  const std::byte* area = state_heap::SavedArea();
  std::memcpy(&head, area, sizeof head);
  FTMPI_CHECK(head.address == reinterpret_cast<std::uint64_t>(__start_ftmpi_saved));
  FTMPI_CHECK(head.size == Size());
  std::memcpy(__start_ftmpi_saved, area + sizeof head, head.size);
  auto& program = static_cast<engine::ProgramState&>(engine::g);
  std::memcpy(static_cast<void*>(&program), area + sizeof head + head.size, sizeof program);
}

}  // namespace ftmpi::saved_state
