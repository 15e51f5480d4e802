/*
 * Sockets that are being made by descriptors: from the socket pair until the program's number is in the table. A
 * copy of the program's end in a child of fork would keep the connection from ending while the child lives,
 * and the child would not know what it has. So fork waits until nobody is about it, and who begins meanwhile waits
 * for fork, which is over soon. (Sockets made of spare ends go another way, spare.c, in which nobody waits for who
 * gives descriptors away: some do so for long.)
 */
#include <pthread.h>
#include <sched.h>

#include "core.h"

#define YIELDS 100 /* before it sleeps between looks */

static atomic_uint makers, forkers;

/* Of this thread's sections, one in the other, and whether it could be cancelled before. */
static __thread struct {
  int depth, cancel_state;
} section __attribute__((tls_model("initial-exec")));

static void await_none(const atomic_uint *count) {
  for (int look = 0; atomic_load(count) > 0; look++) {
    if (look < YIELDS) mr_yield();
    else mr_nap();
  }
}

void mr_making_begin(void) {
  mr_enter(); /* a handler that forks would wait for its own thread */
  if (section.depth++ > 0) return;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &section.cancel_state); /* nor may it vanish */
  int saved = errno;
  for (;;) {
    atomic_fetch_add(&makers, 1);
    if (MR_LIKELY(atomic_load(&forkers) == 0)) break;
    atomic_fetch_sub(&makers, 1);
    await_none(&forkers);
  }
  errno = saved;
}

void mr_making_end(void) {
  if (--section.depth == 0) {
    atomic_fetch_sub(&makers, 1);
    pthread_setcancelstate(section.cancel_state, NULL);
  }
  mr_leave();
}

void mr_making_before_fork(void) {
  int saved = errno;
  atomic_fetch_add(&forkers, 1);
  await_none(&makers);
  errno = saved;
}

void mr_making_after_fork(bool in_child) {
  if (in_child) atomic_store(&forkers, 0);
  else atomic_fetch_sub(&forkers, 1);
}
