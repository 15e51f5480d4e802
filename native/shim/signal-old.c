/* The older ways to set a handler, which libc would do past our sigaction. Each as glibc defines it. */
#include <errno.h>

#include "real.h"
#include "signals.h"

#define EXPORT __attribute__((visibility("default")))

/* Signals that siginterrupt made interrupting. */
static _Atomic(uint64_t) interrupting;

static bool is_signal(int signum) { return signum >= 1 && signum <= 64; }
static uint64_t bit_of(int signum) { return 1ull << (signum - 1); }

static sighandler_t set(int signum, sighandler_t handler, int flags, bool masks_itself) {
  if (!is_signal(signum) || handler == SIG_ERR) {
    errno = EINVAL;
    return SIG_ERR;
  }
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;
  sigemptyset(&action.sa_mask);
  if (masks_itself) sigaddset(&action.sa_mask, signum);
  return sigaction(signum, &action, &old) < 0 ? SIG_ERR : old.sa_handler;
}

EXPORT sighandler_t signal(int signum, sighandler_t handler) {
  bool interrupts = is_signal(signum) && (atomic_load(&interrupting) & bit_of(signum));
  return set(signum, handler, interrupts ? 0 : SA_RESTART, true);
}
EXPORT sighandler_t bsd_signal(int signum, sighandler_t handler) { return signal(signum, handler); }
EXPORT sighandler_t ssignal(int signum, sighandler_t handler) { return signal(signum, handler); }

EXPORT sighandler_t sysv_signal(int signum, sighandler_t handler) {
  return set(signum, handler, SA_RESETHAND | SA_NODEFER, false);
}
EXPORT sighandler_t __sysv_signal(int signum, sighandler_t handler) {
  return sysv_signal(signum, handler);
}

EXPORT int sigignore(int signum) { return set(signum, SIG_IGN, 0, false) == SIG_ERR ? -1 : 0; }

EXPORT int siginterrupt(int signum, int flag) {
  struct sigaction action;
  if (sigaction(signum, NULL, &action) < 0) return -1;
  if (flag) {
    atomic_fetch_or(&interrupting, bit_of(signum));
    action.sa_flags &= ~SA_RESTART;
  } else {
    atomic_fetch_and(&interrupting, ~bit_of(signum));
    action.sa_flags |= SA_RESTART;
  }
  return sigaction(signum, &action, NULL);
}

/* SIG_HOLD blocks; anything else sets the handler and unblocks. Tells whether it was blocked. */
EXPORT sighandler_t sigset(int signum, sighandler_t handler) {
  sigset_t self, before;
  sighandler_t old;
  sigemptyset(&self);
  if (handler == SIG_ERR || sigaddset(&self, signum) < 0) {
    errno = EINVAL;
    return SIG_ERR;
  }
  if (handler == SIG_HOLD) {
    struct sigaction now;
    if (sigprocmask(SIG_BLOCK, &self, &before) < 0 || sigaction(signum, NULL, &now) < 0) return SIG_ERR;
    old = now.sa_handler;
  } else {
    old = set(signum, handler, 0, false);
    if (old == SIG_ERR || sigprocmask(SIG_UNBLOCK, &self, &before) < 0) return SIG_ERR;
  }
  return sigismember(&before, signum) ? SIG_HOLD : old;
}

EXPORT int __sigaction(int signum, const struct sigaction *action, struct sigaction *old) {
  return sigaction(signum, action, old);
}
