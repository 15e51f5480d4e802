/*
 * RLIMIT_NOFILE. It is the program's: descriptors of the shim lie above it, where no number of the program's is lost to
 * them. The kernel gives such numbers while the limit is up, for a moment, to what the hard limit allows (or beyond, if
 * the process may raise that), and lets them be used for good. Where there are none the shim's are among the program's: an
 * eighth of them at most for companions; sockets that need more stay with the kernel.
 */
#include <fcntl.h>
#include <sys/resource.h>

#include "core.h"

#define MOST 16384     /* a limit higher than this has room for both, and the kernel's table grows with the number */
#define ROOM 65536     /* how far above the limit the shim goes */
#define TIGHT 8        /* numbers that one connection's coming may take for a moment */

static struct mr_mutex mutex;
static struct rlimit before; /* while it is up */
static atomic_uint within;   /* companions that lie below the limit */

static long limit(const struct rlimit *to, struct rlimit *was) {
  if (!mr_allows(SYS_prlimit64)) return -1;
  return real.syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)to, (long)was, 0, 0);
}

bool mr_limit_raise(void) {
  int saved = errno;
  mr_mutex_lock(&mutex);
  bool may = limit(NULL, &before) == 0 && before.rlim_cur <= MOST;
  struct rlimit up = before;
  /* The hard limit is in nobody's way who may raise it. */
  if (before.rlim_max < before.rlim_cur + TIGHT) up.rlim_max = up.rlim_cur + ROOM;
  up.rlim_cur = up.rlim_max - up.rlim_cur > ROOM ? up.rlim_cur + ROOM : up.rlim_max;
  may = may && limit(&up, NULL) == 0;
  if (!may) mr_mutex_unlock(&mutex);
  errno = saved;
  return may;
}

void mr_limit_restore(void) {
  int saved = errno;
  limit(&before, NULL);
  mr_mutex_unlock(&mutex);
  errno = saved;
}

bool mr_limit_is_near(int fd) {
  struct rlimit now;
  int saved = errno;
  bool is_near = limit(NULL, &now) == 0 && (rlim_t)fd + TIGHT >= now.rlim_cur;
  errno = saved;
  return is_near;
}

int mr_limit_copy_above(int fd) {
  if (!mr_limit_raise()) return -1;
  int made = real.fcntl(fd, F_DUPFD_CLOEXEC, (void *)(intptr_t)before.rlim_cur);
  mr_limit_restore();
  return made;
}

/* ---- Companions --------------------------------------------------------------------------------------- */

bool mr_limit_takes_companion(void) {
  struct rlimit now;
  int saved = errno;
  bool takes = limit(NULL, &now) != 0 || now.rlim_cur > MOST || atomic_load(&within) < now.rlim_cur / 8;
  if (!takes && mr_limit_raise()) {
    mr_limit_restore();
    takes = true;
  }
  errno = saved;
  return takes;
}

void mr_limit_count_companions(int change) { atomic_fetch_add(&within, (unsigned)change); }

void mr_limit_hold(void) { mr_mutex_lock(&mutex); }
void mr_limit_release(void) { mr_mutex_unlock(&mutex); }
