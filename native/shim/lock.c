/*
 * Locks in shared memory. The word is the holder's thread id and its pid namespace; who waits looks every now and then
 * whether the holder still lives, and takes the lock over if not. What a lock guards is published by
 * one last store, so a dead holder leaves a half-written record that nobody can see.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core.h"

/* A holder that spins in a copy is done within this; longer and it was descheduled, stopped or killed. */
#define SPINS 100
#define CHECK_NS 20000000 /* how often a waiter looks whether the holder lives */
/* How often it looks at a holder of another pid namespace, of whom nothing can be known: then that is taken for dead. */
#define FOREIGN_LOOKS 250
#define TAGS 512 /* what fits between the number and WAITED */

static long futex(uint32_t *word, int op, uint32_t value, const struct timespec *timeout) {
  if (!mr_allows(SYS_futex)) {
    mr_nap();
    errno = op == FUTEX_WAIT ? ETIMEDOUT : EPERM;
    return -1;
  }
  return real.syscall(SYS_futex, (long)word, op, value, (long)timeout, 0, 0);
}

/* In clock ticks since boot, field 22 of /proc/TID/stat; 0 when there is no such thread. A zombie, field
 * 3, is there until its parent has asked for its end, and will not run again. */
static uint64_t start_of(uint32_t tid, bool *is_zombie) {
  char text[512];
  ssize_t length = readlink("/proc/self", text, sizeof text - 1);
  text[length > 0 ? length : 0] = '\0';
  if (atoi(text) != getpid()) return 0; /* another namespace's numbers */
  snprintf(text, sizeof text, "/proc/%u/stat", tid);
  int fd = real.openat(AT_FDCWD, text, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return 0;
  ssize_t n = real.read(fd, text, sizeof text - 1);
  real.close(fd);
  if (n <= 0) return 0;
  text[n] = '\0';
  const char *at = strrchr(text, ')'); /* the name may hold anything */
  *is_zombie = at != NULL && at[1] == ' ' && (at[2] == 'Z' || at[2] == 'X');
  for (int field = 2; at != NULL && field < 22; field++) at = strchr(at + 1, ' ');
  if (at == NULL) return 0;
  uint64_t ticks = 0;
  for (at++; *at >= '0' && *at <= '9'; at++) ticks = ticks * 10 + (uint64_t)(*at - '0');
  return ticks;
}

static bool may_read_links(void) {
#ifdef SYS_readlink
  return mr_allows(SYS_readlink);
#else
  return mr_allows(SYS_readlinkat);
#endif
}

/* Distinguishes pid namespaces, in which the same number is another thread; 0: it is not known which one this is. */
static uint32_t namespace_tag(void) {
  char text[64];
  if (!may_read_links()) return 0; /* most filters of system calls end the program instead */
  ssize_t n = readlink("/proc/self/ns/pid", text, sizeof text - 1);
  if (n <= 0) return 0;
  text[n] = '\0';
  const char *number = strchr(text, '[');
  unsigned long inode = number == NULL ? 0 : strtoul(number + 1, NULL, 10);
  return inode == 0 ? 0 : (uint32_t)(inode % (TAGS - 1) + 1) * (MR_LOCK_TID + 1);
}

/*
 * As the process's first thread found it, so that all its threads agree: later ones may have no /proc any more
 * (chroot), or die of reading a link (a filter of system calls). Plus 1; 0: nobody has looked.
 */
static atomic_uint own_tag;
static uint32_t parents_tag; /* of a process that came by fork; 0: not known */

/* Who has no /proc has its parent's, unless that is of another namespace: then there is none to be seen here. */
static uint32_t find_tag(void) {
  uint32_t tag = namespace_tag();
  bool has_parents = tag == 0 && parents_tag != 0 && mr_allows(SYS_getppid) && getppid() != 0;
  return has_parents ? parents_tag : tag;
}

uint32_t mr_holder(void) {
  if (mr_thread.holder == 0) {
    int saved = errno;
    if (atomic_load(&own_tag) == 0) atomic_store(&own_tag, find_tag() + 1);
    mr_thread.holder = (uint32_t)mr_tid() | (atomic_load(&own_tag) - 1);
    errno = saved;
  }
  return mr_thread.holder;
}

void mr_holder_after_fork(void) {
  mr_thread.holder = 0;
  uint32_t tag = atomic_exchange(&own_tag, 0);
  parents_tag = tag > 1 ? tag - 1 : 0;
}

#define TAG ((uint32_t)~(MR_LOCK_TID | MR_LOCK_WAITED))
/* Without a tag the same number may be another namespace's. */
static bool is_foreign(uint32_t holder, uint32_t own) { return (own & TAG) == 0 || ((holder ^ own) & TAG) != 0; }

/* A filter of system calls may forbid it: then that holder is as foreign. */
static bool may_look(void) { return may_read_links() && mr_allows(SYS_openat) && mr_allows(SYS_tkill); }

static bool is_dead(uint32_t tid) {
  if (real.syscall(SYS_tkill, tid, 0, 0, 0, 0, 0) == 0) return false;
  return errno == ESRCH;
}

void mr_lock_slow(uint32_t *lock, uint32_t own) {
  int saved = errno;
  int looks = 0; /* at the same foreign holder */
  uint32_t watched = 0; /* the holder that the start time is of */
  uint64_t started = 0;
  for (int spin = 0; spin < SPINS; spin++) {
    if (mr_load(lock) == 0 && mr_swap_if(lock, 0, own)) goto held;
    mr_pause();
  }
  /* From here on with WAITED: who else waits is not known. */
  uint32_t mine = own | MR_LOCK_WAITED;
  for (;;) {
    uint32_t seen = mr_load(lock);
    if (seen == 0) {
      if (mr_swap_if(lock, 0, mine)) goto held;
      continue;
    }
    uint32_t holder = seen & ~MR_LOCK_WAITED;
    if (holder == own && (own & TAG) != 0) goto take; /* a thread of the same number died with it: numbers come again */
    if (!(seen & MR_LOCK_WAITED) && !mr_swap_if(lock, seen, seen | MR_LOCK_WAITED)) continue;
    seen = holder | MR_LOCK_WAITED;
    struct timespec timeout = {.tv_nsec = CHECK_NS};
    if (futex(lock, FUTEX_WAIT, seen, &timeout) == 0 || errno != ETIMEDOUT) continue;
    if (mr_load(lock) != seen) continue;
    if (is_foreign(holder, own) || !may_look()) {
      looks = watched == holder ? looks + 1 : 0;
      watched = holder;
      if (looks >= FOREIGN_LOOKS) goto take;
      continue;
    }
    bool is_zombie = false;
    uint64_t start = start_of(holder & MR_LOCK_TID, &is_zombie);
    /* Gone, or another thread got its number since we began to watch. */
    if (is_zombie || is_dead(holder & MR_LOCK_TID) || (watched == holder && start != started)) goto take;
    watched = holder;
    started = start;
    continue;
  take:
    if (mr_swap_if(lock, seen, mine)) goto held;
  }
held:
  errno = saved;
}

void mr_unlock_slow(uint32_t *lock) {
  int saved = errno;
  futex(lock, FUTEX_WAKE, 1, NULL);
  errno = saved;
}

/* ---- Locks of this process ---------------------------------------------------------------------- */

void mr_mutex_lock(struct mr_mutex *mutex) {
  mr_enter();
  unsigned none = 0;
  if (atomic_compare_exchange_strong(&mutex->word, &none, 1)) return;
  int saved = errno;
  while (atomic_exchange(&mutex->word, 2) != 0) {
    futex((uint32_t *)&mutex->word, FUTEX_WAIT_PRIVATE, 2, NULL);
  }
  errno = saved;
}

bool mr_mutex_try(struct mr_mutex *mutex) {
  mr_enter();
  unsigned none = 0;
  if (atomic_compare_exchange_strong(&mutex->word, &none, 1)) return true;
  mr_leave();
  return false;
}

void mr_mutex_unlock(struct mr_mutex *mutex) {
  if (atomic_exchange(&mutex->word, 0) == 2) {
    int saved = errno;
    futex((uint32_t *)&mutex->word, FUTEX_WAKE_PRIVATE, 1, NULL);
    errno = saved;
  }
  mr_leave();
}
