/* Timeouts, signals that interrupt or restart, and calls that wait in several threads. */
#include "say.h"

static char buffer[1000];

static void alarm_in_ms(int ms) {
  struct itimerval soon = {.it_value = {.tv_usec = ms * 1000}};
  setitimer(ITIMER_REAL, &soon, NULL);
}

/* Longer than any that is waited for in vain. */
enum { NOT_WAITED_MS = 20000 };
static const struct timeval for_long = {.tv_sec = 100};

/* How long a call took, in steps that a busy machine does not blur. */
#define TIMED(call, least, most)                                                            \
  do {                                                                                      \
    int64_t before_ = now_ms();                                                             \
    SAY(call);                                                                              \
    int64_t took_ = now_ms() - before_;                                                     \
    printf("at least %d ms: %d, at most %d ms: %d\n", least, took_ >= (least), most, took_ <= (most)); \
  } while (0)

static void timeouts(void) {
  section("timeouts");
  int a, b;
  stream(&a, &b);
  struct timeval timeout = {.tv_usec = 60000}, got;
  socklen_t bytes = sizeof got;
  SAY(setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout));
  SAY(getsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &got, &bytes));
  printf("%ld s, %ld us\n", (long)got.tv_sec, (long)got.tv_usec / 10000 * 10000);
  TIMED(recv(b, buffer, 10, 0), 55, NOT_WAITED_MS);
  send(a, "ab", 2, 0);
  await(b, POLLIN);
  TIMED(recv(b, buffer, 10, MSG_WAITALL), 55, NOT_WAITED_MS);
  SAY(setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &for_long, sizeof for_long));
  TIMED(recv(b, buffer, 10, MSG_DONTWAIT), 0, NOT_WAITED_MS);
  timeout = (struct timeval){.tv_sec = -1};
  SAY(setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout));
  TIMED(recv(b, buffer, 10, 0), 0, NOT_WAITED_MS);
  timeout = (struct timeval){.tv_usec = 2000000};
  SAY(setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout));
  SAY(setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &timeout, 4));
  uint16_t port;
  int u = datagram(&port);
  timeout = (struct timeval){.tv_usec = 60000};
  setsockopt(u, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  TIMED(recv(u, buffer, 10, 0), 55, NOT_WAITED_MS);
  close(a);
  close(b);
  close(u);
}

static void interruptions(void) {
  section("signals");
  int a, b;
  stream(&a, &b);
  catch_signal(SIGALRM, 0);
  caught[SIGALRM] = 0;
  alarm_every_ms(50);
  SAY(recv(b, buffer, 10, 0));
  SAY(caught[SIGALRM] > 0);
  send(a, "abc", 3, 0);
  await_bytes(b, 3);
  caught[SIGALRM] = 0;
  SAY(recv(b, buffer, 10, MSG_WAITALL)); /* interrupted with something in hand */
  SAY(caught[SIGALRM] > 0);
  catch_signal(SIGALRM, SA_RESTART);
  setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &for_long, sizeof for_long);
  SAY(recv(b, buffer, 10, 0)); /* a timeout is not restarted */
  alarm_every_ms(0);
  struct timeval none = {0};
  setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
  caught[SIGALRM] = 0;
  alarm_in_ms(50);
  if (fork() == 0) {
    usleep(200000);
    send(a, "later", 5, 0);
    _exit(0);
  }
  SAY(recv(b, buffer, 10, 0)); /* restarted */
  SAY(caught[SIGALRM]);
  wait(NULL);
  section("signals in accept and connect");
  uint16_t port;
  int l = listener(&port);
  catch_signal(SIGALRM, 0);
  alarm_every_ms(50);
  SAY(accept(l, NULL, NULL));
  alarm_every_ms(0);
  close(l);
  section("signals in a send that waits");
  static char big[1 << 20];
  alarm_every_ms(100);
  ssize_t n;
  while ((n = send(a, big, sizeof big, 0)) == sizeof big) continue;
  printf("was cut short: %d\n", n < (ssize_t)sizeof big);
  for (int i = 0; i < 20 && n > 0; i++) n = send(a, big, sizeof big, 0);
  printf("in the end: %s\n", n < 0 ? strerrorname_np(errno) : "something is taken always");
  alarm_every_ms(0);
  close(a);
  close(b);
}

static int shared_end;
static void *one_byte(void *unused) {
  (void)unused;
  char byte;
  return (void *)(intptr_t)recv(shared_end, &byte, 1, 0);
}

static void threads(void) {
  section("threads that wait for one socket");
  int a;
  stream(&a, &shared_end);
  pthread_t ids[8];
  for (int i = 0; i < 8; i++) pthread_create(&ids[i], NULL, one_byte, NULL);
  usleep(50000);
  send(a, "1234", 4, 0);
  send(a, "5678", 4, 0);
  long got = 0;
  for (int i = 0; i < 8; i++) {
    void *result;
    pthread_join(ids[i], &result);
    got += (intptr_t)result;
  }
  printf("got %ld\n", got);
  for (int i = 0; i < 8; i++) pthread_create(&ids[i], NULL, one_byte, NULL);
  usleep(50000);
  shutdown(a, SHUT_WR); /* all of them see the end */
  got = 0;
  for (int i = 0; i < 8; i++) {
    void *result;
    pthread_join(ids[i], &result);
    got += (intptr_t)result;
  }
  printf("got %ld\n", got);
  close(a);
  close(shared_end);
  section("shutdown wakes who reads");
  stream(&a, &shared_end);
  pthread_create(&ids[0], NULL, one_byte, NULL);
  usleep(50000);
  SAY(shutdown(shared_end, SHUT_RD));
  void *result;
  pthread_join(ids[0], &result);
  printf("got %ld\n", (long)(intptr_t)result);
  close(a);
  close(shared_end);
}

static void lingering(void) {
  section("SO_LINGER");
  int a, b;
  stream(&a, &b);
  struct linger linger = {1, 5}, got;
  socklen_t bytes = sizeof got;
  SAY(setsockopt(a, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
  SAY(getsockopt(a, SOL_SOCKET, SO_LINGER, &got, &bytes));
  printf("%d %d\n", got.l_onoff, got.l_linger);
  SAY(setsockopt(a, SOL_SOCKET, SO_LINGER, &linger, 4));
  send(a, "abc", 3, 0);
  TIMED(close(a), 0, 4000);
  SAY(recv(b, buffer, 10, 0));
  SAY(recv(b, buffer, 10, 0));
  close(b);
}

int main(int argc, char **argv) {
  start(argc, argv);
  timeouts();
  interruptions();
  threads();
  lingering();
  return 0;
}
