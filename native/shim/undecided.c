/*
 * Waiting for datagrams on a socket that has not been decided. Another thread's first send may decide it,
 * and a receiver that slept in the kernel on what the number stood for before would never wake: sockperf
 * under-load receives in one thread and sends in another. So it looks at the table now and then.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/time.h>

#include "open.h"

#define LOOK_MS 10

/* SO_RCVTIMEO in nanoseconds, or -1. */
static int64_t receive_timeout_ns(int fd) {
  struct timeval value = {0};
  socklen_t bytes = sizeof value;
  if (real.getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, &bytes) < 0) return -1;
  int64_t ns = value.tv_sec * 1000000000ll + value.tv_usec * 1000ll;
  return ns > 0 ? ns : -1;
}

int mr_undecided_wait(int fd, int flags) {
  int saved = errno;
  struct mr_wait wait;
  int ended = 0;
  int status = (int)real.fcntl(fd, F_GETFL, NULL);
  if ((flags & (MSG_DONTWAIT | MSG_ERRQUEUE)) || status < 0 || (status & O_NONBLOCK)) return 0;
  int64_t timeout_ns = receive_timeout_ns(fd);
  mr_wait_begin(&wait, timeout_ns);
  while (ended == 0 && mr_fd_kind_of(fd) == MR_FD_PENDING) {
    struct pollfd socket = {.fd = fd, .events = POLLIN};
    if (real.poll(&socket, 1, LOOK_MS) > 0) break;
    ended = mr_wait_check(&wait, timeout_ns >= 0);
  }
  errno = saved;
  if (ended == 0) return 0;
  errno = ended == -ETIMEDOUT ? EAGAIN : -ended;
  return -1;
}
