/* Lines on stderr: each in one write, so that lines of several processes do not mix. */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core.h"

static bool is_set(const char *name) {
  const char *value = mr_environment_get(name);
  return value != NULL && *value != '\0' && strcmp(value, "0") != 0;
}

/* What the environment said when it was first asked: -1 not asked yet. */
static atomic_int debugs = -1;
static atomic_int warns = -1;

/* Where nobody is it would raise SIGPIPE, which ends programs that never write there themselves. */
static bool is_heard(void) {
  struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
  return mr_kernel_look(&out, 1) <= 0 || !(out.revents & (POLLERR | POLLHUP | POLLNVAL));
}

static void say(const char *format, va_list arguments) {
  char line[512];
  int saved = errno;
  size_t n = (size_t)snprintf(line, sizeof line, "millrace: ");
  int made = vsnprintf(line + n, sizeof line - n - 1, format, arguments);
  if (made > 0) n += (size_t)made < sizeof line - n - 1 ? (size_t)made : sizeof line - n - 2;
  line[n++] = '\n';
  if (is_heard() && real.write(STDERR_FILENO, line, n) < 0) { /* nowhere to say so */
  }
  errno = saved;
}

void mr_debug(const char *format, ...) {
  if (debugs < 0) debugs = is_set("MILLRACE_DEBUG");
  if (debugs == 0) return;
  va_list arguments;
  va_start(arguments, format);
  say(format, arguments);
  va_end(arguments);
}

void mr_warn(const char *format, ...) {
  if (warns < 0) warns = !is_set("MILLRACE_NO_WARN");
  if (warns == 0) return;
  va_list arguments;
  va_start(arguments, format);
  say(format, arguments);
  va_end(arguments);
}
