/*
 * Epoll instances and the session: each instance with accelerated members has a waiter, whose eventfd is in
 * the kernel's instance, so that one epoll_wait sleeps for sockets of both kinds. In a child of fork
 * it gets a waiter of the child's session the first time it is used.
 */
#include <sys/random.h>

#include "epoll.h"
#include "interpose.h"

static struct mr_mutex settling;
/* By entry of the session: what the engine's hints are about. */
static struct mr_sock *watched[MR_SOCKETS];
static uint32_t watched_link;

/* ---- Marks ------------------------------------------------------------------------------------------ */

#define MARK_BITS 2
#define SECRET_SHIFT (MR_MARK_INDEX_BITS + MARK_BITS + 1)

static uint64_t secret(void) {
  static _Atomic(uint64_t) chosen;
  uint64_t value = atomic_load_explicit(&chosen, memory_order_relaxed);
  if (value != 0) return value;
  uint64_t random = 0;
  if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0) random = (uint64_t)(uintptr_t)&random << 20;
  /* Neither a small number nor an address. */
  random = (random | 1ull << 63) >> SECRET_SHIFT << SECRET_SHIFT;
  uint64_t none = 0;
  atomic_compare_exchange_strong(&chosen, &none, random);
  return atomic_load(&chosen);
}

uint64_t mr_mark_of(enum mr_mark mark, uint32_t index) {
  return secret() | (uint64_t)mark << MR_MARK_INDEX_BITS | index;
}

enum mr_mark mr_mark_read(uint64_t data, uint32_t *index) {
  if (data >> SECRET_SHIFT != secret() >> SECRET_SHIFT) return 0;
  *index = data & ((1u << MR_MARK_INDEX_BITS) - 1);
  return (enum mr_mark)(data >> MR_MARK_INDEX_BITS & 7);
}

/* ---- Watching --------------------------------------------------------------------------------------- */

void mr_epoll_watch(struct mr_epoll *epoll, struct mr_sock *sock) {
  struct mr_link *link = mr_link_now;
  if (link == NULL || sock->link_id != link->id || sock->local >= MR_SOCKETS) return;
  if (watched_link != link->id) memset(watched, 0, sizeof watched);
  watched_link = link->id;
  watched[sock->local] = sock;
  mr_store(&link->entries[sock->local].watched, 1);
  if (epoll->waiter >= 0) mr_waiter_mark(link, sock, epoll->waiter, true);
}

void mr_epoll_unwatch(struct mr_epoll *epoll, struct mr_sock *sock) {
  struct mr_link *link = mr_link_now;
  if (link == NULL || sock->link_id != link->id || sock->local >= MR_SOCKETS) return;
  if (epoll->waiter >= 0 && epoll->link_id == link->id) {
    mr_waiter_mark(link, sock, epoll->waiter, false);
  }
  if (sock->epolls != NULL || watched[sock->local] != sock) return;
  watched[sock->local] = NULL;
  mr_store(&link->entries[sock->local].watched, 0);
}

static void wake(struct mr_epoll_item *item) {
  atomic_store(&item->sock->companion_ready, 1);
  item->is_fresh = true; /* it is what EPOLLET tells */
  mr_item_push(item);
}

static void push_all(struct mr_sock *sock) {
  for (struct mr_epoll_item *item = sock->epolls; item != NULL; item = item->next_of_socket) {
    mr_item_push(item);
  }
}

void mr_hints_drain(struct mr_link *link) {
  struct mr_session *session = link->session;
  const uint32_t *hints = (const uint32_t *)(void *)((uint8_t *)session + MR_HINTS_AT);
  uint32_t head = session->hint_head, tail = mr_load(&session->hint_tail);
  if (head == tail) return;
  for (; head != tail; head++) {
    uint32_t local = mr_load(&hints[head % MR_HINTS]);
    if (local >= MR_SOCKETS) continue;
    mr_store(&link->entries[local].hinted, 0);
    if (watched_link == link->id && watched[local] != NULL) push_all(watched[local]);
  }
  mr_store(&session->hint_head, head);
}

void mr_companion_woke(struct mr_epoll *epoll, uint32_t local) {
  if (local >= MR_SOCKETS) return;
  if (MR_LIKELY(!epoll->was_inherited && mr_link_now != NULL)) {
    struct mr_epoll_item *item = watched[local] == NULL ? NULL : watched[local]->epolls;
    for (; item != NULL; item = item->next_of_socket) {
      if (item->epoll == epoll) wake(item);
    }
    return;
  }
  /* Entries say nothing here. */
  for (struct mr_epoll_item *item = epoll->items; item != NULL; item = item->next) {
    if (item->sock != NULL && item->sock->companion >= 0) wake(item);
  }
}

/* What the kernel leaves of a member that EPOLLONESHOT has spent. */
#define KEPT_OF_SPENT (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)

void mr_epoll_give_back(struct mr_sock *sock) {
  if (sock->epolls == NULL) return;
  int saved = errno;
  mr_mutex_lock(&mr_epoll_lock);
  for (struct mr_epoll_item *item = sock->epolls; item != NULL; item = item->next_of_socket) {
    uint32_t events = item->is_spent ? item->events & (uint32_t)KEPT_OF_SPENT : item->events;
    struct epoll_event event = {.events = events, .data.u64 = item->data};
    real.epoll_ctl(item->epoll->fd, EPOLL_CTL_ADD, item->fd, &event);
    atomic_store(&item->epoll->has_kernel, true);
  }
  mr_mutex_unlock(&mr_epoll_lock);
  errno = saved;
}

/* ---- Settling --------------------------------------------------------------------------------------- */

static int add_marked(int epfd, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data.u64 = data};
  if (real.epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) == 0 || errno == EEXIST) return 0;
  return -errno;
}

/* Edge-triggered: the eventfd need not be read, and of several processes that share the instance each is
 * woken once. */
static int equip(struct mr_epoll *epoll, int epfd, struct mr_link *link) {
  int eventfd = -1;
  atomic_store(&epoll->has_marks, true);
  int waiter = mr_waiter_alloc(link, &eventfd);
  if (waiter >= 0) {
    int failed = add_marked(epfd, eventfd, EPOLLIN | EPOLLET, mr_mark_of(MR_MARK_WAITER, 0));
    if (failed < 0) {
      mr_waiter_free(link, waiter);
      return failed;
    }
  }
  /* With no events asked for, the hang-up alone is told. */
  int failed = add_marked(epfd, link->control_fd, EPOLLET, mr_mark_of(MR_MARK_ENGINE, 0));
  if (failed < 0) return failed;
  mr_mutex_lock(&mr_epoll_lock);
  epoll->fd = epfd;
  epoll->waiter = waiter;
  epoll->eventfd = eventfd;
  atomic_store(&epoll->link_id, link->id);
  if (mr_epoll_is_slept_in(epoll) && waiter >= 0) mr_waiter_arm(link, waiter);
  mr_mutex_unlock(&mr_epoll_lock);
  return 0;
}

/* Sockets of members that have not been joined yet, held: the lock is let go while they are, and members
 * may come and go. Not one at a time: each look goes past those that have been. */
struct unjoined {
  struct mr_sock *sock;
  int fd;
};
#define UNJOINED 64

static int unjoined_of(struct mr_epoll *epoll, uint32_t session, struct unjoined *found) {
  int n = 0;
  mr_mutex_lock(&mr_epoll_lock);
  for (struct mr_epoll_item *item = epoll->items; item != NULL && n < UNJOINED; item = item->next) {
    if (item->sock == NULL || item->settled == session) continue;
    item->settled = session;
    found[n++] = (struct unjoined){mr_sock_hold(item->sock), item->fd};
  }
  mr_mutex_unlock(&mr_epoll_lock);
  return n;
}

static void watch_again(struct mr_epoll *epoll, struct mr_sock *sock) {
  mr_mutex_lock(&mr_epoll_lock);
  for (struct mr_epoll_item *item = sock->epolls; item != NULL; item = item->next_of_socket) {
    if (item->epoll != epoll) continue;
    mr_epoll_watch(epoll, sock);
    item->is_fresh = true;
    mr_item_push(item);
  }
  mr_mutex_unlock(&mr_epoll_lock);
}

static void join_members(struct mr_epoll *epoll, uint32_t session) {
  struct unjoined found[UNJOINED];
  for (int n; (n = unjoined_of(epoll, session, found)) > 0;) {
    for (int i = 0; i < n; i++) {
      if (mr_sock_attach(found[i].sock, found[i].fd) == 0) watch_again(epoll, found[i].sock);
      mr_sock_drop(found[i].sock);
    }
  }
}

int mr_epoll_settle(struct mr_epoll *epoll, int epfd) {
  struct mr_link *link = mr_link_get();
  if (link == NULL || MR_LIKELY(epoll->link_id == link->id)) return 0;
  int saved = errno;
  mr_making_begin();
  mr_making_lock(&settling);
  int failed = 0;
  if (epoll->link_id != link->id) {
    failed = equip(epoll, epfd, link);
    if (failed == 0) join_members(epoll, link->id);
  }
  mr_mutex_unlock(&settling);
  mr_making_end();
  errno = saved;
  return failed;
}

void mr_epoll_ring(struct mr_epoll *epoll) {
  if (epoll->eventfd < 0 || !mr_epoll_is_slept_in(epoll)) return;
  int saved = errno;
  uint64_t one = 1;
  /* Full means that it rings already. */
  if (real.write(epoll->eventfd, &one, sizeof one) < 0) errno = saved;
}

/* ---- fork ------------------------------------------------------------------------------------------- */

void mr_epoll_before_fork(void) { mr_mutex_lock(&mr_epoll_lock); }

static void leave_session(int fd, struct mr_fd entry, void *unused) {
  (void)fd, (void)unused;
  if (entry.kind != MR_FD_EPOLL) return;
  entry.epoll->link_id = 0;
  entry.epoll->waiter = entry.epoll->eventfd = -1;
  entry.epoll->was_inherited = true;
  entry.epoll->knows_death = false;
  entry.epoll->sleepers = 0;
  atomic_store(&entry.epoll->plain_sleepers, 0);
}

void mr_epoll_after_fork(bool in_child) {
  mr_mutex_unlock(&mr_epoll_lock);
  if (!in_child) return;
  settling = (struct mr_mutex){0}; /* its holder may rest */
  mr_fd_each(leave_session, NULL);
}
