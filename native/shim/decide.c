/* bind, listen, connect and the first sendto of sockets that have not been decided. */
#include <poll.h>

#include "open.h"

#define RETRIES 8 /* of ephemeral ports that the kernel has free and the engine has not */

/* Another thread decided meanwhile: the same call again, on what the socket is now. */
#define AGAIN(fd, ours, kernels)                         \
  do {                                                   \
    struct mr_fd entry = mr_fd_get(fd);                  \
    struct mr_sock *sock = entry.sock;                   \
    int again = entry.kind == MR_FD_SOCKET ? (ours) : (kernels); \
    mr_fd_put(entry);                                    \
    return again;                                        \
  } while (0)

/* A well-formed address of the socket's family, or a negated error number: then the kernel is to say so. */
static int read_address(struct mr_pending *pending, const struct sockaddr *user, socklen_t bytes,
                        struct sockaddr_storage *storage, struct mr_address *address) {
  int failed = mr_sockaddr_read(storage, user, bytes);
  if (failed != 0) return failed;
  if (bytes < sizeof(sa_family_t)) return -EINVAL;
  if (storage->ss_family != pending->family) return -EAFNOSUPPORT;
  return mr_address_from(address, (struct sockaddr *)storage, bytes, (uint16_t)pending->family);
}

/* The same for whom it talks to: IPv6 datagram sockets take IPv4 addresses as they are, too. */
static int read_peer(struct mr_pending *pending, const struct sockaddr *user, socklen_t bytes,
                     struct sockaddr_storage *storage, struct mr_address *peer) {
  int failed = read_address(pending, user, bytes, storage, peer);
  bool is_other = storage->ss_family == AF_INET && pending->type == SOCK_DGRAM;
  return failed == -EAFNOSUPPORT && is_other ? mr_address_from(peer, (struct sockaddr *)storage, bytes, AF_INET) : failed;
}

/* ---- bind ------------------------------------------------------------------------------------------- */

static bool may_have_companion(struct mr_pending *pending, const struct mr_address *address) {
  if (mr_address_is_wildcard(address)) return true;
  return pending->type == SOCK_DGRAM && mr_address_is_multicast(address);
}

/*
 * bind(2). Of a wildcard socket that was just closed the engine holds the companion until it has seen that;
 * with kernel sockets the port would be free.
 */
static int bind_kernel(int fd, const struct sockaddr *address, socklen_t bytes) {
  if (real.bind(fd, address, bytes) == 0) return 0;
  if (errno != EADDRINUSE || !mr_call_catch_up()) return -errno;
  return real.bind(fd, address, bytes) < 0 ? -errno : 0;
}

/* Without a descriptor for another socket: a port that the kernel chose goes that way, too. */
static void forget_port(int fd) {
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  real.connect(fd, &none, sizeof none);
}

/* Bound by the kernel first, so that the port is free on both sides. */
static int bind_both(int fd, struct mr_pending *pending, const struct sockaddr *address, socklen_t bytes,
                     bool any_port, const struct mr_address *peer, uint32_t at) {
  for (int tries = 0;; tries++) {
    struct mr_address own;
    int failed = bind_kernel(fd, address, bytes);
    /* A send to nobody (EDESTADDRREQ) has bound it before. */
    if (failed == -EINVAL && at == MR_AT_SEND) failed = 0;
    if (failed == 0) failed = mr_open_own_address(fd, pending, &own);
    if (failed != 0) return failed;
    struct mr_asking asking = {.at = at, .with_companion = true, .own = &own, .peer = peer};
    int answer = mr_open_ask(fd, pending, &asking);
    if (answer >= 0) return 0;
    if (mr_open_renew(fd, pending) < 0 && any_port) forget_port(fd);
    if (answer != -EADDRINUSE || !any_port || tries == RETRIES) return answer;
  }
}

/* The kernel has no such address, or not the interface of its scope: Millrace may. */
static bool is_not_kernels(int failed) { return failed == -EADDRNOTAVAIL || failed == -ENODEV; }

/* Where the kernel cannot be. */
static int bind_beside(int fd, struct mr_pending *pending, const struct sockaddr *checked, socklen_t bytes,
                       const struct mr_address *address) {
  struct mr_asking asking = {.at = MR_AT_BIND, .own = address};
  int answer = mr_open_ask(fd, pending, &asking);
  if (answer == 1) return real.bind(fd, checked, bytes) < 0 ? -errno : 0;
  return answer;
}

static int bind_locked(int fd, struct mr_pending *pending, const struct sockaddr *user, socklen_t bytes) {
  struct sockaddr_storage storage;
  struct mr_address address;
  const struct sockaddr *checked = (const struct sockaddr *)&storage;
  if (read_address(pending, user, bytes, &storage, &address) != 0) return real.bind(fd, user, bytes) < 0 ? -errno : 0;
  if (pending->state->own.family != 0) return -EINVAL;
  pending->state->port_was_asked = address.port != 0;
  if (may_have_companion(pending, &address)) {
    int failed = pending->type == SOCK_DGRAM
                     ? bind_both(fd, pending, checked, bytes, address.port == 0, NULL, MR_AT_BIND)
                     : bind_kernel(fd, checked, bytes);
    /* A group on an interface that is none of the kernel's. */
    if (failed == -ENODEV && address.scope != 0) return bind_beside(fd, pending, checked, bytes, &address);
    if (failed != 0 || pending->type == SOCK_DGRAM) return failed;
    return mr_open_own_address(fd, pending, &pending->state->own);
  }
  /* An address that the kernel has, too: its programs are to reach the socket. */
  if (pending->type == SOCK_DGRAM) {
    int answer = bind_both(fd, pending, checked, bytes, address.port == 0, NULL, MR_AT_BIND);
    if (!is_not_kernels(answer)) return answer;
  } else {
    int failed = bind_kernel(fd, checked, bytes);
    if (failed == 0) return mr_open_own_address(fd, pending, &pending->state->own);
    if (!is_not_kernels(failed)) return failed;
  }
  return bind_beside(fd, pending, checked, bytes, &address);
}

int mr_open_bind(int fd, struct mr_pending *pending, const struct sockaddr *address, socklen_t bytes) {
  if (!mr_open_begin(fd, pending)) {
    AGAIN(fd, mr_sock_bind(sock, address, bytes), real.bind(fd, address, bytes));
  }
  int saved = errno;
  int result = bind_locked(fd, pending, address, bytes);
  mr_share_note_bound(pending);
  mr_open_end(pending);
  errno = saved;
  return (int)mr_return(result);
}

/* ---- listen ------------------------------------------------------------------------------------------- */

/* 0 the socket is ours now, 1 the kernel listens, or a negated error number. */
static int listen_locked(int fd, struct mr_pending *pending, int backlog) {
  struct mr_address own;
  int failed = mr_listen_kernel(fd, backlog);
  if (failed == 0) failed = mr_open_own_address(fd, pending, &own);
  if (failed != 0) return failed;
  struct mr_asking asking = {.at = MR_AT_LISTEN, .with_companion = true, .own = &own};
  int answer = mr_open_ask(fd, pending, &asking);
  if (answer < 0) mr_open_renew(fd, pending);
  return answer;
}

int mr_open_listen(int fd, struct mr_pending *pending, int backlog) {
  if (!mr_open_begin(fd, pending)) {
    AGAIN(fd, mr_sock_listen(sock, fd, backlog), real.listen(fd, backlog));
  }
  int saved = errno;
  int result = listen_locked(fd, pending, backlog);
  mr_open_end(pending);
  errno = saved;
  if (result != 0) return (int)mr_return(result > 0 ? 0 : result);
  struct mr_fd entry = mr_fd_get(fd);
  if (entry.kind == MR_FD_SOCKET) result = mr_sock_listen(entry.sock, fd, backlog);
  mr_fd_put(entry);
  return result;
}

/* ---- connect ------------------------------------------------------------------------------------------ */

/* The kernel may have no route where Millrace has one: that is not why it failed. */
static int connect_kernel(int fd, int no_room, const struct sockaddr *user, socklen_t bytes) {
  int result = real.connect(fd, user, bytes);
  if (result < 0 && no_room != 0 && (errno == ENETUNREACH || errno == EHOSTUNREACH)) errno = no_room;
  return result;
}

int mr_open_connect(int fd, struct mr_pending *pending, const struct sockaddr *user, socklen_t bytes) {
  struct sockaddr_storage storage;
  struct mr_address peer;
  int answer = 1;
  bool is_connecting = false;
  if (read_peer(pending, user, bytes, &storage, &peer) == 0) {
    int saved = errno;
    if (mr_open_begin(fd, pending)) {
      bool is_bound = pending->state->own.family != 0;
      struct mr_asking asking = {.at = MR_AT_CONNECT, .peer = &peer, .with_hold = is_bound};
      is_connecting = mr_open_spare(fd, pending, &peer) == 0;
      answer = is_connecting ? 0 : mr_open_ask(fd, pending, &asking);
      mr_open_end(pending);
    }
    errno = saved;
  }
  if (is_connecting) {
    AGAIN(fd, (int)mr_return(mr_sock_connecting(sock)), real.connect(fd, user, bytes));
  }
  if (answer < 0) return (int)mr_return(answer);
  int no_room = answer > 0 ? pending->state->no_room : 0;
  AGAIN(fd, mr_sock_connect(sock, fd, user, bytes), connect_kernel(fd, no_room, user, bytes));
}

/* ---- sendto ------------------------------------------------------------------------------------------- */

int mr_open_send(int fd, struct mr_pending *pending, const struct sockaddr *user, socklen_t bytes) {
  struct sockaddr_storage storage;
  struct mr_address peer;
  if (pending->type != SOCK_DGRAM || user == NULL) return 0;
  if (read_peer(pending, user, bytes, &storage, &peer) != 0) return 0; /* the kernel says why */
  if (!mr_open_begin(fd, pending)) return 0;
  int saved = errno;
  struct sockaddr_storage any;
  struct mr_address wildcard = {.family = (uint16_t)pending->family};
  socklen_t any_bytes = mr_address_to(&any, &wildcard, (uint16_t)pending->family);
  int result = bind_both(fd, pending, (struct sockaddr *)&any, any_bytes, true, &peer, MR_AT_SEND);
  mr_open_end(pending);
  errno = saved;
  /* Any other error is the send's own: the kernel socket or ours will say it. */
  return result < 0 && result == -pending->state->no_room ? (int)mr_return(result) : 0;
}
