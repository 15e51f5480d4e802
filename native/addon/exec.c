/* Becoming another program: what Node.js has no call for. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "addon.h"

#define MOST_WORDS 100000

/*
 * What Node.js changed for itself is put back: the mask, the signals that it ignores, and the standard
 * descriptors, which it marks close-on-exec as all that it inherits.
 */
static void restore(void) {
  for (int fd = 0; fd <= 2; fd++) {
    int flags = fcntl(fd, F_GETFD);
    if (flags >= 0) fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
  }
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
  signal(SIGXFSZ, SIG_DFL);
}

/*
 * programExec(path, words, n): execv(3) with n words that each end with a zero byte, argv[0] included.
 * Returns only what went wrong. The environment is this process's.
 */
static napi_value program_exec(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  char path[4096];
  Memory words;
  int32_t n;
  if (!arg_text(&args, 0, path, sizeof path) || !arg_bytes(&args, 1, &words) || !arg_int(&args, 2, &n)) {
    return int_result(env, -EINVAL);
  }
  if (n < 1 || n > MOST_WORDS) return int_result(env, -EINVAL);
  char **argv = calloc((size_t)n + 1, sizeof *argv);
  if (argv == NULL) return int_result(env, -ENOMEM);
  char *at = (char *)words.bytes, *end = at + words.length;
  for (int32_t i = 0; i < n; i++) {
    char *zero = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
    if (zero == NULL) {
      free(argv);
      return int_result(env, -EINVAL);
    }
    argv[i] = at;
    at = zero + 1;
  }
  restore();
  int result = execv(path, argv);
  int error = errno;
  free(argv);
  return int_result(env, result < 0 ? -error : -EIO);
}

bool export_exec(napi_env env, napi_value exports) {
  return export_function(env, exports, "programExec", program_exec);
}
