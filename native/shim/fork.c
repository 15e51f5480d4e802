/*
 * fork. The child keeps its parent's sockets: their regions stay mapped and the table is a copy; its
 * session is made when it first needs one. Locks are taken before, so that the child finds nothing
 * half done that a thread it does not have would have finished.
 */
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "core.h"
#include "interpose.h"
#include "process.h"
#include "signals.h"

void mr_before_fork(void) {
  mr_share_bound(false);
  mr_enter();
  mr_engine_died(); /* the child has no control socket to see it by */
  /* Before any lock: they wait for threads that may want them. */
  mr_making_before_fork();
  mr_spares_giving();
  mr_epoll_before_fork();
  mr_core_before_fork();
}

void mr_after_fork_in_parent(void) {
  mr_core_after_fork(false);
  mr_epoll_after_fork(false);
  mr_spares_given();
  mr_making_after_fork(false);
  mr_leave();
}

void mr_after_fork_in_child(void) {
  mr_signals_after_fork();
  mr_core_after_fork(true);
  mr_epoll_after_fork(true);
  mr_making_after_fork(true);
  mr_door_enter();
  mr_leave();
}

__attribute__((constructor(102))) static void watch_forks(void) {
  pthread_atfork(mr_before_fork, mr_after_fork_in_parent, mr_after_fork_in_child);
}

/*
 * vfork's child borrows the parent's memory and must not call what we interpose; so it is a fork, and the
 * parent goes on when the child has called exec or is gone, as it expects: either closes the pipe.
 */
EXPORT pid_t vfork(void) {
  int done[2];
  bool has_pipe = real.pipe2(done, O_CLOEXEC) == 0;
  pid_t child = real.fork();
  if (!has_pipe) return child;
  if (child == 0) {
    real.close(done[0]);
    mr_fd_hide(done[1]);
    return child;
  }
  int saved = errno;
  real.close(done[1]);
  char byte;
  while (child > 0 && real.read(done[0], &byte, 1) < 0 && errno == EINTR) {
  }
  real.close(done[0]);
  errno = saved;
  return child;
}
EXPORT pid_t __vfork(void) { return vfork(); }

/* clone with a function: a process of its own memory is a fork. */
struct start {
  int (*function)(void *);
  void *argument;
};

/*
 * A lodger lives in its parent's memory and has descriptors of its own (CLONE_VM without CLONE_FILES, by which some
 * start programs). The table of descriptors is its parent's and stays as it is: what the lodger closes, copies and
 * opens on the way to exec is the kernel's business alone. It is known by its thread's memory, which must not be a running
 * thread's: either the parent's thread waits (CLONE_VFORK), or there is another one (CLONE_SETTLS).
 */
static struct mr_pool starts = {.object_bytes = sizeof(struct start)};

static int start_lodger(void *context) {
  struct start start = *(struct start *)context;
  mr_pool_give(&starts, context);
  mr_fd_begin_lodging(true);
  return start.function(start.argument);
}

bool mr_lodger_begin(unsigned long flags) {
  mr_share_bound(false);
  mr_spares_giving();
  bool is_known = (flags & (CLONE_VFORK | CLONE_SETTLS)) != 0;
  mr_debug("clone with CLONE_VM and without CLONE_FILES: %s",
           is_known ? "the child uses its parent's sockets; those that it opens stay with the kernel"
                    : "the child cannot be told from its parent, whose sockets it breaks by closing descriptors");
  return is_known;
}

void mr_lodger_end(bool is_child) {
  mr_fd_begin_lodging(is_child);
  if (!is_child) mr_spares_given();
}

static int start_child(void *context) {
  struct start *start = context;
  mr_after_fork_in_child();
  return start->function(start->argument);
}

EXPORT int clone(int (*function)(void *), void *stack, int flags, void *argument, ...) {
  static int (*libc_has)(int (*)(void *), void *, int, void *, ...);
  if (libc_has == NULL) libc_has = (__typeof__(libc_has))mr_real_find("clone");
  va_list rest;
  va_start(rest, argument);
  void *parent_tid = va_arg(rest, void *), *tls = va_arg(rest, void *);
  void *child_tid = va_arg(rest, void *);
  va_end(rest);
  if (libc_has == NULL) return mr_fail(ENOSYS);
  if (flags & (CLONE_VM | CLONE_THREAD)) {
    bool lodges = !(flags & CLONE_FILES), is_known = lodges && mr_lodger_begin((unsigned)flags);
    struct start *start = is_known ? mr_pool_take(&starts) : NULL;
    if (start != NULL) *start = (struct start){function, argument};
    int made = start == NULL ? libc_has(function, stack, flags, argument, parent_tid, tls, child_tid)
                             : libc_has(start_lodger, stack, flags, start, parent_tid, tls, child_tid);
    int failure = errno;
    if (made < 0 && start != NULL) mr_pool_give(&starts, start);
    if (lodges) mr_lodger_end(false);
    errno = failure;
    return made;
  }
  struct start start = {function, argument};
  mr_before_fork();
  int child = libc_has(start_child, stack, flags, &start, parent_tid, tls, child_tid);
  int saved = errno;
  mr_after_fork_in_parent();
  errno = saved;
  return child;
}

/* libc puts /dev/null over 0, 1 and 2 where nobody sees it. */
EXPORT int daemon(int keeps_folder, int keeps_streams) {
  int result = real.daemon(keeps_folder, keeps_streams);
  for (int fd = 0; result == 0 && !keeps_streams && fd <= 2; fd++) mr_fresh_fd(fd);
  return result;
}
