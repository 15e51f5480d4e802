/*
 * Ends of closed sockets that are used again. A short connection needs a socket pair of which the engine has
 * one end, and passing it on costs a message on the control socket, five system calls here and as many in the
 * engine. So a process that alone has a TCP socket keeps a hidden copy of its end when the program closes
 * it, and says so to the engine (MR_OP_PARK); the next connection takes copy, entry and, if it is to
 * connect, a block of memory that came with the answer, and all there is to say goes through the ring.
 *
 * A socket that another process may have too must be closed by its hang-up: whatever may give descriptors
 * away (fork, exec, SCM_RIGHTS) begins a new epoch and closes the copies; sockets of an earlier epoch are
 * not parked. Measured (wrk and nginx, a connection per request, strace -c): 17 and 11 system calls a connection
 * without, 7 and 7 with, five of them for nginx's file; in the engine 20 and none.
 */
#include <fcntl.h>
#include <sys/resource.h>

#include "core.h"

#define SPARES 128

static struct mr_mutex mutex;
static struct mr_spare spares[SPARES];
static unsigned spares_count;
static atomic_uint copies;     /* hidden copies, in use or spare */
static atomic_uint epoch = 1;

/* Copies are descriptors of the program's: of few it keeps none. */
static unsigned most_copies(void) {
  static atomic_uint known;
  unsigned most = atomic_load(&known);
  struct rlimit limit;
  if (most != 0) return most - 1;
  most = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 8 < SPARES ? (unsigned)limit.rlim_cur / 8
                                                                              : SPARES;
  atomic_store(&known, most + 1);
  return most;
}

void mr_spare_close(int copy) {
  if (copy < 0) return;
  int saved = errno;
  mr_fd_clear(copy);
  real.close(copy);
  atomic_fetch_sub(&copies, 1);
  errno = saved;
}

uint32_t mr_spare_epoch(void) { return atomic_load(&epoch); }

static bool is_own(const struct mr_sock *sock) { return sock->epoch == atomic_load(&epoch); }

/* ---- Closing ------------------------------------------------------------------------------------------- */

void mr_spare_prepare(struct mr_sock *sock, int fd) {
  if (!is_own(sock) || atomic_load(&sock->copy) >= 0 || atomic_load(&sock->descriptors) > 1) return;
  if (sock->shared->kind != MR_KIND_TCP || sock->companion >= 0) return;
  mr_mutex_lock(&mutex);
  if (is_own(sock) && atomic_load(&copies) < most_copies()) {
    int copy = mr_fd_hidden_copy(fd);
    atomic_store(&sock->copy, copy);
    if (copy >= 0) atomic_fetch_add(&copies, 1);
  }
  mr_mutex_unlock(&mutex);
}

bool mr_spare_park(struct mr_link *link, struct mr_sock *sock) {
  int copy = atomic_exchange(&sock->copy, -1);
  if (copy < 0) return false;
  if (!is_own(sock)) {
    mr_spare_close(copy);
    return false;
  }
  struct mr_spare spare = {.fd = copy, .local = sock->local, .family = sock->shared->family, .epoch = sock->epoch};
  spare.nonblock = mr_load(&sock->shared->nonblock) != 0;
  mr_call_park(link, &spare, sock->connects);
  return true;
}

/* ---- Using them again ------------------------------------------------------------------------------------- */

void mr_spare_give(const struct mr_spare *spare) {
  mr_mutex_lock(&mutex);
  bool has_room = spares_count < SPARES && spare->epoch == atomic_load(&epoch);
  if (has_room) spares[spares_count++] = *spare;
  mr_mutex_unlock(&mutex);
  if (has_room) return;
  mr_spare_close(spare->fd);
  mr_local_free(spare->local);
}

bool mr_spare_take(struct mr_link *link, uint16_t family, struct mr_spare *to) {
  if (atomic_load(&copies) == 0) return false;
  mr_call_collect(link);
  bool found = false;
  mr_mutex_lock(&mutex);
  for (unsigned i = spares_count; i > 0 && !found; i--) {
    struct mr_spare *at = &spares[i - 1];
    if (at->has_block != (family != 0) || (at->has_block && at->family != family)) continue;
    *to = *at;
    *at = spares[--spares_count];
    found = true;
  }
  mr_mutex_unlock(&mutex);
  return found;
}

void mr_spare_set_nonblock(struct mr_spare *spare, bool on) {
  if (spare->nonblock == on) return;
  spare->nonblock = on;
  real.fcntl(spare->fd, F_SETFL, (void *)(intptr_t)(O_RDWR | (on ? O_NONBLOCK : 0)));
}

/* ---- What others get ---------------------------------------------------------------------------------------- */

static void forget_copy(struct mr_sock *sock) {
  mr_spare_close(atomic_exchange(&sock->copy, -1));
}

void mr_spare_publish(struct mr_sock *sock, int copy) {
  atomic_store(&sock->copy, copy);
  /* Who began an epoch meanwhile has not seen it. */
  if (!is_own(sock)) forget_copy(sock);
}

static void forget_all(void) {
  atomic_fetch_add(&epoch, 1);
  if (atomic_load(&copies) == 0) return;
  while (spares_count > 0) {
    struct mr_spare *last = &spares[--spares_count];
    mr_spare_close(last->fd);
    mr_local_free(last->local);
  }
  mr_call_unpark();
  mr_sock_each(forget_copy);
}

void mr_spares_forget(void) {
  mr_mutex_lock(&mutex);
  forget_all();
  mr_mutex_unlock(&mutex);
}

void mr_spares_before_fork(void) {
  mr_mutex_lock(&mutex);
  forget_all();
}

void mr_spares_after_fork(void) { mr_mutex_unlock(&mutex); }

void mr_spares_passing(const struct msghdr *message) {
  _Alignas(struct cmsghdr) uint8_t control[256];
  struct msghdr copy;
  if (message == NULL || mr_copy_from(&copy, message, sizeof copy) != 0) return;
  if (copy.msg_control == NULL || copy.msg_controllen < sizeof(struct cmsghdr)) return;
  if (copy.msg_controllen > sizeof control) {
    mr_spares_forget(); /* whatever it is: it is rare */
    return;
  }
  if (mr_copy_from(control, copy.msg_control, copy.msg_controllen) != 0) return;
  copy.msg_control = control;
  for (struct cmsghdr *at = CMSG_FIRSTHDR(&copy); at != NULL; at = CMSG_NXTHDR(&copy, at)) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
    mr_spares_forget();
    return;
  }
}
