/*
 * Signals. Every handler of the program is called through one function, so that the shim knows
 * which waits a signal has interrupted, with SA_RESTART or without; so that no handler runs while the
 * shim holds a lock; and so that faults inside copy.c are errors. The kernel keeps doing the rest:
 * masks, stacks, SA_RESETHAND, SA_NODEFER and restarting its own calls.
 *
 * A signal that comes between mr_enter and mr_leave is queued again for this thread, with what the
 * kernel said of it, and all signals are blocked (in the interrupted context's mask) until
 * mr_leave gives the mask back: then the kernel delivers it as if it had come then.
 */
#include "signals.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "copy.h"
#include "core.h"
#include "real.h"

#define SIGNALS 65
#define KERNEL_SET_BYTES 8

typedef void handler_with_info(int, siginfo_t *, void *);

__thread struct mr_thread mr_thread = {.waiter = -1, .waiter_fd = -1};

/* What the program asked for. The handler and its flags are read by the trampoline without a lock. */
static struct {
  _Atomic(handler_with_info *) handler;
  atomic_int flags;
  sigset_t mask;
} users[SIGNALS];

static atomic_flag users_lock = ATOMIC_FLAG_INIT;
static atomic_bool guards;          /* SIGSEGV and SIGBUS always come to us */

#define DEFAULT ((handler_with_info *)(void *)SIG_DFL)
#define IGNORE ((handler_with_info *)(void *)SIG_IGN)

static uint64_t bit_of(int signum) { return 1ull << (signum - 1); }
static bool is_guarded(int signum) {
  return (signum == SIGSEGV || signum == SIGBUS) && atomic_load(&guards);
}

int mr_tid(void) {
  if (MR_LIKELY(mr_thread.tid != 0)) return mr_thread.tid;
  /* The same for the only thread of a child of fork, the one that may begin behind a filter of system calls. */
  int call = mr_allows(SYS_gettid) ? SYS_gettid : SYS_getpid;
  return mr_thread.tid = (int)real.syscall(call, 0, 0, 0, 0, 0, 0);
}

static void set_mask(int how, const uint64_t *mask) {
  real.syscall(SYS_rt_sigprocmask, how, (long)mask, 0, KERNEL_SET_BYTES, 0, 0);
}

/* Faults must come through, or the kernel ends the program; 32 and 33 are libc's own; SIGKILL and SIGSTOP
 * the kernel takes out itself. */
static uint64_t all_but_faults(void) {
  return ~(bit_of(SIGSEGV) | bit_of(SIGBUS) | bit_of(SIGILL) | bit_of(SIGFPE) | bit_of(SIGTRAP) |
           bit_of(SIGSYS) | bit_of(32) | bit_of(33) | bit_of(SIGKILL) | bit_of(SIGSTOP));
}

void mr_enter(void) {
  mr_thread.depth++;
  atomic_signal_fence(memory_order_seq_cst);
}

void mr_leave(void) {
  atomic_signal_fence(memory_order_seq_cst);
  if (--mr_thread.depth > 0) return;
  atomic_signal_fence(memory_order_seq_cst);
  if (!*(volatile int *)&mr_thread.deferred) return;
  int saved = errno;
  uint64_t mask = mr_thread.mask;
  mr_thread.deferred = 0;
  set_mask(SIG_SETMASK, &mask);
  errno = saved;
}

void mr_signal_mask(sigset_t *mask) {
  memset(mask, 0, sizeof *mask);
  if (!mr_allows(SYS_rt_sigprocmask)) return; /* whoever gets it does not use it: wait.c */
  real.syscall(SYS_rt_sigprocmask, SIG_SETMASK, 0, (long)mask, KERNEL_SET_BYTES, 0, 0);
  /* Looked at after the kernel was asked: a signal between the two is seen. */
  atomic_signal_fence(memory_order_seq_cst);
  if (*(volatile int *)&mr_thread.deferred) memcpy(mask, &mr_thread.mask, KERNEL_SET_BYTES);
}

/* ---- Delivery ------------------------------------------------------------------------------------ */

/* Whether the thread's own instruction caused it, and would again. */
static bool is_fault(int signum, const siginfo_t *info) {
  bool can_be = signum == SIGSEGV || signum == SIGBUS || signum == SIGILL || signum == SIGFPE ||
                signum == SIGTRAP || signum == SIGSYS;
  return can_be && info->si_code > 0;
}

static void queue_again(int signum, siginfo_t *info) {
  long process = real.syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
  real.syscall(SYS_rt_tgsigqueueinfo, process, mr_tid(), signum, (long)info, 0, 0);
}

static void trampoline(int signum, siginfo_t *info, void *context);

static void install(int signum, const sigset_t *mask, int flags) {
  struct sigaction action = {.sa_sigaction = trampoline, .sa_flags = flags | SA_SIGINFO};
  action.sa_mask = *mask;
  real.sigaction(signum, &action, NULL);
}

static void defer(int signum, siginfo_t *info, ucontext_t *context) {
  int saved = errno;
  uint64_t blocked = all_but_faults(), before;
  set_mask(SIG_BLOCK, &blocked);
  int flags = atomic_load(&users[signum].flags);
  if (flags & SA_RESETHAND) install(signum, &users[signum].mask, flags);
  queue_again(signum, info);
  memcpy(&before, &context->uc_sigmask, KERNEL_SET_BYTES);
  /* The thread's own mask is in the outermost of nested contexts, which comes here last; a context that
   * has ours already was interrupted later, in a wait that let signals in. */
  if ((before & blocked) != blocked || !mr_thread.deferred) mr_thread.mask = before;
  mr_thread.deferred = 1;
  blocked |= before;
  memcpy(&context->uc_sigmask, &blocked, KERNEL_SET_BYTES);
  errno = saved;
}

/* The program has no handler, the shim's was in the way: what would have happened happens on return. */
static void as_without_handler(int signum, siginfo_t *info, bool of_fault) {
  if (atomic_load(&users[signum].handler) == IGNORE && !of_fault) return;
  int saved = errno;
  struct sigaction action = {.sa_handler = SIG_DFL};
  real.sigaction(signum, &action, NULL);
  if (!of_fault) queue_again(signum, info);
  errno = saved;
}

static void trampoline(int signum, siginfo_t *info, void *context) {
  if ((signum == SIGSEGV || signum == SIGBUS) && mr_copy_fix(context)) return;
  bool of_fault = is_fault(signum, info);
  /* Where a filter of system calls would end the program instead, the handler runs at once. */
  bool may_defer = mr_allows(SYS_rt_tgsigqueueinfo) && mr_allows(SYS_rt_sigprocmask) && mr_allows(SYS_getpid);
  if (mr_thread.depth > 0 && !of_fault && may_defer) {
    defer(signum, info, context);
    return;
  }
  handler_with_info *handler = atomic_load(&users[signum].handler);
  if (handler == DEFAULT || handler == IGNORE) {
    as_without_handler(signum, info, of_fault);
    return;
  }
  int flags = atomic_load(&users[signum].flags);
  if (is_guarded(signum) && (flags & SA_RESETHAND)) atomic_store(&users[signum].handler, DEFAULT);
  mr_thread.handled++;
  if (!(flags & SA_RESTART)) mr_thread.interrupting++;
  handler(signum, info, context);
}

/* ---- What programs ask for ----------------------------------------------------------------------- */

static void lock_users(void) {
  mr_enter();
  while (atomic_flag_test_and_set_explicit(&users_lock, memory_order_acquire)) {
  }
}

static void unlock_users(void) {
  atomic_flag_clear_explicit(&users_lock, memory_order_release);
  mr_leave();
}

/* What the program set, where the kernel has our function; otherwise what the kernel says. */
static void as_program_set(int signum, struct sigaction *was) {
  if (was->sa_sigaction != trampoline) return;
  int flags = atomic_load(&users[signum].flags);
  was->sa_sigaction = atomic_load(&users[signum].handler);
  was->sa_flags = is_guarded(signum) ? flags : (was->sa_flags & ~SA_SIGINFO) | (flags & SA_SIGINFO);
  if (is_guarded(signum)) was->sa_mask = users[signum].mask;
}

static void remember(int signum, const struct sigaction *action) {
  atomic_store(&users[signum].flags, action->sa_flags);
  users[signum].mask = action->sa_mask;
  atomic_store(&users[signum].handler, action->sa_sigaction);
}

static int install_guarded(int signum) {
  bool has_handler = users[signum].handler != DEFAULT && users[signum].handler != IGNORE;
  int flags = has_handler ? users[signum].flags & ~SA_RESETHAND : SA_RESTART | SA_ONSTACK;
  sigset_t none;
  sigemptyset(&none);
  install(signum, has_handler ? &users[signum].mask : &none, flags);
  return 0;
}

static int set_locked(int signum, const struct sigaction *action) {
  struct sigaction before = {.sa_sigaction = users[signum].handler, .sa_flags = users[signum].flags};
  before.sa_mask = users[signum].mask;
  bool has_handler = action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
  if (is_guarded(signum)) {
    remember(signum, action);
    return install_guarded(signum);
  }
  if (!has_handler) return real.sigaction(signum, action, NULL);
  struct sigaction ours = *action;
  ours.sa_sigaction = trampoline;
  ours.sa_flags |= SA_SIGINFO;
  remember(signum, action);
  int result = real.sigaction(signum, &ours, NULL);
  if (result < 0) remember(signum, &before);
  return result;
}

__attribute__((visibility("default"))) int sigaction(int signum, const struct sigaction *action,
                                                     struct sigaction *old) {
  if (signum < 1 || signum >= SIGNALS) return real.sigaction(signum, action, old);
  struct sigaction was, wanted;
  if (action != NULL) wanted = *action;
  lock_users();
  int result = real.sigaction(signum, NULL, &was);
  if (result == 0) as_program_set(signum, &was);
  if (result == 0 && action != NULL) result = set_locked(signum, &wanted);
  unlock_users();
  if (result == 0 && old != NULL) *old = was;
  return result;
}

void mr_guard_faults(void) {
  static const int faults[] = {SIGSEGV, SIGBUS};
  int saved = errno;
  lock_users();
  for (int i = 0; i < 2 && !atomic_load(&guards); i++) {
    struct sigaction was;
    real.sigaction(faults[i], NULL, &was);
    if (was.sa_sigaction != trampoline) remember(faults[i], &was);
  }
  if (!atomic_exchange(&guards, true)) {
    for (int i = 0; i < 2; i++) install_guarded(faults[i]);
  }
  unlock_users();
  errno = saved;
}

/* An ignored signal stays ignored over exec; a handled one would not. */
void mr_signals_for_exec(bool has_failed) {
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  if (is_guarded(SIGSEGV) && users[SIGSEGV].handler == IGNORE) {
    if (has_failed) install_guarded(SIGSEGV);
    else real.sigaction(SIGSEGV, &ignore, NULL);
  }
  if (is_guarded(SIGBUS) && users[SIGBUS].handler == IGNORE) {
    if (has_failed) install_guarded(SIGBUS);
    else real.sigaction(SIGBUS, &ignore, NULL);
  }
}

void mr_signals_after_fork(void) {
  atomic_flag_clear(&users_lock);
  mr_thread.tid = 0;
  mr_thread.holder = 0;
}
