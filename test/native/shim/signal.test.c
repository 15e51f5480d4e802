/* Signals through the shim: what programs set and see, and what waits while the shim holds a lock. */
#define _XOPEN_SOURCE_EXTENDED 1
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../native/shim/shim.h"
#include "check.h"

static volatile sig_atomic_t calls, last, nested;
static volatile int last_value, last_code;

static void count(int signum) {
  calls++;
  last = signum;
}

static void count_info(int signum, siginfo_t *info, void *context) {
  (void)context;
  count(signum);
  last_value = info->si_value.sival_int;
  last_code = info->si_code;
}

static void set(int signum, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  CHECK(sigaction(signum, &action, NULL) == 0);
}

static void old_values_are_as_set(void) {
  struct sigaction action = {.sa_sigaction = count_info, .sa_flags = SA_SIGINFO | SA_RESTART}, old;
  sigaddset(&action.sa_mask, SIGUSR2);
  CHECK(sigaction(SIGUSR1, &action, &old) == 0 && old.sa_handler == SIG_DFL);
  CHECK(sigaction(SIGUSR1, NULL, &old) == 0);
  CHECK(old.sa_sigaction == count_info && (old.sa_flags & SA_SIGINFO) && (old.sa_flags & SA_RESTART));
  CHECK(sigismember(&old.sa_mask, SIGUSR2) && !sigismember(&old.sa_mask, SIGTERM));
  CHECK(signal(SIGUSR1, count) != SIG_ERR);
  CHECK(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == count);
  CHECK(!(old.sa_flags & SA_SIGINFO) && (old.sa_flags & SA_RESTART));
  CHECK(signal(SIGUSR1, SIG_IGN) == count && signal(SIGUSR1, SIG_DFL) == SIG_IGN);
  CHECK(sigaction(0, NULL, &old) < 0 && errno == EINVAL);
  CHECK(sigaction(SIGKILL, &action, NULL) < 0 && errno == EINVAL);
  CHECK(sigaction(65, &action, NULL) < 0 && errno == EINVAL);
  CHECK(signal(99, count) == SIG_ERR && errno == EINVAL);
}

static void handlers_are_counted(void) {
  uint32_t handled = mr_thread.handled, interrupting = mr_thread.interrupting;
  set(SIGUSR1, count, SA_RESTART);
  raise(SIGUSR1);
  CHECK(mr_thread.handled == handled + 1 && mr_thread.interrupting == interrupting);
  set(SIGUSR1, count, 0);
  raise(SIGUSR1);
  CHECK(mr_thread.handled == handled + 2 && mr_thread.interrupting == interrupting + 1);
  CHECK(siginterrupt(SIGUSR1, 0) == 0);
  raise(SIGUSR1);
  CHECK(mr_thread.handled == handled + 3 && mr_thread.interrupting == interrupting + 1);
  CHECK(siginterrupt(SIGUSR1, 1) == 0 && signal(SIGUSR1, count) == count);
  raise(SIGUSR1);
  CHECK(mr_thread.interrupting == interrupting + 2);
  siginterrupt(SIGUSR1, 0);
}

static void signals_wait_inside(void) {
  set(SIGUSR2, count, 0);
  struct sigaction action = {.sa_sigaction = count_info, .sa_flags = SA_SIGINFO};
  sigaction(SIGUSR1, &action, NULL);
  sigset_t before, after;
  sigprocmask(SIG_SETMASK, NULL, &before);
  calls = 0;
  mr_enter();
  mr_enter();
  sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 42});
  raise(SIGUSR2);
  raise(SIGUSR2); /* one, as two pending ones are one */
  CHECK(calls == 0);
  sigset_t own;
  mr_signal_mask(&own);
  CHECK(memcmp(&own, &before, 8) == 0);
  mr_leave();
  CHECK(calls == 0);
  errno = 123;
  mr_leave();
  CHECK(errno == 123 && calls == 2);
  CHECK(last_value == 42 && last_code == SI_QUEUE);
  sigprocmask(SIG_SETMASK, NULL, &after);
  CHECK(memcmp(&before, &after, 8) == 0);
}

static void a_wait_inside_ends_by_a_deferred_signal(void) {
  set(SIGALRM, count, SA_RESTART);
  calls = 0;
  mr_enter();
  raise(SIGALRM);
  sigset_t own;
  mr_signal_mask(&own);
  CHECK(ppoll(NULL, 0, NULL, &own) < 0 && errno == EINTR);
  CHECK(calls == 0);
  /* One that comes during the wait. */
  struct itimerval soon = {.it_value = {.tv_usec = 20000}};
  setitimer(ITIMER_REAL, &soon, NULL);
  CHECK(ppoll(NULL, 0, NULL, &own) < 0 && errno == EINTR);
  mr_leave();
  CHECK(calls >= 1);
  sigset_t after;
  sigprocmask(SIG_SETMASK, NULL, &after);
  CHECK(memcmp(&own, &after, 8) == 0);
}

static void raise_again(int signum) {
  count(signum);
  nested++;
  int depth = nested;
  if (depth < 3) raise(signum);
  CHECK(nested >= depth);
}

static void flags_mean_what_they_mean(void) {
  calls = nested = 0;
  set(SIGUSR1, raise_again, SA_NODEFER);
  raise(SIGUSR1);
  CHECK(calls == 3);
  calls = 0;
  set(SIGUSR1, count, SA_RESETHAND);
  mr_enter();
  raise(SIGUSR1);
  mr_leave();
  CHECK(calls == 1);
  struct sigaction now;
  CHECK(sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
  /* With SA_NODEFER inside, too. */
  set(SIGUSR2, count, SA_NODEFER | SA_RESETHAND);
  mr_enter();
  raise(SIGUSR2);
  CHECK(calls == 1);
  mr_leave();
  CHECK(calls == 2);
}

static char stack[65536];
static volatile sig_atomic_t was_on_stack;
static void look_at_stack(int signum) {
  char here;
  (void)signum;
  was_on_stack = &here >= stack && &here < stack + sizeof stack;
}

static void the_other_stack_is_used(void) {
  stack_t other = {.ss_sp = stack, .ss_size = sizeof stack}, old;
  CHECK(sigaltstack(&other, &old) == 0);
  set(SIGUSR1, look_at_stack, SA_ONSTACK);
  raise(SIGUSR1);
  CHECK(was_on_stack);
  was_on_stack = 0;
  mr_enter();
  raise(SIGUSR1);
  mr_leave();
  CHECK(was_on_stack);
  CHECK(sigaltstack(&old, NULL) == 0);
}

static void older_interfaces(void) {
  calls = 0;
  CHECK(sigset(SIGUSR1, count) == SIG_DFL || 1);
  CHECK(sigset(SIGUSR1, SIG_HOLD) == count);
  raise(SIGUSR1);
  CHECK(calls == 0 && sigset(SIGUSR1, count) == SIG_HOLD && calls == 1);
  CHECK(sysv_signal(SIGUSR1, count) == count);
  raise(SIGUSR1);
  CHECK(calls == 2 && signal(SIGUSR1, SIG_DFL) == SIG_DFL);
}

#define GUSTS 8 /* without a pause there would be handlers in handlers until the stack is full */

static atomic_bool stop;
static atomic_int gusts; /* since no handler was under way */
static pthread_t victim;

static void *bombard(void *unused) {
  (void)unused;
  while (!stop) {
    if (gusts >= GUSTS) {
      sched_yield();
      continue;
    }
    gusts++;
    pthread_kill(victim, SIGUSR1);
    pthread_kill(victim, SIGUSR2);
  }
  return NULL;
}

static void never_inside(int signum) {
  (void)signum;
  CHECK(mr_thread.depth == 0);
  calls++;
}

static void a_storm_of_signals_never_comes_inside(void) {
  calls = 0;
  set(SIGUSR1, never_inside, SA_RESTART);
  set(SIGUSR2, never_inside, SA_NODEFER);
  sigset_t before, after;
  sigprocmask(SIG_SETMASK, NULL, &before);
  victim = pthread_self();
  pthread_t other;
  pthread_create(&other, NULL, bombard, NULL);
  for (int i = 0; i < 200000 || calls < 100; i++) {
    mr_enter();
    mr_leave();
    gusts = 0;
  }
  stop = true;
  pthread_join(other, NULL);
  sigprocmask(SIG_SETMASK, NULL, &after);
  CHECK(memcmp(&before, &after, 8) == 0);
}

int main(int argc, char **argv) {
  TEST(old_values_are_as_set)
  TEST(handlers_are_counted)
  TEST(signals_wait_inside)
  TEST(a_wait_inside_ends_by_a_deferred_signal)
  TEST(flags_mean_what_they_mean)
  TEST(the_other_stack_is_used)
  TEST(older_interfaces)
  TEST(a_storm_of_signals_never_comes_inside)
  return 0;
}
