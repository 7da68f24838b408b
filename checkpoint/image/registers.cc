#include "checkpoint/image/registers.h"

#ifndef __x86_64__
#error "process images are implemented for x86-64 only"
#endif

asm(R"(
  .text
  .globl ftmpi_image_save_registers
  .hidden ftmpi_image_save_registers
  .type ftmpi_image_save_registers, @function
ftmpi_image_save_registers:
  .cfi_startproc
  movq %rbx, 0(%rdi)
  movq %rbp, 8(%rdi)
  movq %r12, 16(%rdi)
  movq %r13, 24(%rdi)
  movq %r14, 32(%rdi)
  movq %r15, 40(%rdi)
  leaq 8(%rsp), %rax
  movq %rax, 48(%rdi)
  movq (%rsp), %rax
  movq %rax, 56(%rdi)
  stmxcsr 64(%rdi)
  fnstcw 68(%rdi)
  xorl %eax, %eax
  ret
  .cfi_endproc
  .size ftmpi_image_save_registers, .-ftmpi_image_save_registers

  .globl ftmpi_image_resume_registers
  .hidden ftmpi_image_resume_registers
  .type ftmpi_image_resume_registers, @function
ftmpi_image_resume_registers:
  movq 0(%rdi), %rbx
  movq 8(%rdi), %rbp
  movq 16(%rdi), %r12
  movq 24(%rdi), %r13
  movq 32(%rdi), %r14
  movq 40(%rdi), %r15
  movq 48(%rdi), %rsp
  ldmxcsr 64(%rdi)
  fldcw 68(%rdi)
  movl $1, %eax
  jmpq *56(%rdi)
  .size ftmpi_image_resume_registers, .-ftmpi_image_resume_registers

  .globl ftmpi_image_run_on_stack
  .hidden ftmpi_image_run_on_stack
  .type ftmpi_image_run_on_stack, @function
ftmpi_image_run_on_stack:
  .cfi_startproc
  .cfi_undefined rip
  movq %rdi, %rsp
  xorl %ebp, %ebp
  movq %rdx, %rdi
  call *%rsi
  ud2
  .cfi_endproc
  .size ftmpi_image_run_on_stack, .-ftmpi_image_run_on_stack
)");
