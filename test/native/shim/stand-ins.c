/* Of the files that interpose: as much as the core needs in a program that nothing interposes. Copies
 * are memcpy, so that the sanitizers see them; with -DREAL_COPIES copy.c and signal.c are linked. */
#include <sys/syscall.h>
#include <unistd.h>

#include "../../../native/shim/core.h"

#ifndef REAL_COPIES
__thread struct mr_thread mr_thread = {.waiter = -1, .waiter_fd = -1};

void mr_guard_faults(void) {}
void mr_enter(void) { mr_thread.depth++; }
void mr_leave(void) { mr_thread.depth--; }
int mr_tid(void) {
  if (mr_thread.tid == 0) mr_thread.tid = (int)syscall(SYS_gettid);
  return mr_thread.tid;
}
void mr_signal_mask(sigset_t *mask) {
  memset(mask, 0, sizeof *mask);
  real.syscall(SYS_rt_sigprocmask, SIG_SETMASK, 0, (long)mask, 8, 0, 0);
}

/* Pages that nothing can be at. */
static int copy(void *to, const void *from, size_t n, const void *user) {
  if ((uintptr_t)user < 4096 && n > 0) return -EFAULT;
  if (n > 0) memcpy(to, from, n);
  return 0;
}
int mr_copy_from(void *to, const void *user, size_t n) { return copy(to, user, n, user); }
int mr_copy_to(void *user, const void *from, size_t n) { return copy(user, from, n, user); }

#endif

void mr_epoll_forget(struct mr_sock *sock) { (void)sock; }
void mr_epoll_forget_pending(struct mr_pending *pending) { (void)pending; }
void mr_epoll_drop(struct mr_epoll *epoll) { (void)epoll; }
void mr_epoll_before_replace(struct mr_pending *pending) { (void)pending; }
void mr_epoll_after_replace(struct mr_pending *pending, struct mr_sock *sock) { (void)pending, (void)sock; }
void mr_epoll_give_back(struct mr_sock *sock) { (void)sock; }
