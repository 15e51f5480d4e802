/*
 * A waiter: one thread that sleeps in epoll_wait over a set of descriptors and wakes the JavaScript
 * thread when one becomes readable. One-shot: it fires once for each `waiterArm`.
 *
 * The thread is in one of two sleeps, and never loops without one of them:
 *
 *   idle      pthread_cond_wait, until it is armed or closed
 *   watching  epoll_wait, until a descriptor is readable or the control event is signalled
 *
 * Disarming takes no system call: a thread that is still watching finds itself disarmed when
 * something happens, and goes idle. Each arming has a number, which the wake carries, so that the
 * wrapper tells a wake that was on its way when it disarmed from the one that it waits for.
 *
 * `armed`, `closing` and `number` are guarded by `lock`. Only the JavaScript thread touches `wake`
 * other than by calling it.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "addon.h"

/* epoll's data of the control event; descriptors carry their own number, which is never negative. */
#define CONTROL UINT64_MAX

static const char WAITER_KIND = 'w';

typedef struct {
  Handle handle;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool armed;
  bool closing;
  int32_t number;
  int epoll;
  int control;
  bool closed; /* the JavaScript side has closed it */
  napi_threadsafe_function wake;
} Waiter;

/* Idle until armed; false when the waiter closes. */
static bool wait_until_armed(Waiter *w) {
  pthread_mutex_lock(&w->lock);
  while (!w->armed && !w->closing) pthread_cond_wait(&w->changed, &w->lock);
  bool go_on = !w->closing;
  pthread_mutex_unlock(&w->lock);
  return go_on;
}

/* Something is readable: wakes JavaScript if it still waits for it. */
static void fire(Waiter *w) {
  pthread_mutex_lock(&w->lock);
  bool due = w->armed && !w->closing;
  w->armed = false;
  intptr_t number = w->number;
  pthread_mutex_unlock(&w->lock);
  /* The queue is unbounded, so this fails only while the environment ends. */
  if (due) napi_call_threadsafe_function(w->wake, (void *)number, napi_tsfn_nonblocking);
}

static void *watch(void *data) {
  Waiter *w = data;
  while (wait_until_armed(w)) {
    struct epoll_event event;
    int n = epoll_wait(w->epoll, &event, 1, -1);
    if (n < 1) continue; /* interrupted */
    if (event.data.u64 != CONTROL) fire(w);
  }
  return NULL;
}

/* Runs on the JavaScript thread. */
static void call_javascript(napi_env env, napi_value callback, void *context, void *data) {
  (void)context;
  if (env == NULL || callback == NULL) return; /* the environment ends */
  napi_value receiver, number;
  if (napi_get_undefined(env, &receiver) != napi_ok) return;
  if (napi_create_int32(env, (int32_t)(intptr_t)data, &number) != napi_ok) return;
  napi_call_function(env, receiver, callback, 1, &number, NULL);
}

/* Ends the thread and closes the descriptors. The structure stays for the garbage collector. */
static void close_waiter(Waiter *w) {
  if (w->closed) return;
  w->closed = true;
  pthread_mutex_lock(&w->lock);
  w->closing = true;
  pthread_cond_signal(&w->changed);
  pthread_mutex_unlock(&w->lock);
  eventfd_write(w->control, 1);
  pthread_join(w->thread, NULL);
  close(w->epoll);
  close(w->control);
  napi_release_threadsafe_function(w->wake, napi_tsfn_abort);
}

/* The environment (a worker thread) ends with the waiter open. */
static void on_environment_end(void *data) { close_waiter(data); }

static void free_waiter(napi_env env, void *data, void *hint) {
  (void)hint;
  Waiter *w = data;
  if (!w->closed) {
    napi_remove_env_cleanup_hook(env, on_environment_end, w);
    close_waiter(w);
  }
  pthread_mutex_destroy(&w->lock);
  pthread_cond_destroy(&w->changed);
  free(w);
}

/* Opens the descriptors and starts the thread; 0 or -errno with nothing left open. */
static int start(Waiter *w) {
  w->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (w->epoll < 0) return -errno;
  w->control = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event control = {.events = EPOLLIN, .data.u64 = CONTROL};
  int error = 0;
  if (w->control < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->control, &control) < 0) {
    error = errno;
  } else {
    error = pthread_create(&w->thread, NULL, watch, w);
  }
  if (error == 0) return 0;
  if (w->control >= 0) close(w->control);
  close(w->epoll);
  return -error;
}

/* waiterOpen(onWake: (number) => void): a waiter, or -errno. It does not keep the process alive. */
static napi_value waiter_open(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  napi_value name, result;
  Waiter *w = calloc(1, sizeof *w);
  if (w == NULL) return int_result(env, -ENOMEM);
  w->handle.kind = &WAITER_KIND;
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->changed, NULL);
  if (napi_create_string_utf8(env, "millrace.waiter", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, args.at[0], NULL, name, 0, 1, NULL, NULL, NULL,
                                      call_javascript, &w->wake) != napi_ok) {
    free(w);
    return int_result(env, -EINVAL);
  }
  napi_unref_threadsafe_function(env, w->wake);
  int error = start(w);
  if (error < 0 || napi_create_external(env, w, free_waiter, NULL, &result) != napi_ok) {
    if (error == 0) close_waiter(w);
    else napi_release_threadsafe_function(w->wake, napi_tsfn_abort);
    free(w);
    return int_result(env, error < 0 ? error : -ENOMEM);
  }
  napi_add_env_cleanup_hook(env, on_environment_end, w);
  return result;
}

/* The open waiter of argument 0, or NULL. */
static Waiter *waiter_of(const Args *args) {
  Waiter *w = arg_handle(args, 0, &WAITER_KIND);
  return w == NULL || w->closed ? NULL : w;
}

/* waiterAdd(waiter, fd) */
static napi_value waiter_add(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Waiter *w = waiter_of(&args);
  int32_t fd;
  if (w == NULL || !arg_int(&args, 1, &fd)) return int_result(env, w == NULL ? -EBADF : -EINVAL);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)fd};
  return call_result(env, epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event));
}

/* waiterRemove(waiter, fd): before the descriptor is closed. */
static napi_value waiter_remove(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Waiter *w = waiter_of(&args);
  int32_t fd;
  if (w == NULL || !arg_int(&args, 1, &fd)) return int_result(env, w == NULL ? -EBADF : -EINVAL);
  return call_result(env, epoll_ctl(w->epoll, EPOLL_CTL_DEL, fd, NULL));
}

/* waiterArm(waiter, number): wakes once when something is readable, now included. */
static napi_value waiter_arm(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Waiter *w = waiter_of(&args);
  int32_t number;
  if (w == NULL || !arg_int(&args, 1, &number)) return int_result(env, w == NULL ? -EBADF : -EINVAL);
  pthread_mutex_lock(&w->lock);
  w->number = number;
  w->armed = true;
  pthread_cond_signal(&w->changed);
  pthread_mutex_unlock(&w->lock);
  return int_result(env, 0);
}

/* waiterDisarm(waiter) */
static napi_value waiter_disarm(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Waiter *w = waiter_of(&args);
  if (w == NULL) return int_result(env, -EBADF);
  pthread_mutex_lock(&w->lock);
  w->armed = false;
  pthread_mutex_unlock(&w->lock);
  return int_result(env, 0);
}

/* waiterRef(waiter, keepsAlive): whether the process stays alive for it. */
static napi_value waiter_ref(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Waiter *w = waiter_of(&args);
  int32_t keeps_alive;
  if (w == NULL || !arg_int(&args, 1, &keeps_alive)) {
    return int_result(env, w == NULL ? -EBADF : -EINVAL);
  }
  if (keeps_alive) napi_ref_threadsafe_function(env, w->wake);
  else napi_unref_threadsafe_function(env, w->wake);
  return int_result(env, 0);
}

/* waiterClose(waiter): idempotent. No wake comes after it. */
static napi_value waiter_close(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Waiter *w = waiter_of(&args);
  if (w == NULL) return int_result(env, 0);
  napi_remove_env_cleanup_hook(env, on_environment_end, w);
  close_waiter(w);
  return int_result(env, 0);
}

bool export_wait(napi_env env, napi_value exports) {
  return export_function(env, exports, "waiterOpen", waiter_open) &&
         export_function(env, exports, "waiterAdd", waiter_add) &&
         export_function(env, exports, "waiterRemove", waiter_remove) &&
         export_function(env, exports, "waiterArm", waiter_arm) &&
         export_function(env, exports, "waiterDisarm", waiter_disarm) &&
         export_function(env, exports, "waiterRef", waiter_ref) &&
         export_function(env, exports, "waiterClose", waiter_close);
}
