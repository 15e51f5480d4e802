/* Reading and writing. What is not accelerated costs a look at the table. */
#include <limits.h>
#include <string.h>

#include "interpose.h"

/* The rest of a function for descriptors that are not accelerated. */
#define ELSE_REAL(fd, call) ELSE_REAL_AFTER(fd, 0, call)

/* The same where a thread may wait for data: `wait` says -1 and errno when it is to end. */
#define ELSE_REAL_IN(fd, flags, call) \
  ELSE_REAL_AFTER(fd, kind == MR_FD_PENDING ? mr_undecided_wait(fd, flags) : 0, call)

#define ELSE_REAL_AFTER(fd, wait, call)                   \
  enum mr_fd_kind kind = mr_fd_kind_of(fd);               \
  if (LIKELY(kind != MR_FD_SOCKET)) {                     \
    if (kind == MR_FD_PRIVATE) return mr_fail(EBADF);     \
    if ((wait) != 0) return -1;                           \
    if (kind != MR_FD_PENDING || mr_fd_kind_of(fd) != MR_FD_SOCKET) return call; \
  }                                                       \
  struct mr_fd entry = mr_fd_get(fd);                     \
  if (entry.kind != MR_FD_SOCKET) {                       \
    mr_fd_put(entry);                                     \
    return call;                                          \
  }

#define RETURN_PUT(type, call) \
  type result = call;          \
  mr_fd_put(entry);            \
  return result

/* glibc's: says "buffer overflow detected" and aborts. */
extern void __chk_fail(void) __attribute__((noreturn));

/* ---- Out of sockets ------------------------------------------------------------------------------ */

EXPORT ssize_t read(int fd, void *bytes, size_t n) {
  ELSE_REAL_IN(fd, 0, real.read(fd, bytes, n))
  /* The kernel looks at no socket for no bytes; recv does. */
  RETURN_PUT(ssize_t, n == 0 ? 0 : mr_recv(entry.sock, fd, bytes, n, 0, NULL, NULL));
}

EXPORT ssize_t __read(int fd, void *bytes, size_t n) { return read(fd, bytes, n); }

EXPORT ssize_t __read_chk(int fd, void *bytes, size_t n, size_t room) {
  if (n > room) __chk_fail();
  return read(fd, bytes, n);
}

EXPORT ssize_t recv(int fd, void *bytes, size_t n, int flags) {
  ELSE_REAL_IN(fd, flags, real.recv(fd, bytes, n, flags))
  RETURN_PUT(ssize_t, mr_recv(entry.sock, fd, bytes, n, flags, NULL, NULL));
}

EXPORT ssize_t __recv_chk(int fd, void *bytes, size_t n, size_t room, int flags) {
  if (n > room) __chk_fail();
  return recv(fd, bytes, n, flags);
}

EXPORT ssize_t recvfrom(int fd, void *bytes, size_t n, int flags, struct sockaddr *from,
                        socklen_t *from_bytes) {
  ELSE_REAL_IN(fd, flags, real.recvfrom(fd, bytes, n, flags, from, from_bytes))
  RETURN_PUT(ssize_t, mr_recv(entry.sock, fd, bytes, n, flags, from, from_bytes));
}

EXPORT ssize_t __recvfrom_chk(int fd, void *bytes, size_t n, size_t room, int flags,
                              struct sockaddr *from, socklen_t *from_bytes) {
  if (n > room) __chk_fail();
  return recvfrom(fd, bytes, n, flags, from, from_bytes);
}

EXPORT ssize_t readv(int fd, const struct iovec *parts, int n) {
  ELSE_REAL_IN(fd, 0, real.readv(fd, parts, n))
  RETURN_PUT(ssize_t, mr_recv_vector(entry.sock, fd, parts, n, 0));
}

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100
#endif
#define RWF_KNOWN (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND | RWF_NOAPPEND)

/* Position -1 means "the stream's own": the only one a socket has. pread and preadv need no help: the
 * kernel says ESPIPE of the socket pair as of a socket. */
static ssize_t check_vector(off64_t at, int flags) {
  if (at != -1) return mr_fail(at < 0 ? EINVAL : ESPIPE);
  if (flags & ~(RWF_KNOWN | RWF_NOSIGNAL)) return mr_fail(EOPNOTSUPP);
  return 0;
}

EXPORT ssize_t preadv64v2(int fd, const struct iovec *parts, int n, off64_t at, int flags) {
  ELSE_REAL(fd, real.preadv64v2(fd, parts, n, at, flags))
  ssize_t result = check_vector(at, flags);
  if (result == 0) {
    result = mr_recv_vector(entry.sock, fd, parts, n, flags & RWF_NOWAIT ? MSG_DONTWAIT : 0);
  }
  mr_fd_put(entry);
  return result;
}
EXPORT ssize_t preadv2(int fd, const struct iovec *parts, int n, off_t at, int flags) {
  return preadv64v2(fd, parts, n, at, flags);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  enum mr_fd_kind kind = mr_fd_kind_of(fd);
  if (kind == MR_FD_PENDING) {
    if (mr_undecided_wait(fd, flags) != 0) return -1;
    kind = mr_fd_kind_of(fd);
  }
  if (kind == MR_FD_SOCKET) {
    struct mr_fd entry = mr_fd_get(fd);
    if (entry.kind == MR_FD_SOCKET) {
      RETURN_PUT(ssize_t, mr_recvmsg(entry.sock, fd, message, flags));
    }
    mr_fd_put(entry);
  }
  if (kind == MR_FD_PRIVATE) return mr_fail(EBADF);
  ssize_t n = real.recvmsg(fd, message, flags);
  if (n >= 0 && message->msg_controllen > 0) mr_adopt_received(message);
  return n;
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* As the kernel's: time over is looked at after each datagram, and an error that follows some
 * datagrams is told the next time. */
static int receive_many(struct mr_sock *sock, int fd, struct mmsghdr *messages, unsigned n, int flags,
                        struct timespec *timeout) {
  struct timespec limit;
  int64_t until = INT64_MAX;
  if (timeout != NULL) {
    if (mr_copy_from(&limit, timeout, sizeof limit) < 0) return mr_fail(EFAULT);
    int64_t ns = mr_timespec_ns(&limit);
    if (ns < 0) return mr_fail(EINVAL);
    until = now_ns() + ns < 0 ? INT64_MAX : now_ns() + ns;
  }
  if (n > IOV_MAX) n = IOV_MAX;
  unsigned done = 0;
  int saved = errno;
  while (done < n) {
    ssize_t got = mr_recvmsg(sock, fd, &messages[done].msg_hdr, flags & ~MSG_WAITFORONE);
    if (got < 0) break;
    unsigned length = (unsigned)got;
    if (mr_copy_to(&messages[done].msg_len, &length, sizeof length) < 0) return mr_fail(EFAULT);
    done++;
    if (flags & MSG_WAITFORONE) flags |= MSG_DONTWAIT;
    if (until != INT64_MAX && now_ns() >= until) break;
    if (messages[done - 1].msg_hdr.msg_flags & MSG_OOB) break;
  }
  if (timeout != NULL && done > 0) {
    int64_t left = until == INT64_MAX ? 0 : until - now_ns();
    if (left < 0) left = 0;
    struct timespec rest = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    mr_copy_to(timeout, &rest, sizeof rest);
  }
  if (done == 0 && n > 0) return -1;
  errno = saved;
  return (int)done;
}

EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags,
                    struct timespec *timeout) {
  enum mr_fd_kind kind = mr_fd_kind_of(fd);
  if (kind == MR_FD_SOCKET) {
    struct mr_fd entry = mr_fd_get(fd);
    if (entry.kind == MR_FD_SOCKET) {
      RETURN_PUT(int, receive_many(entry.sock, fd, messages, n, flags, timeout));
    }
    mr_fd_put(entry);
  }
  if (kind == MR_FD_PRIVATE) return mr_fail(EBADF);
  int got = real.recvmmsg(fd, messages, n, flags, timeout);
  for (int i = 0; i < got; i++) {
    if (messages[i].msg_hdr.msg_controllen > 0) mr_adopt_received(&messages[i].msg_hdr);
  }
  return got;
}

/* ---- Into sockets -------------------------------------------------------------------------------- */

EXPORT ssize_t write(int fd, const void *bytes, size_t n) {
  ELSE_REAL(fd, real.write(fd, bytes, n))
  RETURN_PUT(ssize_t, mr_send(entry.sock, fd, bytes, n, 0, NULL, 0));
}

EXPORT ssize_t __write(int fd, const void *bytes, size_t n) { return write(fd, bytes, n); }

EXPORT ssize_t send(int fd, const void *bytes, size_t n, int flags) {
  ELSE_REAL(fd, real.send(fd, bytes, n, flags))
  RETURN_PUT(ssize_t, mr_send(entry.sock, fd, bytes, n, flags, NULL, 0));
}

EXPORT ssize_t __send(int fd, const void *bytes, size_t n, int flags) {
  return send(fd, bytes, n, flags);
}

/*
 * The first address that a socket sends to decides who carries it; the table says what became of it. A
 * stream that opens with data (MSG_FASTOPEN) connects, as it would without a cookie: false when that fails, or nobody
 * can carry it.
 */
static bool decide(int fd, const struct sockaddr *to, socklen_t to_bytes, int *flags) {
  struct mr_fd entry = mr_fd_get(fd);
  bool is_open = true;
  if (entry.kind == MR_FD_PENDING && mr_unaccelerated == 0) {
    bool opens = (*flags & MSG_FASTOPEN) != 0 && entry.pending->type == SOCK_STREAM;
    if (opens) {
      is_open = mr_open_connect(fd, entry.pending, to, to_bytes) == 0;
      *flags &= ~MSG_FASTOPEN;
    }
    if (!opens) is_open = mr_open_send(fd, entry.pending, to, to_bytes) == 0;
  }
  mr_fd_put(entry);
  return is_open;
}

EXPORT ssize_t sendto(int fd, const void *bytes, size_t n, int flags, const struct sockaddr *to,
                      socklen_t to_bytes) {
  if (mr_fd_kind_of(fd) == MR_FD_PENDING && to != NULL) {
    if (!decide(fd, to, to_bytes, &flags)) return -1;
  }
  ELSE_REAL(fd, real.sendto(fd, bytes, n, flags, to, to_bytes))
  RETURN_PUT(ssize_t, mr_send(entry.sock, fd, bytes, n, flags, to, to_bytes));
}

static bool decide_message(int fd, const struct msghdr *message, int *flags) {
  struct msghdr copy;
  if (mr_copy_from(&copy, message, sizeof copy) < 0 || copy.msg_name == NULL) return true;
  return decide(fd, copy.msg_name, copy.msg_namelen, flags);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  if (mr_fd_kind_of(fd) == MR_FD_PENDING) {
    if (!decide_message(fd, message, &flags)) return -1;
  }
  if (mr_fd_kind_of(fd) != MR_FD_SOCKET) mr_spares_passing(message);
  ELSE_REAL(fd, real.sendmsg(fd, message, flags))
  RETURN_PUT(ssize_t, mr_sendmsg(entry.sock, fd, message, flags));
}

static int send_many(struct mr_sock *sock, int fd, struct mmsghdr *messages, unsigned n, int flags) {
  if (n > IOV_MAX) n = IOV_MAX;
  unsigned done = 0;
  while (done < n) {
    ssize_t sent = mr_sendmsg(sock, fd, &messages[done].msg_hdr, flags);
    if (sent < 0) break;
    unsigned length = (unsigned)sent;
    if (mr_copy_to(&messages[done].msg_len, &length, sizeof length) < 0) return mr_fail(EFAULT);
    done++;
  }
  return done > 0 || n == 0 ? (int)done : -1;
}

int __sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags);
EXPORT int __sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags) {
  return sendmmsg(fd, messages, n, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags) {
  if (mr_fd_kind_of(fd) == MR_FD_PENDING && n > 0) {
    if (!decide_message(fd, &messages[0].msg_hdr, &flags)) return -1;
  }
  for (unsigned i = 0; i < n && mr_fd_kind_of(fd) != MR_FD_SOCKET; i++) mr_spares_passing(&messages[i].msg_hdr);
  ELSE_REAL(fd, real.sendmmsg(fd, messages, n, flags))
  RETURN_PUT(int, send_many(entry.sock, fd, messages, n, flags));
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int n) {
  ELSE_REAL(fd, real.writev(fd, parts, n))
  RETURN_PUT(ssize_t, mr_send_vector(entry.sock, fd, parts, n, 0));
}

EXPORT ssize_t pwritev64v2(int fd, const struct iovec *parts, int n, off64_t at, int flags) {
  ELSE_REAL(fd, real.pwritev64v2(fd, parts, n, at, flags))
  ssize_t result = check_vector(at, flags);
  int told = (flags & RWF_NOWAIT ? MSG_DONTWAIT : 0) | (flags & RWF_NOSIGNAL ? MSG_NOSIGNAL : 0);
  if (result == 0) result = mr_send_vector(entry.sock, fd, parts, n, told);
  mr_fd_put(entry);
  return result;
}
EXPORT ssize_t pwritev2(int fd, const struct iovec *parts, int n, off_t at, int flags) {
  return pwritev64v2(fd, parts, n, at, flags);
}
