/* accept: takes a connection from the listener's ring, makes its descriptor, and tells the engine. */
#include <fcntl.h>

#include "core.h"

/* The next connection, taken out of the ring. 1 there was one, 0 none, or -EPROTO. */
static int take(struct mr_sock *listener, struct mr_accepted *taken) {
  struct mr_socket *shared = listener->shared;
  int result = 0;
  uint32_t left = 0;
  mr_lock(&shared->rx_lock);
  uint32_t head = shared->rx_head;
  uint32_t used = mr_load(&shared->rx_tail) - head;
  if (used > listener->rx_bytes || used % sizeof *taken != 0 || head % sizeof *taken != 0) {
    result = -EPROTO;
  } else if (used > 0) {
    memcpy(taken, listener->rx + (head & (listener->rx_bytes - 1)), sizeof *taken);
    mr_store_release(&shared->rx_head, head + sizeof *taken);
    left = used - sizeof *taken;
    result = 1;
  }
  mr_unlock(&shared->rx_lock);
  if (result > 0) mr_sock_made_room(listener, left);
  return result;
}

/* The program's end and the engine's. The kernel keeps O_NONBLOCK for fcntl to tell. */
static int make_pair(int pair[2], int flags) {
  int type = SOCK_SEQPACKET | SOCK_CLOEXEC | (flags & SOCK_NONBLOCK);
  if (real.socketpair(AF_UNIX, type, 0, pair) < 0) return -errno;
  if (!(flags & SOCK_CLOEXEC)) real.fcntl(pair[0], F_SETFD, (void *)0);
  return 0;
}

/* A descriptor of a spare end. */
static int number_of(struct mr_spare *spare, int flags) {
  mr_spare_set_nonblock(spare, (flags & SOCK_NONBLOCK) != 0);
  int command = flags & SOCK_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD;
  int fd = real.fcntl(spare->fd, command, NULL);
  return fd < 0 ? -errno : fd;
}

/* Tells the engine which end the connection has. 0 or a negated error number. */
static int claim(struct mr_link *link, const struct mr_accepted_as *as, int engines_end, bool is_spare) {
  if (!is_spare) return mr_control_ask(link, as, sizeof *as, &engines_end, 1, NULL, 0, NULL);
  struct mr_calling calling;
  int failed = mr_call_begin_at(&calling, link, as->local, MR_OP_CLAIM);
  if (failed != 0) return failed;
  calling.call->args[0] = as->connection;
  calling.call->args[1] = (uint32_t)as->fd;
  mr_call_post(&calling);
  return 0;
}

/* Gives the connection its descriptor, pair[0]; `spare` has fd -1 for a new pair. The descriptor, or a
 * negated error number. */
static int equip(struct mr_link *link, struct mr_sock *listener, const struct mr_accepted *taken,
                 int pair[2], const struct mr_spare *spare, int flags) {
  bool is_spare = spare->fd >= 0;
  int local = is_spare ? (int)spare->local : mr_local_alloc();
  struct mr_accepted_as as = {.type = MR_MSG_ACCEPTED, .connection = taken->connection, .fd = pair[0]};
  uint8_t *region = local < 0 ? NULL : mr_region_map(link, taken->region_id, 0, -1);
  struct mr_sock *sock = NULL;
  if (region != NULL) {
    sock = mr_sock_make(link, region, taken->header_at, taken->generation, (uint32_t)local, -1);
  }
  if (sock == NULL) {
    if (local >= 0 && !is_spare) mr_local_free((uint32_t)local);
    return -ENFILE;
  }
  mr_options_inherit(sock, listener);
  mr_store(&sock->shared->nonblock, (flags & SOCK_NONBLOCK) != 0);
  mr_store(&sock->shared->connect_state, MR_CONNECT_DONE);
  as.local = (uint32_t)local;
  if (!is_spare) as.end_inode = mr_inode_of(pair[0]);
  if (claim(link, &as, pair[1], is_spare) != 0) {
    mr_sock_drop(sock);
    return -ECONNABORTED;
  }
  atomic_store(&sock->copy, spare->fd);
  sock->epoch = spare->epoch;
  mr_fd_set(pair[0], (struct mr_fd){.kind = MR_FD_SOCKET, .sock = sock});
  return pair[0];
}

static bool has_connection(struct mr_sock *listener) {
  return mr_load(&listener->shared->rx_tail) != mr_load(&listener->shared->rx_head);
}

/* One from the engine: a descriptor, -EAGAIN, or another error. The pair comes first, so that a connection
 * is not lost when there is no descriptor for it. */
static int accept_ours(struct mr_sock *listener, int fd, int flags, struct mr_address *peer) {
  struct mr_link *link = mr_sock_link(listener, fd);
  if (!has_connection(listener)) return -EAGAIN;
  if (link == NULL) return -ENETDOWN;
  int pair[2] = {-1, -1};
  struct mr_spare spare = {.fd = -1, .epoch = mr_spare_epoch()};
  bool is_spare = mr_spare_take(link, 0, &spare);
  int failed = is_spare ? pair[0] = number_of(&spare, flags) : make_pair(pair, flags);
  if (failed < 0) {
    if (is_spare) mr_spare_give(&spare);
    return failed;
  }
  struct mr_accepted taken;
  int result = take(listener, &taken);
  if (result > 0) {
    *peer = taken.peer;
    result = equip(link, listener, &taken, pair, &spare, flags);
  } else if (result == 0) {
    result = -EAGAIN;
  }
  if (!is_spare) real.close(pair[1]);
  if (result < 0) {
    real.close(pair[0]);
    if (is_spare) mr_spare_give(&spare);
  }
  return result;
}

/* One from the kernel's listener beside ours, which does not wait. */
static int accept_kernel(struct mr_sock *listener, int flags, struct sockaddr *peer, socklen_t *peer_bytes) {
  int fd = real.accept4(listener->companion, peer, peer_bytes, flags);
  if (fd < 0) return -errno;
  mr_fd_set(fd, (struct mr_fd){.kind = MR_FD_KERNEL});
  return fd;
}

static int give_peer(struct mr_sock *listener, const struct mr_address *peer, struct sockaddr *user,
                     socklen_t *room) {
  if (user == NULL) return 0;
  struct sockaddr_storage storage;
  socklen_t length = mr_address_to(&storage, peer, listener->shared->family);
  return mr_sockaddr_write(&storage, length, user, room);
}

/* As the kernel: a bad address is found out after the connection was taken, which is then closed. */
static int accept_one(struct mr_sock *listener, int fd, struct sockaddr *user, socklen_t *room, int flags) {
  struct mr_address peer;
  bool kernel_first = mr_companion_first(listener);
  int result = -EAGAIN;
  if (kernel_first) result = accept_kernel(listener, flags, user, room);
  if (result != -EAGAIN) return result;
  result = accept_ours(listener, fd, flags, &peer);
  if (result >= 0) {
    int failed = give_peer(listener, &peer, user, room);
    if (failed == 0) return result;
    mr_fd_clear(result);
    real.close(result);
    return failed;
  }
  if (result != -EAGAIN || kernel_first || listener->companion < 0) return result;
  return accept_kernel(listener, flags, user, room);
}

int mr_accept(struct mr_sock *sock, int fd, struct sockaddr *peer, socklen_t *peer_bytes, int flags) {
  struct mr_socket *shared = sock->shared;
  if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) return (int)mr_return(-EINVAL);
  if (shared->kind == MR_KIND_UDP) return (int)mr_return(-EOPNOTSUPP);
  struct mr_wait wait;
  bool waits = false;
  for (;;) {
    if (shared->kind != MR_KIND_LISTENER) return (int)mr_return(-EINVAL);
    int saved = errno;
    uint32_t seen = mr_sock_seen(sock);
    int result = accept_one(sock, fd, peer, peer_bytes, flags);
    errno = saved;
    if (result != -EAGAIN) return (int)mr_return(result);
    uint32_t status = mr_sock_status(sock);
    int error = mr_sock_take_error(sock);
    if (error != 0) return (int)mr_return(-error);
    if (status & MR_STATUS_GONE) return (int)mr_return(-EINVAL);
    if (mr_load(&shared->nonblock)) {
      mr_sock_missed(sock);
      return (int)mr_return(-EAGAIN);
    }
    if (!waits) mr_wait_begin(&wait, mr_timeout(shared->rcvtimeo_ns));
    waits = true;
    int failed = mr_wait_change(&wait, sock, seen, sock->companion);
    if (failed != 0) return (int)mr_return(failed == -ETIMEDOUT ? -EAGAIN : failed);
  }
}
