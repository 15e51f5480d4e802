/*
 * Copying that survives bad pointers. The kernel answers EFAULT where a program's pointer is wrong;
 * so does the shim, without asking beforehand: the copy loop below is the only code that touches
 * user memory, and a fault inside it continues at its end, which returns -EFAULT (signal.c).
 *
 * The loop is assembly because the place of every access must be known, and uses no stack, so that
 * leaving it anywhere is a plain return.
 */
#include <errno.h>

#include "copy.h"

/* int mr_copy_loop(void *to, const void *from, size_t n): 0, or -EFAULT from the fix-up. */
int mr_copy_loop(void *to, const void *from, size_t n);
extern const char mr_copy_loop_end[], mr_copy_fixup[];

#if defined(__x86_64__)
/* Up to 32 bytes in two moves that overlap, up to 512 in 32-byte steps, beyond `rep movsb`, which
 * copies whole lines on every processor of the last ten years. */
__asm__(
    ".text\n"
    ".p2align 5\n"
    ".hidden mr_copy_loop\n"
    ".globl mr_copy_loop\n"
    ".type mr_copy_loop,@function\n"
    "mr_copy_loop:\n"
    "  .cfi_startproc\n"
    "  cmp $16, %rdx\n"
    "  jb 3f\n"
    "  cmp $512, %rdx\n"
    "  ja 6f\n"
    "  movups -16(%rsi,%rdx), %xmm2\n"
    "  lea -16(%rdi,%rdx), %rcx\n"
    "1:\n"
    "  cmp $32, %rdx\n"
    "  jbe 2f\n"
    "  movups (%rsi), %xmm0\n"
    "  movups 16(%rsi), %xmm1\n"
    "  movups %xmm0, (%rdi)\n"
    "  movups %xmm1, 16(%rdi)\n"
    "  add $32, %rsi\n"
    "  add $32, %rdi\n"
    "  sub $32, %rdx\n"
    "  jmp 1b\n"
    "2:\n"
    "  cmp $16, %rdx\n"
    "  jbe 7f\n"
    "  movups (%rsi), %xmm0\n"
    "  movups %xmm0, (%rdi)\n"
    "7:\n"
    "  movups %xmm2, (%rcx)\n"
    "  xor %eax, %eax\n"
    "  ret\n"
    "3:\n"
    "  cmp $8, %rdx\n"
    "  jb 4f\n"
    "  mov (%rsi), %rax\n"
    "  mov -8(%rsi,%rdx), %rcx\n"
    "  mov %rax, (%rdi)\n"
    "  mov %rcx, -8(%rdi,%rdx)\n"
    "  xor %eax, %eax\n"
    "  ret\n"
    "4:\n"
    "  test %rdx, %rdx\n"
    "  jz 5f\n"
    "  movzbl (%rsi), %eax\n"
    "  movb %al, (%rdi)\n"
    "  inc %rsi\n"
    "  inc %rdi\n"
    "  dec %rdx\n"
    "  jmp 4b\n"
    "5:\n"
    "  xor %eax, %eax\n"
    "  ret\n"
    "6:\n"
    "  mov %rdx, %rcx\n"
    "  rep movsb\n"
    "  xor %eax, %eax\n"
    "  ret\n"
    ".hidden mr_copy_loop_end\n"
    ".globl mr_copy_loop_end\n"
    "mr_copy_loop_end:\n"
    ".hidden mr_copy_fixup\n"
    ".globl mr_copy_fixup\n"
    "mr_copy_fixup:\n"
    "  mov $-14, %eax\n"
    "  ret\n"
    "  .cfi_endproc\n"
    ".size mr_copy_loop, .-mr_copy_loop\n");
#elif defined(__aarch64__)
__asm__(
    ".text\n"
    ".p2align 5\n"
    ".hidden mr_copy_loop\n"
    ".globl mr_copy_loop\n"
    ".type mr_copy_loop,%function\n"
    "mr_copy_loop:\n"
    "  .cfi_startproc\n"
    "  cmp x2, #64\n"
    "  b.lo 2f\n"
    "1:\n"
    "  ldp q0, q1, [x1], #32\n"
    "  ldp q2, q3, [x1], #32\n"
    "  stp q0, q1, [x0], #32\n"
    "  stp q2, q3, [x0], #32\n"
    "  sub x2, x2, #64\n"
    "  cmp x2, #64\n"
    "  b.hs 1b\n"
    "2:\n"
    "  cmp x2, #8\n"
    "  b.lo 3f\n"
    "  ldr x3, [x1], #8\n"
    "  str x3, [x0], #8\n"
    "  sub x2, x2, #8\n"
    "  b 2b\n"
    "3:\n"
    "  cbz x2, 4f\n"
    "  ldrb w3, [x1], #1\n"
    "  strb w3, [x0], #1\n"
    "  sub x2, x2, #1\n"
    "  b 3b\n"
    "4:\n"
    "  mov w0, #0\n"
    "  ret\n"
    ".hidden mr_copy_loop_end\n"
    ".globl mr_copy_loop_end\n"
    "mr_copy_loop_end:\n"
    ".hidden mr_copy_fixup\n"
    ".globl mr_copy_fixup\n"
    "mr_copy_fixup:\n"
    "  mov w0, #-14\n"
    "  ret\n"
    "  .cfi_endproc\n"
    ".size mr_copy_loop, .-mr_copy_loop\n");
#else
#error "mr_copy_loop is written for x86-64 and aarch64"
#endif

static bool guarded;

int mr_copy_from(void *to, const void *user, size_t n) {
  if (!guarded) {
    mr_guard_faults();
    guarded = true;
  }
  return mr_copy_loop(to, user, n);
}

int mr_copy_to(void *user, const void *from, size_t n) { return mr_copy_from(user, from, n); }

bool mr_copy_fix(ucontext_t *context) {
#if defined(__x86_64__)
  greg_t *at = &context->uc_mcontext.gregs[REG_RIP];
#else
  unsigned long long *at = &context->uc_mcontext.pc;
#endif
  uintptr_t pc = (uintptr_t)*at;
  if (pc < (uintptr_t)mr_copy_loop || pc >= (uintptr_t)mr_copy_loop_end) return false;
  *at = (__typeof__(*at))(uintptr_t)mr_copy_fixup;
  return true;
}
