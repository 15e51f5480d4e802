/*
 * Where a thread polls: not on the processor that the engine is on. There the engine waits for a time slice of its
 * own while the thread looks in vain, and yielding does not help, since the engine belongs to another scheduling
 * group of the kernel's. With two processors the kernel's balancer sees nothing amiss: two programs and an engine
 * are three, and whoever shares is nothing to it.
 *
 * Measured: 128 KiB writes and reads, two programs and the engine on two cores: 1.2 to 3 Gbit/s with a program
 * beside the engine, 10 to 15 with the engine alone on its core.
 */
#include <sched.h>
#include <sys/syscall.h>

#include "core.h"

#define MOST_CPUS 1024
#define WORD_BITS 64
/* Between moves: the kernel's balancer may have brought it back. */
#define MOVE_NS 1000000
/* It was not to be moved: its user has given it this processor alone, or a filter forbids to ask. */
#define STAY_NS 100000000

typedef uint64_t cpus[MOST_CPUS / WORD_BITS];

bool mr_is_beside_engine(const struct mr_link *link) {
  uint32_t cpu = __atomic_load_n(&link->session->engine_cpu, __ATOMIC_RELAXED);
  if (MR_LIKELY(cpu != (uint32_t)sched_getcpu() + 1) || cpu == 0) return false;
  return mr_load(&link->session->engine_sleeps) == 0;
}

/* Bytes of the kernel's mask, or negative. */
static long get(cpus mask) {
  memset(mask, 0, sizeof(cpus));
  return real.syscall(SYS_sched_getaffinity, 0, sizeof(cpus), (long)mask, 0, 0, 0);
}

static bool set(const cpus mask) {
  return real.syscall(SYS_sched_setaffinity, 0, sizeof(cpus), (long)mask, 0, 0, 0) == 0;
}

/*
 * Forbids this processor for a moment: the kernel then takes the thread elsewhere, and leaves it there.
 * A thread that may be everywhere gets the mask of all afterwards, not the one of now: else the processors that
 * its cpuset gets later would not be its own.
 */
static bool move(uint32_t cpu) {
  cpus before, all, now, others;
  if (cpu >= MOST_CPUS || get(before) < 0) return false;
  memcpy(others, before, sizeof others);
  others[cpu / WORD_BITS] &= ~(1ull << cpu % WORD_BITS);
  uint64_t any = 0;
  for (unsigned i = 0; i < MOST_CPUS / WORD_BITS; i++) any |= others[i];
  if (any == 0) return false;
  memset(all, 0xff, sizeof all);
  if (!set(all)) return false;
  bool is_free = get(now) >= 0 && memcmp(now, before, sizeof now) == 0;
  bool has_moved = set(others);
  set(is_free ? all : before);
  return has_moved;
}

bool mr_leave_engine(const struct mr_link *link) {
  static __thread int64_t next_ns __attribute__((tls_model("initial-exec")));
  int64_t now = mr_now_ns();
  if (now < next_ns) return false;
  int saved = errno;
  /* Under a filter the calls may be death. */
  bool moved = mr_allows(SYS_sched_getaffinity) && mr_allows(SYS_sched_setaffinity) &&
               move(__atomic_load_n(&link->session->engine_cpu, __ATOMIC_RELAXED) - 1);
  next_ns = now + (moved ? MOVE_NS : STAY_NS);
  errno = saved;
  return moved;
}
