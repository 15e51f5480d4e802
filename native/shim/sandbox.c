/*
 * Programs that lock themselves in by a filter of system calls (sshd) die of one that its author did not think of.
 * The handler of faults, which the first copy of a pointer's memory sets, is set before, and the first lock finds
 * its pid namespace known.
 */
#include <sys/prctl.h>

#include "core.h"
#include "interpose.h"
#include "process.h"

void mr_before_filter(void) {
  int saved = errno;
  mr_guard_faults();
  mr_holder();
  if (mr_link_control() >= 0) mr_link_get(); /* one that has begun is made by calls of which few programs think */
  errno = saved;
}

EXPORT int prctl(int option, ...) {
  va_list rest;
  va_start(rest, option);
  unsigned long a = va_arg(rest, unsigned long), b = va_arg(rest, unsigned long);
  unsigned long c = va_arg(rest, unsigned long), d = va_arg(rest, unsigned long);
  va_end(rest);
  if (option == PR_SET_SECCOMP) mr_before_filter();
  return real.prctl(option, a, b, c, d);
}
