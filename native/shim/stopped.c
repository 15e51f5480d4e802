/*
 * Whether the engine stands still: stopped by SIGSTOP or a debugger. Of one that merely has much to do, or no
 * processor, the answer is no; where nothing can be known, too.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core.h"

static bool may_look(void) {
#ifdef SYS_readlink
  if (!mr_allows(SYS_readlink)) return false;
#else
  if (!mr_allows(SYS_readlinkat)) return false;
#endif
  return mr_allows(SYS_openat);
}

/* Numbers of another pid namespace, or of another's /proc, are other processes. */
static bool is_of_this_namespace(uint32_t pid) {
  char path[48], own[64], its[64];
  snprintf(path, sizeof path, "/proc/%u/ns/pid", pid);
  ssize_t n = readlink("/proc/self/ns/pid", own, sizeof own);
  return n > 0 && readlink(path, its, sizeof its) == n && memcmp(own, its, (size_t)n) == 0;
}

/* Field 3 of /proc/PID/stat, or 0. */
static char state_of(uint32_t pid) {
  char text[512];
  snprintf(text, sizeof text, "/proc/%u/stat", pid);
  int fd = real.openat(AT_FDCWD, text, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return 0;
  ssize_t n = real.read(fd, text, sizeof text - 1);
  real.close(fd);
  text[n > 0 ? n : 0] = '\0';
  const char *at = strrchr(text, ')'); /* the name may hold anything */
  return at != NULL && at[1] == ' ' ? at[2] : '\0';
}

bool mr_engine_is_stopped(const struct mr_link *link) {
  if (link == NULL || link->session == NULL || !may_look()) return false;
  uint32_t pid = mr_load(&link->session->engine_pid);
  int saved = errno;
  char state = is_of_this_namespace(pid) ? state_of(pid) : '\0';
  errno = saved;
  return state == 'T' || state == 't';
}
