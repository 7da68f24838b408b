// The registers of a thread at a function call: what the calling convention preserves, and the
// modes of the floating-point units.
#pragma once

#include <cstdint>

namespace ftmpi::image {

struct Registers {
  std::uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
  std::uint32_t mxcsr;
  std::uint16_t x87_control;
  std::uint16_t reserved;
};
static_assert(sizeof(Registers) == 72);

extern "C" {
// Returns 0. When ResumeRegisters is called later, in this process or in a restored one, it returns
// once more: 1.
__attribute__((returns_twice)) int ftmpi_image_save_registers(Registers* registers);
[[noreturn]] void ftmpi_image_resume_registers(const Registers* registers);
// Calls function(argument) on another stack, which ends at `top` (a multiple of 16). The function
// must not return.
[[noreturn]] void ftmpi_image_run_on_stack(void* top, void (*function)(void*), void* argument);
}

}  // namespace ftmpi::image
