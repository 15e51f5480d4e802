/* TCP: connect, listen, accept. */
#include "say.h"

static char buffer[100];

static void connecting(void) {
  section("connect");
  uint16_t port;
  int l = listener(&port);
  int a = socket(home.ss_family, SOCK_STREAM, 0);
  SAY(connect(a, at(port), 3));
  struct sockaddr_storage wrong = home;
  wrong.ss_family = AF_UNIX;
  SAY(connect(a, (struct sockaddr *)&wrong, home_bytes));
  SAY(connect(a, at(port), home_bytes));
  SAY(connect(a, at(port), home_bytes));
  SAY(listen(a, 5));
  say_ready("connected", a);
  SAY(accept(a, NULL, NULL));
  struct sockaddr_storage name;
  socklen_t bytes = sizeof name;
  SAY(getpeername(a, (struct sockaddr *)&name, &bytes));
  printf("family %d, bytes %d, port right %d\n", name.ss_family == home.ss_family, bytes == home_bytes,
         ntohs(((struct sockaddr_in *)&name)->sin_port) == port);
  bytes = 4;
  SAY(getsockname(a, (struct sockaddr *)&name, &bytes));
  printf("bytes %d\n", bytes == home_bytes);
  bytes = -1;
  SAY(getsockname(a, (struct sockaddr *)&name, &bytes));
  close(a);
  close(l);
}

static void refused(void) {
  section("refused");
  uint16_t port;
  int l = listener(&port);
  close(l);
  usleep(20000);
  int a = socket(home.ss_family, SOCK_STREAM, 0);
  SAY(connect(a, at(port), home_bytes));
  say_ready("a", a);
  SAY(int_option(a, SOL_SOCKET, SO_ERROR));
  SAY(recv(a, buffer, 1, 0));
  close(a);
  section("refused, not blocking");
  a = socket(home.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  SAY(connect(a, at(port), home_bytes) < 0 && (errno == EINPROGRESS || errno == ECONNREFUSED));
  say_ready_after("a", a, POLLERR | POLLHUP);
  printf("SO_ERROR %s\n", strerrorname_np(int_option(a, SOL_SOCKET, SO_ERROR)));
  SAY(int_option(a, SOL_SOCKET, SO_ERROR));
  say_ready("a", a);
  close(a);
}

static void await_closed(int fd) {
  struct tcp_info info = {0};
  for (int i = 0; i < 5000; i++) {
    socklen_t bytes = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) < 0 || info.tcpi_state == TCP_CLOSE) return;
    usleep(1000);
  }
}

static void say_end(const char *what, int fd, uint16_t port) {
  say_ready(what, fd);
  SAY(connect(fd, at(port), home_bytes));
  int shut = -1;
  SAY(shut = shutdown(fd, SHUT_WR));
  if (shut == 0) await_closed(fd); /* the peer's ACK, which loopback brings before the call returns */
  SAY(connect(fd, at(port), home_bytes));
  SAY(shutdown(fd, SHUT_RDWR));
  SAY(connect(fd, at(port), home_bytes));
  say_ready(what, fd);
  SAY(recv(fd, buffer, 10, MSG_DONTWAIT));
  SAY(recv(fd, buffer, 10, MSG_DONTWAIT));
  SAY(connect(fd, at(port), home_bytes));
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  SAY(connect(fd, &none, sizeof none));
  SAY(connect(fd, at(port), home_bytes));
}

/* What a connection is that has come to its end, with data that nobody has read, or without. */
static void ended(void) {
  uint16_t port;
  int l = listener(&port);
  for (int data = 0; data < 2; data++) {
    for (int how = 0; how < 6; how++) {
      printf("---- ended: %s, %s unread data\n",
             (const char *[]){"by both", "by both, accepted", "reset", "reset, error told", "by the peer alone",
                              "by both, shut by now"}[how],
             data ? "with" : "without");
      struct linger now = {.l_onoff = 1};
      int a = socket(home.ss_family, SOCK_STREAM, 0);
      must(connect(a, at(port), home_bytes) == 0, "connect");
      int b = accept(l, NULL, NULL);
      if (how == 1) {
        int other = a;
        a = b, b = other;
      }
      if (data) {
        must(send(b, "unread", 6, 0) == 6, "send");
        await(a, POLLIN);
      }
      if (how < 2 || how == 5) shutdown(a, SHUT_WR);
      if (how < 2 || how == 5) await(b, POLLIN);
      if (how == 2 || how == 3) setsockopt(b, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      close(b);
      await(a, how == 4 ? POLLRDHUP : POLLHUP);
      if (how == 5) shutdown(a, SHUT_RD);
      if (how == 3) SAY(int_option(a, SOL_SOCKET, SO_ERROR));
      say_end("a", a, port);
      close(a);
      close(accept(l, NULL, NULL)); /* the last one */
    }
  }
  close(l);
}

static void not_blocking(void) {
  section("not blocking");
  uint16_t port;
  int l = listener(&port);
  int a = socket(home.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  SAY(connect(a, at(port), home_bytes));
  await(a, POLLOUT);
  say_ready("a", a);
  SAY(int_option(a, SOL_SOCKET, SO_ERROR));
  SAY(connect(a, at(port), home_bytes)); /* the first to see it is told 0 */
  SAY(connect(a, at(port), home_bytes));
  SAY(fcntl(a, F_GETFL) == (O_RDWR | O_NONBLOCK));
  close(a);
  close(l);
}

static void accepting(void) {
  section("accept");
  uint16_t port;
  int l = listener(&port);
  fcntl(l, F_SETFL, O_NONBLOCK);
  SAY(accept(l, NULL, NULL));
  say_ready("listener", l);
  SAY(recv(l, buffer, 1, 0));
  SAY(send(l, buffer, 1, MSG_NOSIGNAL));
  SAY(connect(l, at(port), home_bytes));
  SAY(int_option(l, SOL_SOCKET, SO_ACCEPTCONN));
  SAY(set_int(l, SOL_SOCKET, SO_KEEPALIVE, 1));
  SAY(set_int(l, IPPROTO_TCP, TCP_NODELAY, 1));
  struct timeval timeout = {.tv_sec = 3};
  SAY(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout));
  int a = socket(home.ss_family, SOCK_STREAM, 0);
  connect(a, at(port), home_bytes);
  await(l, POLLIN);
  say_ready("listener", l);
  struct sockaddr_storage peer;
  socklen_t bytes = sizeof peer;
  int b = accept4(l, (struct sockaddr *)&peer, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
  must(b >= 0, "accept4");
  printf("port right %d\n", ntohs(((struct sockaddr_in *)&peer)->sin_port) == port_of(a));
  printf("own port right %d\n", port_of(b) == port);
  SAY((fcntl(b, F_GETFL) & O_NONBLOCK) != 0);
  SAY(fcntl(b, F_GETFD));
  SAY(int_option(b, SOL_SOCKET, SO_KEEPALIVE));
  SAY(int_option(b, IPPROTO_TCP, TCP_NODELAY) != 0);
  SAY(int_option(b, SOL_SOCKET, SO_ACCEPTCONN));
  struct timeval got = {0};
  bytes = sizeof got;
  SAY(getsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &got, &bytes));
  printf("inherited %ld\n", (long)got.tv_sec);
  SAY(recv(b, buffer, 1, 0));
  SAY(connect(b, at(port), home_bytes));
  close(a);
  close(b);
  int c = socket(home.ss_family, SOCK_STREAM, 0);
  connect(c, at(port), home_bytes);
  await(l, POLLIN);
  b = accept(l, NULL, NULL);
  SAY((fcntl(b, F_GETFL) & O_NONBLOCK) != 0);
  SAY(fcntl(b, F_GETFD));
  close(b);
  close(c);
  SAY(accept4(l, NULL, NULL, 0x4000000));
  fcntl(l, F_SETFL, 0);
  timeout = (struct timeval){.tv_usec = 30000};
  setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  SAY(accept(l, NULL, NULL));
  SAY(shutdown(l, SHUT_RDWR));
  SAY(accept(l, NULL, NULL));
  say_ready("shut listener", l);
  close(l);
  int u = socket(home.ss_family, SOCK_DGRAM, 0);
  bind(u, at(0), home_bytes);
  SAY(accept(u, NULL, NULL));
  SAY(listen(u, 1));
  close(u);
}

static void *wait_in_accept(void *context) {
  return (void *)(intptr_t)(accept(*(int *)context, NULL, NULL) >= 0);
}

static void many(void) {
  section("many connections, threads that accept");
  uint16_t port;
  int l = listener(&port);
  pthread_t threads[4];
  int ends[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, wait_in_accept, &l);
  for (int i = 0; i < 4; i++) {
    ends[i] = socket(home.ss_family, SOCK_STREAM, 0);
    SAY(connect(ends[i], at(port), home_bytes));
  }
  long accepted = 0;
  for (int i = 0; i < 4; i++) {
    void *result;
    pthread_join(threads[i], &result);
    accepted += (intptr_t)result;
  }
  printf("accepted %ld\n", accepted);
  for (int i = 0; i < 4; i++) close(ends[i]);
  close(l);
}

static void ports(void) {
  section("ports in use");
  uint16_t port;
  int l = listener(&port);
  int a = socket(home.ss_family, SOCK_STREAM, 0);
  SAY(bind(a, at(port), home_bytes));
  close(a);
  uint16_t udp_port;
  int u = datagram(&udp_port), v = socket(home.ss_family, SOCK_DGRAM, 0);
  SAY(bind(v, at(udp_port), home_bytes));
  set_int(v, SOL_SOCKET, SO_REUSEADDR, 1);
  SAY(bind(v, at(udp_port), home_bytes));
  close(u);
  close(v);
  close(l);
}

/* What close has closed is closed for whoever comes next. */
static void again_and_again(void) {
  section("the same port again and again");
  uint16_t port, udp_port;
  int l = listener(&port), u = datagram(&udp_port);
  int worked = 0, refusals = 0;
  for (int i = 0; i < 50; i++) {
    close(l);
    close(u);
    int a = socket(home.ss_family, SOCK_STREAM, 0);
    refusals += connect(a, at(port), home_bytes) < 0 && errno == ECONNREFUSED;
    close(a);
    l = socket(home.ss_family, SOCK_STREAM, 0);
    u = socket(home.ss_family, SOCK_DGRAM, 0);
    worked += bind(l, at(port), home_bytes) == 0 && listen(l, 1) == 0;
    worked += bind(u, at(udp_port), home_bytes) == 0;
  }
  printf("worked %d, refused %d\n", worked, refusals);
  close(l);
  close(u);
}

static void disconnect(int fd) {
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  SAY(connect(fd, &none, sizeof none));
  say_ready("disconnected", fd);
}

static void disconnecting(void) {
  section("connect to AF_UNSPEC");
  uint16_t port;
  int l = listener(&port), a = socket(home.ss_family, SOCK_STREAM, 0), on = 1;
  disconnect(a);
  SAY(connect(a, at(port), home_bytes));
  int b = accept(l, NULL, NULL);
  send(b, "unread", 6, 0);
  await(a, POLLIN);
  set_int(a, IPPROTO_TCP, TCP_NODELAY, 1);
  disconnect(a);
  struct sockaddr_storage name;
  socklen_t bytes = sizeof name;
  SAY(getpeername(a, (struct sockaddr *)&name, &bytes));
  await(b, POLLERR);
  SAY(recv(b, buffer, 10, 0));
  SAY(recv(a, buffer, 10, MSG_DONTWAIT));
  SAY(recv(a, buffer, 10, MSG_DONTWAIT));
  SAY(send(a, "x", 1, MSG_NOSIGNAL));
  SAY(int_option(a, SOL_SOCKET, SO_ERROR));
  SAY(int_option(a, IPPROTO_TCP, TCP_NODELAY));
  SAY(connect(a, at(port), home_bytes));
  close(b);
  b = accept(l, NULL, NULL);
  SAY(send(a, "x", 1, 0));
  SAY(recv(b, buffer, 10, 0));
  say_ready("connected again", a);
  SAY(shutdown(a, SHUT_WR));
  SAY(recv(b, buffer, 10, 0));
  disconnect(a);
  await(b, POLLERR);
  SAY(int_option(b, SOL_SOCKET, SO_ERROR));
  close(b);
  SAY(connect(a, at(port), home_bytes)); /* an error that nobody took is forgotten */
  SAY(int_option(a, SOL_SOCKET, SO_ERROR));
  b = accept(l, NULL, NULL);
  SAY(shutdown(b, SHUT_WR));
  await(a, POLLIN);
  SAY(recv(a, buffer, 1, 0));
  disconnect(a);
  SAY(int_option(a, SOL_SOCKET, SO_ERROR));
  close(b);
  section("a listener, and what was accepted");
  SAY(listen(a, 1));
  say_ready("listening", a);
  uint16_t own = port_of(a);
  int c = socket(home.ss_family, SOCK_STREAM, 0);
  SAY(connect(c, at(own), home_bytes));
  await(a, POLLIN);
  disconnect(a);
  SAY(int_option(a, SOL_SOCKET, SO_ACCEPTCONN));
  SAY(accept(a, NULL, NULL));
  await(c, POLLERR);
  SAY(recv(c, buffer, 1, 0));
  close(c);
  c = socket(home.ss_family, SOCK_STREAM, 0);
  SAY(connect(c, at(own), home_bytes));
  close(c);
  close(a);
  a = socket(home.ss_family, SOCK_STREAM, 0);
  set_int(a, SOL_SOCKET, SO_REUSEADDR, 1);
  SAY(bind(a, at(own), home_bytes));
  SAY(listen(a, 1));
  disconnect(a);
  SAY(port_of(a) == own); /* it was asked for by number */
  SAY(listen(a, 1));
  SAY(port_of(a) == own);
  c = socket(home.ss_family, SOCK_STREAM, 0);
  SAY(connect(c, at(own), home_bytes));
  b = accept(a, NULL, NULL);
  disconnect(b);
  SAY(connect(b, at(port), home_bytes));
  say_ready("what was accepted", b);
  await(c, POLLERR);
  SAY(recv(c, buffer, 1, 0));
  close(c);
  c = accept(l, NULL, NULL);
  SAY(setsockopt(b, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on));
  SAY(send(b, "hello", 5, 0));
  SAY(recv(c, buffer, 10, 0));
  close(b);
  SAY(recv(c, buffer, 10, 0));
  close(c);
  close(a);
  close(l);
}

/* The wildcard, or with `is_loopback` the kernel's own address. */
static struct sockaddr *everywhere(uint16_t port, bool is_loopback) {
  struct sockaddr *address = at(port);
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
  if (home.ss_family == AF_INET6) in6->sin6_addr = is_loopback ? in6addr_loopback : in6addr_any;
  else ((struct sockaddr_in *)address)->sin_addr.s_addr = htonl(is_loopback ? INADDR_LOOPBACK : INADDR_ANY);
  return address;
}

/* Heard at the kernel's addresses, too, and there as well no more. */
static void disconnecting_wildcard(void) {
  section("a listener at the wildcard");
  int l;
  uint16_t port;
  /* A port that is free with Millrace alone may be another program's with the kernel. */
  for (int tries = 0, bound = -1; bound != 0; tries++) {
    must(tries < 20, "a free port");
    l = socket(home.ss_family, SOCK_STREAM, 0);
    must(bind(l, everywhere(0, false), home_bytes) == 0, "bind");
    port = port_of(l);
    close(l);
    l = socket(home.ss_family, SOCK_STREAM, 0);
    set_int(l, SOL_SOCKET, SO_REUSEADDR, 1);
    bound = bind(l, everywhere(port, false), home_bytes);
    if (bound != 0) close(l);
  }
  for (int turn = 0; turn < 2; turn++) {
    SAY(listen(l, 4));
    int a = socket(home.ss_family, SOCK_STREAM, 0), b = socket(home.ss_family, SOCK_STREAM, 0);
    SAY(connect(a, everywhere(port, true), home_bytes));
    SAY(connect(b, at(port), home_bytes));
    await(l, POLLIN);
    disconnect(l);
    SAY(recv(a, buffer, 1, 0));
    SAY(recv(b, buffer, 1, 0));
    close(a);
    close(b);
    a = socket(home.ss_family, SOCK_STREAM, 0);
    b = socket(home.ss_family, SOCK_STREAM, 0);
    SAY(connect(a, everywhere(port, true), home_bytes));
    SAY(connect(b, at(port), home_bytes));
    close(a);
    close(b);
  }
  close(l);
}

/* A port that nobody asked for by number is lost with the listening, at the kernel's addresses, too. */
static void losing_the_port(void) {
  section("a listener whose port was chosen for it");
  for (int turn = 0; turn < 3; turn++) {
    int l = socket(home.ss_family, SOCK_STREAM, 0), other = socket(home.ss_family, SOCK_STREAM, 0);
    if (turn < 2) SAY(bind(l, turn == 0 ? everywhere(0, false) : at(0), home_bytes));
    SAY(listen(l, 4));
    for (int again = 0; again < 2; again++) {
      uint16_t port = port_of(l);
      disconnect(l);
      SAY(port_of(l) == port); /* only the name has it still */
      if (again == 0) SAY(bind(other, turn == 1 ? at(port) : everywhere(port, false), home_bytes));
      SAY(listen(l, 4));
      if (again == 0) SAY(port_of(l) == port);
      uint16_t fresh = port_of(l);
      for (int k = 0; k < (turn == 1 ? 1 : 2); k++) {
        int a = socket(home.ss_family, SOCK_STREAM, 0);
        SAY(connect(a, k == 0 ? at(fresh) : everywhere(fresh, true), home_bytes));
        int b = accept(l, NULL, NULL);
        SAY(port_of(b) == fresh);
        close(a);
        close(b);
      }
    }
    close(other);
    close(l);
  }
}

int main(int argc, char **argv) {
  start(argc, argv);
  again_and_again();
  connecting();
  refused();
  ended();
  not_blocking();
  disconnecting();
  disconnecting_wildcard();
  losing_the_port();
  accepting();
  many();
  ports();
  return 0;
}
