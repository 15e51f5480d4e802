/*
 * Sockets that have not been decided. Each starts as the kernel's; at bind, listen, connect, the first
 * sendto and the joining of a group the engine is asked, and if it takes the socket the program's number
 * becomes one end of a socket pair. The kernel socket goes, or stays beside it as the companion.
 */
#include <fcntl.h>
#include <stddef.h>

#include "open.h"

/* ---- Life --------------------------------------------------------------------------------------------- */

struct object {
  struct mr_pending pending;
  struct mr_open_state state;
};

static struct mr_pool pool = {.object_bytes = (sizeof(struct object) + 15) / 16 * 16};

/* Why such a socket is none of ours, or NULL. */
static const char *why_not(int type, int protocol) {
  int base = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (base != SOCK_STREAM && base != SOCK_DGRAM) return "only TCP and UDP are accelerated";
  int usual = base == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
  return protocol == 0 || protocol == usual ? NULL : "only TCP and UDP are accelerated";
}

struct mr_pending *mr_open_pending(int family, int type, int protocol) {
  if (why_not(type, protocol) != NULL) return NULL;
  struct object *made = mr_pool_take(&pool);
  if (made == NULL) return NULL;
  atomic_init(&made->pending.references, 1);
  made->pending.family = family;
  made->pending.type = type;
  made->pending.options = made->state.options;
  made->pending.state = &made->state;
  made->state.protocol = protocol;
  return &made->pending;
}

void mr_pending_drop(struct mr_pending *pending) {
  if (atomic_fetch_sub(&pending->references, 1) == 1) mr_pool_give(&pool, pending);
}

int mr_open_socket(int domain, int type, int protocol) {
  int fd = real.socket(domain, type, protocol);
  if (fd < 0 && mr_spares_make_room()) fd = real.socket(domain, type, protocol);
  if (fd >= 0) mr_fd_clear(fd); /* it may have been closed where we do not look */
  if (fd < 0 || (domain != AF_INET && domain != AF_INET6)) return fd;
  if (mr_link_get() == NULL) {
    if (mr_engine_is_dead) mr_spares_shed();
    return fd;
  }
  const char *why = why_not(type, protocol);
  if (why != NULL) {
    mr_debug("fd %d stays with the kernel: %s", fd, why);
    mr_fd_set(fd, (struct mr_fd){.kind = MR_FD_KERNEL});
    return fd;
  }
  struct mr_pending *pending = mr_open_pending(domain, type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC), protocol);
  if (pending != NULL) mr_fd_set(fd, (struct mr_fd){.kind = MR_FD_PENDING, .pending = pending});
  return fd;
}

/* ---- Replacing the descriptor ------------------------------------------------------------------------------ */

/* What becomes of the socket's numbers: one end of a pair, or, without `sock`, the kernel's. */
struct becoming {
  const struct mr_pending *pending;
  struct mr_sock *sock;
  int pair_end;
};

static void put_in_place(int fd, int pair_end, struct mr_sock *sock) {
  int flags = real.fcntl(fd, F_GETFD, NULL);
  real.dup3(pair_end, fd, flags > 0 && (flags & FD_CLOEXEC) ? O_CLOEXEC : 0);
  mr_fd_set(fd, (struct mr_fd){.kind = MR_FD_SOCKET, .sock = mr_sock_hold(sock)});
}

static void become(int fd, struct mr_fd entry, void *context) {
  const struct becoming *as = context;
  if (entry.kind != MR_FD_PENDING || entry.pending != as->pending) return;
  if (as->sock != NULL) put_in_place(fd, as->pair_end, as->sock);
  else mr_fd_set(fd, (struct mr_fd){.kind = MR_FD_KERNEL});
}

/* All numbers of the socket in this process: dup leaves several. */
static void become_all(int fd, struct mr_pending *pending, struct becoming *as) {
  as->pending = pending;
  if (atomic_load(&pending->descriptors) > 1) mr_fd_each(become, as);
  else become(fd, (struct mr_fd){.kind = MR_FD_PENDING, .pending = pending}, as);
}

bool mr_open_is_nonblocking(int fd) {
  int flags = real.fcntl(fd, F_GETFL, NULL);
  return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

void mr_open_replace(int fd, struct mr_pending *pending, int pair_end, struct mr_sock *sock, bool nonblock) {
  struct mr_socket *shared = sock->shared;
  mr_store(&shared->nonblock, nonblock);
  __atomic_store_n(&shared->peek_off, -1, __ATOMIC_SEQ_CST);
  mr_options_replay(sock, pending->options, pending->options_bytes);
  /* Before the table's last reference to `pending` goes, and what instances watch with it. */
  mr_epoll_before_replace(pending);
  mr_epoll_after_replace(pending, sock);
  struct becoming ours = {.sock = sock, .pair_end = pair_end};
  become_all(fd, pending, &ours);
}

void mr_open_leave_with_kernel(int fd, struct mr_pending *pending, const char *reason) {
  struct becoming kernels = {.sock = NULL};
  mr_debug("fd %d stays with the kernel: %.111s", fd, reason);
  become_all(fd, pending, &kernels);
}

/* ---- Asking ------------------------------------------------------------------------------------------------ */

/* `opened->reason` is the NIC's name. */
void mr_open_say_enabled(int fd, struct mr_sock *sock, const struct mr_address *peer,
                        const struct mr_opened *opened) {
  char own[80], to[80] = "";
  struct mr_address local = sock->shared->local;
  if (local.family == 0) local.family = sock->shared->family;
  mr_address_text(own, sizeof own, &local);
  if (peer != NULL) mr_address_text(to, sizeof to, peer);
  mr_debug("enabled bypass on fd %d (%s %s%s%s on %.111s)", fd, mr_sock_is_stream(sock) ? "tcp" : "udp", own,
           peer != NULL ? " to " : "", to, opened->reason);
}

/* The message, with the options behind it. */
size_t mr_open_write_message(uint8_t *buffer, int fd, int pair_end, struct mr_pending *pending,
                            uint32_t local, const struct mr_asking *asking) {
  struct mr_open *message = (struct mr_open *)(void *)buffer;
  *message = (struct mr_open){.type = MR_MSG_OPEN, .local = local, .at = asking->at, .fd = fd};
  message->kind = pending->type == SOCK_STREAM ? MR_KIND_TCP : MR_KIND_UDP;
  message->family = (uint16_t)pending->family;
  message->has_companion = asking->with_nothing ? MR_COMES_NOTHING : asking->with_hold ? 2 : asking->with_companion;
  message->own = pending->state->own;
  if (asking->own != NULL) message->own = *asking->own;
  if (asking->peer != NULL) message->peer = *asking->peer;
  /* A parked end is known, and the kernel socket that it takes the place of is gone at once. */
  if (pair_end >= 0) {
    message->inode = mr_inode_of(fd);
    message->end_inode = mr_inode_of(pair_end);
  }
  message->options_bytes = pending->options_bytes;
  memcpy(buffer + sizeof *message, pending->options, pending->options_bytes);
  return sizeof *message + pending->options_bytes;
}

/* ---- Taking over -------------------------------------------------------------------------------------- */

/* How things were before the engine was asked. */
struct asked {
  uint32_t epoch, routes;
};

/* The engine said yes: everything that follows is ours. */
static int take_over(int fd, struct mr_pending *pending, struct mr_link *link, int fds[2],
                     const struct mr_opened *opened, int got[2], const struct mr_asking *asking,
                     const struct asked *asked) {
  int pair_end = fds[0];
  int companion = asking->with_companion ? real.fcntl(fd, F_DUPFD_CLOEXEC, (void *)3) : -1;
  if (companion < 0 && asking->with_companion && mr_limit_raise()) {
    companion = real.fcntl(fd, F_DUPFD_CLOEXEC, (void *)3);
    mr_limit_restore();
  }
  if (companion < 0 && asking->with_companion) { /* the engine has its end, whose number is free */
    companion = real.dup3(fd, fds[1], O_CLOEXEC);
    if (companion >= 0) fds[1] = -1;
  }
  if (companion >= 0) companion = mr_fd_hide(companion);
  mr_making_note(companion);
  int failed;
  struct mr_sock *sock = mr_sock_from(link, opened, got, companion, &failed);
  if (sock == NULL) {
    mr_call_release(link, opened->local); /* the engine has it under this number */
    return failed == -EMFILE ? -EMFILE : -ENOMEM;
  }
  mr_open_say_enabled(fd, sock, asking->peer, opened);
  bool nonblock = mr_open_is_nonblocking(fd);
  if (nonblock) real.fcntl(pair_end, F_SETFL, (void *)(intptr_t)(O_RDWR | O_NONBLOCK));
  if (companion >= 0 && pending->type == SOCK_STREAM) mr_companion_never_waits(companion);
  if (companion < 0) sock->epoch = asked->epoch;
  mr_sock_note_bound(sock, asking->own != NULL ? asking->own : &pending->state->own);
  sock->connects = asking->at == MR_AT_CONNECT;
  sock->port_was_chosen = companion >= 0 && !pending->state->port_was_asked;
  mr_open_replace(fd, pending, pair_end, sock, nonblock);
  if (sock->connects && pending->state->own.family == 0) mr_open_remember(link, pending, asking->peer, asked->routes, opened->reason);
  mr_sock_drop(sock);
  return 0;
}

/* The engine hears of it for `millrace stat`; nobody waits for it. */
static int keep_with_kernel(int fd, struct mr_pending *pending, const struct mr_asking *asking,
                            const char *reason) {
  _Alignas(8) uint8_t buffer[MR_MESSAGE_BYTES];
  struct mr_link *link = mr_link_get();
  if (link != NULL) {
    struct mr_open *message = (struct mr_open *)(void *)buffer;
    size_t bytes = mr_open_write_message(buffer, fd, fd, pending, 0, asking);
    message->type = MR_MSG_KERNEL;
    strncpy(message->reason, reason, sizeof message->reason - 1);
    mr_control_ask(link, buffer, bytes, NULL, 0, NULL, 0, NULL);
  }
  mr_open_leave_with_kernel(fd, pending, reason);
  return 1;
}

/* What it takes to have a socket accelerated. */
static bool may_ask(void) {
  return mr_allows(SYS_socketpair) && mr_allows(SYS_sendmsg) && mr_allows(SYS_recvmsg) && mr_allows(SYS_fcntl) &&
         mr_allows(SYS_dup3) && mr_allows(SYS_getsockopt) && mr_allows(SYS_newfstatat);
}

static const char *what_lacks(int no_room) {
  if (no_room == ENOMEM) return "the program has no memory left for it (ulimit -v)";
  return no_room == ENFILE ? "the machine has no descriptors left" : "the program has no descriptors left (ulimit -n)";
}

/*
 * There is no room for it, which `no_room` says: whether it would have been accelerated. What goes to where only
 * Millrace leads must not go to the kernel, whose default route may lead to somebody else there.
 */
static int ask_with_nothing(int fd, struct mr_pending *pending, struct mr_link *link, int local,
                            const struct mr_asking *asking, int no_room, struct mr_opened *opened) {
  _Alignas(8) uint8_t buffer[MR_MESSAGE_BYTES];
  struct mr_asking nothing = *asking;
  nothing.with_nothing = true;
  size_t bytes = mr_open_write_message(buffer, fd, fd, pending, (uint32_t)local, &nothing);
  strncpy(((struct mr_open *)(void *)buffer)->reason, what_lacks(no_room), sizeof opened->reason - 1);
  return mr_control_ask(link, buffer, bytes, NULL, 0, opened, sizeof *opened, NULL);
}

int mr_open_ask(int fd, struct mr_pending *pending, const struct mr_asking *asking) {
  const char *own_choice = mr_opt_out_reason(pending);
  if (own_choice == NULL && !may_ask()) own_choice = "a filter of system calls is in the way";
  if (own_choice != NULL) return asking->is_early ? 1 : keep_with_kernel(fd, pending, asking, own_choice);
  _Alignas(8) uint8_t buffer[MR_MESSAGE_BYTES];
  struct mr_link *link = mr_link_get();
  int local = link != NULL && !pending->state->too_many ? mr_local_alloc() : -1;
  int fds[3] = {-1, -1, fd}; /* the program's end, the engine's, the kernel socket */
  int got[2] = {-1, -1};
  struct mr_opened opened = {.result = 1, .reason = "too many sockets or options"};
  if (link == NULL) memcpy(opened.reason, "there is no engine", 19);
  struct asked asked = {mr_spare_epoch(), link != NULL ? mr_load(&link->session->routes) : 0};
  int result = 0;
  /* Who chooses its port must find those of closed sockets free. */
  if (local >= 0 && (asking->own != NULL || pending->state->own.family != 0)) mr_call_await_released(link);
  mr_making_begin();
  if (local >= 0 && asking->with_companion && !mr_limit_takes_companion()) result = -EMFILE;
  else if (local >= 0 && mr_pair_make_anywhere(fds, SOCK_CLOEXEC) < 0) result = -errno;
  if (local >= 0 && result == 0) {
    mr_making_note(fds[0]);
    mr_making_note(fds[1]);
    if (mr_limit_is_near(fds[1])) got[0] = MR_GOT_ABOVE_LIMIT; /* the answer comes with descriptors */
    size_t bytes = mr_open_write_message(buffer, fd, fds[0], pending, (uint32_t)local, asking);
    unsigned count = asking->with_companion || asking->with_hold ? 2 : 1;
    result = mr_control_ask(link, buffer, bytes, &fds[1], count, &opened, sizeof opened, got);
  }
  int no_room = result == -EMFILE || result == -ENFILE ? -result : 0;
  if (no_room != 0) result = ask_with_nothing(fd, pending, link, local, asking, no_room, &opened);
  if (result != 0) memcpy(opened.reason, "the engine does not answer", 27);
  if (result == 0 && no_room == 0 && opened.result >= MR_NO_ROOM) no_room = ENOBUFS;
  pending->state->no_room = no_room;
  if (result == 0) result = opened.result;
  else opened.result = result = 1; /* the program does not have to know */
  if (result == 0) {
    opened.local = (uint32_t)local;
    result = take_over(fd, pending, link, fds, &opened, got, asking, &asked);
    if (result < 0) no_room = -result;
    if (result < 0 && ask_with_nothing(fd, pending, link, local, asking, no_room, &opened) == 0) {
      pending->state->no_room = no_room;
      result = opened.result;
    }
  } else if (local >= 0) {
    mr_local_free((uint32_t)local);
  }
  if (result == MR_NO_ROOM_NOR_WAY) {
    mr_debug("fd %d is neither Millrace's nor the kernel's: %.111s", fd, opened.reason);
    result = -no_room;
  }
  bool is_left = result > 0 && !asking->is_early;
  if (is_left && link != NULL && local < 0) keep_with_kernel(fd, pending, asking, opened.reason);
  else if (is_left) mr_open_leave_with_kernel(fd, pending, opened.reason);
  for (int i = 0; i < 2; i++) {
    if (fds[i] >= 0) real.close(fds[i]);
  }
  mr_making_end();
  return result > 0 ? 1 : result;
}

/* ---- The socket as it is until then -------------------------------------------------------------------- */

static bool is_still(int fd, struct mr_pending *pending) {
  struct mr_fd entry = mr_fd_get(fd);
  bool is_it = entry.kind == MR_FD_PENDING && entry.pending == pending;
  mr_fd_put(entry);
  if (!is_it) mr_mutex_unlock(&pending->state->mutex);
  return is_it;
}

bool mr_open_begin(int fd, struct mr_pending *pending) {
  mr_mutex_lock(&pending->state->mutex);
  return is_still(fd, pending);
}

bool mr_open_try(int fd, struct mr_pending *pending) {
  return mr_mutex_try(&pending->state->mutex) && is_still(fd, pending);
}

void mr_open_end(struct mr_pending *pending) { mr_mutex_unlock(&pending->state->mutex); }

int mr_open_own_address(int fd, struct mr_pending *pending, struct mr_address *own) {
  struct sockaddr_storage bound;
  socklen_t room = sizeof bound;
  if (real.getsockname(fd, (struct sockaddr *)&bound, &room) < 0) return -errno;
  int failed = mr_address_from(own, (struct sockaddr *)&bound, room, (uint16_t)pending->family);
  /* A wildcard is of the socket's family. */
  if (failed == 0 && mr_address_is_wildcard(own)) own->family = (uint16_t)pending->family;
  return failed;
}

int mr_open_renew(int fd, struct mr_pending *pending) {
  int flags = real.fcntl(fd, F_GETFL, NULL), fd_flags = real.fcntl(fd, F_GETFD, NULL);
  int type = pending->type | SOCK_CLOEXEC, protocol = pending->state->protocol;
  int fresh = real.socket(pending->family, type, protocol);
  if (fresh < 0 && mr_spares_make_room()) fresh = real.socket(pending->family, type, protocol);
  if (fresh < 0) return -errno;
  for (uint32_t at = 0; at < pending->options_bytes;) {
    struct mr_option record;
    memcpy(&record, pending->options + at, sizeof record);
    at += (uint32_t)sizeof record;
    if (!(record.level & MR_OPTION_READS_BACK)) {
      real.setsockopt(fresh, (int)record.level, (int)record.option, pending->options + at, record.bytes);
    }
    at += (record.bytes + 3) & ~3u;
  }
  if (flags > 0 && (flags & O_NONBLOCK)) real.fcntl(fresh, F_SETFL, (void *)(intptr_t)flags);
  real.dup3(fresh, fd, fd_flags > 0 && (fd_flags & FD_CLOEXEC) ? O_CLOEXEC : 0);
  real.close(fresh);
  pending->state->own = (struct mr_address){0};
  pending->state->port_was_asked = pending->state->stays_undecided = false;
  return 0;
}
