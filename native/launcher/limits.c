/* Limits of this process, which an engine that it starts has, too. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "launcher.h"

#define STACK_BYTES (8ul << 20) /* as usual: Node.js takes what it likes of it, whatever the limit says */

/* An engine serves others, too, and the soft ones are meant for the program. */
void raise_limits(void) {
  static const int ALL[] = {RLIMIT_AS, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_MEMLOCK, RLIMIT_NOFILE,
                            RLIMIT_NPROC, RLIMIT_STACK};
  for (size_t i = 0; i < sizeof ALL / sizeof ALL[0]; i++) {
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)ALL[i], &limit) < 0) continue;
    rlim_t most = limit.rlim_max;
    if (ALL[i] == RLIMIT_STACK && most > STACK_BYTES) most = STACK_BYTES; /* more moves where memory is mapped */
    if (limit.rlim_cur >= most) continue;
    limit.rlim_cur = most;
    setrlimit((__rlimit_resource_t)ALL[i], &limit);
  }
}

bool has_descriptors(const char *what) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max >= NODE_DESCRIPTORS) return true;
  fprintf(stderr,
          "millrace: %s needs a limit of %d open files (RLIMIT_NOFILE), and it is %lu here; raise the hard limit: ulimit -Hn "
          "by root, LimitNOFILE= of a service, nofile in /etc/security/limits.conf\n",
          what, NODE_DESCRIPTORS, (unsigned long)limit.rlim_max);
  return false;
}
