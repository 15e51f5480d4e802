/*
 * Sockets that are being made by descriptors: from the socket pair until the program's number is in the table. A
 * copy of the program's end in a child of fork would keep the connection from ending while the child lives,
 * and the child would not know what it has. So fork waits until nobody is about it, and who begins meanwhile waits
 * for fork, which is over soon. (Sockets made of spare ends go another way, spare.c, in which nobody waits for who
 * gives descriptors away: some do so for long.)
 *
 * Who waits for the engine in between rests: an engine that has stopped is not to hold up fork. Fork then goes on, and
 * its child closes what was noted as in hand, since the thread that would have done so is not there. No lock that fork
 * takes is held by who rests; those that are held are free again in the child (mr_..._after_fork).
 */
#include <pthread.h>
#include <sched.h>

#include "core.h"

#define YIELDS 100  /* before it sleeps between looks */
#define NOTES 4     /* descriptors that one thread has in hand */
#define RESTERS 256 /* threads at a time; more are waited for */

static atomic_uint makers, forkers;

struct notes {
  int fds[NOTES], count;
};

/* Of this thread's sections, one in the other, and whether it could be cancelled before. */
static __thread struct {
  int depth, cancel_state;
  bool is_counted; /* else fork waits for the thread anyway (spare.c), and it must not wait for fork */
  struct notes notes;
} section __attribute__((tls_model("initial-exec")));

/* Written by makers only: none of them is half written when fork comes. */
static struct {
  atomic_bool is_taken;
  struct notes notes;
} resters[RESTERS];

static void await_none(const atomic_uint *count) {
  for (int look = 0; atomic_load(count) > 0; look++) {
    if (look < YIELDS) mr_yield();
    else mr_nap();
  }
}

static void enter(void) {
  int saved = errno;
  for (;;) {
    atomic_fetch_add(&makers, 1);
    if (MR_LIKELY(atomic_load(&forkers) == 0)) break;
    atomic_fetch_sub(&makers, 1);
    await_none(&forkers);
  }
  errno = saved;
}

void mr_making_begin(void) {
  mr_enter(); /* a handler that forks would wait for its own thread */
  if (section.depth++ > 0) return;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &section.cancel_state); /* nor may it vanish */
  section.notes.count = 0;
  section.is_counted = !mr_spare_has_begun();
  if (MR_LIKELY(section.is_counted)) enter();
}

void mr_making_end(void) {
  if (--section.depth == 0) {
    if (MR_LIKELY(section.is_counted)) atomic_fetch_sub(&makers, 1);
    pthread_setcancelstate(section.cancel_state, NULL);
  }
  mr_leave();
}

void mr_making_note(int fd) {
  if (fd >= 0 && section.depth > 0 && section.notes.count < NOTES) section.notes.fds[section.notes.count++] = fd;
}

void mr_making_forget(int fd) {
  struct notes *notes = &section.notes;
  if (section.depth > 0 && notes->count > 0 && notes->fds[notes->count - 1] == fd) notes->count--;
}

int mr_making_rest(void) {
  if (section.depth == 0 || !section.is_counted) return -1;
  for (int i = 0; i < RESTERS; i++) {
    bool is_taken = false;
    if (!atomic_compare_exchange_strong(&resters[i].is_taken, &is_taken, true)) continue;
    resters[i].notes = section.notes;
    atomic_fetch_sub(&makers, 1);
    return i;
  }
  return -1;
}

void mr_making_go_on(int rest) {
  if (rest < 0) return;
  enter();
  atomic_store(&resters[rest].is_taken, false);
}

void mr_making_lock(struct mr_mutex *mutex) {
  if (mr_mutex_try(mutex)) return;
  int rest = mr_making_rest();
  mr_mutex_lock(mutex);
  mr_making_go_on(rest);
}

/* What threads that are not there had in hand. */
static void close_noted(void) {
  for (int i = 0; i < RESTERS; i++) {
    if (!atomic_load(&resters[i].is_taken)) continue;
    for (int n = 0; n < resters[i].notes.count; n++) {
      mr_fd_clear(resters[i].notes.fds[n]);
      real.close(resters[i].notes.fds[n]);
    }
    atomic_store(&resters[i].is_taken, false);
  }
}

void mr_making_before_fork(void) {
  int saved = errno;
  atomic_fetch_add(&forkers, 1);
  await_none(&makers);
  errno = saved;
}

void mr_making_after_fork(bool in_child) {
  if (in_child) {
    close_noted();
    atomic_store(&forkers, 0);
  } else {
    atomic_fetch_sub(&forkers, 1);
  }
}
