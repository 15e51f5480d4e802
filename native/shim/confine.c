/*
 * Before a process locks itself in: by a filter of system calls, or a limit of its descriptors, after which it
 * cannot join sockets that came from its parent any more, nor make what it sleeps on. So all of that is done
 * before. (Who becomes another user or gets another root: door.c.)
 */
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "core.h"
#include "interpose.h"

/* ---- What it will need -------------------------------------------------------------------------------- */

static atomic_int broken_pipe = -1;

static void join(int fd, struct mr_fd entry, void *context) {
  if (entry.kind != MR_FD_SOCKET) return;
  *(bool *)context = true;
  mr_sock_link(entry.sock, fd);
}

/* Writing to it raises SIGPIPE, for which tgkill is needed otherwise. */
static void make_broken_pipe(void) {
  int pair[2];
  if (atomic_load(&broken_pipe) >= 0 || real.pipe2(pair, O_CLOEXEC) < 0) return;
  real.close(pair[0]);
  atomic_store(&broken_pipe, mr_fd_hide(pair[1]));
}

void mr_confine(void) {
  int saved = errno;
  bool has_sockets = false;
  mr_guard_faults();
  mr_holder();
  mr_fd_each(join, &has_sockets);
  /* A session that has begun is finished by calls of which few authors of filters think. */
  struct mr_link *link = has_sockets || mr_link_control() >= 0 ? mr_link_get() : NULL;
  if (link != NULL) {
    mr_waiter_get(link);
    make_broken_pipe();
  }
  mr_spares_forget(); /* closing them takes what the filter may not allow */
  errno = saved;
}

void mr_raise_sigpipe(void) {
  int saved = errno;
  if (mr_allows(SYS_tgkill)) real.syscall(SYS_tgkill, getpid(), mr_tid(), SIGPIPE, 0, 0, 0);
  else if (atomic_load(&broken_pipe) >= 0 && real.write(atomic_load(&broken_pipe), "", 1) < 0) errno = saved;
  errno = saved;
}

/* ---- Filters of system calls ----------------------------------------------------------------------------- */

/* A process that lives in another one's memory (fork.c) starts a program soon, and the memory is not its own. */
static bool begin(bool is_strict, const void *program, struct mr_filter_before *before) {
  if (mr_thread.is_lodger) return false;
  mr_confine();
  mr_filter_set(is_strict ? NULL : program, before);
  return true;
}

static long end(long result, bool has_begun, const struct mr_filter_before *before) {
  int saved = errno;
  if (result < 0 && has_begun) mr_filter_undo(before);
  errno = saved;
  return result;
}

long mr_confine_by_seccomp(unsigned long operation, unsigned long flags, const void *program) {
  struct mr_filter_before before;
  bool is_strict = operation == SECCOMP_SET_MODE_STRICT;
  bool has_begun = (is_strict || operation == SECCOMP_SET_MODE_FILTER) && begin(is_strict, program, &before);
  return end(real.syscall(SYS_seccomp, (long)operation, (long)flags, (long)program, 0, 0, 0), has_begun, &before);
}

EXPORT int prctl(int option, ...) {
  va_list rest;
  va_start(rest, option);
  unsigned long a = va_arg(rest, unsigned long), b = va_arg(rest, unsigned long);
  unsigned long c = va_arg(rest, unsigned long), d = va_arg(rest, unsigned long);
  va_end(rest);
  struct mr_filter_before before;
  bool has_begun = option == PR_SET_SECCOMP && begin(a == SECCOMP_MODE_STRICT, (const void *)b, &before);
  return (int)end(real.prctl(option, a, b, c, d), has_begun, &before);
}
