/*
 * select and pselect, made of poll when an accelerated socket is among them. Sets are as long as the
 * caller says, not FD_SETSIZE: programs allocate longer ones.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "core.h"
#include "interpose.h"

typedef unsigned long bits;
#define BITS ((int)(8 * sizeof(bits)))

/* As the kernel's POLLIN_SET, POLLOUT_SET and POLLEX_SET. */
#define IN_SET (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define OUT_SET (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define EXCEPT_SET (POLLPRI)

struct sets {
  bits *user[3];  /* read, write, except; NULL: not given */
};

static const short ASKED[3] = {POLLRDNORM | POLLRDBAND | POLLIN, POLLWRBAND | POLLWRNORM | POLLOUT,
                               POLLPRI};
static const short MEANT[3] = {IN_SET, OUT_SET, EXCEPT_SET};

static size_t words(int n) { return ((size_t)n + BITS - 1) / BITS; }

/* Fills `fds` (if not NULL) from the sets; how many descriptors there are, or -EFAULT. */
static int count(const struct sets *sets, int n, struct pollfd *fds, bool *is_ours) {
  int total = 0;
  for (size_t word = 0; word < words(n); word++) {
    bits part[3] = {0, 0, 0};
    for (int s = 0; s < 3; s++) {
      if (sets->user[s] == NULL) continue;
      if (mr_copy_from(&part[s], &sets->user[s][word], sizeof(bits)) < 0) return -EFAULT;
    }
    bits any = part[0] | part[1] | part[2];
    while (any != 0) {
      int bit = __builtin_ctzl(any), fd = (int)word * BITS + bit;
      any &= any - 1;
      if (fd >= n) break;
      if (mr_poll_needs(fd)) *is_ours = true;
      if (fds != NULL) {
        fds[total] = (struct pollfd){.fd = fd};
        for (int s = 0; s < 3; s++) {
          if (part[s] >> bit & 1) fds[total].events |= ASKED[s];
        }
      }
      total++;
    }
  }
  return total;
}

/* Writes the results over the sets; how many bits are set, or -EFAULT. */
static int answer(const struct sets *sets, int n, const struct pollfd *fds, int total) {
  int at = 0, set = 0;
  for (size_t word = 0; word < words(n); word++) {
    bits part[3] = {0, 0, 0};
    for (; at < total && fds[at].fd / BITS == (int)word; at++) {
      for (int s = 0; s < 3; s++) {
        if (!(fds[at].events & ASKED[s]) || !(fds[at].revents & MEANT[s])) continue;
        part[s] |= 1ul << fds[at].fd % BITS;
        set++;
      }
    }
    for (int s = 0; s < 3; s++) {
      if (sets->user[s] == NULL) continue;
      if (mr_copy_to(&sets->user[s][word], &part[s], sizeof(bits)) < 0) return -EFAULT;
    }
  }
  return set;
}

static int select_polled(const struct sets *sets, int n, struct pollfd *fds, int total,
                         int64_t timeout_ns, const sigset_t *mask) {
  bool is_ours;
  if (count(sets, n, fds, &is_ours) != total) return mr_fail(EFAULT);
  if (mr_poll(fds, (nfds_t)total, timeout_ns, mask) < 0) return -1;
  for (int i = 0; i < total; i++) {
    if (fds[i].revents & POLLNVAL) return mr_fail(EBADF);
  }
  int result = answer(sets, n, fds, total);
  return result < 0 ? mr_fail(-result) : result;
}

#define FEW 64

static int select_ours(const struct sets *sets, int n, int total, int64_t timeout_ns,
                       const sigset_t *mask) {
  struct pollfd few[FEW], *fds = few;
  size_t bytes = (size_t)total * sizeof *fds;
  if (total > FEW) {
    fds = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fds == MAP_FAILED) return mr_fail(ENOMEM);
  }
  int result = select_polled(sets, n, fds, total, timeout_ns, mask);
  int saved = errno;
  if (total > FEW) munmap(fds, bytes);
  errno = saved;
  return result;
}

/* -1: none is ours; the caller asks the kernel. */
static int ours_among(const struct sets *sets, int *n) {
  bool is_ours = false;
  struct rlimit limit;
  if (*n < 0) return -1;
  if (*n > 1024 && mr_allows(SYS_prlimit64) && getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)*n > limit.rlim_cur) {
    *n = (int)limit.rlim_cur;
  }
  int total = count(sets, *n, NULL, &is_ours);
  return is_ours ? total : -1;
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ll + now.tv_nsec;
}

EXPORT int select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout) {
  struct sets sets = {.user = {(bits *)in, (bits *)out, (bits *)except}};
  int bounded = n, total = ours_among(&sets, &bounded);
  if (total < 0) return real.select(n, in, out, except, timeout);
  struct timeval limit;
  int64_t ns = -1, began = 0;
  if (timeout != NULL) {
    if (mr_copy_from(&limit, timeout, sizeof limit) < 0) return mr_fail(EFAULT);
    if (limit.tv_sec < 0 || limit.tv_usec < 0) return mr_fail(EINVAL);
    struct timespec time = {.tv_sec = limit.tv_sec + limit.tv_usec / 1000000,
                            .tv_nsec = limit.tv_usec % 1000000 * 1000};
    ns = mr_timespec_ns(&time);
    began = now_ns();
  }
  int result = select_ours(&sets, bounded, total, ns, NULL);
  if (timeout != NULL) {
    int saved = errno;
    int64_t left = ns - (now_ns() - began);
    if (left < 0) left = 0;
    limit = (struct timeval){.tv_sec = left / 1000000000, .tv_usec = left % 1000000000 / 1000};
    mr_copy_to(timeout, &limit, sizeof limit);
    errno = saved;
  }
  return result;
}
EXPORT int __select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout) {
  return select(n, in, out, except, timeout);
}

EXPORT int pselect(int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
                   const sigset_t *mask) {
  struct sets sets = {.user = {(bits *)in, (bits *)out, (bits *)except}};
  int bounded = n, total = ours_among(&sets, &bounded);
  if (total < 0) return real.pselect(n, in, out, except, timeout, mask);
  struct timespec limit;
  if (timeout == NULL) return select_ours(&sets, bounded, total, -1, mask);
  if (mr_copy_from(&limit, timeout, sizeof limit) < 0) return mr_fail(EFAULT);
  int64_t ns = mr_timespec_ns(&limit);
  return ns < 0 ? mr_fail(EINVAL) : select_ours(&sets, bounded, total, ns, mask);
}
