/* bind, connect, listen, shutdown and close of accelerated sockets, as inet_stream_connect and its
 * neighbours of Linux. */
#include <poll.h>

#include "core.h"

#define PORT_RETRIES 8 /* of ports that the kernel has free and the engine has not */

/* ---- bind ------------------------------------------------------------------------------------------- */

/* An address of the socket's own family; the kernel's errors for what cannot be one. */
static int named_address(struct mr_sock *sock, const struct sockaddr_storage *storage, socklen_t bytes,
                         struct mr_address *address) {
  uint16_t family = sock->shared->family;
  if (bytes < sizeof(sa_family_t)) return -EINVAL;
  if (family == AF_INET6 && bytes < MR_SOCKADDR_IN6_LEAST) return -EINVAL;
  if (family == AF_INET6 && storage->ss_family == AF_INET) return -EAFNOSUPPORT;
  return mr_address_from(address, (const struct sockaddr *)storage, bytes, family);
}

/* A socket that joined a group before it was bound: both get the same port. */
static int bind_companion(struct mr_sock *sock, const struct sockaddr *user, socklen_t bytes,
                          struct mr_address *address) {
  if (!mr_address_is_wildcard(address) && !mr_address_is_multicast(address)) {
    mr_companion_mute(sock, true);
    return 0;
  }
  if (real.bind(sock->companion, user, bytes) < 0) return -errno;
  struct sockaddr_storage bound;
  struct mr_address own;
  socklen_t room = sizeof bound;
  if (real.getsockname(sock->companion, (struct sockaddr *)&bound, &room) < 0) return -errno;
  int failed = mr_address_from(&own, (struct sockaddr *)&bound, room, sock->shared->family);
  if (failed == 0) address->port = own.port;
  return failed;
}

void mr_sock_note_bound(struct mr_sock *sock, const struct mr_address *own) {
  if (own->family != AF_INET6 || mr_address_is_wildcard(own)) return;
  __atomic_fetch_or(&sock->shared->reports, MR_REPORT_V6ONLY, __ATOMIC_SEQ_CST);
}

int mr_sock_bind(struct mr_sock *sock, const struct sockaddr *user, socklen_t bytes) {
  struct sockaddr_storage storage;
  struct mr_address address;
  int failed = mr_sockaddr_read(&storage, user, bytes);
  if (failed == 0) failed = named_address(sock, &storage, bytes, &address);
  if (failed == 0 && sock->companion >= 0) {
    failed = bind_companion(sock, (struct sockaddr *)&storage, bytes, &address);
  }
  if (failed == 0) failed = mr_call(sock, -1, MR_OP_BIND, 0, &address);
  if (failed == 0) sock->port_is_lost = false;
  if (failed == 0) mr_sock_note_bound(sock, &address);
  return (int)mr_return(failed > 0 ? -EADDRNOTAVAIL : failed);
}

/* ---- connect: UDP ------------------------------------------------------------------------------------- */

/* The engine is dead, and its peer with it: whom the socket talks to from now on is the kernel's. */
static bool forget_peer(struct mr_sock *sock) {
  if (!mr_engine_is_dead || sock->companion < 0) return false;
  __atomic_fetch_and(&sock->shared->status, ~MR_STATUS_CONNECTED, __ATOMIC_SEQ_CST);
  return true;
}

static int dissolve(struct mr_sock *sock, int fd) {
  struct mr_address none = {0};
  if (sock->companion_peer) {
    struct sockaddr unspecified = {.sa_family = AF_UNSPEC};
    real.connect(sock->companion, &unspecified, sizeof unspecified);
    sock->companion_peer = 0;
    return 0;
  }
  mr_companion_mute(sock, false);
  int result = forget_peer(sock) ? 0 : mr_call(sock, fd, MR_OP_CONNECT, 0, &none);
  return result == -ENETDOWN && forget_peer(sock) ? 0 : result; /* it died just now */
}

static int connect_datagram(struct mr_sock *sock, int fd, const struct sockaddr *user, socklen_t bytes,
                            const struct mr_address *peer) {
  forget_peer(sock);
  int carrier = mr_companion_carries(sock, fd, peer);
  if (carrier < 0) return carrier;
  if (sock->companion_peer) dissolve(sock, fd);
  if (carrier > 0) {
    if (real.connect(sock->companion, user, bytes) < 0) return -errno;
    mr_companion_mute(sock, false);
    sock->companion_peer = 1;
    return 0;
  }
  int result = mr_call(sock, fd, MR_OP_CONNECT, 0, peer);
  /* It died just now. */
  if (result == -ENETDOWN && forget_peer(sock)) return connect_datagram(sock, fd, user, bytes, peer);
  if (result >= 0) mr_companion_mute(sock, true);
  return result < 0 ? result : 0;
}

/* ---- connect: TCP ------------------------------------------------------------------------------------- */

static bool is_connecting(struct mr_sock *sock) {
  uint32_t status = mr_sock_status(sock);
  return (status & (MR_STATUS_CONNECTING | MR_STATUS_CONNECTED)) == MR_STATUS_CONNECTING;
}

/* It came to an end: connected, or the error that ended it. */
static int finish_connect(struct mr_sock *sock) {
  struct mr_socket *shared = sock->shared;
  if (mr_sock_status(sock) & MR_STATUS_CONNECTED) {
    mr_store(&shared->connect_state, MR_CONNECT_DONE);
    return 0;
  }
  mr_store(&shared->connect_state, MR_CONNECT_NONE);
  int error = mr_sock_take_error(sock);
  return error != 0 ? -error : -ECONNABORTED;
}

/* `otherwise`: what to say when it does not wait. */
static int await_connection(struct mr_sock *sock, int otherwise) {
  struct mr_socket *shared = sock->shared;
  if (mr_load(&shared->nonblock)) return is_connecting(sock) ? otherwise : finish_connect(sock);
  struct mr_wait wait;
  mr_wait_begin(&wait, mr_timeout(shared->sndtimeo_ns));
  for (;;) {
    uint32_t seen = mr_sock_seen(sock);
    if (!is_connecting(sock)) return finish_connect(sock);
    int failed = mr_wait_change(&wait, sock, seen, -1);
    if (failed == -ETIMEDOUT) return otherwise;
    if (failed != 0) return failed;
  }
}

int mr_sock_connecting(struct mr_sock *sock) {
  mr_store(&sock->shared->connect_state, MR_CONNECT_STARTED);
  /* However fast it was, the outcome is for poll and SO_ERROR to tell. */
  if (mr_load(&sock->shared->nonblock)) return -EINPROGRESS;
  return await_connection(sock, -EINPROGRESS);
}

static int start_connect(struct mr_sock *sock, int fd, const struct mr_address *peer) {
  int result = mr_call(sock, fd, MR_OP_CONNECT, 0, peer);
  if (result < 0 && result != -EINPROGRESS) return result == -ENETDOWN ? -ENETUNREACH : result;
  return mr_sock_connecting(sock);
}

/* Bound by this process or another, and shared before it was known that it does not listen (share.c): 1, it is the
 * kernel's now; 0; or a negated error number. */
static int leave_for(struct mr_sock *sock, int fd, const struct mr_address *peer) {
  if (MR_LIKELY(sock->companion < 0)) return 0;
  int carrier = mr_call(sock, fd, MR_OP_ROUTE, 0, peer);
  if (carrier == -ENETDOWN) carrier = 1; /* this process has no engine, or none any more */
  if (carrier <= 0) return carrier;
  return mr_share_leave(sock, "it was bound and shared, and connects to where the kernel is to") ? 1 : -ENETUNREACH;
}

/* Of one that has connected before: its outcome, 0 or a negated error number; 1: of none. */
static int connect_again(struct mr_sock *sock) {
  if (sock->shared->kind == MR_KIND_LISTENER) return -EISCONN;
  uint32_t state = mr_load(&sock->shared->connect_state);
  if (state == MR_CONNECT_STARTED) return await_connection(sock, -EALREADY);
  /* Also when it has ended since: AF_UNSPEC comes first. To ask would take the error that ended it. */
  return state == MR_CONNECT_DONE || (mr_sock_status(sock) & MR_STATUS_CONNECTED) ? -EISCONN : 1;
}

static int connect_stream(struct mr_sock *sock, int fd, const struct sockaddr *user, socklen_t bytes,
                          const struct mr_address *peer) {
  int carrier = leave_for(sock, fd, peer);
  if (carrier < 0) return carrier;
  if (carrier > 0) return real.connect(fd, user, bytes) < 0 ? -errno : 0;
  return start_connect(sock, fd, peer);
}

static void disconnect_companion(struct mr_sock *sock) {
  struct sockaddr unspecified = {.sa_family = AF_UNSPEC};
  real.connect(sock->companion, &unspecified, sizeof unspecified);
}

/* What had come of the connection goes with it. */
static int disconnect_stream(struct mr_sock *sock, int fd) {
  struct mr_socket *shared = sock->shared;
  struct mr_address none = {0};
  bool was_listener = shared->kind == MR_KIND_LISTENER;
  int result = mr_call(sock, fd, MR_OP_CONNECT, sock->port_was_chosen, &none);
  if (result < 0) return result;
  if (was_listener && sock->companion >= 0) disconnect_companion(sock);
  sock->port_is_lost = sock->port_was_chosen;
  mr_lock(&shared->rx_lock);
  mr_store_release(&shared->rx_head, mr_load(&shared->rx_tail));
  mr_unlock(&shared->rx_lock);
  mr_store(&shared->connect_state, MR_CONNECT_NONE);
  mr_store(&shared->shut, 0);
  return 0;
}

int mr_sock_connect(struct mr_sock *sock, int fd, const struct sockaddr *user, socklen_t bytes) {
  struct sockaddr_storage storage;
  struct mr_address peer;
  bool is_stream = mr_sock_is_stream(sock);
  int failed = mr_sockaddr_read(&storage, user, bytes);
  if (failed == 0 && bytes < sizeof(sa_family_t)) failed = -EINVAL;
  if (failed != 0) return (int)mr_return(failed);
  if (storage.ss_family == AF_UNSPEC) {
    return (int)mr_return(is_stream ? disconnect_stream(sock, fd) : dissolve(sock, fd));
  }
  /* What is connected, or about to be, says so before it looks at the address. */
  failed = is_stream ? connect_again(sock) : 0;
  if (is_stream && failed <= 0) return (int)mr_return(failed);
  failed = is_stream ? named_address(sock, &storage, bytes, &peer)
                     : mr_address_from(&peer, (struct sockaddr *)&storage, bytes, sock->shared->family);
  bool is_other = storage.ss_family == AF_INET && sock->shared->family == AF_INET6;
  if (failed == 0 && is_other && (mr_load(&sock->shared->reports) & MR_REPORT_V6ONLY)) failed = -EAFNOSUPPORT;
  if (failed != 0) return (int)mr_return(failed);
  failed = is_stream ? connect_stream(sock, fd, (struct sockaddr *)&storage, bytes, &peer)
                     : connect_datagram(sock, fd, (struct sockaddr *)&storage, bytes, &peer);
  return (int)mr_return(failed);
}

/* ---- listen, shutdown, close ------------------------------------------------------------------------------ */

/* Another socket that listened here and was just closed: the engine holds its companion until it has seen that. */
int mr_listen_kernel(int fd, int backlog) {
  if (real.listen(fd, backlog) == 0) return 0;
  if (errno != EADDRINUSE || !mr_call_catch_up()) return -errno;
  return real.listen(fd, backlog) < 0 ? -errno : 0;
}

/* The kernel chooses a port, as it does when a socket without one listens, and Millrace must have it free. */
static int take_new_port(struct mr_sock *sock, int fd, int backlog) {
  struct mr_address own;
  for (int tries = 0;; tries++) {
    struct sockaddr_storage bound;
    socklen_t room = sizeof bound;
    int failed = mr_listen_kernel(sock->companion, backlog);
    if (failed != 0) return failed;
    if (real.getsockname(sock->companion, (struct sockaddr *)&bound, &room) < 0) return -errno;
    int result = mr_address_from(&own, (struct sockaddr *)&bound, room, sock->shared->family);
    if (result == 0) result = mr_call(sock, fd, MR_OP_BIND, 0, &own);
    if (result == 0) sock->port_is_lost = false;
    if (result == 0) return 0;
    disconnect_companion(sock);
    if (result != -EADDRINUSE || tries == PORT_RETRIES) return result;
  }
}

int mr_sock_listen_beside(struct mr_sock *sock, int fd, int backlog) {
  return mr_call(sock, fd, MR_OP_LISTEN, (uint32_t)backlog, NULL);
}

static int listen_both(struct mr_sock *sock, int fd, int backlog) {
  bool was_listener = sock->shared->kind == MR_KIND_LISTENER, has_companion = sock->companion >= 0;
  int result = sock->port_is_lost ? take_new_port(sock, fd, backlog) : 0;
  if (has_companion) mr_companion_never_waits(sock->companion); /* mr_share_leave may have changed it */
  if (result == 0 && has_companion) result = mr_listen_kernel(sock->companion, backlog);
  if (result < 0) return result;
  result = mr_call(sock, fd, MR_OP_LISTEN, (uint32_t)backlog, NULL);
  /* After the engine's end it goes on alone, at its port. */
  if (result < 0 && result != -ENETDOWN && has_companion && !was_listener) disconnect_companion(sock);
  return result;
}

int mr_sock_listen(struct mr_sock *sock, int fd, int backlog) {
  if (!mr_sock_is_stream(sock)) return (int)mr_return(-EOPNOTSUPP);
  uint32_t status = mr_sock_status(sock);
  if (mr_sock_is_kernels(sock)) return real.listen(sock->companion, backlog);
  if (status & (MR_STATUS_CONNECTED | MR_STATUS_CONNECTING)) return (int)mr_return(-EINVAL);
  /* Also when it has ended: until another connect has told, or AF_UNSPEC, it is a connection's. */
  if (mr_load(&sock->shared->connect_state) != MR_CONNECT_NONE) return (int)mr_return(-EINVAL);
  int result = listen_both(sock, fd, backlog);
  bool is_alone = result == -ENETDOWN && sock->companion >= 0 && sock->shared->kind != MR_KIND_LISTENER;
  if (is_alone && mr_share_leave(sock, "the engine is gone")) return real.listen(fd, backlog);
  return (int)mr_return(result < 0 ? result : 0);
}

int mr_sock_shutdown(struct mr_sock *sock, int how) {
  struct mr_socket *shared = sock->shared;
  if (how < SHUT_RD || how > SHUT_RDWR) return (int)mr_return(-EINVAL);
  uint32_t status = mr_sock_status(sock);
  bool is_listener = shared->kind == MR_KIND_LISTENER;
  bool is_open = (status & (MR_STATUS_CONNECTED | MR_STATUS_CONNECTING)) != 0 &&
                 mr_load(&shared->tcp_state) != 7;
  if (sock->companion_peer || mr_sock_is_kernels(sock)) return real.shutdown(sock->companion, how);
  if (is_listener) {
    if (how == SHUT_WR) return 0;
    if (sock->companion >= 0) real.shutdown(sock->companion, how);
  } else {
    __atomic_fetch_or(&shared->shut, (uint32_t)how + 1, __ATOMIC_SEQ_CST);
  }
  int result = is_open || is_listener ? mr_call(sock, -1, MR_OP_SHUTDOWN, (uint32_t)how, NULL) : 0;
  /* The kernel marks it shut in any case, and then says that it was not connected. */
  if (!is_open && !is_listener) result = -ENOTCONN;
  return (int)mr_return(result < 0 ? result : 0);
}

/* The kernel lingers when the last holder closes, nonblocking or not; signals end it. */
int mr_sock_closing(struct mr_sock *sock, int fd) {
  struct mr_socket *shared = sock->shared;
  uint32_t linger = mr_load(&shared->linger);
  bool is_last = atomic_load(&sock->descriptors) <= 1;
  if (!is_last || linger <= 1 || !mr_sock_is_stream(sock) || mr_engine_is_dead) return 0;
  if (!(mr_sock_status(sock) & MR_STATUS_CONNECTED)) return 0;
  struct mr_calling calling;
  int saved = errno;
  if (mr_call_begin(&calling, sock, fd, MR_OP_CLOSING) == 0) {
    calling.call->args[0] = linger - 1;
    mr_call_wait(&calling, true);
    mr_call_end(&calling);
  }
  errno = saved;
  return 0;
}
