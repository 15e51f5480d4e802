/*
 * epoll_wait. Accelerated members become ready by the engine's hints: looking costs as much as there is
 * ready, however many are watched. The rest is the kernel's instance: it is asked without waiting
 * while the shim polls, and it is where the thread sleeps; the eventfd of the instance's waiter is in it.
 *
 * What is reported when follows fs/eventpoll.c: level-triggered members go to the end of the ready list
 * and are looked at again, edge-triggered ones come back when something happens, EPOLLONESHOT
 * waits for EPOLL_CTL_MOD.
 */
#include <limits.h>
#include <poll.h>
#include <sys/syscall.h>

#include "epoll.h"
#include "interpose.h"

/* After so many looks at the kernel in vain it is asked every eighth time only, as long as sockets of
 * ours are ready. Measured: an epoll_wait of the kernel's costs 0.2 to 0.4 µs. */
#define QUIET 64

/* ---- What is ready -------------------------------------------------------------------------------------- */

#define STATES                                                                                       \
  (MR_STATUS_CONNECTED | MR_STATUS_EOF | MR_STATUS_NO_SEND | MR_STATUS_CONNECTING | MR_STATUS_GONE | \
   MR_STATUS_ERROR)

/* What EPOLLET tells: new data to who reads, new room to who writes, a new state to all. */
static bool has_happened(struct mr_epoll_item *item, uint64_t events, uint32_t status) {
  uint32_t readers = EPOLLIN | EPOLLRDNORM | EPOLLPRI | EPOLLRDBAND;
  uint32_t writers = EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
  if (item->is_fresh || ((item->seen_status ^ status) & STATES)) return true;
  if (events >> 32 != item->seen >> 32 && (item->events & readers)) return true;
  return (uint32_t)events != (uint32_t)item->seen && (item->events & writers);
}

/* The companion's kernel socket said something once; whether it still does only it knows. */
static uint32_t look_at_companion(struct mr_sock *sock) {
  if (MR_LIKELY(sock->companion < 0 || !atomic_exchange(&sock->companion_ready, 0))) return 0;
  struct pollfd kernel = {.fd = sock->companion, .events = POLLIN};
  if (mr_kernel_look(&kernel, 1) <= 0) return 0;
  atomic_store(&sock->companion_ready, 1);
  return (kernel.revents & POLLIN ? EPOLLIN | EPOLLRDNORM : 0) | (kernel.revents & POLLERR ? EPOLLERR : 0);
}

/* 0: nothing to report. `consumes`: it is going to be reported. */
static uint32_t look_at_item(struct mr_epoll_item *item, bool consumes) {
  struct mr_sock *sock = item->sock;
  if (item->is_spent) return 0;
  uint64_t events = mr_sock_events(sock);
  uint32_t status = mr_load(&sock->shared->status);
  uint32_t ready = (uint32_t)(uint16_t)mr_sock_ready(sock) | look_at_companion(sock);
  ready &= item->events | EPOLLERR | EPOLLHUP;
  if ((item->events & EPOLLET) && !has_happened(item, events, status)) ready = 0;
  if (consumes) {
    item->seen = events;
    item->seen_status = status;
    item->is_fresh = false;
  }
  return ready;
}

static void learn_of_death(struct mr_epoll *epoll) {
  if (MR_LIKELY(!mr_engine_is_dead) || epoll->knows_death) return;
  epoll->knows_death = true;
  for (struct mr_epoll_item *item = epoll->items; item != NULL; item = item->next) {
    if (item->sock == NULL) continue;
    mr_companion_watch(epoll, item->sock, EPOLL_CTL_MOD);
    item->is_fresh = true;
    mr_item_push(item);
  }
}

static void drain(struct mr_epoll *epoll) {
  struct mr_link *link = mr_link_now;
  learn_of_death(epoll);
  if (link == NULL || link->session == NULL) return;
  if (epoll->is_nested && epoll->waiter >= 0 && epoll->link_id == link->id) {
    mr_waiter_arm(link, epoll->waiter);
  }
  mr_hints_drain(link);
}

/* Reports up to `max` of the ready list; -EFAULT when the first does not fit into user memory. */
static int collect(struct mr_epoll *epoll, struct epoll_event *events, int max) {
  int n = 0, failed = 0;
  mr_mutex_lock(&mr_epoll_lock);
  drain(epoll);
  for (int left = atomic_load(&epoll->ready); left > 0 && n < max; left--) {
    struct mr_epoll_item *item = epoll->first_ready;
    mr_item_pull(item);
    struct epoll_event event = {.events = look_at_item(item, true), .data.u64 = item->data};
    if (event.events == 0) continue;
    if (mr_copy_to(&events[n], &event, sizeof event) < 0) {
      mr_item_push(item);
      item->is_fresh = true;
      failed = -EFAULT;
      break;
    }
    n++;
    if (item->events & EPOLLONESHOT) item->is_spent = true;
    else if (!(item->events & EPOLLET)) mr_item_push(item);
  }
  /* What is left, level-triggered ones included, is for other threads and for instances around this. */
  if (atomic_load(&epoll->ready) > 0) mr_epoll_ring(epoll);
  mr_mutex_unlock(&mr_epoll_lock);
  return n == 0 && failed < 0 ? failed : n;
}

/* Whether collect would find something; takes nothing off. */
static bool peek(struct mr_epoll *epoll) {
  bool found = false;
  mr_mutex_lock(&mr_epoll_lock);
  drain(epoll);
  struct mr_epoll_item *item = epoll->first_ready;
  while (item != NULL && !found) {
    struct mr_epoll_item *next = item->next_ready;
    found = look_at_item(item, false) != 0;
    if (!found) mr_item_pull(item);
    item = next;
  }
  mr_mutex_unlock(&mr_epoll_lock);
  return found;
}

bool mr_epoll_is_ours(struct mr_epoll *epoll) { return atomic_load(&epoll->has_marks); }

bool mr_epoll_ready(struct mr_epoll *epoll, bool rings) {
  epoll->is_nested = true;
  for (uint32_t index = 0; atomic_load(&epoll->has_inners); index++) {
    mr_mutex_lock(&mr_epoll_lock);
    struct mr_epoll *inner = mr_inner_of(epoll, &index);
    mr_mutex_unlock(&mr_epoll_lock);
    if (inner == NULL) break;
    bool is_ready = mr_epoll_ready(inner, rings);
    mr_epoll_drop(inner);
    if (is_ready) return true;
  }
  bool found = peek(epoll);
  if (!found) {
    /* What rang is over: from now on the kernel's instance is as ready as its members of the kernel. */
    uint64_t rung;
    int saved = errno;
    if (epoll->eventfd >= 0 && real.read(epoll->eventfd, &rung, sizeof rung) < 0) errno = saved;
    found = rings = peek(epoll);
  }
  if (!found || !rings) return found;
  mr_mutex_lock(&mr_epoll_lock);
  mr_epoll_ring(epoll);
  mr_mutex_unlock(&mr_epoll_lock);
  return true;
}

/* ---- The kernel's instance ------------------------------------------------------------------------------ */

static int wait_in_kernel(int epfd, struct epoll_event *events, int max, int64_t timeout_ns,
                          const sigset_t *mask) {
  static atomic_bool lacks_pwait2;
  if (timeout_ns == 0) return real.epoll_wait(epfd, events, max, 0);
  struct timespec time = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
  if (!lacks_pwait2) {
    int n = real.epoll_pwait2(epfd, events, max, timeout_ns < 0 ? NULL : &time, mask);
    if (n >= 0 || errno != ENOSYS) return n;
    lacks_pwait2 = true;
  }
  int64_t ms = timeout_ns < 0 ? -1 : (timeout_ns + 999999) / 1000000;
  return real.epoll_pwait(epfd, events, max, ms > INT_MAX ? INT_MAX : (int)ms, mask);
}

/* An instance inside this one: the program hears of it if it is ready indeed. */
static bool keep_inner(uint32_t index, struct epoll_event *event) {
  uint64_t data = 0;
  int fd = -1;
  mr_mutex_lock(&mr_epoll_lock);
  struct mr_epoll *inner = mr_inner_get(index, &data, &fd);
  mr_mutex_unlock(&mr_epoll_lock);
  if (inner == NULL) return false;
  event->data.u64 = data;
  bool is_ready = mr_epoll_ready(inner, false);
  if (!is_ready) {
    struct pollfd kernel = {.fd = fd, .events = POLLIN};
    is_ready = mr_kernel_look(&kernel, 1) != 0;
  }
  mr_epoll_drop(inner);
  return is_ready;
}

static bool keep(struct mr_epoll *epoll, struct epoll_event *event, bool *was_companion) {
  uint32_t index = 0;
  switch (mr_mark_read(event->data.u64, &index)) {
    case MR_MARK_WAITER: return false;
    case MR_MARK_ENGINE: mr_engine_died(); return false;
    case MR_MARK_COMPANION:
      *was_companion = true;
      mr_mutex_lock(&mr_epoll_lock);
      mr_companion_woke(epoll, index);
      mr_mutex_unlock(&mr_epoll_lock);
      return false;
    case MR_MARK_INNER: return keep_inner(index, event);
    default: return true;
  }
}

/* Takes out what is the shim's. The kernel has just written the events. */
static int sift(struct mr_epoll *epoll, struct epoll_event *events, int n, bool *was_companion) {
  int kept = 0;
  for (int i = 0; i < n; i++) {
    struct epoll_event event = events[i];
    if (!keep(epoll, &event, was_companion)) continue;
    events[kept++] = event;
  }
  return kept;
}

/* Without waiting: how many events of the kernel's members there are, 0 when it fails. */
static int look_at_kernel(struct mr_epoll *epoll, int epfd, struct epoll_event *events, int max,
                          bool *was_companion) {
  if (max <= 0) return 0;
  int saved = errno;
  int n = wait_in_kernel(epfd, events, max, 0, NULL);
  if (n < 0) errno = saved;
  n = n > 0 ? sift(epoll, events, n, was_companion) : 0;
  /* Of several threads one may be forgotten: it only says how often to look. */
  unsigned quiet = n > 0 ? 0 : atomic_load_explicit(&epoll->quiet, memory_order_relaxed) + 1;
  atomic_store_explicit(&epoll->quiet, quiet, memory_order_relaxed);
  return n;
}

/* One look at everything. Who fills `max` alone does so every other time only. */
static int look(struct mr_epoll *epoll, int epfd, struct epoll_event *events, int max) {
  bool was_companion = false, has_kernel = atomic_load(&epoll->has_kernel);
  unsigned turn = atomic_load_explicit(&epoll->turn, memory_order_relaxed);
  atomic_store_explicit(&epoll->turn, turn + 1, memory_order_relaxed);
  int n = 0;
  if (has_kernel && epoll->quiet < QUIET && (turn & 1)) {
    n = look_at_kernel(epoll, epfd, events, max, &was_companion);
    has_kernel = false;
  }
  int ours = collect(epoll, events + n, max - n);
  if (ours < 0) return n > 0 ? n : ours;
  n += ours;
  if (!has_kernel || (ours > 0 && epoll->quiet >= QUIET && turn % 8 != 0)) return n;
  n += look_at_kernel(epoll, epfd, events + n, max - n, &was_companion);
  /* Who was told of once is not told of again in the same answer: a program may have freed it by then. */
  if (!was_companion || n == max || ours > 0) return n;
  ours = collect(epoll, events + n, max - n);
  return ours > 0 ? n + ours : n;
}

/* ---- Waiting -------------------------------------------------------------------------------------------- */

/* Worth a look: hints, or members that another thread has found ready. */
static bool has_news(const struct mr_epoll *epoll, const struct mr_link *link) {
  return atomic_load(&epoll->ready) > 0 ||
         mr_load(&link->session->hint_tail) != mr_load(&link->session->hint_head);
}

static int spin(struct mr_epoll *epoll, int epfd, struct epoll_event *events, int max,
                struct mr_wait *wait) {
  bool has_kernel = atomic_load(&epoll->has_kernel);
  while (mr_wait_spin(wait)) {
    int n = 0;
    if (has_news(epoll, wait->link)) {
      n = look(epoll, epfd, events, max);
    } else if (has_kernel && mr_wait_kernel_due(wait)) {
      bool was_companion = false;
      n = look_at_kernel(epoll, epfd, events, max, &was_companion);
      if (was_companion && n == 0) n = collect(epoll, events, max);
    }
    if (n != 0) return n;
    int stop = mr_wait_check(wait, true);
    if (stop < 0) return stop;
  }
  return 0;
}

static void go_to_sleep(struct mr_epoll *epoll, struct mr_link *link, int change) {
  mr_mutex_lock(&mr_epoll_lock);
  epoll->sleepers += change;
  if (epoll->sleepers < 0) epoll->sleepers = 0; /* a fork came between */
  if (link != NULL && epoll->waiter >= 0 && epoll->link_id == link->id) {
    if (mr_epoll_is_slept_in(epoll)) mr_waiter_arm(link, epoll->waiter);
    else mr_store(&link->waiters[epoll->waiter].state, MR_WAITER_AWAKE);
  }
  mr_mutex_unlock(&mr_epoll_lock);
}

static int64_t time_left(const struct mr_wait *wait) {
  if (wait->deadline_ns == INT64_MAX) return -1;
  int64_t left = wait->deadline_ns - mr_now_ns();
  return left < 1 ? 1 : left;
}

/* Handlers wait until mr_leave, with their signals pending outside `mask`: none is lost between the
 * check and the sleep. */
static int sleep_in_kernel(struct mr_epoll *epoll, int epfd, struct epoll_event *events, int max,
                           struct mr_wait *wait) {
  int64_t timeout_ns = time_left(wait);
  bool has_waiter = epoll->waiter >= 0 || atomic_load(&epoll->sockets) == 0 || mr_engine_is_dead;
  if (!has_waiter && (timeout_ns < 0 || timeout_ns > 1000000)) timeout_ns = 1000000;
  sigset_t mask;
  mr_enter();
  mr_signal_mask(&mask);
  int n = mr_wait_check(wait, true);
  if (n == 0) {
    n = wait_in_kernel(epfd, events, max, timeout_ns, &mask);
    if (n < 0) n = -errno;
  }
  mr_leave();
  return n;
}

/* Events, 0 to go on, or a negated error number. */
static int sleep_once(struct mr_epoll *epoll, int epfd, struct epoll_event *events, int max,
                      struct mr_wait *wait) {
  go_to_sleep(epoll, wait->link, 1);
  int n = collect(epoll, events, max); /* the kernel is asked by sleeping */
  int slept = n == 0 ? sleep_in_kernel(epoll, epfd, events, max, wait) : 0;
  go_to_sleep(epoll, wait->link, -1);
  if (n != 0) return n;
  bool was_companion = false;
  if (slept > 0) n = sift(epoll, events, slept, &was_companion);
  int ours = collect(epoll, events + n, max - n);
  if (ours > 0) n += ours;
  if (n > 0) return n;
  if (ours < 0) return ours;
  return slept < 0 ? slept : 0;
}

static int wait_for(struct mr_epoll *epoll, int epfd, struct epoll_event *events, int max,
                    struct mr_wait *wait) {
  for (;;) {
    int n = spin(epoll, epfd, events, max, wait);
    if (n == 0) n = sleep_once(epoll, epfd, events, max, wait);
    if (n == 0) n = mr_wait_check(wait, true);
    if (n != 0) return n == -ETIMEDOUT ? 0 : n;
  }
}

/* No accelerated member, until another thread adds one: then its waiter wakes us. -EAGAIN: something was
 * there that is not for the program. The look after the counting sees what was added before it; who adds
 * after it sees the count. */
static int wait_plainly(struct mr_epoll *epoll, int epfd, struct epoll_event *events, int max,
                        int64_t timeout_ns, const sigset_t *mask) {
  bool was_companion = false;
  int saved = errno;
  int n = -EAGAIN;
  atomic_fetch_add(&epoll->plain_sleepers, 1);
  if (atomic_load(&epoll->sockets) == 0) {
    n = wait_in_kernel(epfd, events, max, timeout_ns, mask);
    if (n < 0) n = -errno;
  }
  /* A child of fork begins at 0, and may come from a handler in here. */
  if (atomic_fetch_sub(&epoll->plain_sleepers, 1) <= 0) atomic_store(&epoll->plain_sleepers, 0);
  errno = saved;
  if (n == -EAGAIN || (n > 0 && atomic_load(&epoll->has_marks))) {
    /* What woke this thread is over: the next thing wakes another. */
    go_to_sleep(epoll, mr_link_now, 0);
    if (n > 0) n = sift(epoll, events, n, &was_companion);
    if (n == 0) n = -EAGAIN;
  }
  return n;
}

static int wait_ours(struct mr_epoll *epoll, int epfd, struct epoll_event *events, int max,
                     int64_t timeout_ns, const sigset_t *mask) {
  if (max <= 0 || max > (int)(INT_MAX / sizeof *events)) return -EINVAL;
  int failed = mr_epoll_settle(epoll, epfd);
  if (failed < 0) return failed;
  int n = look(epoll, epfd, events, max);
  if (n != 0 || timeout_ns == 0) return n;
  struct mr_wait wait;
  mr_wait_begin(&wait, timeout_ns);
  /* A signal that the mask lets in comes at once, and ends the wait. */
  sigset_t old;
  if (mask != NULL && mr_allows(SYS_rt_sigprocmask)) sigprocmask(SIG_SETMASK, mask, &old);
  n = wait_for(epoll, epfd, events, max, &wait);
  if (mask != NULL && mr_allows(SYS_rt_sigprocmask)) sigprocmask(SIG_SETMASK, &old, NULL);
  return n;
}

/* Not in the table: an instance of which nothing was ever ours, or no instance at all. */
static int wait_unknown(int epfd, struct epoll_event *events, int max, int64_t timeout_ns,
                        const sigset_t *mask) {
  if (mr_fd_kind_of(epfd) == MR_FD_PRIVATE) return mr_fail(EBADF);
  if (timeout_ns == 0 && mask == NULL) return real.epoll_wait(epfd, events, max, 0);
  return wait_in_kernel(epfd, events, max, timeout_ns, mask);
}

int mr_epoll_wait_ns(int epfd, struct epoll_event *events, int max, int64_t timeout_ns,
                     const sigset_t *mask) {
  struct mr_fd entry = mr_fd_get(epfd);
  if (entry.kind != MR_FD_EPOLL) {
    mr_fd_put(entry);
    return wait_unknown(epfd, events, max, timeout_ns, mask);
  }
  struct mr_epoll *epoll = entry.epoll;
  int result = -EAGAIN;
  if (atomic_load(&epoll->sockets) == 0) {
    int64_t began = timeout_ns > 0 ? mr_now_ns() : 0;
    result = wait_plainly(epoll, epfd, events, max, timeout_ns, mask);
    if (result == -EAGAIN && timeout_ns > 0) {
      timeout_ns -= mr_now_ns() - began;
      if (timeout_ns < 0) timeout_ns = 0;
    }
  }
  if (result == -EAGAIN) result = wait_ours(epoll, epfd, events, max, timeout_ns, mask);
  mr_fd_put(entry);
  return result < 0 ? mr_fail(-result) : result;
}
