/* send, recv, sendmsg and recvmsg of accelerated sockets: which ring, or the companion. */
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include "core.h"

/* ---- Sending ---------------------------------------------------------------------------------------- */

static ssize_t stream_result(ssize_t result, int flags) {
  if (MR_UNLIKELY(result == -EPIPE) && !(flags & MSG_NOSIGNAL)) mr_raise_sigpipe();
  return mr_return(result);
}

/* The destination, if one is given. 1 there is one, 0 there is none, or a negated error number. */
static int destination(struct mr_sock *sock, const struct sockaddr *to, socklen_t bytes,
                       struct mr_address *out) {
  if (to == NULL || bytes == 0) return 0;
  struct sockaddr_storage storage;
  int failed = mr_sockaddr_read(&storage, to, bytes);
  if (failed != 0) return failed;
  uint16_t family = sock->shared->family;
  bool is_unspecified = storage.ss_family == AF_UNSPEC;
  /* AF_UNSPEC means AF_INET to AF_INET sockets, and no destination to AF_INET6 ones. */
  if (is_unspecified && family == AF_INET) storage.ss_family = AF_INET;
  if (is_unspecified && family == AF_INET6) return 0;
  failed = mr_address_from(out, (struct sockaddr *)&storage, bytes, family);
  if (failed != 0) return failed;
  return 1;
}

static bool asks_who_carries(const struct mr_sock *sock, const struct mr_address *to) {
  return to != NULL || sock->companion_peer || mr_sock_is_kernels(sock);
}

/* The engine was found to be dead just now: the companion carries it. */
static bool has_become_kernels(const struct mr_sock *sock, ssize_t result) {
  return MR_UNLIKELY(result == -EPIPE) && mr_sock_is_kernels(sock);
}

ssize_t mr_send(struct mr_sock *sock, int fd, const void *bytes, size_t n, int flags,
                const struct sockaddr *to, socklen_t to_bytes) {
  struct mr_cursor from = mr_cursor_of(bytes, n);
  if (mr_sock_is_stream(sock)) return stream_result(mr_stream_send(sock, fd, &from, n, flags), flags);
  struct mr_address address;
  int given = to == NULL ? 0 : destination(sock, to, to_bytes, &address);
  if (given < 0) return mr_return(given);
  const struct mr_address *peer = given ? &address : NULL;
  int carrier = asks_who_carries(sock, peer) ? mr_companion_carries(sock, fd, peer) : 0;
  if (carrier < 0) return mr_return(carrier);
  ssize_t sent = carrier > 0 ? 0 : mr_datagram_send(sock, fd, &from, n, flags, peer, NULL);
  if (carrier == 0 && !has_become_kernels(sock, sent)) return mr_return(sent);
  int how = flags | (mr_load(&sock->shared->nonblock) ? MSG_DONTWAIT : 0);
  return real.sendto(sock->companion, bytes, n, how, to, to_bytes);
}

/* UDP_SEGMENT: one message, many datagrams. */
static ssize_t send_segments(struct mr_sock *sock, int fd, struct mr_cursor *from, size_t n, int flags,
                             const struct mr_address *to, const struct mr_ancillary *ancillary,
                             uint16_t segment_bytes) {
  size_t done = 0;
  while (done < n) {
    size_t part = n - done < segment_bytes ? n - done : segment_bytes;
    ssize_t sent = mr_datagram_send(sock, fd, from, part, flags, to, ancillary);
    if (sent < 0) return done > 0 ? (ssize_t)done : sent;
    done += part;
  }
  return (ssize_t)done;
}

static ssize_t send_own_message(struct mr_sock *sock, int fd, const struct msghdr *message, struct mr_cursor *from,
                                size_t n, int flags, const struct mr_address *to) {
  struct mr_ancillary ancillary = {0};
  uint16_t segment_bytes = 0;
  int failed = mr_ancillary_read(sock, message, &ancillary, &segment_bytes);
  if (failed != 0) return failed;
  if (segment_bytes != 0 && n > segment_bytes) {
    if (n > (size_t)segment_bytes * MR_MOST_SEGMENTS) return -EINVAL;
    return send_segments(sock, fd, from, n, flags, to, &ancillary, segment_bytes);
  }
  return mr_datagram_send(sock, fd, from, n, flags, to, &ancillary);
}

static ssize_t send_datagram_message(struct mr_sock *sock, int fd, const struct msghdr *message,
                                     struct mr_cursor *from, size_t n, int flags) {
  struct mr_address address;
  int given = destination(sock, message->msg_name, message->msg_namelen, &address);
  if (given < 0) return given;
  const struct mr_address *to = given ? &address : NULL;
  int carrier = asks_who_carries(sock, to) ? mr_companion_carries(sock, fd, to) : 0;
  if (carrier < 0) return carrier;
  ssize_t sent = carrier > 0 ? 0 : send_own_message(sock, fd, message, from, n, flags, to);
  if (carrier == 0 && !has_become_kernels(sock, sent)) return sent;
  int how = flags | (mr_load(&sock->shared->nonblock) ? MSG_DONTWAIT : 0);
  sent = real.sendmsg(sock->companion, message, how);
  return sent < 0 ? -errno : sent;
}

static ssize_t send_message(struct mr_sock *sock, int fd, const struct msghdr *header, struct mr_cursor *from,
                            size_t n, int flags) {
  if (!mr_sock_is_stream(sock)) {
    return mr_return(send_datagram_message(sock, fd, header, from, n, flags));
  }
  struct mr_ancillary unused = {0};
  uint16_t no_segments = 0;
  int failed = mr_ancillary_read(sock, header, &unused, &no_segments);
  if (failed != 0) return mr_return(failed);
  return stream_result(mr_stream_send(sock, fd, from, n, flags), flags);
}

ssize_t mr_sendmsg(struct mr_sock *sock, int fd, const struct msghdr *message, int flags) {
  struct msghdr header;
  struct mr_cursor from;
  if (mr_copy_from(&header, message, sizeof header) != 0) return mr_return(-EFAULT);
  ssize_t n = mr_cursor_open(&from, header.msg_iov, header.msg_iovlen);
  return n < 0 ? mr_return(n) : send_message(sock, fd, &header, &from, (size_t)n, flags);
}

ssize_t mr_send_vector(struct mr_sock *sock, int fd, const struct iovec *parts, int n, int flags) {
  struct msghdr header = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)n};
  struct mr_cursor from;
  if (n < 0 || n > IOV_MAX) return mr_return(-EINVAL);
  ssize_t bytes = mr_cursor_open(&from, parts, (size_t)n);
  return bytes <= 0 ? mr_return(bytes) : send_message(sock, fd, &header, &from, (size_t)bytes, flags);
}

/* ---- Receiving -------------------------------------------------------------------------------------- */

/* Where a datagram goes: into a plain buffer, or into what a msghdr names. */
struct receiving {
  struct mr_cursor to;
  size_t n;
  void *bytes;              /* the plain buffer ... */
  struct sockaddr *from;
  socklen_t *from_bytes;
  struct msghdr *message;   /* ... or the program's own msghdr */
  struct mr_received received;
  bool by_companion;        /* all of it is already where it belongs */
};

static ssize_t from_companion(struct mr_sock *sock, struct receiving *wanted, int flags) {
  int saved = errno;
  int how = (flags & ~MSG_WAITALL) | MSG_DONTWAIT;
  ssize_t n = wanted->message != NULL
                  ? real.recvmsg(sock->companion, wanted->message, how)
                  : real.recvfrom(sock->companion, wanted->bytes, wanted->n, how, wanted->from,
                                  wanted->from_bytes);
  if (n >= 0) {
    wanted->by_companion = true;
    atomic_store_explicit(&sock->looks, 0, memory_order_relaxed);
    return n;
  }
  n = -errno;
  errno = saved;
  return n;
}

static int pending_error(struct mr_sock *sock) {
  bool is_dead = atomic_load_explicit(&mr_engine_is_dead, memory_order_relaxed);
  if (MR_LIKELY(__atomic_load_n(&sock->shared->error, __ATOMIC_RELAXED) == 0 && !is_dead)) return 0;
  return mr_sock_take_error(sock);
}

static ssize_t recv_datagram(struct mr_sock *sock, int fd, struct receiving *wanted, int flags) {
  struct mr_socket *shared = sock->shared;
  struct mr_wait wait;
  bool waits = false;
  int unjoined = mr_sock_join(sock, fd);
  if (MR_UNLIKELY(unjoined != 0)) return unjoined;
  for (;;) {
    uint32_t seen = mr_sock_seen(sock);
    int error = pending_error(sock);
    if (error != 0) return -error;
    ssize_t result;
    bool is_kernels = mr_sock_is_kernels(sock);
    if (mr_companion_first(sock) || is_kernels) {
      result = from_companion(sock, wanted, flags);
      if (result != -EAGAIN || (flags & MSG_ERRQUEUE)) return result;
    }
    result = mr_datagram_take(sock, &wanted->to, wanted->n, flags, &wanted->received);
    if (MR_LIKELY(result != -EAGAIN)) return result;
    bool must_not_wait = (flags & MSG_DONTWAIT) || mr_load(&shared->nonblock);
    if (must_not_wait) {
      if (!is_kernels && mr_companion_after_miss(sock)) return from_companion(sock, wanted, flags);
      mr_sock_missed(sock);
      return -EAGAIN;
    }
    if (mr_load(&shared->shut) & 1) return 0;
    if (!waits) mr_wait_begin(&wait, mr_timeout(shared->rcvtimeo_ns));
    waits = true;
    int failed = mr_wait_change(&wait, sock, seen, sock->companion);
    if (failed != 0) return failed == -ETIMEDOUT ? -EAGAIN : failed;
  }
}

/* Of a socket that goes on with the kernel, MSG_ERRQUEUE is the companion's. */
static bool has_kernels_errors(const struct mr_sock *sock) {
  return mr_sock_is_kernels(sock) && !mr_sock_is_stream(sock);
}

/* The sender's address, to the program. */
static int give_from(struct mr_sock *sock, const struct mr_address *address, struct sockaddr *from,
                     socklen_t *from_bytes) {
  struct sockaddr_storage storage;
  socklen_t length = 0;
  if (address->family != 0) length = mr_address_to(&storage, address, sock->shared->family);
  return mr_sockaddr_write(&storage, length, from, from_bytes);
}

ssize_t mr_recv(struct mr_sock *sock, int fd, void *bytes, size_t n, int flags, struct sockaddr *from,
                socklen_t *from_bytes) {
  struct receiving wanted = {.to = mr_cursor_of(bytes, n), .n = n, .bytes = bytes};
  wanted.from = from;
  wanted.from_bytes = from_bytes;
  ssize_t result;
  if (MR_UNLIKELY(flags & MSG_ERRQUEUE) && !has_kernels_errors(sock)) {
    struct msghdr none = {0};
    result = mr_error_recv(sock, fd, &none, &wanted.to, n, &wanted.received);
  } else if (mr_sock_is_stream(sock)) {
    result = mr_stream_recv(sock, fd, &wanted.to, n, flags);
  } else {
    result = recv_datagram(sock, fd, &wanted, flags);
  }
  if (result < 0) return mr_return(result);
  if (from == NULL || wanted.by_companion) return result;
  int failed = give_from(sock, &wanted.received.from, from, from_bytes);
  return failed != 0 ? mr_return(failed) : result;
}

static int give_message(struct mr_sock *sock, struct msghdr *header, struct msghdr *message, int flags,
                        struct mr_received *received) {
  int failed = 0;
  if (header->msg_name != NULL) {
    struct sockaddr_storage storage;
    socklen_t length = 0;
    if (received->from.family != 0) {
      length = mr_address_to(&storage, &received->from, sock->shared->family);
    }
    socklen_t part = header->msg_namelen < length ? header->msg_namelen : length;
    if (part > 0) failed = mr_copy_to(header->msg_name, &storage, part);
    header->msg_namelen = length;
  }
  header->msg_flags = received->flags | (flags & MSG_CMSG_CLOEXEC);
  return failed != 0 ? failed : mr_copy_to(message, header, sizeof *header);
}

ssize_t mr_recv_vector(struct mr_sock *sock, int fd, const struct iovec *parts, int n, int flags) {
  struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)n};
  struct mr_cursor looked_at;
  if (n < 0 || n > IOV_MAX) return mr_return(-EINVAL);
  ssize_t bytes = mr_cursor_open(&looked_at, parts, (size_t)n);
  return bytes <= 0 ? mr_return(bytes) : mr_recvmsg(sock, fd, &message, flags);
}

ssize_t mr_recvmsg(struct mr_sock *sock, int fd, struct msghdr *message, int flags) {
  struct msghdr header;
  struct receiving wanted = {.message = message};
  if (mr_copy_from(&header, message, sizeof header) != 0) return mr_return(-EFAULT);
  if (header.msg_name != NULL && (int)header.msg_namelen < 0) return mr_return(-EINVAL);
  ssize_t n = mr_cursor_open(&wanted.to, header.msg_iov, header.msg_iovlen);
  if (n < 0) return mr_return(n);
  wanted.n = (size_t)n;
  ssize_t result;
  if ((flags & MSG_ERRQUEUE) && !has_kernels_errors(sock)) {
    result = mr_error_recv(sock, fd, &header, &wanted.to, wanted.n, &wanted.received);
  } else {
    result = mr_sock_is_stream(sock) ? mr_stream_recv(sock, fd, &wanted.to, wanted.n, flags)
                                     : recv_datagram(sock, fd, &wanted, flags);
    if (result < 0 || wanted.by_companion) return mr_return(result);
    int failed = mr_ancillary_write(sock, &header, &wanted.received);
    if (failed != 0) return mr_return(failed);
  }
  if (result < 0) return mr_return(result);
  int failed = give_message(sock, &header, message, flags, &wanted.received);
  return failed != 0 ? mr_return(failed) : result;
}
