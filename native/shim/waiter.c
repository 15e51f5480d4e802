/*
 * Waiters of the process: a slot in the session and an eventfd that the engine has, too. They are handed
 * to threads and epoll instances and come back when those end; their eventfds stay. A waiter's class is
 * its number modulo 32, so up to 32 of them share no class.
 */
#include <pthread.h>
#include <sys/eventfd.h>

#include "core.h"

#define CLASSES 32

static struct mr_mutex mutex;
static int eventfds[MR_WAITERS]; /* + 1; 0: not made yet */
static uint8_t taken[MR_WAITERS];
static uint8_t of_class[CLASSES]; /* waiters taken */
/* Between the look whether a class is one waiter's alone and the clearing of its bit no other begins to
 * use it. Nothing else is locked with it held. */
static struct mr_mutex class_mutex;
static uint32_t session_id;

static pthread_key_t thread_end;
static pthread_once_t thread_end_once = PTHREAD_ONCE_INIT;

/* A taken number of the class that has the fewest, those with an eventfd first. */
static int choose(void) {
  int best = -1;
  for (int i = 0; i < MR_WAITERS; i++) {
    if (taken[i]) continue;
    if (best < 0 || of_class[i % CLASSES] < of_class[best % CLASSES]) best = i;
    if (of_class[best % CLASSES] == 0) break;
  }
  return best;
}

/* Makes the eventfd and gives it to the engine. */
static bool equip(struct mr_link *link, int waiter) {
  if (eventfds[waiter] != 0) return true;
  if (!mr_allows(SYS_eventfd2) || !mr_allows(SYS_sendmsg) || !mr_allows(SYS_fcntl)) return false;
  int fd = real.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0 && mr_spares_make_room()) fd = real.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) return false;
  mr_making_note(fd);
  struct mr_waiter_fd message = {.type = MR_MSG_WAITER, .waiter = (uint32_t)waiter};
  int failed = mr_control_ask(link, &message, sizeof message, &fd, 1, NULL, 0, NULL);
  mr_making_forget(fd);
  if (failed != 0) {
    real.close(fd);
    return false;
  }
  eventfds[waiter] = mr_fd_hide(fd) + 1;
  return true;
}

int mr_waiter_alloc(struct mr_link *link, int *eventfd) {
  int saved = errno;
  mr_making_begin();
  mr_making_lock(&mutex);
  session_id = link->id;
  int waiter = choose();
  if (waiter >= 0 && !equip(link, waiter)) waiter = -1;
  if (waiter >= 0) {
    taken[waiter] = 1;
    mr_mutex_lock(&class_mutex);
    of_class[waiter % CLASSES]++;
    mr_mutex_unlock(&class_mutex);
    *eventfd = eventfds[waiter] - 1;
  }
  mr_mutex_unlock(&mutex);
  mr_making_end();
  errno = saved;
  return waiter;
}

/* Who waited for the lock in the middle of making a socket would hold up fork, for which the lock's holder may wait. */
void mr_waiter_free(struct mr_link *link, int waiter) {
  mr_making_begin();
  mr_making_lock(&mutex);
  if (link->id == session_id && taken[waiter]) {
    mr_store(&link->waiters[waiter].state, MR_WAITER_AWAKE);
    taken[waiter] = 0;
    mr_mutex_lock(&class_mutex);
    of_class[waiter % CLASSES]--;
    mr_mutex_unlock(&class_mutex);
  }
  mr_mutex_unlock(&mutex);
  mr_making_end();
}

static void on_thread_end(void *unused) {
  (void)unused;
  struct mr_link *link = mr_link_now;
  int waiter = mr_thread.waiter;
  mr_thread.waiter = -1;
  if (waiter >= 0 && link != NULL && mr_thread.session == link->id) mr_waiter_free(link, waiter);
}

static void make_key(void) { pthread_key_create(&thread_end, on_thread_end); }

int mr_waiter_get(struct mr_link *link) {
  if (MR_LIKELY(mr_thread.waiter >= 0 && mr_thread.session == link->id)) return mr_thread.waiter;
  mr_thread.waiter = mr_waiter_alloc(link, &mr_thread.waiter_fd);
  mr_thread.session = link->id;
  if (mr_thread.waiter < 0) return -1;
  pthread_once(&thread_end_once, make_key);
  pthread_setspecific(thread_end, &mr_thread);
  return mr_thread.waiter;
}

void mr_waiter_mark(struct mr_link *link, struct mr_sock *sock, int waiter, bool on) {
  uint32_t bit = 1u << (waiter % CLASSES);
  uint32_t *word = &link->entries[sock->local].waiters;
  if (on) {
    __atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST);
    return;
  }
  mr_mutex_lock(&class_mutex);
  /* Another waiter of the class may want the bit; left set it costs the engine a look at most. */
  if (of_class[waiter % CLASSES] <= 1) __atomic_fetch_and(word, ~bit, __ATOMIC_SEQ_CST);
  mr_mutex_unlock(&class_mutex);
}

void mr_waiter_arm(struct mr_link *link, int waiter) {
  mr_store(&link->waiters[waiter].state, MR_WAITER_SLEEPS);
}

void mr_waiter_disarm(struct mr_wait *wait, int waiter, int eventfd) {
  bool has_drained = wait->has_drained;
  wait->has_drained = false;
  if (mr_exchange(&wait->link->waiters[waiter].state, MR_WAITER_AWAKE) != MR_WAITER_RANG) return;
  if (has_drained) return;
  int saved = errno;
  uint64_t count;
  /* The engine says RANG before it writes: what is not there yet ends the next sleep at once. */
  if (real.read(eventfd, &count, sizeof count) < 0) { /* not there yet */
  }
  errno = saved;
}

/* In the child of fork: the eventfds are the parent's. */
void mr_waiters_reset(struct mr_link *link, bool in_child) {
  (void)link;
  if (!in_child) return;
  for (int i = 0; i < MR_WAITERS; i++) {
    if (eventfds[i] == 0) continue;
    mr_fd_clear(eventfds[i] - 1);
    real.close(eventfds[i] - 1);
    eventfds[i] = 0;
  }
  memset(taken, 0, sizeof taken);
  memset(of_class, 0, sizeof of_class);
  mutex = class_mutex = (struct mr_mutex){0};
  mr_thread.waiter = -1;
}
