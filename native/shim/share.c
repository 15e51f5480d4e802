/*
 * TCP sockets that are bound and no more when another process is about to get them (fork, exec, SCM_RIGHTS): servers
 * bind in one process and listen in others. They become Millrace's before, as if they listened: then whoever listens
 * does so for all, and all accept. Whoever connects one to an address of the kernel's takes the companion instead.
 */
#include <fcntl.h>

#include "open.h"

static atomic_bool any_bound;

void mr_share_note_bound(const struct mr_pending *pending) {
  if (pending->type == SOCK_STREAM && pending->state->own.family != 0) atomic_store(&any_bound, true);
}

struct sharing {
  bool by_exec; /* only those that stay open */
};

static bool is_shared(int fd, const struct mr_fd *entry, const struct sharing *sharing) {
  if (entry->kind != MR_FD_PENDING || entry->pending->type != SOCK_STREAM) return false;
  if (entry->pending->state->own.family == 0) return false;
  if (!sharing->by_exec) return true;
  int flags = real.fcntl(fd, F_GETFD, NULL);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

static void open_bound(int fd, struct mr_fd entry, void *context) {
  if (!is_shared(fd, &entry, context)) {
    if (entry.kind == MR_FD_PENDING) mr_share_note_bound(entry.pending);
    return;
  }
  /* Taken: another thread decides just now, or this one, which a signal's handler has interrupted. */
  if (!mr_open_try(fd, entry.pending)) return;
  struct mr_address own = entry.pending->state->own;
  struct mr_asking asking = {.at = MR_AT_BIND, .with_companion = true, .own = &own};
  /* Where Millrace has the port already, `listen` is to say so. */
  if (mr_open_ask(fd, entry.pending, &asking) < 0) atomic_store(&any_bound, true);
  mr_open_end(entry.pending);
}

void mr_share_bound(bool by_exec) {
  if (MR_LIKELY(!atomic_load_explicit(&any_bound, memory_order_relaxed)) || mr_thread.is_lodger) return;
  int saved = errno;
  struct sharing sharing = {by_exec};
  atomic_store(&any_bound, false);
  mr_fd_each(open_bound, &sharing);
  errno = saved;
}

/* ---- Back again ----------------------------------------------------------------------------------------- */

struct places {
  const struct mr_sock *sock;
  int fds[64];
  int count;
};

static void collect_place(int fd, struct mr_fd entry, void *context) {
  struct places *to = context;
  if (entry.kind == MR_FD_SOCKET && entry.sock == to->sock && to->count < 64) to->fds[to->count++] = fd;
}

void mr_share_leave(struct mr_sock *sock, const char *why) {
  struct places places = {.sock = sock};
  intptr_t flags = real.fcntl(sock->companion, F_GETFL, NULL);
  if (flags >= 0) {
    flags = mr_load(&sock->shared->nonblock) ? flags | O_NONBLOCK : flags & ~(intptr_t)O_NONBLOCK;
    real.fcntl(sock->companion, F_SETFL, (void *)flags);
  }
  mr_fd_each(collect_place, &places);
  for (int i = 0; i < places.count; i++) {
    int fd = places.fds[i], of_number = real.fcntl(fd, F_GETFD, NULL);
    real.dup3(sock->companion, fd, of_number > 0 && (of_number & FD_CLOEXEC) ? O_CLOEXEC : 0);
    mr_fd_set(fd, (struct mr_fd){.kind = MR_FD_KERNEL});
    mr_debug("fd %d stays with the kernel: %s", fd, why);
  }
}
