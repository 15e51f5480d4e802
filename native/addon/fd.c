/* Descriptors: closing, event counters, pipes, and a blocking wait for hosts that block on purpose. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "addon.h"

#define MAX_POLLED 256

/* fdClose(fd) */
static napi_value fd_close(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  watch_step();
  int result = close(fd);
  /* What lingers and is interrupted is closed all the same (close(2)). */
  if (result < 0 && errno == EINTR) result = 0;
  watch_step();
  return call_result(env, result);
}

/*
 * fdSilence(fd): puts a descriptor that is never readable in its place. What it was is closed, and
 * so leaves every epoll set; its number stays valid, so nobody who knows it is surprised.
 */
static napi_value fd_silence(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  int silent = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (silent < 0) return call_result(env, -1);
  int result = dup3(silent, fd, O_CLOEXEC) < 0 ? -errno : 0;
  close(silent);
  return int_result(env, result);
}

/* fdLower(fd): gives it the lowest free number when that is lower than its own; the number that it has then. */
static napi_value fd_lower(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  int lower = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (lower < 0 && errno == EMFILE) return int_result(env, fd);
  if (lower < 0) return call_result(env, -1);
  int result = lower < fd ? lower : fd;
  close(lower < fd ? fd : lower);
  return int_result(env, result);
}

/* eventCreate(): an eventfd, non-blocking. */
static napi_value event_create(napi_env env, napi_callback_info info) {
  (void)info;
  return call_result(env, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/* eventSignal(fd): makes it readable. A full counter is readable already. */
static napi_value event_signal(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  return call_result(env, eventfd_write(fd, 1) < 0 && errno != EAGAIN ? -1 : 0);
}

/* eventDrain(fd): 1 when it was signalled, 0 when not; not readable afterwards. */
static napi_value event_drain(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  eventfd_t value;
  if (eventfd_read(fd, &value) == 0) return int_result(env, 1);
  return call_result(env, errno == EAGAIN ? 0 : -1);
}

/* pipeCreate(out: Int32Array(2)): read end and write end, non-blocking. */
static napi_value pipe_create(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t *out;
  if (!arg_int32s(&args, 0, 2, &out)) return int_result(env, -EINVAL);
  return call_result(env, pipe2(out, O_CLOEXEC | O_NONBLOCK));
}

/*
 * pollFds(fds: Int32Array, n, timeoutUs): blocks the thread until a descriptor is readable, has an
 * error or hangs up; how many are. timeoutUs below 0 waits for ever. A signal ends it with -EINTR.
 */
static napi_value poll_fds(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t n, *fds;
  double timeout_us;
  if (!arg_int(&args, 1, &n) || n < 0 || n > MAX_POLLED || !arg_int32s(&args, 0, n, &fds) ||
      napi_get_value_double(env, args.at[2], &timeout_us) != napi_ok) {
    return int_result(env, -EINVAL);
  }
  struct pollfd polled[MAX_POLLED];
  for (int32_t i = 0; i < n; i++) polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
  bool for_ever = !(timeout_us >= 0 && timeout_us < 1e15);
  struct timespec timeout = {0};
  if (!for_ever) {
    timeout.tv_sec = (time_t)(timeout_us / 1e6);
    timeout.tv_nsec = (long)((timeout_us - (double)timeout.tv_sec * 1e6) * 1e3);
  }
  int ready = ppoll(polled, (nfds_t)n, for_ever ? NULL : &timeout, NULL);
  if (ready < 0) return call_result(env, ready);
  /* A closed descriptor would be "ready" for ever: a busy loop. It is the caller's mistake. */
  for (int32_t i = 0; i < n; i++) {
    if (polled[i].revents & POLLNVAL) return int_result(env, -EBADF);
  }
  return int_result(env, ready);
}

/*
 * fdLock(path): opens the file, made if need be, and locks it for as long as the descriptor is open
 * (flock(2)); -EWOULDBLOCK (-EAGAIN) when somebody else has it.
 */
static napi_value fd_lock(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  char path[4096];
  if (!arg_text(&args, 0, path, sizeof path)) return int_result(env, -EINVAL);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return call_result(env, -1);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return int_result(env, fd);
  int error = errno;
  close(fd);
  return int_result(env, -error);
}

/* libuv's, which Node.js exports and promises not to change. */
extern int uv_backend_fd(const struct uv_loop_s *loop);

/*
 * loopFd(): the descriptor that is readable when Node's event loop has something to do, signals
 * included, once the loop has run since it was last told to watch something.
 */
static napi_value loop_fd(napi_env env, napi_callback_info info) {
  (void)info;
  struct uv_loop_s *loop;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return int_result(env, -EINVAL);
  return int_result(env, uv_backend_fd(loop));
}

bool export_fd(napi_env env, napi_value exports) {
  return export_function(env, exports, "fdClose", fd_close) &&
         export_function(env, exports, "fdSilence", fd_silence) &&
         export_function(env, exports, "fdLower", fd_lower) &&
         export_function(env, exports, "eventCreate", event_create) &&
         export_function(env, exports, "eventSignal", event_signal) &&
         export_function(env, exports, "eventDrain", event_drain) &&
         export_function(env, exports, "pipeCreate", pipe_create) &&
         export_function(env, exports, "fdLock", fd_lock) &&
         export_function(env, exports, "loopFd", loop_fd) &&
         export_function(env, exports, "pollFds", poll_fds);
}
