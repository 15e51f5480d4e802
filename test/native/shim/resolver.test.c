/* A resolver's call that its caller leaves by siglongjmp is over. */
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>

#include "check.h"

extern __thread int mr_unaccelerated;
long getaddrinfo(long, long, long, long, long, long, long, long);
long gethostbyname(long, long, long, long, long, long, long, long);

static sigjmp_buf out;
static int seen;

static void on_alarm(int signum) {
  (void)signum;
  siglongjmp(out, 1);
}

/* What libc has: one that waits for good, and one that asks the other. */
static long waits(long a) {
  seen = mr_unaccelerated;
  if (a == 1) raise(SIGALRM);
  return a + 1;
}
static long asks(long a) { return getaddrinfo(a, 0, 0, 0, 0, 0, 0, 0) + mr_unaccelerated; }

void *mr_real_find(const char *name) {
  if (strcmp(name, "getaddrinfo") == 0) return (void *)waits;
  if (strcmp(name, "gethostbyname") == 0) return (void *)asks;
  return dlsym(RTLD_NEXT, name);
}

static void sockets_inside_stay_with_the_kernel(void) {
  CHECK(getaddrinfo(7, 0, 0, 0, 0, 0, 0, 0) == 8 && seen == 1 && mr_unaccelerated == 0);
  CHECK(gethostbyname(7, 0, 0, 0, 0, 0, 0, 0) == 9 && mr_unaccelerated == 0);
}

static void an_alarm_ends_it(void) {
  signal(SIGALRM, on_alarm);
  if (sigsetjmp(out, 1) == 0) {
    gethostbyname(1, 0, 0, 0, 0, 0, 0, 0);
    CHECK(0);
  }
  CHECK(seen == 1 && mr_unaccelerated == 0);
  CHECK(getaddrinfo(7, 0, 0, 0, 0, 0, 0, 0) == 8 && seen == 1 && mr_unaccelerated == 0);
}

int main(int argc, char **argv) {
  TEST(sockets_inside_stay_with_the_kernel)
  TEST(an_alarm_ends_it)
  return 0;
}
