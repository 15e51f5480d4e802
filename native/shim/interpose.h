/* What the interpose-*.c files share: they hold libc's names and no thought of their own. */
#ifndef MILLRACE_INTERPOSE_H
#define MILLRACE_INTERPOSE_H

#include <errno.h>

#include "real.h"
#include "shim.h"

#define EXPORT __attribute__((visibility("default")))
#define LIKELY(condition) __builtin_expect(!!(condition), 1)

/* resolver.c: not 0 while this thread is inside a resolver's call: its sockets stay with the kernel. */
extern __thread int mr_unaccelerated __attribute__((tls_model("initial-exec")));

/* poll.c. `timeout_ns` below 0 waits for ever; `mask` may be NULL. As ppoll. */
int mr_poll(struct pollfd *fds, nfds_t n, int64_t timeout_ns, const sigset_t *mask);
/* Whether it is accelerated, or an epoll instance with accelerated members: then mr_poll is needed. */
bool mr_poll_needs(int fd);
/* Nanoseconds of a timespec, -2 when it is not valid; longer ones than 292 years are those. */
int64_t mr_timespec_ns(const struct timespec *time);

/* epoll.c */
int mr_epoll_open(int epfd);
int mr_epoll_control(int epfd, int op, int fd, struct epoll_event *event);
int mr_epoll_wait_ns(int epfd, struct epoll_event *events, int max, int64_t timeout_ns,
                     const sigset_t *mask);
/* Whether it has accelerated members, itself or in instances inside. */
bool mr_epoll_is_ours(struct mr_epoll *epoll);
/* Whether epoll_wait on it would find something in the shim; from now on the kernel's instance is
 * readable when something comes, and with `rings` it is at once. */
bool mr_epoll_ready(struct mr_epoll *epoll, bool rings);
/* Its readiness may have changed by what this process did (connect, listen …); `is_edge`: in a way that
 * EPOLLET tells of (shutdown). */
void mr_epoll_touch(struct mr_sock *sock, bool is_edge);
void mr_epoll_before_fork(void);
void mr_epoll_after_fork(bool in_child);

/* interpose-stdio.c: 0, 1 or 2 is an accelerated socket now: stdin, stdout or stderr go through it. */
void mr_stdio_follow(int fd);

/* confine.c: seccomp(2) by its number. */
long mr_confine_by_seccomp(unsigned long operation, unsigned long flags, const void *program);

/* exec.c: descriptors that came from elsewhere, in a message. */
void mr_adopt_received(const struct msghdr *message);

/* A number that was just made by the kernel: whatever the table says of it is out of date. */
static inline int mr_fresh_fd(int fd) {
  if (fd >= 0 && mr_fd_kind_of(fd) != MR_FD_PLAIN) mr_fd_clear(fd);
  return fd;
}

/* A call that makes descriptors: once more if there was no room for them, and hidden copies had taken some. */
#define MR_WITH_ROOM(call)                                      \
  ({                                                            \
    __typeof__(call) made_ = (call);                            \
    if (!(made_ >= 0) && mr_spares_make_room()) made_ = (call); \
    made_;                                                      \
  })

static inline int mr_fail(int error) {
  errno = error;
  return -1;
}

#endif
