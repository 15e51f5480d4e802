/* The names of epoll. */
#include "interpose.h"

EXPORT int epoll_create(int size) { return mr_epoll_open(MR_WITH_ROOM(real.epoll_create(size))); }
EXPORT int epoll_create1(int flags) { return mr_epoll_open(MR_WITH_ROOM(real.epoll_create1(flags))); }

EXPORT int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event) {
  return mr_epoll_control(epfd, op, fd, event);
}

static int64_t ns_of_ms(int ms) { return ms < 0 ? -1 : ms * 1000000ll; }

EXPORT int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms) {
  return mr_epoll_wait_ns(epfd, events, max, ns_of_ms(timeout_ms), NULL);
}

EXPORT int epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout_ms,
                       const sigset_t *mask) {
  return mr_epoll_wait_ns(epfd, events, max, ns_of_ms(timeout_ms), mask);
}

EXPORT int epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec *timeout,
                        const sigset_t *mask) {
  struct timespec limit;
  if (timeout == NULL) return mr_epoll_wait_ns(epfd, events, max, -1, mask);
  if (mr_copy_from(&limit, timeout, sizeof limit) < 0) return mr_fail(EFAULT);
  int64_t ns = mr_timespec_ns(&limit);
  return ns < 0 ? mr_fail(EINVAL) : mr_epoll_wait_ns(epfd, events, max, ns, mask);
}
