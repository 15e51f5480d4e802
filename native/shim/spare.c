/*
 * Ends of closed sockets that are used again. A short connection needs a socket pair of which the engine has
 * one end, and passing it on costs a message on the control socket, five system calls here and as many in the
 * engine. So a process that alone has a TCP socket keeps a hidden copy of its end when the program closes
 * it, and says so to the engine (MR_OP_PARK); the next connection takes copy, entry and, if it is to
 * connect, a block of memory that came with the answer, and all there is to say goes through the ring.
 *
 * A socket that another process may have too must be closed by its hang-up: whatever may give descriptors
 * away (fork, posix_spawn, SCM_RIGHTS …) begins a new epoch and closes the copies; sockets of an earlier epoch are
 * not parked. Where a copy may be:
 *
 * | with                                   | closed by who gives descriptors away                |
 * |----------------------------------------|-----------------------------------------------------|
 * | the list of spares, a call under way   | yes; `mr_spares_lock`                               |
 * | a socket (`copy`)                      | yes: all that have an entry are looked through      |
 * | a thread, from mr_spare_begin to _end  | no: it waits until there is none, and none comes    |
 *
 * Such a thread holds nothing that who gives away needs, and who finds somebody giving away does not wait but
 * goes by descriptors, so neither waits for the other for good.
 *
 * Measured (wrk and nginx, a connection per request, strace -c): 17 and 11 system calls a connection
 * without, 7 and 7 with, five of them for nginx's file; in the engine 20 and none.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "core.h"

#define SPARES 128
#define YIELDS 100 /* while waiting for threads that have a copy in hand, before it sleeps between looks */

struct mr_mutex mr_spares_lock;
static struct mr_spare spares[SPARES];
static unsigned spares_count;
static atomic_uint copies;     /* hidden copies, in use or spare */
static atomic_uint epoch = 1;
static atomic_uint users;      /* threads that have a copy in hand */
static atomic_uint givers;     /* who gives descriptors away */
static atomic_uint known_most; /* + 1; 0: not known */

/* Copies are descriptors of the program's: of few it keeps none. */
static unsigned most_copies(void) {
  unsigned most = atomic_load(&known_most);
  struct rlimit limit;
  if (most != 0) return most - 1;
  if (atomic_load(&mr_is_filtered)) return 0; /* they are copied and closed by calls that it may not have */
  most = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 8 < SPARES ? (unsigned)limit.rlim_cur / 8
                                                                              : SPARES;
  atomic_store(&known_most, most + 1);
  return most;
}

void mr_spare_close(int copy) {
  if (copy < 0) return;
  int saved = errno;
  mr_fd_clear(copy);
  real.syscall(SYS_close, copy, 0, 0, 0, 0, 0); /* no point at which a thread may be cancelled */
  atomic_fetch_sub(&copies, 1);
  errno = saved;
}

/* ---- Who has a copy in hand, and who gives descriptors away ---------------------------------------------- */

/* Of this thread's sections, one in the other, and whether it could be cancelled before. */
static __thread struct {
  int depth, cancel_state;
} section __attribute__((tls_model("initial-exec")));

bool mr_spare_begin(void) {
  mr_enter(); /* a handler that forks would wait for its own thread */
  int before;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before); /* nor may it vanish */
  if (section.depth++ == 0) section.cancel_state = before;
  atomic_fetch_add(&users, 1);
  if (MR_LIKELY(atomic_load(&givers) == 0 && !mr_engine_is_dead)) return true;
  mr_spare_end();
  return false;
}

void mr_spare_end(void) {
  atomic_fetch_sub(&users, 1);
  if (--section.depth == 0) pthread_setcancelstate(section.cancel_state, NULL);
  mr_leave();
}

bool mr_spare_has_begun(void) { return section.depth > 0; }

static void await_users(void) {
  for (int look = 0; atomic_load(&users) > 0; look++) {
    if (look < YIELDS) mr_yield();
    else mr_nap();
  }
}

uint32_t mr_spare_epoch(void) {
  uint32_t now = atomic_load(&epoch);
  return atomic_load(&givers) == 0 ? now : 0;
}

static bool is_own(const struct mr_sock *sock) { return sock->epoch == atomic_load(&epoch); }

/* ---- Closing ------------------------------------------------------------------------------------------- */

void mr_spare_prepare(struct mr_sock *sock, int fd) {
  if (!is_own(sock) || atomic_load(&mr_is_filtered) || atomic_load(&sock->copy) >= 0 || atomic_load(&sock->descriptors) > 1) return;
  if (sock->shared->kind != MR_KIND_TCP || sock->companion >= 0) return;
  if (atomic_load(&copies) >= most_copies() || !mr_spare_begin()) return;
  int none = -1, copy = is_own(sock) ? mr_fd_hidden_copy(fd) : -1;
  if (copy >= 0) {
    atomic_fetch_add(&copies, 1);
    if (!atomic_compare_exchange_strong(&sock->copy, &none, copy)) mr_spare_close(copy);
  }
  mr_spare_end();
}

bool mr_spare_park(struct mr_link *link, struct mr_sock *sock) {
  int copy = atomic_exchange(&sock->copy, -1);
  if (copy < 0) return false;
  struct mr_spare spare = {.fd = copy, .local = sock->local, .family = sock->shared->family, .epoch = sock->epoch};
  spare.nonblock = mr_load(&sock->shared->nonblock) != 0;
  if (is_own(sock) && mr_call_park(link, &spare, sock->connects)) return true;
  mr_spare_close(copy);
  return false;
}

static void forget_copy(struct mr_sock *sock) {
  mr_spare_close(atomic_exchange(&sock->copy, -1));
}

void mr_spare_drop(struct mr_sock *sock) {
  if (atomic_load(&sock->copy) < 0) return;
  /* Whoever gives descriptors away comes before, and sees it, or after: then it is closed. */
  mr_mutex_lock(&mr_spares_lock);
  forget_copy(sock);
  mr_mutex_unlock(&mr_spares_lock);
}

/* ---- Using them again ------------------------------------------------------------------------------------- */

void mr_spare_give(const struct mr_spare *spare) {
  bool has_room = spares_count < SPARES && spare->epoch == atomic_load(&epoch) && !mr_engine_is_dead;
  if (has_room) {
    spares[spares_count++] = *spare;
    return;
  }
  mr_spare_close(spare->fd);
  mr_local_free(spare->local);
}

void mr_spare_give_back(const struct mr_spare *spare) {
  mr_mutex_lock(&mr_spares_lock);
  mr_spare_give(spare);
  mr_mutex_unlock(&mr_spares_lock);
}

bool mr_spare_take(struct mr_link *link, uint16_t family, struct mr_spare *to) {
  if (atomic_load(&copies) == 0) return false;
  mr_call_collect(link);
  bool found = false;
  mr_mutex_lock(&mr_spares_lock);
  for (unsigned i = spares_count; i > 0 && !found; i--) {
    struct mr_spare *at = &spares[i - 1];
    if (at->has_block != (family != 0) || (at->has_block && at->family != family)) continue;
    *to = *at;
    *at = spares[--spares_count];
    found = true;
  }
  mr_mutex_unlock(&mr_spares_lock);
  return found;
}

void mr_spare_set_nonblock(struct mr_spare *spare, bool on) {
  if (spare->nonblock == on) return;
  spare->nonblock = on;
  real.fcntl(spare->fd, F_SETFL, (void *)(intptr_t)(O_RDWR | (on ? O_NONBLOCK : 0)));
}

void mr_spare_publish(struct mr_sock *sock, int copy) { atomic_store(&sock->copy, copy); }

/* ---- What others get ---------------------------------------------------------------------------------------- */

/* With the lock held. */
static void close_all(void) {
  if (atomic_load(&copies) == 0) return;
  while (spares_count > 0) {
    struct mr_spare *last = &spares[--spares_count];
    mr_spare_close(last->fd);
    mr_local_free(last->local);
  }
  mr_call_unpark();
  mr_sock_each(forget_copy);
}

void mr_spares_giving(void) {
  int saved = errno;
  atomic_fetch_add(&givers, 1);
  atomic_fetch_add(&epoch, 1);
  await_users();
  mr_mutex_lock(&mr_spares_lock);
  close_all();
  mr_mutex_unlock(&mr_spares_lock);
  errno = saved;
}

void mr_spares_given(void) {
  /* A child of fork begins at 0, and may come from a handler in between. */
  unsigned seen = atomic_load(&givers);
  while (seen > 0 && !atomic_compare_exchange_weak(&givers, &seen, seen - 1)) {
  }
}

void mr_spares_forget(void) {
  mr_spares_giving();
  mr_spares_given();
}

bool mr_spares_shed(void) {
  if (atomic_load(&copies) == 0) return false;
  bool has_lock = false;
  for (int tries = 0; tries < YIELDS && !has_lock; tries++) {
    has_lock = mr_mutex_try(&mr_spares_lock);
    if (!has_lock) mr_yield();
  }
  if (!has_lock) return false;
  close_all();
  mr_mutex_unlock(&mr_spares_lock);
  return true;
}

bool mr_spares_make_room(void) {
  if (errno != EMFILE && errno != ENFILE) return false;
  int saved = errno;
  atomic_store(&known_most, 0); /* the limit may be another one by now */
  bool has_room = mr_spares_shed();
  errno = saved;
  return has_room;
}

void mr_spares_before_fork(void) { mr_mutex_lock(&mr_spares_lock); }

void mr_spares_after_fork(bool in_child) {
  mr_mutex_unlock(&mr_spares_lock);
  if (!in_child) return;
  atomic_store(&users, 0);
  atomic_store(&givers, 0);
}

void mr_spares_passing(const struct msghdr *message) {
  _Alignas(struct cmsghdr) uint8_t control[256];
  struct msghdr copy;
  if (message == NULL || mr_copy_from(&copy, message, sizeof copy) != 0) return;
  if (copy.msg_control == NULL || copy.msg_controllen < sizeof(struct cmsghdr)) return;
  if (copy.msg_controllen > sizeof control) {
    mr_share_bound(false);
    mr_spares_forget(); /* whatever it is: it is rare */
    return;
  }
  if (mr_copy_from(control, copy.msg_control, copy.msg_controllen) != 0) return;
  copy.msg_control = control;
  for (struct cmsghdr *at = CMSG_FIRSTHDR(&copy); at != NULL; at = CMSG_NXTHDR(&copy, at)) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
    mr_share_bound(false);
    mr_spares_forget();
    return;
  }
}
