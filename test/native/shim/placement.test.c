/* Who polls leaves the engine's processor, and keeps the processors that it may be on. */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "../../../native/shim/core.h"
#include "check.h"

int64_t mr_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct mr_session session;
static struct mr_link here = {.session = &session};

static void be_on(const cpu_set_t *mask) { CHECK(sched_setaffinity(0, sizeof *mask, mask) == 0); }

static void keeps(const cpu_set_t *mask) {
  cpu_set_t now;
  CHECK(sched_getaffinity(0, sizeof now, &now) == 0);
  CHECK(CPU_EQUAL(&now, mask));
}

static void engine_is_here(void) { session.engine_cpu = (uint32_t)sched_getcpu() + 1; }

/* How soon a thread tries again is its own: each case has one. */
static void in_thread(void *(*run)(void *), cpu_set_t *mask) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, run, mask) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
}

static void *pinned(void *of_all) {
  cpu_set_t one, *mask = of_all;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++) {
    if (CPU_ISSET(cpu, mask)) CPU_SET(cpu, &one);
  }
  be_on(&one);
  session.engine_cpu = 0;
  CHECK(!mr_is_beside_engine(&here));
  engine_is_here();
  CHECK(mr_is_beside_engine(&here));
  session.engine_sleeps = 1;
  CHECK(!mr_is_beside_engine(&here));
  session.engine_sleeps = 0;
  CHECK(!mr_leave_engine(&here));
  CHECK(mr_is_beside_engine(&here));
  keeps(&one);
  return NULL;
}

static void *movable(void *of_all) {
  cpu_set_t *mask = of_all;
  engine_is_here();
  CHECK(mr_leave_engine(&here));
  keeps(mask);
  return NULL;
}

static void *senseless(void *of_all) {
  session.engine_cpu = UINT32_MAX;
  CHECK(!mr_is_beside_engine(&here));
  CHECK(!mr_leave_engine(&here));
  keeps(of_all);
  return NULL;
}

/* All but the last of those that it may be on: somebody has chosen. */
static void *chosen(void *of_all) {
  cpu_set_t some = *(cpu_set_t *)of_all;
  for (int cpu = CPU_SETSIZE - 1; CPU_COUNT(&some) == CPU_COUNT((cpu_set_t *)of_all); cpu--) CPU_CLR(cpu, &some);
  be_on(&some);
  engine_is_here();
  CHECK(mr_leave_engine(&here) == (CPU_COUNT(&some) > 1));
  keeps(&some);
  return NULL;
}

int main(void) {
  cpu_set_t all;
  CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
  in_thread(pinned, &all);
  in_thread(senseless, &all);
  if (CPU_COUNT(&all) > 1) {
    in_thread(movable, &all);
    in_thread(chosen, &all);
  }
  return 0;
}
