/*
 * Waiting: looks again for as long as the session says, then sleeps on the waiter's eventfd, the control
 * socket (its hang-up is the engine's death) and, where there is one, a socket of the kernel.
 */
#include <signal.h>
#include <sys/syscall.h>

#include "core.h"

#define LOOKS_A_CLOCK 16       /* looks between readings of the clock, when they do not yield */
#define KERNEL_LOOK_NS 25000   /* between looks at the kernel's descriptors: a system call each */
#define ENGINE_CHECK_NS 2000000 /* while polling */
#define KERNEL_SET_BYTES 8
/*
 * A look this long after the one before, though the yield before came straight back, or longer than LONG:
 * somebody else has the processor, to whom yielding gives nothing (another scheduling group of the kernel's,
 * as each terminal session has one). Then waits sleep for a while: who sleeps is let in as soon as it is
 * woken, who polls uses up its share and then waits for a time slice. A program of the same group
 * that works between two looks is not meant: there yielding hands the processor to and fro.
 */
#define STRAIGHT_NS 1500
#define LOST_NS 500000
#define LOST_LONG_NS 2000000
#define SLEEPS_FIRST_NS 5000000 /* how long; twice as long when it happens soon again */
#define SLEEPS_MOST_NS 320000000
/*
 * How long it looks before it yields again when others had the processor meanwhile: about as long as they take to give
 * it back once more. What comes a little too late for the first look has else to wait for so long, so that the
 * engine's hop, be it 1.9 µs or, where the processors share no cache, 3.2, took 2.4 or 7.
 * Measured: sockperf ping-pong, TCP, 64 bytes, two programs on one processor, half round trip, rounds of 1 s in turn:
 * 6.7 µs without, 5.2 with 4 µs, 3.8 with 8 (medians of four, machine shared, 2026-11).
 */
#define LINGER_NS 5000

int64_t mr_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void mr_wait_begin(struct mr_wait *wait, int64_t timeout_ns) {
  wait->link = mr_link_get();
  wait->deadline_ns = INT64_MAX;
  if (timeout_ns >= 0) {
    int64_t now = mr_now_ns();
    if (timeout_ns < INT64_MAX - now) wait->deadline_ns = now + timeout_ns;
  }
  wait->handled = mr_thread.handled;
  wait->interrupting = mr_thread.interrupting;
  wait->spin_until_ns = 0;
  wait->looked_ns = wait->gap_ns = wait->kernel_ns = 0;
  wait->has_drained = false;
  wait->knows_death = wait->link == NULL;
  wait->linger_until_ns = 0;
  wait->looks = 0;
}

static __thread struct {
  int64_t until_ns, for_ns;
} sleeping __attribute__((tls_model("initial-exec")));

/* Whether the processor is wanted by others: polling would only use up this thread's share. */
static bool is_crowded(struct mr_wait *wait, int64_t now) {
  int64_t before = wait->gap_ns;
  wait->gap_ns = wait->looked_ns != 0 ? now - wait->looked_ns : 0;
  wait->looked_ns = now;
  if (MR_LIKELY(wait->gap_ns < LOST_NS)) return now < sleeping.until_ns;
  if (wait->gap_ns < LOST_LONG_NS && before > STRAIGHT_NS) return false;
  bool is_again = now - sleeping.until_ns < SLEEPS_MOST_NS;
  int64_t twice = 2 * sleeping.for_ns;
  sleeping.for_ns = !is_again ? SLEEPS_FIRST_NS : twice > SLEEPS_MOST_NS ? SLEEPS_MOST_NS : twice;
  sleeping.until_ns = now + sleeping.for_ns;
  return true;
}

/* When polling ends, and now and then whether the engine lives. */
static bool may_spin(struct mr_wait *wait, uint32_t spin_us, int64_t now) {
  if (wait->spin_until_ns == 0) {
    bool for_ever = spin_us == UINT32_MAX;
    wait->spin_until_ns = for_ever ? INT64_MAX : now + (int64_t)spin_us * 1000;
  }
  static __thread int64_t checked_ns __attribute__((tls_model("initial-exec")));
  if (now - checked_ns > ENGINE_CHECK_NS) {
    checked_ns = now;
    if (mr_engine_died()) return false;
  }
  return now < wait->spin_until_ns && !is_crowded(wait, now);
}

/*
 * Yields, and looks for a moment before it does so again when others had the processor meanwhile: they have given it
 * back because they had nothing to do.
 */
static bool yield_or_linger(struct mr_wait *wait, uint32_t spin_us) {
  int64_t now = mr_now_ns();
  if (now < wait->linger_until_ns) {
    mr_pause();
    return true;
  }
  if (wait->linger_until_ns == 0) {
    if (!may_spin(wait, spin_us, now)) return false;
    if (wait->gap_ns > STRAIGHT_NS) {
      wait->linger_until_ns = now + LINGER_NS;
      return true;
    }
  } else {
    wait->linger_until_ns = 0;
    wait->looked_ns = now;
  }
  sched_yield();
  return true;
}

bool mr_wait_spin(struct mr_wait *wait) {
  if (wait->link == NULL || atomic_load_explicit(&mr_engine_is_dead, memory_order_relaxed)) {
    return false;
  }
  uint32_t spin_us = wait->link->session->spin_us;
  if (spin_us == 0) return false;
  if (MR_UNLIKELY(mr_is_beside_engine(wait->link)) && !mr_leave_engine(wait->link)) return false;
  if (MR_UNLIKELY(!mr_allows(SYS_sched_yield))) return false;
  if (wait->link->session->yields != 0) return yield_or_linger(wait, spin_us);
  if (wait->looks++ % LOOKS_A_CLOCK == 0 && !may_spin(wait, spin_us, mr_now_ns())) return false;
  mr_pause();
  return true;
}

bool mr_wait_kernel_due(struct mr_wait *wait) {
  if (wait->looked_ns - wait->kernel_ns < KERNEL_LOOK_NS) return false;
  wait->kernel_ns = wait->looked_ns;
  return true;
}

int mr_wait_check(struct mr_wait *wait, bool any) {
  if (*(volatile uint32_t *)&mr_thread.interrupting != wait->interrupting) return -EINTR;
  if (any && *(volatile uint32_t *)&mr_thread.handled != wait->handled) return -EINTR;
  if (wait->deadline_ns == INT64_MAX || mr_now_ns() < wait->deadline_ns) return 0;
  return -ETIMEDOUT;
}

/* ---- Sleeping -------------------------------------------------------------------------------------- */

static struct timespec *time_left(const struct mr_wait *wait, bool has_waiter, struct timespec *left) {
  int64_t ns = INT64_MAX;
  if (wait->deadline_ns != INT64_MAX) {
    ns = wait->deadline_ns - mr_now_ns();
    if (ns < 0) ns = 0;
  }
  if (!has_waiter && ns > 1000000) ns = 1000000;
  if (ns == INT64_MAX) return NULL;
  *left = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
  return left;
}

/* Without its call a signal may come between the look whether one has and the sleep. */
#define SLEEP_BLIND_NS 10000000

static void set_mask(const uint64_t *mask, uint64_t *old) {
  real.syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)mask, (long)old, KERNEL_SET_BYTES, 0, 0);
}

/* All signals are blocked while it looks whether a handler has run, and ppoll lets them in: a signal
 * cannot come between the look and the sleep. */
int mr_wait_sleep(struct mr_wait *wait, int waiter_fd, struct pollfd *fds, unsigned n,
                  const sigset_t *mask) {
  unsigned count = n;
  if (waiter_fd >= 0) fds[count++] = (struct pollfd){.fd = waiter_fd, .events = POLLIN};
  /* A dead engine's hang-up would end each sleep at once; but another thread may have noticed it after the
   * caller's look. */
  bool watches = wait->link != NULL && !wait->knows_death;
  if (watches) fds[count++] = (struct pollfd){.fd = wait->link->control_fd};
  int saved = errno;
  sigset_t old;
  sigemptyset(&old);
  bool has_masks = mr_allows(SYS_rt_sigprocmask) && (mr_allows(SYS_ppoll) || mr_allows(SYS_pselect6));
  uint64_t all = ~0ull;
  if (has_masks) set_mask(&all, (uint64_t *)(void *)&old);
  int result = 0;
  if (mr_wait_check(wait, mask != NULL) == 0) {
    struct timespec left;
    struct timespec *most = time_left(wait, waiter_fd >= 0 || !watches, &left);
    if (MR_UNLIKELY(!has_masks)) {
      bool is_short = most != NULL && most->tv_sec == 0 && most->tv_nsec < SLEEP_BLIND_NS;
      if (!is_short) left = (struct timespec){.tv_nsec = SLEEP_BLIND_NS};
      most = &left;
    }
    result = mr_kernel_poll(fds, count, most, !has_masks ? NULL : mask != NULL ? mask : &old);
    if (result < 0) result = -errno;
  }
  if (has_masks) set_mask((uint64_t *)(void *)&old, NULL);
  errno = saved;
  if (result < 0 && result != -EINTR) return result;
  if (result > 0) {
    if (watches && fds[count - 1].revents != 0) wait->knows_death = mr_engine_died();
    if (waiter_fd >= 0 && fds[n].revents != 0) {
      uint64_t rings;
      wait->has_drained = true;
      if (real.read(waiter_fd, &rings, sizeof rings) < 0) errno = saved; /* another has read it */
    }
    for (unsigned i = n; i < count; i++) result -= fds[i].revents != 0;
    if (result > 0) return result;
  }
  int ended = mr_wait_check(wait, mask != NULL);
  return ended == -EINTR ? ended : 0;
}

/* ---- Of one socket ------------------------------------------------------------------------------------ */

static bool companion_is_ready(int companion) {
  struct pollfd kernel = {.fd = companion, .events = POLLIN};
  return mr_kernel_look(&kernel, 1) > 0;
}

/* 0: look again. */
static int sleep_for(struct mr_wait *wait, struct mr_sock *sock, uint32_t seen, int companion) {
  struct mr_link *link = wait->link;
  if (link == NULL || link->session == NULL) return 0;
  int waiter = mr_waiter_get(link);
  struct pollfd fds[3] = {{.fd = companion, .events = POLLIN}};
  if (waiter >= 0) {
    mr_waiter_mark(link, sock, waiter, true);
    mr_waiter_arm(link, waiter);
  }
  int result = 0;
  if (mr_sock_seen(sock) == seen) {
    result = mr_wait_sleep(wait, waiter >= 0 ? mr_thread.waiter_fd : -1, fds, companion >= 0, NULL);
  }
  if (waiter >= 0) {
    mr_waiter_disarm(wait, waiter, mr_thread.waiter_fd);
    mr_waiter_mark(link, sock, waiter, false);
  }
  if (result > 0) atomic_store(&sock->companion_ready, 1);
  return result;
}

/* The engine is dead, and nobody rings: the kernel wakes. 0: look again. */
static int sleep_for_kernel(struct mr_wait *wait, int companion) {
  struct pollfd fds[3] = {{.fd = companion, .events = POLLIN}};
  sigset_t mask;
  mr_signal_mask(&mask);
  wait->knows_death = true;
  int result = mr_wait_sleep(wait, -1, fds, 1, wait->deadline_ns != INT64_MAX ? &mask : NULL);
  return result > 0 ? 0 : result;
}

int mr_wait_change(struct mr_wait *wait, struct mr_sock *sock, uint32_t seen, int companion) {
  int saved = errno;
  int result = 0;
  for (;;) {
    if (mr_sock_seen(sock) != seen) break;
    result = mr_wait_check(wait, wait->deadline_ns != INT64_MAX);
    if (result != 0) break;
    if (MR_UNLIKELY(mr_engine_is_dead)) {
      if (companion >= 0 && mr_sock_is_kernels(sock)) result = sleep_for_kernel(wait, companion);
      break;
    }
    if (mr_wait_spin(wait)) {
      if (companion < 0 || !mr_wait_kernel_due(wait)) continue;
      if (!companion_is_ready(companion)) continue;
      atomic_store(&sock->companion_ready, 1);
      break;
    }
    result = sleep_for(wait, sock, seen, companion);
    if (result != 0) break;
    /* Once it has slept it has polled long enough. */
  }
  errno = saved;
  return result > 0 ? 0 : result;
}
