/*
 * What the test programs of `millrace run` share. Each runs twice, plainly and under Millrace, and must
 * print the same: so what differs between runs (ports, times, sizes of buffers) is not printed.
 *
 *   PROGRAM ADDRESS [CASE…]
 */
#ifndef MILLRACE_HARNESS_H
#define MILLRACE_HARNESS_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 60000
/* A full connection has come to rest: timers of both stacks that move some more have run by then. */
#define QUIET_MS 400

static struct sockaddr_in base_address;

static void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  printf("  ");
  vprintf(format, arguments);
  printf("\n");
  fflush(stdout);
  va_end(arguments);
}

static const char *outcome(long result) {
  static char text[8][64];
  static int turn;
  char *at = text[turn++ % 8];
  if (result < 0) snprintf(at, 64, "%s", strerrorname_np(errno));
  else snprintf(at, 64, "%ld", result);
  return at;
}

static void must(bool holds, const char *what) {
  if (holds) return;
  printf("  FAILED: %s: %s\n", what, strerror(errno));
  fflush(stdout);
  exit(1);
}
#define MUST(call) must((call) >= 0, #call)

static int new_socket(int type) {
  int fd = socket(AF_INET, type, 0);
  MUST(fd);
  return fd;
}

static int listener(struct sockaddr_in *at) {
  int fd = new_socket(SOCK_STREAM);
  socklen_t bytes = sizeof *at;
  *at = base_address;
  MUST(bind(fd, (struct sockaddr *)at, bytes));
  MUST(listen(fd, 16));
  MUST(getsockname(fd, (struct sockaddr *)at, &bytes));
  return fd;
}

/* A connection: pair[0] connected, pair[1] accepted. */
static void tcp_pair(int pair[2]) {
  struct sockaddr_in at;
  int server = listener(&at);
  pair[0] = new_socket(SOCK_STREAM);
  MUST(connect(pair[0], (struct sockaddr *)&at, sizeof at));
  pair[1] = accept(server, NULL, NULL);
  MUST(pair[1]);
  MUST(close(server));
}

static int udp_bound(struct sockaddr_in *at) {
  int fd = new_socket(SOCK_DGRAM);
  socklen_t bytes = sizeof *at;
  *at = base_address;
  MUST(bind(fd, (struct sockaddr *)at, bytes));
  MUST(getsockname(fd, (struct sockaddr *)at, &bytes));
  return fd;
}

static void udp_pair(int pair[2]) {
  struct sockaddr_in at[2];
  for (int i = 0; i < 2; i++) pair[i] = udp_bound(&at[i]);
  for (int i = 0; i < 2; i++) MUST(connect(pair[i], (struct sockaddr *)&at[1 - i], sizeof at[0]));
}

static void set_nonblocking(int fd) { MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)); }

/* Until everything that has arrived by now has been told: a question that only the stack can answer. */
static void settle(int tcp) {
  struct tcp_info info;
  socklen_t bytes = sizeof info;
  MUST(getsockopt(tcp, IPPROTO_TCP, TCP_INFO, &info, &bytes));
}

/* Until poll says one of `events`. */
static void await(int fd, short events) {
  struct pollfd polled = {.fd = fd, .events = events};
  must(poll(&polled, 1, PATIENCE_MS) == 1, "await");
}

static inline void await_bytes(int fd, int bytes) {
  int there = 0;
  for (int i = 0; there < bytes; i++) {
    MUST(ioctl(fd, FIONREAD, &there));
    must(i < PATIENCE_MS, "await_bytes");
    if (there < bytes) usleep(1000);
  }
}

/*
 * Nothing more goes in. The stack answers a question before each look: while it stands still, because others use
 * the machine, nothing is known.
 */
static bool is_full(int tcp) {
  enum { LOOKS = 4 };
  struct pollfd room = {.fd = tcp, .events = POLLOUT};
  for (int i = 0; i < LOOKS; i++) {
    settle(tcp);
    if (poll(&room, 1, QUIET_MS / LOOKS) != 0) return false;
  }
  return true;
}

/* How much went in until it was full. */
static long fill(int tcp) {
  static char bytes[65536];
  long sent = 0;
  do {
    for (ssize_t n; (n = send(tcp, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0;) sent += n;
  } while (!is_full(tcp));
  return sent;
}

static const char *events_text(uint32_t events) {
  static char text[8][128];
  static int turn;
  static const struct { uint32_t bit; const char *name; } names[] = {
      {EPOLLIN, "IN"}, {EPOLLPRI, "PRI"}, {EPOLLOUT, "OUT"}, {EPOLLERR, "ERR"},
      {EPOLLHUP, "HUP"}, {EPOLLRDHUP, "RDHUP"}, {EPOLLRDNORM, "RDNORM"}, {EPOLLWRNORM, "WRNORM"},
      {POLLNVAL, "NVAL"}};
  char *at = text[turn++ % 8];
  *at = '\0';
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!(events & names[i].bit)) continue;
    if (*at != '\0') strcat(at, "|");
    strcat(at, names[i].name);
  }
  if (*at == '\0') strcpy(at, "0");
  return at;
}

static int by_data(const void *a, const void *b) {
  const struct epoll_event *left = a, *right = b;
  return left->data.u64 < right->data.u64 ? -1 : left->data.u64 > right->data.u64;
}

/* Waits and prints what there is, ordered by data. */
static int wait_and_say(const char *what, int epfd, int max, int timeout_ms) {
  struct epoll_event events[64];
  char line[2048];
  int n = epoll_wait(epfd, events, max, timeout_ms);
  int at = snprintf(line, sizeof line, "%s: %s", what, outcome(n));
  if (n > 0) qsort(events, (size_t)n, sizeof *events, by_data);
  for (int i = 0; i < n; i++) {
    at += snprintf(line + at, sizeof line - (size_t)at, " %llu:%s",
                   (unsigned long long)events[i].data.u64, events_text(events[i].events));
  }
  say("%s", line);
  return n;
}

static int control(int epfd, int op, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data.u64 = data};
  return epoll_ctl(epfd, op, fd, &event);
}
#define ADD(epfd, fd, events, data) MUST(control(epfd, EPOLL_CTL_ADD, fd, events, data))
#define MOD(epfd, fd, events, data) MUST(control(epfd, EPOLL_CTL_MOD, fd, events, data))

struct test_case {
  const char *name;
  void (*run)(void);
};

static int run_cases(int argc, char **argv, const struct test_case *cases, size_t n) {
  if (argc < 2 || inet_pton(AF_INET, argv[1], &base_address.sin_addr) != 1) return 2;
  base_address.sin_family = AF_INET;
  for (size_t i = 0; i < n; i++) {
    bool wanted = argc == 2;
    for (int k = 2; k < argc; k++) wanted |= strcmp(argv[k], cases[i].name) == 0;
    if (!wanted) continue;
    printf("%s\n", cases[i].name);
    fflush(stdout);
    cases[i].run();
  }
  return 0;
}

#endif
