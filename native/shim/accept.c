/* accept: takes a connection from the listener's ring, makes its descriptor, and tells the engine. */

#include <fcntl.h>

#include "core.h"

/* The next connection. `takes`: out of the ring with it, if it still is this one. 1 there is one, 0 there is
 * none (or another), or -EPROTO. */
static int look(struct mr_sock *listener, struct mr_accepted *next, bool takes) {
  struct mr_socket *shared = listener->shared;
  int result = 0;
  uint32_t left = 0;
  mr_lock(&shared->rx_lock);
  uint32_t head = shared->rx_head;
  uint32_t used = mr_load(&shared->rx_tail) - head;
  const uint8_t *at = listener->rx + (head & (listener->rx_bytes - 1));
  if (used > listener->rx_bytes || used % sizeof *next != 0 || head % sizeof *next != 0) {
    result = -EPROTO;
  } else if (used > 0 && !takes) {
    memcpy(next, at, sizeof *next);
    result = 1;
  } else if (used > 0 && memcmp(next, at, sizeof *next) == 0) {
    mr_store_release(&shared->rx_head, head + sizeof *next);
    left = used - sizeof *next;
    result = 1;
  }
  mr_unlock(&shared->rx_lock);
  if (result > 0 && takes) mr_sock_made_room(listener, left);
  return result;
}

/* The program's end and the engine's. The kernel keeps O_NONBLOCK for fcntl to tell. */
static int make_pair(int pair[2], int flags) {
  return mr_pair_make(pair, SOCK_CLOEXEC | (flags & SOCK_NONBLOCK)) < 0 ? -errno : 0;
}

/* A descriptor of a spare end. */
static int number_of(struct mr_spare *spare, int flags) {
  mr_spare_set_nonblock(spare, (flags & SOCK_NONBLOCK) != 0);
  int command = flags & SOCK_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD;
  int fd = real.fcntl(spare->fd, command, NULL);
  return fd < 0 ? -errno : fd;
}

/* What a connection needs here before it is taken: none is lost for want of it. */
struct place {
  int pair[2];
  int local;
  struct mr_sock *sock;
  bool has_spare; /* and is in between mr_spare_begin and mr_spare_end */
  bool is_making; /* a new pair, and is in between mr_making_begin and mr_making_end */
  struct mr_spare spare;
  struct mr_calling claim; /* for a spare; call NULL: made */
};

/* A spare end, and a call to say so; false: there is none, or none to be had now. */
static bool take_spare(struct place *place, struct mr_link *link) {
  if (!mr_spare_begin()) return false;
  if (mr_spare_take(link, 0, &place->spare)) {
    if (mr_call_try(&place->claim, link, place->spare.local, MR_OP_CLAIM)) return true;
    mr_spare_give_back(&place->spare);
  }
  mr_spare_end();
  return false;
}

static int make_place(struct place *place, struct mr_link *link, int flags) {
  uint32_t epoch = mr_spare_epoch();
  *place = (struct place){.pair = {-1, -1}, .local = -1};
  place->sock = mr_sock_spare();
  if (place->sock == NULL) return -ENOMEM;
  int failed;
  place->has_spare = take_spare(place, link);
  if (place->has_spare) {
    place->local = (int)place->spare.local;
    failed = number_of(&place->spare, flags);
    if (failed >= 0) place->pair[0] = failed, failed = 0;
  } else {
    mr_making_begin();
    place->is_making = true;
    place->spare = (struct mr_spare){.fd = -1, .epoch = epoch};
    place->local = mr_local_alloc();
    failed = place->local < 0 ? -ENFILE : make_pair(place->pair, flags);
    for (int i = 0; failed == 0 && i < 2; i++) mr_making_note(place->pair[i]);
  }
  if (failed == 0 && !mr_fd_has_room(place->pair[0])) failed = -ENOMEM;
  return failed;
}

/* What nobody took over. */
static void clear_place(struct place *place) {
  if (place->pair[1] >= 0) real.close(place->pair[1]);
  if (place->pair[0] >= 0) real.close(place->pair[0]);
  if (place->sock != NULL) mr_sock_give_spare(place->sock);
  if (place->has_spare) {
    if (place->claim.call != NULL) mr_call_end(&place->claim);
    if (place->spare.fd >= 0) mr_spare_give_back(&place->spare);
    mr_spare_end();
  } else if (place->local >= 0) {
    mr_local_free((uint32_t)place->local);
  }
  if (place->is_making) mr_making_end();
}

/* Tells the engine which end the connection has. 0 or a negated error number. */
static int claim(struct mr_link *link, struct mr_accepted_as *as, struct place *place) {
  if (!place->has_spare) {
    as->end_inode = mr_inode_of(place->pair[0]);
    return mr_control_ask(link, as, sizeof *as, &place->pair[1], 1, NULL, 0, NULL);
  }
  place->claim.call->args[0] = as->connection;
  place->claim.call->args[1] = (uint32_t)as->fd;
  mr_call_post(&place->claim);
  place->claim.call = NULL;
  return 0;
}

/* Gives the connection its descriptor, and takes what it needs out of `place`. */
static int equip(struct mr_link *link, struct mr_sock *listener, const struct mr_accepted *taken,
                 struct place *place, int flags) {
  struct mr_sock *sock = place->sock;
  struct mr_accepted_as as = {.type = MR_MSG_ACCEPTED, .connection = taken->connection};
  as.fd = place->pair[0];
  as.local = (uint32_t)place->local;
  place->sock = NULL; /* it has the entry now */
  place->local = -1;
  mr_options_inherit(sock, listener);
  mr_store(&sock->shared->nonblock, (flags & SOCK_NONBLOCK) != 0);
  mr_store(&sock->shared->connect_state, MR_CONNECT_DONE);
  sock->epoch = place->spare.epoch;
  mr_spare_publish(sock, place->spare.fd);
  int failed = claim(link, &as, place);
  place->spare.fd = -1;
  if (failed != 0) {
    mr_sock_drop(sock);
    return failed == -ENETDOWN ? failed : -ECONNABORTED;
  }
  int fd = place->pair[0];
  place->pair[0] = -1;
  /* Not before: whoever inherits it finds that the engine knows it. */
  if (place->is_making && !(flags & SOCK_CLOEXEC)) real.fcntl(fd, F_SETFD, (void *)0);
  mr_fd_set(fd, (struct mr_fd){.kind = MR_FD_SOCKET, .sock = sock});
  return fd;
}

static bool has_connection(struct mr_sock *listener) {
  return mr_load(&listener->shared->rx_tail) != mr_load(&listener->shared->rx_head);
}

/* A region that was not mapped when a connection came in it, and what came of asking for it. */
struct lacking {
  uint32_t id;
  int failed;
  uint8_t *region; /* held */
};
#define LACKS 2

/* Takes the next connection, whose region is mapped before. 1; 0: another thread was faster; LACKS: the region is to be
 * asked for, by who has nothing in hand; or an error, after which the connection waits on, unless it makes no sense. */
static int take_into(struct mr_link *link, struct mr_sock *listener, struct place *place,
                     struct mr_accepted *taken, struct lacking *lacking) {
  int result = look(listener, taken, false);
  if (result <= 0) return result == 0 ? -EAGAIN : result;
  uint8_t *region = mr_region_hold(link, taken->region_id);
  bool was_asked = lacking->failed != 0 && lacking->id == taken->region_id;
  if (region == NULL && !was_asked) {
    lacking->id = taken->region_id;
    return LACKS;
  }
  int failed = region == NULL ? lacking->failed : 0;
  if (failed != 0 && failed != -ENOENT && failed != -EPROTO) return failed;
  result = look(listener, taken, true);
  bool is_filled = result > 0 && failed == 0 &&
                   mr_sock_fill(place->sock, link, region, taken->header_at, taken->generation,
                                (uint32_t)place->local, -1);
  if (region != NULL && !is_filled) mr_region_give(region);
  if (result <= 0) return result;
  return is_filled ? 1 : -ECONNABORTED;
}

/* One from the engine, unless its region is lacking: a descriptor, -EAGAIN, or another error. */
static int try_accept(struct mr_link *link, struct mr_sock *listener, int flags, struct mr_address *peer,
                      struct lacking *lacking, bool *lacks) {
  struct place place;
  struct mr_accepted taken;
  int result = make_place(&place, link, flags);
  if (result == 0) {
    while ((result = take_into(link, listener, &place, &taken, lacking)) == 0) {
    }
  }
  *lacks = result == LACKS;
  if (result == 1) {
    *peer = taken.peer;
    result = equip(link, listener, &taken, &place, flags);
  }
  clear_place(&place);
  return result;
}

static int accept_ours(struct mr_sock *listener, int fd, int flags, struct mr_address *peer) {
  struct mr_link *link = mr_sock_link(listener, fd);
  if (!has_connection(listener)) return -EAGAIN;
  if (link == NULL) return -ENETDOWN;
  struct lacking lacking = {0};
  for (;;) {
    bool lacks;
    int result = try_accept(link, listener, flags, peer, &lacking, &lacks);
    if (lacking.region != NULL) mr_region_give(lacking.region);
    if (MR_LIKELY(!lacks)) return result;
    lacking.region = NULL;
    lacking.failed = mr_region_map(link, lacking.id, 0, -1, &lacking.region);
  }
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
  if (mr_sock_is_kernels(listener)) return accept_kernel(listener, flags, user, room);
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
    uint32_t status = mr_sock_status(sock);
    bool is_kernels = mr_sock_is_kernels(sock);
    if (result == -ENETDOWN && is_kernels) continue; /* it died just now */
    if (result == -ENETDOWN && (status & MR_STATUS_GONE)) result = -EAGAIN; /* a server would try again at once */
    if (result != -EAGAIN) return (int)mr_return(result);
    int error = mr_sock_take_error(sock);
    if (error != 0) return (int)mr_return(-error);
    if ((status & MR_STATUS_GONE) && !is_kernels) return (int)mr_return(-EINVAL);
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
