/*
 * Programs that lock themselves in by a filter of system calls (sshd) die of one that its author did not think of.
 * The handler of faults, which the first copy of a pointer's memory sets, is set before.
 */
#include <sys/prctl.h>

#include "core.h"
#include "interpose.h"

EXPORT int prctl(int option, ...) {
  va_list rest;
  va_start(rest, option);
  unsigned long a = va_arg(rest, unsigned long), b = va_arg(rest, unsigned long);
  unsigned long c = va_arg(rest, unsigned long), d = va_arg(rest, unsigned long);
  va_end(rest);
  if (option == PR_SET_SECCOMP) mr_guard_faults();
  return real.prctl(option, a, b, c, d);
}
