/* What calls say of sockets in odd states: refused, shut down, over, connected anew, bound twice. */
#include <sys/epoll.h>

#include "say.h"

static struct sockaddr *many(const char *text) {
  static struct sockaddr_storage to;
  struct sockaddr_in *in = (struct sockaddr_in *)&to;
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&to;
  memset(&to, 0, sizeof to);
  to.ss_family = home.ss_family;
  in->sin_port = htons(9);
  must(inet_pton(home.ss_family, text, home.ss_family == AF_INET ? (void *)&in->sin_addr : (void *)&in6->sin6_addr) == 1, text);
  return (struct sockaddr *)&to;
}

/* A connection to a port at which nobody is, and what the same socket may do after that. */
static void refused(int nonblocking) {
  section(nonblocking ? "refused, later" : "refused, at once");
  int fd = socket(home.ss_family, SOCK_STREAM | nonblocking, 0);
  SAY(connect(fd, at(4), home_bytes));
  if (nonblocking) say_ready_after("refused", fd, POLLHUP);
  SAY(listen(fd, 1));
  SAY(connect(fd, at(4), 3));
  SAY(connect(fd, at(4), home_bytes));
  close(fd);
}

static void to_many(void) {
  const char *const of4[] = {"255.255.255.255", "224.0.0.1", "239.1.2.3"}, *const of6[] = {"ff02::1", "ff0e::1", "ff15::1"};
  section("to many");
  for (int i = 0; i < 9; i++) {
    int fd = socket(home.ss_family, SOCK_STREAM | (i % 3 == 0 ? 0 : SOCK_NONBLOCK), 0);
    SAY(connect(fd, many(home.ss_family == AF_INET ? of4[i / 3] : of6[i / 3]), home_bytes));
    if (i % 3 == 0) SAY(listen(fd, 1));
    close(fd); /* the next one may have its end */
  }
}

/* Who has shut down both ways is deaf: data for it reset the connection. */
static void deaf(void) {
  int a, b;
  section("deaf");
  stream(&a, &b);
  SAY(shutdown(a, SHUT_RDWR));
  await(b, POLLRDHUP);
  SAY(send(b, "x", 1, MSG_NOSIGNAL));
  say_ready_after("who sent", b, POLLERR);
  say_ready_after("who is deaf", a, POLLERR);
  SAY(send(b, "x", 1, MSG_NOSIGNAL));
  SAY(send(b, "x", 1, MSG_NOSIGNAL));
  close(a);
  close(b);
}

/* What waits in TIME-WAIT, and what ended a connection before it is connected to nobody. */
static void over(void) {
  struct sockaddr_storage name;
  struct sockaddr nobody = {.sa_family = AF_UNSPEC};
  struct linger now = {1, 0};
  int a, b;
  section("over");
  stream(&a, &b);
  SAY(shutdown(a, SHUT_WR));
  await(b, POLLRDHUP);
  SAY(close(b));
  say_ready_after("who ended first", a, POLLHUP);
  socklen_t bytes = sizeof name;
  SAY(getpeername(a, (struct sockaddr *)&name, &bytes));
  uint8_t state = 0;
  bytes = sizeof state;
  SAY(getsockopt(a, IPPROTO_TCP, TCP_INFO, &state, &bytes));
  printf("state %d\n", state);
  close(a);
  stream(&a, &b);
  setsockopt(b, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  SAY(close(b));
  await(a, POLLERR);
  SAY(connect(a, &nobody, sizeof nobody));
  say_ready("connected to nobody", a);
  SAY(int_option(a, SOL_SOCKET, SO_ERROR));
  close(a);
}

static void datagrams(void) {
  uint16_t port;
  char byte;
  section("datagrams");
  int server = datagram(&port), fd = socket(home.ss_family, SOCK_DGRAM, 0);
  SAY(connect(fd, at(port), home_bytes));
  uint16_t own = port_of(fd);
  SAY(connect(fd, at(4), home_bytes));
  printf("the port is %s\n", port_of(fd) == own ? "the same" : "another");
  SAY(connect(fd, at(port), home_bytes));
  SAY(connect(server, at(own), home_bytes));
  SAY(shutdown(fd, SHUT_RD));
  SAY(send(server, "x", 1, 0));
  for (int i = 0; i < LONG_MS && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 1; i++) usleep(1000);
  SAY(recv(fd, &byte, 1, MSG_DONTWAIT));
  close(server);
  close(fd);
}

/* The kernel does not ask a socket about a vector of nothing. */
static void vectors(void) {
  struct iovec nothing[2] = {0};
  uint16_t port;
  int fd = datagram(&port), a, b;
  section("vectors");
  SAY(writev(fd, nothing, 2));
  SAY(readv(fd, nothing, 2));
  close(fd);
  stream(&a, &b);
  SAY(shutdown(a, SHUT_WR));
  SAY(writev(a, nothing, 1));
  SAY(readv(a, nothing, 1));
  SAY(readv(a, nothing, 0));
  close(a);
  close(b);
}

/* Addresses: lengths come before families, and IPv6 sockets with an address of their own are for that alone. */
static void addresses(void) {
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(9)};
  struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
  inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
  section("addresses");
  for (int type = 0; type < 2; type++) {
    int fd = socket(home.ss_family, type ? SOCK_STREAM : SOCK_DGRAM, 0);
    SAY(bind(fd, at(0), home_bytes));
    if (type) SAY(listen(fd, 1));
    SAY(bind(fd, (struct sockaddr *)&in, sizeof in));
    SAY(bind(fd, at(0), home_bytes));
    SAY(connect(fd, at(9), 3));
    if (home.ss_family == AF_INET6) {
      SAY(int_option(fd, IPPROTO_IPV6, IPV6_V6ONLY));
      SAY(connect(fd, (struct sockaddr *)&in, sizeof in));
      SAY(connect(fd, (struct sockaddr *)&mapped, sizeof mapped));
      SAY(sendto(fd, "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&in, sizeof in));
      SAY(sendto(fd, "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&mapped, sizeof mapped));
    }
    close(fd);
  }
  int fd = socket(home.ss_family, SOCK_DGRAM, 0);
  SAY(send(fd, "x", 1, 0));
  SAY(sendto(fd, "x", 1, 0, at(9), home_bytes));
  close(fd);
}

/* A socket that is told of once in an answer of epoll_wait, whoever of its two halves has something to say. */
static void told_once(void) {
  section("told once");
  int fd = socket(home.ss_family, SOCK_STREAM, 0), epfd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN}, told[8];
  SAY(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event));
  SAY(listen(fd, 8));
  SAY(epoll_wait(epfd, told, 8, 0));
  for (int i = 0; i < 4; i++) {
    SAY(shutdown(fd, SHUT_RD));
    SAY(epoll_wait(epfd, told, 8, 0));
    SAY(epoll_wait(epfd, told, 8, 0));
    SAY(listen(fd, 8));
    SAY(epoll_wait(epfd, told, 8, 0));
  }
  close(fd);
  close(epfd);
}

/* A socket of many numbers: all of them become what it becomes. */
static void many_numbers(void) {
  enum { NUMBERS = 200 };
  int fds[NUMBERS], still = 0;
  uint16_t port;
  section("many numbers");
  int server = listener(&port);
  fds[0] = socket(home.ss_family, SOCK_STREAM, 0);
  for (int i = 1; i < NUMBERS; i++) fds[i] = dup(fds[0]);
  SAY(connect(fds[0], at(port), home_bytes));
  for (int i = 0; i < NUMBERS; i++) still += port_of(fds[i]) == port_of(fds[0]);
  printf("%d have its name\n", still);
  for (int i = 0; i < NUMBERS; i++) close(fds[i]);
  close(server);
}

int main(int argc, char **argv) {
  start(argc, argv);
  refused(0);
  refused(SOCK_NONBLOCK);
  to_many();
  deaf();
  over();
  datagrams();
  vectors();
  addresses();
  told_once();
  many_numbers();
  return 0;
}
