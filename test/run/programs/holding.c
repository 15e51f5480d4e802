/* Data that are held back or split: MSG_MORE, TCP_CORK, UDP_SEGMENT; what comes beside them; MSG_FASTOPEN. */
#include "say.h"

#include <linux/net_tstamp.h>
#include <sys/ioctl.h>

/* What is there within this time, as text. */
static void say_got(const char *who, int fd, int ms) {
  char text[65536];
  struct pollfd one = {.fd = fd, .events = POLLIN};
  if (poll(&one, 1, ms) == 0) {
    printf("%s: nothing yet\n", who);
    return;
  }
  ssize_t n = recv(fd, text, sizeof text, MSG_DONTWAIT);
  if (n < 0) printf("%s: %s\n", who, strerrorname_np(errno));
  else printf("%s: %zd bytes, %.*s\n", who, n, n > 40 ? 0 : (int)n, text);
}

/* The kernel sends what it holds back after 200 ms. */
enum { HELD_MS = 150, MOST_LATE = 100 };

static ssize_t hold_one(int a) { return send(a, "one ", 4, MSG_MORE); }
static ssize_t hold_two(int a) { return send(a, "a ", 2, MSG_MORE) + send(a, "b ", 2, MSG_MORE); }
static ssize_t hold_parts(int a) {
  struct iovec parts[2] = {{"writev ", 7}, {"too", 3}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  return sendmsg(a, &message, MSG_MORE);
}
static ssize_t hold_corked(int a) { return send(a, "head ", 5, 0) + send(a, "body", 4, MSG_MORE); }
static ssize_t hold_corked_only(int a) { return send(a, "corked wins", 11, 0); }

/*
 * Sends something that is held back, and says that nothing comes for a moment. Who looks too late, because
 * others used the machine, cannot tell: then what came is taken, and it is sent once more.
 */
static void say_held(int a, int b, ssize_t (*hold)(int)) {
  for (int late = 0;; late++) {
    int64_t began = now_ms();
    ssize_t n = hold(a);
    struct pollfd one = {.fd = b, .events = POLLIN};
    bool came = poll(&one, 1, 60) > 0;
    if (came && now_ms() - began >= HELD_MS && late < MOST_LATE) {
      char text[64];
      recv(b, text, (size_t)n, MSG_WAITALL);
      continue;
    }
    printf("sent %zd, %s\n", n, came ? "not held" : "held");
    return;
  }
}

static void more(void) {
  section("MSG_MORE on a stream");
  int a, b;
  stream(&a, &b);
  say_held(a, b, hold_one);
  SAY(send(a, "two", 3, 0));
  await_bytes(b, 7); /* the first is sent alone where the second comes too late */
  say_got("both", b, LONG_MS);
  SAY(send(a, "alone", 5, MSG_MORE));
  say_got("in the end", b, LONG_MS);
  say_held(a, b, hold_two);
  SAY(shutdown(a, SHUT_WR));
  say_got("with the end", b, LONG_MS);
  say_got("the end", b, LONG_MS);
  close(a);
  close(b);
  stream(&a, &b);
  say_held(a, b, hold_parts);
  SAY(set_int(a, IPPROTO_TCP, TCP_NODELAY, 1));
  say_got("pushed by TCP_NODELAY", b, LONG_MS);
  close(a);
  close(b);
}

static void cork(void) {
  section("TCP_CORK");
  int a, b;
  stream(&a, &b);
  SAY(set_int(a, IPPROTO_TCP, TCP_CORK, 1));
  say_held(a, b, hold_corked);
  SAY(set_int(a, IPPROTO_TCP, TCP_CORK, 0));
  say_got("uncorked", b, LONG_MS);
  SAY(set_int(a, IPPROTO_TCP, TCP_CORK, 1));
  SAY(set_int(a, IPPROTO_TCP, TCP_NODELAY, 1));
  say_held(a, b, hold_corked_only);
  SAY(int_option(a, IPPROTO_TCP, TCP_CORK));
  say_got("in the end", b, LONG_MS);
  close(a);
  close(b);
}

/* Payload sizes of the datagrams that `from` has sent to `fd`; one of a byte follows them. */
static void say_sizes(int from, int fd) {
  ssize_t n = sendto(from, "", 1, 0, at(port_of(fd)), home_bytes);
  while (n > 0 && await(fd, POLLIN)) {
    char bytes[2000];
    n = recv(fd, bytes, sizeof bytes, 0);
    if (n == 1) break;
    printf(" %zd", n);
  }
  printf("\n");
}

static ssize_t send_segments(int fd, struct sockaddr *to, char *bytes, size_t n, uint16_t size) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof size)];
  } control = {0};
  struct iovec part = {bytes, n};
  struct msghdr message = {.msg_name = to, .msg_namelen = to == NULL ? 0 : home_bytes, .msg_iov = &part,
                           .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  control.header.cmsg_level = IPPROTO_UDP;
  control.header.cmsg_type = UDP_SEGMENT;
  control.header.cmsg_len = CMSG_LEN(sizeof size);
  memcpy(CMSG_DATA(&control.header), &size, sizeof size);
  return sendmsg(fd, &message, 0);
}

static void segments(void) {
  section("UDP_SEGMENT");
  static char bytes[60000];
  uint16_t port, other;
  int a = datagram(&other), b = datagram(&port);
  SAY(send_segments(a, at(port), bytes, 2500, 1000));
  say_sizes(a, b);
  SAY(send_segments(a, at(port), bytes, 500, 1000));
  say_sizes(a, b);
  SAY(send_segments(a, at(port), bytes, 3000, 0));
  say_sizes(a, b);
  SAY(send_segments(a, at(port), bytes, 60000, 100)); /* more than UDP_MAX_SEGMENTS */
  SAY(set_int(a, IPPROTO_UDP, UDP_SEGMENT, 700));
  SAY(int_option(a, IPPROTO_UDP, UDP_SEGMENT));
  SAY(sendto(a, bytes, 2000, 0, at(port), home_bytes));
  say_sizes(a, b);
  SAY(sendto(a, bytes, 700, 0, at(port), home_bytes));
  say_sizes(a, b);
  SAY(sendto(a, bytes, 60000, 0, at(port), home_bytes));
  SAY(send_segments(a, at(port), bytes, 1500, 500)); /* the message's own word goes before */
  say_sizes(a, b);
  SAY(connect(a, at(port), home_bytes));
  SAY(send(a, bytes, 1500, 0));
  say_sizes(a, b);
  SAY(set_int(a, IPPROTO_UDP, UDP_SEGMENT, 70000));
  SAY(set_int(a, IPPROTO_UDP, UDP_SEGMENT, -1));
  SAY(set_int(a, IPPROTO_UDP, UDP_SEGMENT, 0));
  SAY(send(a, bytes, 1500, 0));
  say_sizes(a, b);
  close(a);
  close(b);
}

/* The control data of one message: which, and what of it does not change from run to run. */
static void say_control(int fd, int tell) {
  char text[2000];
  union {
    struct cmsghdr header;
    char space[512];
  } control;
  struct iovec part = {text, sizeof text};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                           .msg_controllen = sizeof control};
  await(fd, POLLIN);
  ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);
  printf("%zd bytes with", n);
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); n >= 0 && c != NULL; c = CMSG_NXTHDR(&message, c)) {
    printf(" %d/%d of %zu", c->cmsg_level, c->cmsg_type, (size_t)c->cmsg_len);
    if (tell && c->cmsg_len >= CMSG_LEN(4)) printf(" = %d", *(int *)CMSG_DATA(c));
  }
  printf("\n");
}

/* The kernel begins to stamp a little later, when one of its threads comes to it. */
static void await_stamp(int from, int to, uint16_t port) {
  char byte, control[100];
  for (int i = 0; i < LONG_MS / 10; i++) {
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    must(sendto(from, "", 1, 0, at(port), home_bytes) == 1 && await(to, POLLIN), "a datagram");
    must(recvmsg(to, &message, 0) == 1, "recvmsg");
    if (message.msg_controllen > 0) return;
    usleep(10000);
  }
}

static void beside(void) {
  section("beside the data");
  uint16_t port, other;
  int a = datagram(&other), b = datagram(&port);
  SAY(set_int(b, SOL_SOCKET, SO_RXQ_OVFL, 1));
  sendto(a, "before", 6, 0, at(port), home_bytes);
  say_control(b, 1);
  SAY(set_int(b, SOL_SOCKET, SO_RCVBUF, 4000));
  char datum[1000] = {0};
  for (int i = 0; i < 2000; i++) sendto(a, datum, sizeof datum, 0, at(port), home_bytes);
  int many = 0;
  while (await(b, POLLIN) && recv(b, datum, sizeof datum, MSG_DONTWAIT) > 0) {
    struct pollfd one = {.fd = b, .events = POLLIN};
    many++;
    if (poll(&one, 1, 200) == 0) break;
  }
  printf("some were lost: %d\n", many < 2000);
  await_acknowledged(a); /* there is room now: none of those is on its way still */
  while (recv(b, datum, sizeof datum, MSG_DONTWAIT) > 0) continue;
  sendto(a, "after", 5, 0, at(port), home_bytes);
  while (await(b, POLLIN) && recv(b, datum, sizeof datum, MSG_PEEK) == (ssize_t)sizeof datum) {
    recv(b, datum, sizeof datum, 0); /* a straggler */
  }
  say_control(b, 0);
  close(b);
  b = datagram(&port);
  SAY(set_int(b, SOL_SOCKET, SO_TIMESTAMPING, SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE));
  SAY(int_option(b, SOL_SOCKET, SO_TIMESTAMPING));
  await_stamp(a, b, port);
  sendto(a, "stamped", 7, 0, at(port), home_bytes);
  say_control(b, 0);
  SAY(set_int(b, SOL_SOCKET, SO_TIMESTAMPING, 0));
  if (home.ss_family == AF_INET6) {
    SAY(set_int(b, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 1));
    sendto(a, "to whom", 7, 0, at(port), home_bytes);
    say_control(b, 0);
  }
  close(a);
  close(b);
  section("TCP_INQ");
  stream(&a, &b);
  SAY(set_int(b, IPPROTO_TCP, TCP_INQ, 1));
  static char much[5000];
  SAY(send(a, much, sizeof much, 0));
  for (int n = 0; n < 5000; usleep(1000)) ioctl(b, FIONREAD, &n);
  say_control(b, 1);
  SAY(send(a, "x", 1, 0));
  close(a);
  close(b);
}

static void unspecified(void) {
  section("connect to AF_UNSPEC");
  struct sockaddr_storage none = {.ss_family = AF_UNSPEC}, peer;
  socklen_t n = sizeof peer;
  uint16_t port;
  int a = datagram(&port);
  SAY(connect(a, at(port), home_bytes));
  SAY(connect(a, (struct sockaddr *)&none, sizeof none));
  SAY(getpeername(a, (struct sockaddr *)&peer, &n));
  SAY(send(a, "x", 1, 0));
  close(a);
}

static void fast_open(void) {
  section("MSG_FASTOPEN");
  uint16_t port;
  int l = listener(&port), on = 5;
  SAY(setsockopt(l, IPPROTO_TCP, TCP_FASTOPEN, &on, sizeof on));
  int a = socket(home.ss_family, SOCK_STREAM, 0);
  SAY(sendto(a, "hello", 5, MSG_FASTOPEN, at(port), home_bytes));
  int b = accept(l, NULL, NULL);
  say_got("with the first segment, or after it", b, LONG_MS);
  SAY(send(b, "back", 4, 0));
  say_got("back", a, LONG_MS);
  close(a);
  close(b);
  a = socket(home.ss_family, SOCK_STREAM, 0);
  on = 1;
  SAY(setsockopt(a, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on));
  SAY(connect(a, at(port), home_bytes));
  SAY(send(a, "later", 5, 0));
  b = accept(l, NULL, NULL);
  say_got("later", b, LONG_MS);
  close(a);
  close(b);
  close(l);
}

int main(int argc, char **argv) {
  start(argc, argv);
  more();
  cork();
  segments();
  beside();
  unspecified();
  fast_open();
  return 0;
}
