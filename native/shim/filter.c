/*
 * What a filter of system calls leaves this process. Programs that lock themselves in (sshd) allow what they call
 * themselves, and die of anything else: so each filter is run here, as the kernel will, for every number of
 * a system call, before it is set. Arguments are taken for 0: who allows a call for some arguments only is mostly taken
 * to forbid it. Threads that have no filter are held to it, too. A filter that was there before the program began is not
 * known: it lets a dynamic linker through, and with it what is needed here.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>

#include "core.h"

#if defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE AUDIT_ARCH_X86_64
#endif

#define NUMBERS MR_FILTER_NUMBERS
#define MOST_STEPS 4096 /* BPF_MAXINSNS: jumps go forward only */

static uint32_t data_at(const struct seccomp_data *data, uint32_t at) {
  uint32_t value = 0;
  if (at <= sizeof *data - sizeof value) memcpy(&value, (const uint8_t *)data + at, sizeof value);
  return value;
}

static uint32_t compute(uint16_t op, uint32_t a, uint32_t b) {
  switch (op) {
    case BPF_ADD: return a + b;
    case BPF_SUB: return a - b;
    case BPF_MUL: return a * b;
    case BPF_DIV: return b == 0 ? 0 : a / b;
    case BPF_OR: return a | b;
    case BPF_AND: return a & b;
    case BPF_XOR: return a ^ b;
    case BPF_LSH: return b < 32 ? a << b : 0;
    case BPF_RSH: return b < 32 ? a >> b : 0;
    default: return -a; /* BPF_NEG */
  }
}

static bool compare(uint16_t op, uint32_t a, uint32_t b) {
  if (op == BPF_JEQ) return a == b;
  if (op == BPF_JGT) return a > b;
  if (op == BPF_JGE) return a >= b;
  return (a & b) != 0; /* BPF_JSET */
}

/* What the filter returns; of one that the kernel would refuse anything. */
static uint32_t run(const struct sock_filter *code, unsigned count, const struct seccomp_data *data) {
  uint32_t a = 0, x = 0, memory[BPF_MEMWORDS] = {0};
  for (uint32_t at = 0; at < count; at++) {
    const struct sock_filter *now = &code[at];
    uint32_t operand = BPF_SRC(now->code) == BPF_X ? x : now->k;
    uint32_t *cell = &memory[now->k % BPF_MEMWORDS];
    uint32_t loaded = BPF_MODE(now->code) == BPF_ABS   ? data_at(data, now->k)
                      : BPF_MODE(now->code) == BPF_MEM ? *cell
                      : BPF_MODE(now->code) == BPF_LEN ? (uint32_t)sizeof *data
                                                       : now->k;
    switch (BPF_CLASS(now->code)) {
      case BPF_LD: a = loaded; break;
      case BPF_LDX: x = loaded; break;
      case BPF_ST: *cell = a; break;
      case BPF_STX: *cell = x; break;
      case BPF_ALU: a = compute(BPF_OP(now->code), a, operand); break;
      case BPF_JMP:
        if (BPF_OP(now->code) == BPF_JA) at += now->k;
        else at += compare(BPF_OP(now->code), a, operand) ? now->jt : now->jf;
        break;
      case BPF_RET: return BPF_RVAL(now->code) == BPF_A ? a : now->k;
      default: *(BPF_MISCOP(now->code) == BPF_TAX ? &x : &a) = BPF_MISCOP(now->code) == BPF_TAX ? a : x;
    }
  }
  return SECCOMP_RET_KILL_PROCESS;
}

static bool lets_through(uint32_t answer) {
  uint32_t action = answer & SECCOMP_RET_ACTION_FULL;
  return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

void mr_filter_set(const void *user, struct mr_filter_before *before) {
  static struct mr_mutex mutex;
  static struct sock_filter code[MOST_STEPS];
  before->is_filtered = atomic_load(&mr_is_filtered);
  for (int i = 0; i < NUMBERS / 64; i++) before->denied[i] = atomic_load(&mr_filter_denied[i]);
  struct sock_fprog program = {0};
  /* NULL: the strict mode, which leaves read, write and _exit. */
  if (user != NULL && mr_copy_from(&program, user, sizeof program) != 0) return;
  if (program.len > MOST_STEPS) return;
  mr_mutex_lock(&mutex);
  if (mr_copy_from(code, program.filter, program.len * sizeof *code) == 0) {
    for (int number = 0; number < NUMBERS; number++) {
      struct seccomp_data data = {.nr = number, .arch = ARCHITECTURE};
      if (program.len > 0 && lets_through(run(code, program.len, &data))) continue;
      if (program.len == 0 && (number == SYS_read || number == SYS_write)) continue;
      atomic_fetch_or(&mr_filter_denied[number / 64], 1ull << number % 64);
    }
    atomic_store(&mr_is_filtered, true);
  }
  mr_mutex_unlock(&mutex);
}

void mr_filter_undo(const struct mr_filter_before *before) {
  for (int i = 0; i < NUMBERS / 64; i++) atomic_store(&mr_filter_denied[i], before->denied[i]);
  atomic_store(&mr_is_filtered, before->is_filtered);
}

void mr_yield(void) {
  if (mr_allows(SYS_sched_yield)) sched_yield();
  else mr_pause();
}

void mr_nap(void) {
  struct timespec nap = {.tv_nsec = 100000};
  if (mr_allows(SYS_clock_nanosleep)) nanosleep(&nap, NULL);
  else mr_pause();
}
