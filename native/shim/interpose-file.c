/*
 * sendfile and splice, by copying. Between two kernel descriptors the kernel does them. tee, vmsplice
 * and copy_file_range need nothing: the kernel refuses the socket pair as it does a socket.
 */
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "interpose.h"

#define CHUNK 16384              /* on the stack of whoever calls */
#define MOST ((size_t)0x7ffff000) /* MAX_RW_COUNT, as the kernel's calls */

/* What the ring to the engine takes without waiting, for one sender. */
static size_t room(const struct mr_sock *sock) {
  const struct mr_socket *shared = sock->shared;
  uint32_t used = __atomic_load_n(&shared->tx_tail, __ATOMIC_RELAXED) -
                  __atomic_load_n(&shared->tx_head, __ATOMIC_ACQUIRE);
  return used < shared->tx_bytes ? shared->tx_bytes - used : 0;
}

/* From the file at *at; less than n at its end, or when the socket takes no more. */
static ssize_t send_from_file(struct mr_sock *sock, int out, int in, off64_t *at, size_t n) {
  char bytes[CHUNK];
  size_t sent = 0;
  while (sent < n) {
    size_t wanted = n - sent < CHUNK ? n - sent : CHUNK;
    ssize_t got = pread64(in, bytes, wanted, *at);
    if (got == 0) break;
    if (got < 0) return sent > 0 ? (ssize_t)sent : got;
    ssize_t taken = mr_send(sock, out, bytes, (size_t)got, sent + (size_t)got < n ? MSG_MORE : 0, NULL, 0);
    if (taken < 0) return sent > 0 ? (ssize_t)sent : taken;
    sent += (size_t)taken;
    *at += taken;
    if (taken < got) break;
  }
  return (ssize_t)sent;
}

static ssize_t send_file(struct mr_sock *sock, int out, int in, off64_t *offset, size_t n) {
  struct stat64 what;
  off64_t at;
  if (fstat64(in, &what) < 0) return -1;
  if (!S_ISREG(what.st_mode) && !S_ISBLK(what.st_mode)) return mr_fail(EINVAL);
  if (offset != NULL) {
    if (mr_copy_from(&at, offset, sizeof at) < 0) return mr_fail(EFAULT);
  } else if ((at = lseek64(in, 0, SEEK_CUR)) < 0) {
    return -1;
  }
  if (at < 0) return mr_fail(EINVAL);
  ssize_t sent = send_from_file(sock, out, in, &at, n < MOST ? n : MOST);
  if (sent < 0) return sent;
  if (offset == NULL) lseek64(in, at, SEEK_SET);
  else if (mr_copy_to(offset, &at, sizeof at) < 0) return mr_fail(EFAULT);
  return sent;
}

EXPORT ssize_t sendfile64(int out, int in, off64_t *offset, size_t n) {
  if (mr_fd_kind_of(in) == MR_FD_PRIVATE || mr_fd_kind_of(out) == MR_FD_PRIVATE) return mr_fail(EBADF);
  if (mr_fd_kind_of(out) != MR_FD_SOCKET) return real.sendfile64(out, in, offset, n);
  struct mr_fd entry = mr_fd_get(out);
  ssize_t result = entry.kind == MR_FD_SOCKET ? send_file(entry.sock, out, in, offset, n)
                                              : real.sendfile64(out, in, offset, n);
  mr_fd_put(entry);
  return result;
}
EXPORT ssize_t sendfile(int out, int in, off_t *offset, size_t n) {
  return sendfile64(out, in, offset, n);
}

/* ---- splice -------------------------------------------------------------------------------------- */

static bool is_pipe(int fd) {
  struct stat64 what;
  return fstat64(fd, &what) == 0 && S_ISFIFO(what.st_mode);
}

static bool is_nonblocking(int fd) {
  int flags = real.fcntl(fd, F_GETFL, NULL);
  return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

/* What is taken from the pipe cannot be given back, so no more is taken than the ring has room for. */
static ssize_t pipe_to_socket(int in, struct mr_sock *sock, int out, size_t n, unsigned flags) {
  char bytes[CHUNK];
  size_t moved = 0;
  bool waits = !(flags & SPLICE_F_NONBLOCK);
  while (moved < n) {
    struct pollfd readable = {.fd = in, .events = POLLIN};
    bool may_wait = waits && moved == 0 && !is_nonblocking(in);
    if (real.poll(&readable, 1, may_wait ? -1 : 0) < 0) break;
    if (readable.revents == 0) {
      errno = EAGAIN;
      break;
    }
    struct pollfd writable = {.fd = out, .events = POLLOUT};
    bool socket_waits = waits && !sock->shared->nonblock;
    if (mr_poll(&writable, 1, socket_waits ? -1 : 0, NULL) < 0) break;
    size_t wanted = room(sock);
    if (wanted > n - moved) wanted = n - moved;
    if (wanted > CHUNK) wanted = CHUNK;
    if (wanted == 0 && !(writable.revents & (POLLERR | POLLHUP))) {
      errno = EAGAIN;
      break;
    }
    ssize_t got = real.read(in, bytes, wanted > 0 ? wanted : 1);
    if (got == 0) return (ssize_t)moved;
    if (got < 0) break;
    size_t sent = 0;
    while (sent < (size_t)got) {
      ssize_t taken = mr_send(sock, out, bytes + sent, (size_t)got - sent,
                              flags & SPLICE_F_MORE ? MSG_MORE : 0, NULL, 0);
      if (taken < 0 && errno != EAGAIN && errno != EINTR) return moved > 0 ? (ssize_t)moved : -1;
      if (taken < 0) mr_poll(&writable, 1, -1, NULL);
      else sent += (size_t)taken;
    }
    moved += sent;
  }
  return moved > 0 ? (ssize_t)moved : -1;
}

/* Looked at, written, then taken: what the pipe does not take stays in the socket. As the kernel,
 * it gives what is there and does not wait for more. */
static ssize_t socket_to_pipe(struct mr_sock *sock, int in, int out, size_t n, unsigned flags) {
  char bytes[CHUNK];
  size_t moved = 0;
  while (moved < n) {
    int told = MSG_PEEK | (moved > 0 || (flags & SPLICE_F_NONBLOCK) ? MSG_DONTWAIT : 0);
    size_t wanted = n - moved < PIPE_BUF ? n - moved : PIPE_BUF;
    ssize_t got = mr_recv(sock, in, bytes, wanted, told, NULL, NULL);
    if (got == 0) return (ssize_t)moved;
    if (got < 0) break;
    struct pollfd writable = {.fd = out, .events = POLLOUT};
    bool may_wait = moved == 0 && !(flags & SPLICE_F_NONBLOCK) && !is_nonblocking(out);
    if (real.poll(&writable, 1, may_wait ? -1 : 0) < 0) break;
    if (writable.revents == 0) {
      errno = EAGAIN;
      break;
    }
    ssize_t taken = real.write(out, bytes, (size_t)got);
    if (taken < 0) break;
    mr_recv(sock, in, bytes, (size_t)taken, MSG_DONTWAIT, NULL, NULL);
    moved += (size_t)taken;
    if (taken < got) break;
  }
  return moved > 0 ? (ssize_t)moved : -1;
}

static ssize_t splice_ours(struct mr_fd from, int in, off64_t *in_at, struct mr_fd to, int out,
                           off64_t *out_at, size_t n, unsigned flags) {
  if (n == 0) return 0;
  if (n > MOST) n = MOST;
  if (flags & ~(unsigned)(SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)) {
    return mr_fail(EINVAL);
  }
  if (to.kind == MR_FD_SOCKET && is_pipe(in)) {
    if (in_at != NULL) return mr_fail(ESPIPE);
    if (out_at != NULL) return mr_fail(EINVAL);
    return pipe_to_socket(in, to.sock, out, n, flags);
  }
  if (from.kind == MR_FD_SOCKET && is_pipe(out)) {
    if (out_at != NULL) return mr_fail(ESPIPE);
    if (in_at != NULL) return mr_fail(EINVAL);
    return socket_to_pipe(from.sock, in, out, n, flags);
  }
  return real.splice(in, in_at, out, out_at, n, flags);
}

EXPORT ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t n, unsigned flags) {
  enum mr_fd_kind from_kind = mr_fd_kind_of(in), to_kind = mr_fd_kind_of(out);
  if (from_kind == MR_FD_PRIVATE || to_kind == MR_FD_PRIVATE) return mr_fail(EBADF);
  if (from_kind != MR_FD_SOCKET && to_kind != MR_FD_SOCKET) {
    return real.splice(in, in_at, out, out_at, n, flags);
  }
  struct mr_fd from = mr_fd_get(in), to = mr_fd_get(out);
  ssize_t result = splice_ours(from, in, in_at, to, out, out_at, n, flags);
  mr_fd_put(from);
  mr_fd_put(to);
  return result;
}
