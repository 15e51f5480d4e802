/*
 * Calls that a peer can make block, because he shares the open file, and the watch over them.
 *
 * O_NONBLOCK belongs to the open file: a program that fills an event's counter and clears the flag makes
 * who rings it wait for as long as it likes, and eventfd(2) knows no other way to say that it must not. Closing
 * a socket may linger. So a thread looks now and then whether the same call is still under way, and if so
 * interrupts it by a signal whose handler does nothing and restarts nothing.
 *
 * One thread of a process is watched. A look is one load: LOOK_MS after the last while there are such calls,
 * IDLE_MS while there are none.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>

#include "addon.h"

#define LOOK_MS 100
#define IDLE_MS 1000

/* Odd while a call is under way. Only the watched thread writes it. */
static atomic_uint calls;
static _Thread_local bool is_watched;

static struct {
  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t changed;
  pthread_t watcher, watched;
  int users, signal;
  bool ends;
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER};

void watch_step(void) {
  if (!is_watched) return;
  unsigned now = atomic_load_explicit(&calls, memory_order_relaxed);
  atomic_store_explicit(&calls, now + 1, memory_order_relaxed); /* the call itself keeps the order */
}

/*
 * eventRing(fd): makes it readable; a full counter is readable already. -EINTR: the write did not end by
 * itself, as who shares the event wanted.
 */
static napi_value event_ring(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  watch_step();
  int result = eventfd_write(fd, 1) < 0 && errno != EAGAIN ? -errno : 0;
  watch_step();
  return int_result(env, result);
}

static void do_nothing(int number) { (void)number; }

/* A real-time signal that nobody handles; 0: there is none. It stays ours, as one may be on its way. */
static int choose_signal(void) {
  for (int number = SIGRTMAX; number >= SIGRTMIN; number--) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) < 0) continue;
    if (action.sa_handler == do_nothing) return number;
    if (action.sa_handler != SIG_DFL || (action.sa_flags & SA_SIGINFO) != 0) continue;
    action = (struct sigaction){.sa_handler = do_nothing}; /* no SA_RESTART */
    if (sigaction(number, &action, NULL) == 0) return number;
  }
  return 0;
}

static void wait_ms(int ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += ms / 1000;
  until.tv_nsec += ms % 1000 * 1000000L;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000L;
  }
  pthread_cond_timedwait(&watch.changed, &watch.lock, &until);
}

static void *look(void *unused) {
  (void)unused;
  pthread_mutex_lock(&watch.lock);
  unsigned last = atomic_load(&calls);
  bool is_idle = false;
  while (!watch.ends) {
    wait_ms(is_idle ? IDLE_MS : LOOK_MS);
    unsigned now = atomic_load(&calls);
    bool is_under_way = (now & 1) != 0;
    /* Again in the next look: it may come before the call has begun. */
    if (now == last && is_under_way) pthread_kill(watch.watched, watch.signal);
    is_idle = now == last && !is_under_way;
    last = now;
  }
  pthread_mutex_unlock(&watch.lock);
  return NULL;
}

/* Starts the thread, which handles no signals itself; 0 or -errno. */
static int start(void) {
  sigset_t all, before, ours;
  pthread_condattr_t attributes;
  watch.signal = choose_signal();
  if (watch.signal == 0) return -EAGAIN;
  watch.watched = pthread_self();
  watch.ends = false;
  is_watched = true;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&watch.changed, &attributes);
  pthread_condattr_destroy(&attributes);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&watch.watcher, NULL, look, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) {
    is_watched = false;
    pthread_cond_destroy(&watch.changed);
    return -error;
  }
  sigemptyset(&ours);
  sigaddset(&ours, watch.signal);
  pthread_sigmask(SIG_UNBLOCK, &ours, NULL); /* whatever was inherited */
  return 0;
}

static int add_user(void) {
  if (watch.users > 0 && !pthread_equal(watch.watched, pthread_self())) return -EBUSY;
  int error = watch.users == 0 ? start() : 0;
  if (error == 0) watch.users++;
  return error;
}

/* One user less. */
static void leave(void) {
  pthread_mutex_lock(&watch.lock);
  bool is_last = --watch.users == 0;
  if (is_last) {
    watch.ends = true;
    pthread_cond_signal(&watch.changed);
  }
  pthread_mutex_unlock(&watch.lock);
  if (!is_last) return;
  is_watched = false;
  pthread_join(watch.watcher, NULL);
  pthread_cond_destroy(&watch.changed);
}

/*
 * watchStart(): from now on a ring or a close of this thread that does not end is ended, within 1.1 s. -EBUSY:
 * another thread of the process is watched. -EAGAIN: no thread, or no signal, is to be had.
 */
static napi_value watch_start(napi_env env, napi_callback_info info) {
  (void)info;
  pthread_mutex_lock(&watch.lock);
  int error = add_user();
  pthread_mutex_unlock(&watch.lock);
  return int_result(env, error);
}

/* watchStop(): once for each start that went well, in the same thread. */
static napi_value watch_stop(napi_env env, napi_callback_info info) {
  (void)info;
  if (watch.users == 0) return int_result(env, -EINVAL);
  leave();
  return int_result(env, 0);
}

bool export_watch(napi_env env, napi_value exports) {
  return export_function(env, exports, "eventRing", event_ring) &&
         export_function(env, exports, "watchStart", watch_start) &&
         export_function(env, exports, "watchStop", watch_stop);
}
