/*
 * The kernel's poll, for the shim's own waits: by whichever call a filter of system calls has left, and also where
 * RLIMIT_NOFILE is less than the number of descriptors waited for (0 and 1 are usual for programs that lock themselves
 * in), which poll refuses and select does not mind.
 */
#include <limits.h>

#include "core.h"

#define MOST_DESCRIPTORS 65536 /* that select can tell: a bit each in three sets */
#define WORD_BITS (8 * sizeof(unsigned long))
#define WORDS (MOST_DESCRIPTORS / WORD_BITS)
#define BLIND_LOOKS 1000 /* where nothing is left to wait by */

#define INPUT (POLLIN | POLLRDNORM | POLLRDBAND)
#define OUTPUT (POLLOUT | POLLWRNORM | POLLWRBAND)

struct sets {
  unsigned long in[WORDS], out[WORDS], except[WORDS];
};

static bool is_in(const unsigned long *set, int fd) { return (set[(size_t)fd / WORD_BITS] >> (size_t)fd % WORD_BITS) & 1; }
static void put_in(unsigned long *set, int fd) { set[(size_t)fd / WORD_BITS] |= 1ul << (size_t)fd % WORD_BITS; }

/* What select can say of them: a hang-up, too, is something to read. */
static int take(struct pollfd *fds, nfds_t n, const struct sets *sets) {
  int ready = 0;
  for (nfds_t i = 0; i < n; i++) {
    struct pollfd *at = &fds[i];
    if (at->fd < 0 || at->fd >= MOST_DESCRIPTORS) continue;
    bool in = is_in(sets->in, at->fd);
    at->revents = (short)((in ? at->events & INPUT : 0) | (is_in(sets->out, at->fd) ? at->events & OUTPUT : 0) |
                          (is_in(sets->except, at->fd) ? at->events & POLLPRI : 0));
    if (in && at->events == 0) at->revents = POLLHUP;
    ready += at->revents != 0;
  }
  return ready;
}

static int by_select(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask) {
  struct sets sets = {0};
  int most = -1;
  for (nfds_t i = 0; i < n; i++) {
    struct pollfd *at = &fds[i];
    at->revents = 0;
    if (at->fd < 0 || at->fd >= MOST_DESCRIPTORS) continue;
    if (at->fd > most) most = at->fd;
    if ((at->events & INPUT) || at->events == 0) put_in(sets.in, at->fd);
    if (at->events & OUTPUT) put_in(sets.out, at->fd);
    if (at->events & POLLPRI) put_in(sets.except, at->fd);
  }
  struct timespec left = timeout != NULL ? *timeout : (struct timespec){0};
  long result;
  if (mr_allows(SYS_pselect6)) {
    long with_mask[2] = {(long)mask, 8};
    result = real.syscall(SYS_pselect6, most + 1, (long)sets.in, (long)sets.out, (long)sets.except,
                          (long)(timeout != NULL ? &left : NULL), (long)with_mask);
#ifdef SYS_select
  } else if (mr_allows(SYS_select)) {
    struct timeval rest = {left.tv_sec, (left.tv_nsec + 999) / 1000};
    result = real.syscall(SYS_select, most + 1, (long)sets.in, (long)sets.out, (long)sets.except,
                          (long)(timeout != NULL ? &rest : NULL), 0);
#endif
  } else {
    for (int i = 0; i < BLIND_LOOKS && timeout != NULL && left.tv_sec + left.tv_nsec > 0; i++) mr_pause();
    return 0;
  }
  return result <= 0 ? (int)result : take(fds, n, &sets);
}

int mr_kernel_poll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask) {
  int saved = errno, result = -1;
  if (MR_LIKELY(mr_allows(SYS_ppoll))) {
    result = real.ppoll(fds, n, timeout, mask);
#ifdef SYS_poll
  } else if (mr_allows(SYS_poll)) {
    long ms = timeout == NULL ? -1 : timeout->tv_sec >= INT_MAX / 1000 - 1 ? INT_MAX
                                   : timeout->tv_sec * 1000 + (timeout->tv_nsec + 999999) / 1000000;
    result = real.poll(fds, n, (int)ms);
#endif
  } else {
    errno = EINVAL;
  }
  if (result >= 0 || errno != EINVAL) return result;
  errno = saved;
  return by_select(fds, n, timeout, mask);
}

int mr_kernel_look(struct pollfd *fds, nfds_t n) {
  struct timespec none = {0};
  return mr_kernel_poll(fds, n, &none, NULL);
}
