/*
 * poll, and what select is made of. Descriptors of the kernel and accelerated sockets wait together:
 * the thread's waiter rings for the sockets, its eventfd lies beside the kernel's descriptors in one
 * poll. Precision is the kernel's: nanoseconds where the caller gives them.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "core.h"
#include "interpose.h"

/* One set of descriptors being waited for: what the caller gave, in two arrays. */
struct set {
  struct pollfd *fds;       /* a copy of the caller's, with results */
  nfds_t n;
  struct mr_fd *entries;    /* of each, with a reference; kind PLAIN: the kernel's */
  struct pollfd *kernel;    /* those of the kernel, and companions; room for two more */
  unsigned *from;           /* where in fds each of `kernel` comes from */
  unsigned kernel_n;
  bool is_of_death;         /* `kernel` was made after the engine's */
};

bool mr_poll_needs(int fd) {
  enum mr_fd_kind kind = mr_fd_kind_of(fd);
  if (kind != MR_FD_EPOLL) return kind == MR_FD_SOCKET || kind == MR_FD_PRIVATE;
  struct mr_fd entry = mr_fd_get(fd);
  bool is_ours = entry.kind == MR_FD_EPOLL && mr_epoll_is_ours(entry.epoll);
  mr_fd_put(entry);
  return is_ours;
}

/* Whether one of the descriptors makes mr_poll necessary. A bad pointer is the kernel's to refuse. */
static bool is_ours(const struct pollfd *fds, nfds_t n) {
  struct pollfd part[16];
  for (nfds_t i = 0; i < n; i++) {
    if (i % 16 == 0) {
      nfds_t left = n - i < 16 ? n - i : 16;
      if (mr_copy_from(part, &fds[i], left * sizeof *fds) < 0) return false;
    }
    if (mr_poll_needs(part[i % 16].fd)) return true;
  }
  return false;
}

int64_t mr_timespec_ns(const struct timespec *time) {
  if (time->tv_sec < 0 || time->tv_nsec < 0 || time->tv_nsec >= 1000000000) return -2;
  if (time->tv_sec >= INT64_MAX / 1000000000 - 1) return INT64_MAX - 1;
  return time->tv_sec * 1000000000ll + time->tv_nsec;
}

static short reported(short revents, short events) {
  return revents & (events | POLLERR | POLLHUP | POLLNVAL);
}

/* What the sockets say now. */
static int look_at_sockets(struct set *set) {
  int ready = 0;
  for (nfds_t i = 0; i < set->n; i++) {
    struct pollfd *at = &set->fds[i];
    if (set->entries[i].kind == MR_FD_SOCKET) {
      at->revents = reported(mr_sock_ready(set->entries[i].sock), at->events);
    }
    ready += at->revents != 0;
  }
  return ready;
}

/* An epoll instance is readable when the kernel's is, and that may be for what is gone since. */
static void take_kernel(struct set *set, unsigned k) {
  struct pollfd *at = &set->fds[set->from[k]];
  struct mr_fd entry = set->entries[set->from[k]];
  short revents = set->kernel[k].revents;
  if (revents == 0) return;
  if (entry.kind == MR_FD_SOCKET) {
    atomic_store(&entry.sock->companion_ready, 1);
    at->revents |= reported(revents & (POLLIN | POLLRDNORM | POLLERR), at->events);
  } else {
    at->revents |= revents;
  }
}

/* Asks the kernel without waiting; how many of the caller's are ready in all. */
static int look_at_kernel(struct set *set) {
  for (nfds_t i = 0; i < set->n; i++) {
    struct mr_fd entry = set->entries[i];
    if (entry.kind != MR_FD_SOCKET) set->fds[i].revents = 0;
    if (entry.kind == MR_FD_EPOLL && mr_epoll_is_ours(entry.epoll) &&
        mr_epoll_ready(entry.epoll, false)) {
      set->fds[i].revents = reported(POLLIN | POLLRDNORM, set->fds[i].events);
    }
  }
  if (set->kernel_n > 0 && mr_kernel_look(set->kernel, set->kernel_n) > 0) {
    for (unsigned k = 0; k < set->kernel_n; k++) take_kernel(set, k);
  }
  int ready = 0;
  for (nfds_t i = 0; i < set->n; i++) ready += set->fds[i].revents != 0;
  return ready;
}

static int look(struct set *set, bool at_kernel) {
  int ready = look_at_sockets(set);
  if (ready == 0 && !at_kernel) return 0;
  return at_kernel || set->kernel_n > 0 ? look_at_kernel(set) : ready;
}

static void mark(struct set *set, struct mr_link *link, int waiter, bool on) {
  for (nfds_t i = 0; i < set->n; i++) {
    if (set->entries[i].kind == MR_FD_SOCKET) {
      mr_waiter_mark(link, set->entries[i].sock, waiter, on);
    }
  }
}

/* A companion that only holds the port, of a TCP socket that does not listen, would say at once that it is hung up. */
static bool may_hear(const struct mr_sock *sock) {
  return sock->companion >= 0 && sock->shared->kind != MR_KIND_TCP;
}

/* The kernel's own descriptors go into the second array; a negative one takes the place of none. */
static void list_kernels(struct set *set) {
  set->kernel_n = 0;
  for (nfds_t i = 0; i < set->n; i++) {
    struct pollfd *at = &set->fds[i];
    if (at->fd < 0) continue;
    struct pollfd kernel = {.fd = at->fd, .events = at->events};
    if (set->entries[i].kind == MR_FD_PRIVATE) kernel.fd = INT_MAX; /* POLLNVAL */
    if (set->entries[i].kind == MR_FD_SOCKET) {
      struct mr_sock *sock = set->entries[i].sock;
      bool is_kernels = mr_sock_is_kernels(sock);
      if (!is_kernels && (!may_hear(sock) || !(at->events & (POLLIN | POLLRDNORM)))) continue;
      kernel.fd = sock->companion;
      if (!is_kernels) kernel.events = POLLIN | POLLRDNORM;
    }
    set->from[set->kernel_n] = (unsigned)i;
    set->kernel[set->kernel_n++] = kernel;
  }
}

/* One sleep. 0, or a negated error number. */
static int sleep_once(struct set *set, struct mr_wait *wait, const sigset_t *mask) {
  if (wait->knows_death && !set->is_of_death) {
    list_kernels(set);
    set->is_of_death = true;
  }
  int waiter = wait->link == NULL ? -1 : mr_waiter_get(wait->link);
  int eventfd = waiter < 0 ? -1 : mr_thread.waiter_fd;
  int result = 0;
  if (waiter >= 0) {
    mark(set, wait->link, waiter, true);
    mr_waiter_arm(wait->link, waiter);
  }
  if (look(set, true) == 0) {
    /* With a mask, so that any handler counts: poll is not restarted. */
    sigset_t own;
    if (mask == NULL) mr_signal_mask(&own);
    result = mr_wait_sleep(wait, eventfd, set->kernel, set->kernel_n, mask == NULL ? &own : mask);
  }
  if (waiter >= 0) {
    mr_waiter_disarm(wait, waiter, eventfd);
    mark(set, wait->link, waiter, false);
  }
  return result < 0 ? result : 0;
}

static int wait_on(struct set *set, struct mr_wait *wait, const sigset_t *mask) {
  int ready;
  for (;;) {
    while (mr_wait_spin(wait)) {
      if ((ready = look(set, set->kernel_n > 0 && mr_wait_kernel_due(wait))) > 0) return ready;
      int stop = mr_wait_check(wait, true);
      if (stop < 0) return stop == -ETIMEDOUT ? look(set, true) : stop;
    }
    int stop = mr_wait_check(wait, true);
    if (stop == 0) stop = sleep_once(set, wait, mask);
    if ((ready = look(set, true)) > 0) return ready;
    if (stop == 0) stop = mr_wait_check(wait, true);
    if (stop < 0) return stop == -ETIMEDOUT ? 0 : stop;
  }
}

static int wait_for(struct set *set, int64_t timeout_ns, const sigset_t *mask) {
  int ready = look(set, true);
  if (ready > 0 || timeout_ns == 0) return ready;
  struct mr_wait wait;
  mr_wait_begin(&wait, timeout_ns);
  /* While it polls, too: the mask is the wait's, and a signal that it lets in ends the wait. */
  sigset_t old;
  if (mask != NULL && mr_allows(SYS_rt_sigprocmask)) sigprocmask(SIG_SETMASK, mask, &old);
  int result = wait_on(set, &wait, mask);
  if (mask != NULL && mr_allows(SYS_rt_sigprocmask)) sigprocmask(SIG_SETMASK, &old, NULL);
  return result;
}

static void sort_out(struct set *set) {
  for (nfds_t i = 0; i < set->n; i++) {
    struct pollfd *at = &set->fds[i];
    at->revents = 0;
    set->entries[i] = at->fd < 0 ? (struct mr_fd){.kind = MR_FD_PLAIN} : mr_fd_get(at->fd);
    /* In a child of fork: the waiter must be marked in its own session. */
    if (set->entries[i].kind == MR_FD_SOCKET) mr_sock_link(set->entries[i].sock, at->fd);
  }
  list_kernels(set);
}

/* Sets of up to FEW lie on the stack, larger ones in memory of their own. */
#define FEW 64
#define BYTES_EACH (2 * sizeof(struct pollfd) + sizeof(struct mr_fd) + sizeof(unsigned))

static int poll_copied(struct pollfd *fds, nfds_t n, int64_t timeout_ns, const sigset_t *mask) {
  char few[(FEW + 2) * BYTES_EACH] __attribute__((aligned(16)));
  size_t bytes = (n + 2) * BYTES_EACH;
  char *memory = few;
  if (n > FEW) {
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return -ENOMEM;
  }
  struct set set = {.n = n, .entries = (struct mr_fd *)memory};
  set.fds = (struct pollfd *)(set.entries + n + 2);
  set.kernel = set.fds + n + 2;
  set.from = (unsigned *)(set.kernel + n + 2);
  int result = mr_copy_from(set.fds, fds, n * sizeof *fds);
  if (result == 0) {
    sort_out(&set);
    result = wait_for(&set, timeout_ns, mask);
    for (nfds_t i = 0; i < n; i++) mr_fd_put(set.entries[i]);
  }
  for (nfds_t i = 0; i < n && result >= 0; i++) {
    if (mr_copy_to(&fds[i].revents, &set.fds[i].revents, sizeof(short)) < 0) result = -EFAULT;
  }
  if (n > FEW) munmap(memory, bytes);
  return result;
}

int mr_poll(struct pollfd *fds, nfds_t n, int64_t timeout_ns, const sigset_t *mask) {
  struct rlimit limit;
  if (n > FEW && mr_allows(SYS_prlimit64) && getrlimit(RLIMIT_NOFILE, &limit) == 0 && n > limit.rlim_cur) return mr_fail(EINVAL);
  int result = poll_copied(fds, n, timeout_ns, mask);
  return result < 0 ? mr_fail(-result) : result;
}

/* glibc declares the argument as written only. clang does not know the warning. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
EXPORT int poll(struct pollfd *fds, nfds_t n, int timeout_ms) {
  if (LIKELY(!is_ours(fds, n))) return real.poll(fds, n, timeout_ms);
  return mr_poll(fds, n, timeout_ms < 0 ? -1 : timeout_ms * 1000000ll, NULL);
}
EXPORT int __poll(struct pollfd *fds, nfds_t n, int timeout_ms) { return poll(fds, n, timeout_ms); }

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask) {
  if (LIKELY(!is_ours(fds, n))) return real.ppoll(fds, n, timeout, mask);
  struct timespec limit;
  if (timeout == NULL) return mr_poll(fds, n, -1, mask);
  if (mr_copy_from(&limit, timeout, sizeof limit) < 0) return mr_fail(EFAULT);
  int64_t ns = mr_timespec_ns(&limit);
  return ns < 0 ? mr_fail(EINVAL) : mr_poll(fds, n, ns, mask);
}
#pragma GCC diagnostic pop

extern void __chk_fail(void) __attribute__((noreturn));

EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t room) {
  if (n > room / sizeof *fds) __chk_fail();
  return poll(fds, n, timeout_ms);
}
EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
                       const sigset_t *mask, size_t room) {
  if (n > room / sizeof *fds) __chk_fail();
  return ppoll(fds, n, timeout, mask);
}
