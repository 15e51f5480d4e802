/*
 * For programs that say what the socket calls do: run on the kernel and under Millrace they must print the
 * same. They print no address, no port, no time and no buffer size.
 *
 *   PROGRAM ADDRESS   both ends are at this address
 */
#ifndef SAY_H
#define SAY_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_storage home; /* the address given, port 0 */
static socklen_t home_bytes;

/* The result of a call, or its error's name. errno that changes on success is said, too. */
#define SAY(call)                                                         \
  do {                                                                    \
    errno = 12345;                                                        \
    long result_ = (long)(call);                                          \
    if (result_ < 0) printf("%s: %s\n", #call, strerrorname_np(errno));   \
    else printf("%s: %ld%s\n", #call, result_, errno == 12345 ? "" : " and errno changed"); \
  } while (0)

static inline void section(const char *name) { printf("-- %s\n", name); }

static inline int start(int argc, char **argv) {
  struct sockaddr_in *in = (struct sockaddr_in *)&home;
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&home;
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc == 2 && inet_pton(AF_INET, argv[1], &in->sin_addr) == 1) {
    in->sin_family = AF_INET;
    home_bytes = sizeof *in;
  } else if (argc == 2 && inet_pton(AF_INET6, argv[1], &in6->sin6_addr) == 1) {
    in6->sin6_family = AF_INET6;
    home_bytes = sizeof *in6;
  } else {
    fprintf(stderr, "usage: %s ADDRESS\n", argv[0]);
    exit(2);
  }
  return home.ss_family;
}

static inline struct sockaddr *at(uint16_t port) {
  static __thread struct sockaddr_storage address;
  address = home;
  ((struct sockaddr_in *)&address)->sin_port = htons(port); /* at the same place for IPv6 */
  return (struct sockaddr *)&address;
}

static inline uint16_t port_of(int fd) {
  struct sockaddr_storage name;
  socklen_t bytes = sizeof name;
  if (getsockname(fd, (struct sockaddr *)&name, &bytes) < 0) return 0;
  return ntohs(((struct sockaddr_in *)&name)->sin_port);
}

static inline void must(bool is_so, const char *what) {
  if (is_so) return;
  printf("cannot go on: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* A listener at home, and its port. */
static inline int listener(uint16_t *port) {
  int fd = socket(home.ss_family, SOCK_STREAM, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  must(bind(fd, at(0), home_bytes) == 0, "bind");
  must(listen(fd, 16) == 0, "listen");
  *port = port_of(fd);
  return fd;
}

/* A TCP connection: both ends. */
static inline void stream(int *a, int *b) {
  uint16_t port;
  int fd = listener(&port);
  *a = socket(home.ss_family, SOCK_STREAM, 0);
  must(connect(*a, at(port), home_bytes) == 0, "connect");
  *b = accept(fd, NULL, NULL);
  must(*b >= 0, "accept");
  close(fd);
}

static inline int datagram(uint16_t *port) {
  int fd = socket(home.ss_family, SOCK_DGRAM, 0);
  must(bind(fd, at(0), home_bytes) == 0, "bind");
  *port = port_of(fd);
  return fd;
}

/* For what must come: only a failure takes so long, on however loaded a machine. */
#define LONG_MS 60000

/* Whether one of `wanted` comes. */
static inline int await(int fd, short wanted) {
  struct pollfd one = {.fd = fd, .events = wanted};
  return poll(&one, 1, LONG_MS) > 0;
}

/* All readiness that poll reports now. */
static inline void say_ready(const char *who, int fd) {
  struct pollfd one = {.fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM};
  poll(&one, 1, 0);
  printf("%s is ready:%s%s%s%s%s%s%s%s%s\n", who, one.revents & POLLIN ? " IN" : "",
         one.revents & POLLRDNORM ? " RDNORM" : "", one.revents & POLLOUT ? " OUT" : "",
         one.revents & POLLWRNORM ? " WRNORM" : "", one.revents & POLLPRI ? " PRI" : "",
         one.revents & POLLRDHUP ? " RDHUP" : "", one.revents & POLLHUP ? " HUP" : "",
         one.revents & POLLERR ? " ERR" : "", one.revents & POLLNVAL ? " NVAL" : "");
}

/* Readiness when it has become `wanted` (waits for it), as things take time on either side. */
static inline void say_ready_after(const char *who, int fd, short wanted) {
  await(fd, wanted);
  for (int i = 0; i < LONG_MS / 10; i++) {
    struct pollfd one = {.fd = fd, .events = wanted};
    poll(&one, 1, 0);
    if ((one.revents & wanted) == wanted) break;
    usleep(10000);
  }
  say_ready(who, fd);
}

/* Until the peer's stack has all that was sent. */
static inline bool await_acknowledged(int tcp) {
  int queued = -1;
  for (int i = 0; i < LONG_MS / 10; i++) {
    ioctl(tcp, TIOCOUTQ, &queued);
    if (queued == 0) break;
    usleep(10000);
  }
  return queued == 0;
}

/* Until all that was sent can be read at the other end: that this stack has it, and has told whoever reads there. */
static inline void await_all_of(int from, int to) {
  struct tcp_info info;
  socklen_t bytes = sizeof info;
  must(await_acknowledged(from), "acknowledgments");
  must(getsockopt(to, IPPROTO_TCP, TCP_INFO, &info, &bytes) == 0, "TCP_INFO"); /* only the stack can answer that */
}

/* Until so much of a stream can be read at once. */
static inline bool await_bytes(int fd, int bytes) {
  int there = 0;
  for (int i = 0; i < LONG_MS / 5; i++) {
    ioctl(fd, FIONREAD, &there);
    if (there >= bytes) break;
    usleep(5000);
  }
  return there >= bytes;
}

/*
 * SIGALRM again and again; 0 ms: no more. A single one is over before the call that it is to interrupt has begun,
 * if others have the processor just then.
 */
static inline void alarm_every_ms(int ms) {
  struct timeval step = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
  setitimer(ITIMER_REAL, &(struct itimerval){step, step}, NULL);
}

static volatile sig_atomic_t caught[65];
static inline void count_signal(int signum) { caught[signum]++; }
static inline void catch_signal(int signum, int flags) {
  struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};
  sigaction(signum, &action, NULL);
}

static inline int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline int int_option(int fd, int level, int option) {
  int value = -1;
  socklen_t bytes = sizeof value;
  if (getsockopt(fd, level, option, &value, &bytes) < 0) return -errno;
  return value;
}
static inline int set_int(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value);
}

#endif
