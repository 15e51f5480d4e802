/* Sockets: making, naming, connecting, options. */
#include <stdarg.h>
#include <sys/ioctl.h>

#include "interpose.h"

static bool may_be_ours(int domain, int type) {
  int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
  return (domain == AF_INET || domain == AF_INET6) && (kind == SOCK_STREAM || kind == SOCK_DGRAM) &&
         mr_unaccelerated == 0;
}

EXPORT int socket(int domain, int type, int protocol) {
  if (may_be_ours(domain, type)) return mr_open_socket(domain, type, protocol);
  return mr_fresh_fd(MR_WITH_ROOM(real.socket(domain, type, protocol)));
}

EXPORT int __socket(int domain, int type, int protocol) { return socket(domain, type, protocol); }

EXPORT int socketpair(int domain, int type, int protocol, int pair[2]) {
  int result = MR_WITH_ROOM(real.socketpair(domain, type, protocol, pair));
  if (result == 0) {
    mr_fresh_fd(pair[0]);
    mr_fresh_fd(pair[1]);
  }
  return result;
}

/* Calls `on_sock` or `on_pending` with `entry`, or the kernel's. */
#define DISPATCH(fd, on_sock, on_pending, on_kernel)                          \
  enum mr_fd_kind kind = mr_fd_kind_of(fd);                                   \
  if (kind == MR_FD_PRIVATE) return mr_fail(EBADF);                           \
  if (kind != MR_FD_SOCKET && kind != MR_FD_PENDING) return on_kernel;        \
  struct mr_fd entry = mr_fd_get(fd);                                         \
  int result = entry.kind == MR_FD_SOCKET    ? on_sock                        \
               : entry.kind == MR_FD_PENDING ? on_pending                     \
                                             : on_kernel;                     \
  mr_fd_put(entry);                                                           \
  return result

/* What changes a socket's readiness without the engine's telling is told to its epoll instances. */
static int touched(struct mr_sock *sock, bool is_edge, int result) {
  int saved = errno;
  mr_epoll_touch(sock, is_edge);
  errno = saved;
  return result;
}

EXPORT int bind(int fd, const struct sockaddr *address, socklen_t bytes) {
  DISPATCH(fd, touched(entry.sock, false, mr_sock_bind(entry.sock, address, bytes)),
           mr_open_bind(fd, entry.pending, address, bytes), real.bind(fd, address, bytes));
}

EXPORT int listen(int fd, int backlog) {
  DISPATCH(fd, touched(entry.sock, false, mr_sock_listen(entry.sock, fd, backlog)),
           mr_open_listen(fd, entry.pending, backlog), real.listen(fd, backlog));
}

EXPORT int connect(int fd, const struct sockaddr *address, socklen_t bytes) {
  DISPATCH(fd, touched(entry.sock, false, mr_sock_connect(entry.sock, fd, address, bytes)),
           mr_open_connect(fd, entry.pending, address, bytes), real.connect(fd, address, bytes));
}

EXPORT int __connect(int fd, const struct sockaddr *address, socklen_t bytes) {
  return connect(fd, address, bytes);
}

EXPORT int shutdown(int fd, int how) {
  DISPATCH(fd, touched(entry.sock, true, mr_sock_shutdown(entry.sock, how)), real.shutdown(fd, how),
           real.shutdown(fd, how));
}

EXPORT int accept4(int fd, struct sockaddr *peer, socklen_t *bytes, int flags) {
  if (mr_fd_kind_of(fd) != MR_FD_SOCKET) {
    if (mr_fd_kind_of(fd) == MR_FD_PRIVATE) return mr_fail(EBADF);
    return mr_fresh_fd(MR_WITH_ROOM(real.accept4(fd, peer, bytes, flags)));
  }
  if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) return mr_fail(EINVAL);
  struct mr_fd entry = mr_fd_get(fd);
  int result = entry.kind == MR_FD_SOCKET
                   ? MR_WITH_ROOM(mr_accept(entry.sock, fd, peer, bytes, flags))
                   : mr_fresh_fd(MR_WITH_ROOM(real.accept4(fd, peer, bytes, flags)));
  mr_fd_put(entry);
  return result;
}

EXPORT int accept(int fd, struct sockaddr *peer, socklen_t *bytes) {
  return accept4(fd, peer, bytes, 0);
}

EXPORT int getsockname(int fd, struct sockaddr *address, socklen_t *bytes) {
  DISPATCH(fd, mr_sock_name(entry.sock, false, address, bytes), real.getsockname(fd, address, bytes),
           real.getsockname(fd, address, bytes));
}

EXPORT int getpeername(int fd, struct sockaddr *address, socklen_t *bytes) {
  DISPATCH(fd, mr_sock_name(entry.sock, true, address, bytes), real.getpeername(fd, address, bytes),
           real.getpeername(fd, address, bytes));
}

EXPORT int getsockopt(int fd, int level, int option, void *value, socklen_t *bytes) {
  if (level == MR_SOL_MILLRACE) return mr_opt_out_get(fd, option, value, bytes);
  DISPATCH(fd, mr_sock_getsockopt(entry.sock, level, option, value, bytes),
           mr_open_getsockopt(fd, entry.pending, level, option, value, bytes),
           real.getsockopt(fd, level, option, value, bytes));
}

EXPORT int setsockopt(int fd, int level, int option, const void *value, socklen_t bytes) {
  if (level == MR_SOL_MILLRACE) return mr_opt_out_set(fd, option, value, bytes);
  DISPATCH(fd, touched(entry.sock, false, mr_sock_setsockopt(entry.sock, fd, level, option, value, bytes)),
           mr_open_setsockopt(fd, entry.pending, level, option, value, bytes),
           real.setsockopt(fd, level, option, value, bytes));
}

EXPORT int sockatmark(int fd) {
  int is_there = 0;
  return ioctl(fd, SIOCATMARK, &is_there) < 0 ? -1 : is_there;
}

static int kernel_ioctl(int fd, unsigned long request, void *argument) {
  bool is_plain = (request & ~0xfful) != 0x8900 || mr_unaccelerated != 0; /* SIOCGIF* and others */
  return LIKELY(is_plain) ? real.ioctl(fd, request, argument) : mr_interfaces_ioctl(fd, request, argument);
}

EXPORT int ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  DISPATCH(fd, mr_sock_ioctl(entry.sock, fd, request, argument), kernel_ioctl(fd, request, argument),
           kernel_ioctl(fd, request, argument));
}
