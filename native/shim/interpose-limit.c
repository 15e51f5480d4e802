/* RLIMIT_NOFILE as the program sets it: lowering it is confinement (confine.c). */
#include <sys/resource.h>

#include "core.h"
#include "interpose.h"

/* Sanitizers set limits before anything can be looked up, and before code that is instrumented may run. */
#define EARLY __attribute__((no_sanitize("address", "thread", "undefined")))
static volatile bool is_ready;
__attribute__((constructor(103))) static void begin(void) { is_ready = true; }

EARLY static int prlimit_raw(pid_t pid, int resource, const struct rlimit *to, struct rlimit *was) {
  long result;
#if defined(__aarch64__)
  register long number __asm__("x8") = SYS_prlimit64;
  register long a __asm__("x0") = pid;
  register long b __asm__("x1") = resource;
  register long c __asm__("x2") = (long)to;
  register long d __asm__("x3") = (long)was;
  __asm__ volatile("svc 0" : "+r"(a) : "r"(number), "r"(b), "r"(c), "r"(d) : "memory");
  result = a;
#else
  register long d __asm__("r10") = (long)was;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "0"((long)SYS_prlimit64), "D"((long)pid), "S"((long)resource), "d"(to), "r"(d)
                   : "rcx", "r11", "memory");
#endif
  if (result >= 0) return 0;
  errno = (int)-result;
  return -1;
}

/* Not while it is up: what the program sets is what holds. */
EARLY static int set(pid_t pid, int resource, const struct rlimit *to, struct rlimit *was) {
  bool is_ours = is_ready && resource == RLIMIT_NOFILE && (pid == 0 || pid == getpid());
  if (!is_ours) return prlimit_raw(pid, resource, to, was);
  struct rlimit now = {0}, wanted = {0};
  if (to != NULL && !mr_thread.is_lodger && mr_copy_from(&wanted, to, sizeof wanted) == 0 &&
      prlimit_raw(0, RLIMIT_NOFILE, NULL, &now) == 0 && wanted.rlim_cur < now.rlim_cur) {
    mr_confine();
  }
  mr_limit_hold();
  int result = prlimit_raw(pid, resource, to, was);
  mr_limit_release();
  return result;
}

EARLY EXPORT int setrlimit(__rlimit_resource_t resource, const struct rlimit *to) {
  return set(0, (int)resource, to, NULL);
}
EARLY EXPORT int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *to) {
  return set(0, (int)resource, (const struct rlimit *)(const void *)to, NULL);
}
EARLY EXPORT int prlimit(pid_t pid, enum __rlimit_resource resource, const struct rlimit *to, struct rlimit *was) {
  return set(pid, (int)resource, to, was);
}
EARLY EXPORT int prlimit64(pid_t pid, enum __rlimit_resource resource, const struct rlimit64 *to, struct rlimit64 *was) {
  return set(pid, (int)resource, (const struct rlimit *)(const void *)to, (struct rlimit *)(void *)was);
}
