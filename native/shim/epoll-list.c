/*
 * Interest lists: which accelerated sockets an epoll instance watches. The kernel's own instance, which is
 * what the program's descriptor is, holds all else natively: kernel descriptors, other instances,
 * sockets that have not been decided (and here, too, for when they are), companions.
 */
#include "epoll.h"
#include "interpose.h"

struct mr_mutex mr_epoll_lock;

#define POOL(type) {.object_bytes = (sizeof(struct type) + 15) / 16 * 16}
static struct mr_pool items = POOL(mr_epoll_item);
static struct mr_pool instances = POOL(mr_epoll);

/* Instances inside instances, by the index of their mark. */
#define INNERS 4096
static struct inner {
  struct mr_epoll *outer, *inner; /* NULL: free */
  int fd;
  uint64_t data;
} inners[INNERS];
static bool has_inners;

/* ---- Lists ------------------------------------------------------------------------------------------ */

void mr_item_push(struct mr_epoll_item *item) {
  struct mr_epoll *epoll = item->epoll;
  if (item->is_ready || item->sock == NULL) return;
  item->is_ready = true;
  item->next_ready = NULL;
  item->previous_ready = epoll->last_ready;
  if (epoll->last_ready != NULL) epoll->last_ready->next_ready = item;
  else epoll->first_ready = item;
  epoll->last_ready = item;
  atomic_fetch_add(&epoll->ready, 1);
}

void mr_item_pull(struct mr_epoll_item *item) {
  struct mr_epoll *epoll = item->epoll;
  if (!item->is_ready) return;
  if (item->previous_ready != NULL) item->previous_ready->next_ready = item->next_ready;
  else epoll->first_ready = item->next_ready;
  if (item->next_ready != NULL) item->next_ready->previous_ready = item->previous_ready;
  else epoll->last_ready = item->previous_ready;
  item->is_ready = false;
  atomic_fetch_sub(&epoll->ready, 1);
}

static struct mr_epoll_item *find(struct mr_epoll_item *of_socket, const struct mr_epoll *epoll, int fd) {
  while (of_socket != NULL && (of_socket->epoll != epoll || of_socket->fd != fd)) {
    of_socket = of_socket->next_of_socket;
  }
  return of_socket;
}

/* Whether the instance watches the socket under any number. */
static bool is_member(const struct mr_sock *sock, const struct mr_epoll *epoll) {
  for (struct mr_epoll_item *at = sock->epolls; at != NULL; at = at->next_of_socket) {
    if (at->epoll == epoll) return true;
  }
  return false;
}

void mr_companion_watch(struct mr_epoll *epoll, struct mr_sock *sock, int op) {
  if (sock->companion < 0) return;
  int saved = errno;
  /* Until the engine's death there is room when Millrace has room. */
  uint32_t events = EPOLLIN | EPOLLET | (mr_engine_is_dead ? EPOLLOUT : 0);
  struct epoll_event event = {.events = events, .data.u64 = mr_mark_of(MR_MARK_COMPANION, sock->local)};
  real.epoll_ctl(epoll->fd, op, sock->companion, &event);
  atomic_store(&epoll->has_kernel, true);
  errno = saved;
}

/* The socket is decided: from now on the shim watches it. */
static void become_ours(struct mr_epoll_item *item, struct mr_sock *sock) {
  if (!is_member(sock, item->epoll)) mr_companion_watch(item->epoll, sock, EPOLL_CTL_ADD);
  item->sock = sock;
  item->pending = NULL;
  item->is_fresh = true;
  item->is_spent = false;
  item->next_of_socket = sock->epolls;
  sock->epolls = item;
  atomic_fetch_add(&item->epoll->sockets, 1);
  mr_epoll_watch(item->epoll, sock);
  mr_item_push(item);
  mr_epoll_ring(item->epoll);
}

static struct mr_epoll_item *make_item(struct mr_epoll *epoll, int fd, const struct epoll_event *event) {
  struct mr_epoll_item *item = mr_pool_take(&items);
  if (item == NULL) return NULL;
  item->epoll = epoll;
  item->fd = fd;
  item->events = event->events;
  item->data = event->data.u64;
  item->next = epoll->items;
  if (epoll->items != NULL) epoll->items->previous = item;
  epoll->items = item;
  return item;
}

static void unlink_item(struct mr_epoll_item **list, struct mr_epoll_item *item) {
  while (*list != NULL && *list != item) list = &(*list)->next_of_socket;
  if (*list == item) *list = item->next_of_socket;
}

static void forget_item(struct mr_epoll_item *item) {
  struct mr_epoll *epoll = item->epoll;
  mr_item_pull(item);
  if (item->previous != NULL) item->previous->next = item->next;
  else epoll->items = item->next;
  if (item->next != NULL) item->next->previous = item->previous;
  mr_pool_give(&items, item);
}

void mr_item_remove(struct mr_epoll_item *item) {
  struct mr_epoll *epoll = item->epoll;
  struct mr_sock *sock = item->sock;
  unlink_item(&sock->epolls, item);
  forget_item(item);
  atomic_fetch_sub(&epoll->sockets, 1);
  if (is_member(sock, epoll)) return;
  /* Not in a child of fork that has not used the instance: the kernel's is the parent's as well. */
  bool is_own = !epoll->was_inherited || (mr_link_now != NULL && epoll->link_id == mr_link_now->id);
  if (sock->companion >= 0 && is_own) {
    int saved = errno;
    real.epoll_ctl(epoll->fd, EPOLL_CTL_DEL, sock->companion, NULL);
    errno = saved;
  }
  mr_epoll_unwatch(epoll, sock);
}

/* ---- epoll_ctl -------------------------------------------------------------------------------------- */

#define EXCLUSIVE_WITH \
  (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)

/* In the kernel's order. */
static int check(int op, const struct mr_epoll_item *item, const struct epoll_event *event) {
  if (op != EPOLL_CTL_ADD && op != EPOLL_CTL_MOD && op != EPOLL_CTL_DEL) return -EINVAL;
  bool exclusive = op != EPOLL_CTL_DEL && (event->events & EPOLLEXCLUSIVE);
  if (exclusive && op == EPOLL_CTL_MOD) return -EINVAL;
  if (exclusive && (event->events & ~(uint32_t)EXCLUSIVE_WITH)) return -EINVAL;
  if (op == EPOLL_CTL_ADD) return item != NULL ? -EEXIST : 0;
  if (item == NULL) return -ENOENT;
  return op == EPOLL_CTL_MOD && (item->events & EPOLLEXCLUSIVE) ? -EINVAL : 0;
}

static int control_socket(struct mr_epoll *epoll, int op, int fd, struct mr_sock *sock,
                          const struct epoll_event *event) {
  struct mr_epoll_item *item = find(sock->epolls, epoll, fd);
  int failed = check(op, item, event);
  if (failed < 0) return failed;
  if (op == EPOLL_CTL_DEL) {
    mr_item_remove(item);
    return 0;
  }
  if (op == EPOLL_CTL_ADD) {
    item = make_item(epoll, fd, event);
    if (item == NULL) return -ENOMEM;
    become_ours(item, sock);
    return 0;
  }
  item->events = event->events;
  item->data = event->data.u64;
  item->is_fresh = true;
  item->is_spent = false;
  mr_item_push(item);
  mr_epoll_ring(epoll);
  return 0;
}

/* The kernel has done it; what it watches is noted for when the socket is decided. */
static int control_pending(struct mr_epoll *epoll, int op, int fd, struct mr_pending *pending,
                           const struct epoll_event *event) {
  struct mr_epoll_item *item = find(pending->epolls, epoll, fd);
  if (op == EPOLL_CTL_DEL) {
    if (item == NULL) return 0;
    unlink_item(&pending->epolls, item);
    forget_item(item);
    return 0;
  }
  if (item == NULL) {
    item = make_item(epoll, fd, event);
    if (item == NULL) return -ENOMEM;
    item->pending = pending;
    item->next_of_socket = pending->epolls;
    pending->epolls = item;
  }
  item->events = event->events;
  item->data = event->data.u64;
  return 0;
}

/* An instance in an instance: the kernel watches it under a mark, so that what it says can be checked. */
static int control_inner(struct mr_epoll *outer, int epfd, int op, int fd, struct mr_epoll *inner,
                         const struct epoll_event *event) {
  struct inner *free_one = NULL, *found = NULL;
  for (int i = 0; i < INNERS; i++) {
    struct inner *at = &inners[i];
    if (at->inner == inner && at->outer == outer && at->fd == fd) found = at;
    if (at->inner == NULL && free_one == NULL) free_one = at;
  }
  struct inner *at = found != NULL ? found : free_one;
  struct epoll_event marked = {.events = event->events, .data = event->data};
  if (at != NULL) marked.data.u64 = mr_mark_of(MR_MARK_INNER, (uint32_t)(at - inners));
  if (real.epoll_ctl(epfd, op, fd, &marked) < 0) return -errno;
  if (at == NULL) return 0;
  bool stays = op != EPOLL_CTL_DEL;
  has_inners = true;
  *at = (struct inner){stays ? outer : NULL, stays ? inner : NULL, fd, event->data.u64};
  return 0;
}

struct mr_epoll *mr_inner_get(uint32_t index, uint64_t *data, int *fd) {
  if (index >= INNERS || inners[index].inner == NULL) return NULL;
  *data = inners[index].data;
  *fd = inners[index].fd;
  return mr_epoll_hold(inners[index].inner) ? inners[index].inner : NULL;
}

struct mr_epoll *mr_inner_of(const struct mr_epoll *outer, uint32_t *index) {
  for (; *index < INNERS; ++*index) {
    struct mr_epoll *inner = inners[*index].inner;
    if (inner != NULL && inners[*index].outer == outer && mr_epoll_hold(inner)) return inner;
  }
  return NULL;
}

static int control_known(struct mr_epoll *epoll, int epfd, int op, int fd, struct mr_fd target,
                         const struct epoll_event *event) {
  int result = 0;
  if (target.kind == MR_FD_SOCKET) {
    result = mr_epoll_settle(epoll, epfd);
    if (result == 0 && mr_link_now != NULL) mr_sock_attach(target.sock, fd);
  }
  if (target.kind == MR_FD_PENDING && real.epoll_ctl(epfd, op, fd, (struct epoll_event *)event) < 0) {
    result = -errno;
  }
  if (result == 0) {
    mr_mutex_lock(&mr_epoll_lock);
    epoll->fd = epfd;
    if (target.kind == MR_FD_SOCKET) result = control_socket(epoll, op, fd, target.sock, event);
    else if (target.kind == MR_FD_PENDING) result = control_pending(epoll, op, fd, target.pending, event);
    else result = control_inner(epoll, epfd, op, fd, target.epoll, event);
    mr_mutex_unlock(&mr_epoll_lock);
  }
  if (target.kind != MR_FD_SOCKET) atomic_store(&epoll->has_kernel, true);
  if (target.kind == MR_FD_EPOLL) {
    atomic_store(&epoll->has_marks, true);
    atomic_store(&epoll->has_inners, true);
    /* Arms it, and makes it readable if it is ready. */
    if (result == 0 && op != EPOLL_CTL_DEL) mr_epoll_ready(target.epoll, true);
  }
  return result;
}

/* An epoll descriptor that came from where we did not see it is known from now on, if it is one. */
static int control(int epfd, int op, int fd, struct mr_fd target, const struct epoll_event *event) {
  struct mr_fd entry = mr_fd_get(epfd);
  bool is_new = entry.kind == MR_FD_PLAIN;
  if (is_new) {
    mr_epoll_open(epfd);
    entry = mr_fd_get(epfd);
  }
  int result = -EINVAL;
  if (entry.kind == MR_FD_EPOLL) result = control_known(entry.epoll, epfd, op, fd, target, event);
  mr_fd_put(entry);
  if (is_new && result < 0) mr_fd_clear(epfd);
  return result;
}

int mr_epoll_control(int epfd, int op, int fd, struct epoll_event *event) {
  struct epoll_event given = {0};
  enum mr_fd_kind kind = mr_fd_kind_of(fd);
  if (kind == MR_FD_PRIVATE || mr_fd_kind_of(epfd) == MR_FD_PRIVATE) return mr_fail(EBADF);
  bool is_kernel = kind == MR_FD_PLAIN || kind == MR_FD_KERNEL;
  if (is_kernel || epfd == fd) {
    struct mr_fd entry = mr_fd_get(epfd);
    if (entry.kind == MR_FD_EPOLL) atomic_store(&entry.epoll->has_kernel, true);
    mr_fd_put(entry);
    return real.epoll_ctl(epfd, op, fd, event);
  }
  if (op != EPOLL_CTL_DEL && mr_copy_from(&given, event, sizeof given) < 0) return mr_fail(EFAULT);
  if (mr_fd_kind_of(epfd) != MR_FD_EPOLL && real.fcntl(epfd, F_GETFD, NULL) < 0) return -1;
  int saved = errno;
  struct mr_fd target = mr_fd_get(fd);
  int result = control(epfd, op, fd, target, &given);
  mr_fd_put(target);
  errno = saved;
  return result < 0 ? mr_fail(-result) : 0;
}

/* ---- Comings and goings ------------------------------------------------------------------------------ */

int mr_epoll_open(int epfd) {
  if (epfd < 0) return epfd;
  struct mr_epoll *epoll = mr_pool_take(&instances);
  if (epoll == NULL) return mr_fresh_fd(epfd);
  atomic_init(&epoll->references, 1);
  epoll->fd = epfd;
  epoll->waiter = epoll->eventfd = -1;
  mr_fd_set(epfd, (struct mr_fd){.kind = MR_FD_EPOLL, .epoll = epoll});
  return epfd;
}

bool mr_epoll_hold(struct mr_epoll *epoll) {
  int seen = atomic_load(&epoll->references);
  while (seen > 0) {
    if (atomic_compare_exchange_weak(&epoll->references, &seen, seen + 1)) return true;
  }
  return false;
}

void mr_epoll_drop(struct mr_epoll *epoll) {
  if (atomic_fetch_sub(&epoll->references, 1) != 1) return;
  mr_mutex_lock(&mr_epoll_lock);
  epoll->fd = -1; /* the kernel's instance is gone, or others have it */
  for (struct mr_epoll_item *item = epoll->items, *next; item != NULL; item = next) {
    next = item->next;
    if (item->sock != NULL) {
      mr_item_remove(item);
    } else {
      unlink_item(&item->pending->epolls, item);
      forget_item(item);
    }
  }
  for (int i = 0; has_inners && i < INNERS; i++) {
    if (inners[i].inner == epoll || inners[i].outer == epoll) inners[i] = (struct inner){0};
  }
  mr_mutex_unlock(&mr_epoll_lock);
  struct mr_link *link = mr_link_now;
  if (link != NULL && epoll->link_id == link->id && epoll->waiter >= 0) {
    mr_waiter_free(link, epoll->waiter);
  }
  mr_pool_give(&instances, epoll);
}

void mr_epoll_forget(struct mr_sock *sock) {
  if (sock->epolls == NULL) return;
  mr_mutex_lock(&mr_epoll_lock);
  while (sock->epolls != NULL) mr_item_remove(sock->epolls);
  mr_mutex_unlock(&mr_epoll_lock);
}

void mr_epoll_forget_pending(struct mr_pending *pending) {
  if (pending->epolls == NULL) return;
  mr_mutex_lock(&mr_epoll_lock);
  while (pending->epolls != NULL) {
    struct mr_epoll_item *item = pending->epolls;
    pending->epolls = item->next_of_socket;
    forget_item(item);
  }
  mr_mutex_unlock(&mr_epoll_lock);
}

/* The kernel's registrations go while the number still is the kernel socket: a companion would keep
 * them alive where nobody can reach them. */
void mr_epoll_before_replace(struct mr_pending *pending) {
  int saved = errno;
  mr_mutex_lock(&mr_epoll_lock);
  for (struct mr_epoll_item *at = pending->epolls; at != NULL; at = at->next_of_socket) {
    real.epoll_ctl(at->epoll->fd, EPOLL_CTL_DEL, at->fd, NULL);
  }
  mr_mutex_unlock(&mr_epoll_lock);
  errno = saved;
}

/* An instance that watches the socket and has not been settled in the session yet: held, or NULL. */
static struct mr_epoll *unsettled_of(struct mr_pending *pending, uint32_t session, int *epfd) {
  struct mr_epoll *found = NULL;
  mr_mutex_lock(&mr_epoll_lock);
  for (struct mr_epoll_item *at = pending->epolls; at != NULL && found == NULL; at = at->next_of_socket) {
    if (at->settled == session || !mr_epoll_hold(at->epoll)) continue;
    at->settled = session;
    found = at->epoll;
    *epfd = found->fd;
  }
  mr_mutex_unlock(&mr_epoll_lock);
  return found;
}

void mr_epoll_after_replace(struct mr_pending *pending, struct mr_sock *sock) {
  if (pending->epolls == NULL) return;
  struct mr_epoll *epoll;
  int epfd = -1;
  while ((epoll = unsettled_of(pending, sock->link_id, &epfd)) != NULL) {
    mr_epoll_settle(epoll, epfd);
    mr_epoll_drop(epoll);
  }
  mr_mutex_lock(&mr_epoll_lock);
  while (pending->epolls != NULL) {
    struct mr_epoll_item *item = pending->epolls;
    pending->epolls = item->next_of_socket;
    become_ours(item, sock);
  }
  mr_mutex_unlock(&mr_epoll_lock);
}

void mr_epoll_touch(struct mr_sock *sock, bool is_edge) {
  if (sock->epolls == NULL) return;
  mr_mutex_lock(&mr_epoll_lock);
  for (struct mr_epoll_item *at = sock->epolls; at != NULL; at = at->next_of_socket) {
    at->is_fresh |= is_edge;
    mr_item_push(at);
    mr_epoll_ring(at->epoll);
  }
  mr_mutex_unlock(&mr_epoll_lock);
}
