/*
 * TCP sockets that are bound and no more when another process is about to get them (fork, exec, SCM_RIGHTS): servers
 * bind in one process and listen in others. They become Millrace's before, as if they listened: then whoever listens
 * does so for all, and all accept. Whoever connects one to an address of the kernel's takes the companion instead.
 */
#include <fcntl.h>

#include "open.h"

static atomic_bool any_bound;

struct sharing {
  bool by_exec; /* only those that stay open */
  bool has_looked, is_stopped; /* whether the engine would answer */
};

/* Who starts a process does not wait for an engine that has stopped; there signals' handlers could not end it. */
static bool is_stopped(struct sharing *sharing) {
  if (sharing->has_looked) return sharing->is_stopped;
  sharing->has_looked = true;
  sharing->is_stopped = mr_engine_is_stopped(mr_link_now);
  if (sharing->is_stopped) {
    mr_warn("the engine has stopped: what is bound, and is another process's too from now on, stays with the kernel");
  }
  return sharing->is_stopped;
}

static bool is_bound(const struct mr_pending *pending) {
  const struct mr_open_state *state = pending->state;
  return pending->type == SOCK_STREAM && state->own.family != 0 && !state->stays_undecided;
}

static bool is_shared(int fd, const struct sharing *sharing) {
  if (!sharing->by_exec) return true;
  int flags = real.fcntl(fd, F_GETFD, NULL);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

void mr_share_note_bound(const struct mr_pending *pending) {
  if (is_bound(pending)) atomic_store(&any_bound, true);
}

static void open_bound(int fd, struct mr_fd entry, void *context) {
  if (entry.kind != MR_FD_PENDING || !is_bound(entry.pending)) return;
  /* Taken: another thread decides just now, or sets an option. */
  if (!is_shared(fd, context) || !mr_open_try(fd, entry.pending)) {
    atomic_store(&any_bound, true);
    return;
  }
  if (is_bound(entry.pending) && is_stopped(context)) {
    mr_open_leave_with_kernel(fd, entry.pending, "the engine had stopped when another process got it");
    mr_open_end(entry.pending);
    return;
  }
  struct mr_address own = entry.pending->state->own;
  struct mr_asking asking = {.at = MR_AT_BIND, .with_companion = true, .is_early = true, .own = &own};
  int result = is_bound(entry.pending) ? mr_open_ask(fd, entry.pending, &asking) : 0;
  /* What servers may not have clients may. */
  if (result > 0) entry.pending->state->stays_undecided = true;
  /* Where Millrace has the port already, `listen` is to say so. */
  if (result < 0) atomic_store(&any_bound, true);
  mr_open_end(entry.pending);
}

void mr_share_bound(bool by_exec) {
  if (MR_LIKELY(!atomic_load_explicit(&any_bound, memory_order_relaxed)) || mr_thread.is_lodger) return;
  int saved = errno;
  struct sharing sharing = {.by_exec = by_exec};
  atomic_store(&any_bound, false);
  mr_fd_each(open_bound, &sharing);
  errno = saved;
}

/* ---- Back again ----------------------------------------------------------------------------------------- */

struct leaving {
  const struct mr_sock *sock;
  const char *why;
};

static void put_companion(int fd, struct mr_fd entry, void *context) {
  const struct leaving *leaving = context;
  if (entry.kind != MR_FD_SOCKET || entry.sock != leaving->sock) return;
  int of_number = real.fcntl(fd, F_GETFD, NULL);
  real.dup3(entry.sock->companion, fd, of_number > 0 && (of_number & FD_CLOEXEC) ? O_CLOEXEC : 0);
}

static void become_kernels(int fd, struct mr_fd entry, void *context) {
  const struct leaving *leaving = context;
  if (entry.kind != MR_FD_SOCKET || entry.sock != leaving->sock) return;
  mr_fd_set(fd, (struct mr_fd){.kind = MR_FD_KERNEL});
  mr_debug("fd %d stays with the kernel: %s", fd, leaving->why);
}

bool mr_share_leave(struct mr_sock *sock, const char *why) {
  struct leaving leaving = {sock, why};
  if (!mr_allows(SYS_fcntl) || !mr_allows(SYS_dup3)) return false;
  mr_making_begin(); /* a child of fork finds all of it done, or nothing */
  intptr_t flags = real.fcntl(sock->companion, F_GETFL, NULL);
  if (flags >= 0) {
    flags = mr_load(&sock->shared->nonblock) ? flags | O_NONBLOCK : flags & ~(intptr_t)O_NONBLOCK;
    real.fcntl(sock->companion, F_SETFL, (void *)flags);
  }
  mr_fd_each(put_companion, &leaving);
  mr_epoll_give_back(sock);
  mr_fd_each(become_kernels, &leaving);
  mr_making_end();
  return true;
}
