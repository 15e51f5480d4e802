/* Sockets bound to the wildcard address: they hear the address given and the kernel's loopback, under one
 * descriptor; dual-stack sockets hear IPv4, too. */
#include "say.h"

static char buffer[100];

static struct sockaddr_storage any, loopback;

static void set_port(struct sockaddr_storage *address, uint16_t port) {
  ((struct sockaddr_in *)address)->sin_port = htons(port);
}

static void make_addresses(void) {
  any.ss_family = loopback.ss_family = home.ss_family;
  if (home.ss_family == AF_INET) ((struct sockaddr_in *)&loopback)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  else ((struct sockaddr_in6 *)&loopback)->sin6_addr = in6addr_loopback;
}

static int server(int type, uint16_t *port) {
  int fd = socket(home.ss_family, type, 0);
  set_port(&any, 0);
  must(bind(fd, (struct sockaddr *)&any, home_bytes) == 0, "bind");
  if (type == SOCK_STREAM) must(listen(fd, 8) == 0, "listen");
  *port = port_of(fd);
  set_port(&loopback, *port);
  return fd;
}

static void say_from(const struct sockaddr_storage *from) {
  bool is_home, is_loopback;
  if (from->ss_family == AF_INET) {
    struct in_addr address = ((const struct sockaddr_in *)from)->sin_addr;
    is_home = address.s_addr == ((struct sockaddr_in *)&home)->sin_addr.s_addr;
    is_loopback = address.s_addr == htonl(INADDR_LOOPBACK);
  } else {
    const struct in6_addr *address = &((const struct sockaddr_in6 *)from)->sin6_addr;
    is_home = memcmp(address, &((struct sockaddr_in6 *)&home)->sin6_addr, 16) == 0;
    is_loopback = IN6_IS_ADDR_LOOPBACK(address) ||
                  (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
  }
  printf("from one of ours: %d\n", is_home || is_loopback);
}

static void datagrams(void) {
  section("datagrams");
  uint16_t port;
  int b = server(SOCK_DGRAM, &port);
  const struct sockaddr *to[2] = {at(port), (struct sockaddr *)&loopback};
  struct sockaddr_storage here = *(struct sockaddr_storage *)to[0];
  to[0] = (struct sockaddr *)&here;
  SAY(recv(b, buffer, 10, MSG_DONTWAIT));
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 2; i++) {
      int a = socket(home.ss_family, SOCK_DGRAM, 0);
      struct sockaddr_storage from;
      socklen_t bytes = sizeof from;
      SAY(sendto(a, "question", 8, 0, to[i], home_bytes));
      if (round == 1) await(b, POLLIN);
      if (round == 1) say_ready("b", b);
      if (round == 2) fcntl(b, F_SETFL, O_NONBLOCK), await(b, POLLIN);
      SAY(recvfrom(b, buffer, 100, 0, (struct sockaddr *)&from, &bytes));
      say_from(&from);
      SAY(sendto(b, "answer", 6, 0, (struct sockaddr *)&from, bytes));
      await(a, POLLIN);
      SAY(recv(a, buffer, 100, MSG_DONTWAIT));
      close(a);
    }
  }
  section("one socket to both");
  int a = socket(home.ss_family, SOCK_DGRAM, 0);
  SAY(sendto(a, "1", 1, 0, to[0], home_bytes));
  SAY(sendto(a, "2", 1, 0, to[1], home_bytes));
  for (int i = 0; i < 2; i++) {
    await(b, POLLIN);
    SAY(recv(b, buffer, 10, 0));
  }
  SAY(recv(b, buffer, 10, 0));
  section("connected to one, then to the other");
  for (int i = 0; i < 2; i++) {
    SAY(connect(b, to[i], home_bytes));
    struct sockaddr_storage peer;
    socklen_t bytes = sizeof peer;
    SAY(getpeername(b, (struct sockaddr *)&peer, &bytes));
    say_from(&peer);
    SAY(send(b, "self", 4, 0));
    await(b, POLLIN);
    SAY(recv(b, buffer, 10, 0));
    SAY(sendto(a, "stranger", 8, 0, to[1 - i], home_bytes));
    usleep(20000);
    SAY(recv(b, buffer, 10, 0));
  }
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  SAY(connect(b, &none, sizeof none));
  close(a);
  close(b);
}

static void connections(void) {
  section("connections");
  uint16_t port;
  int l = server(SOCK_STREAM, &port);
  struct sockaddr_storage here = *(struct sockaddr_storage *)at(port);
  const struct sockaddr *to[2] = {(struct sockaddr *)&here, (struct sockaddr *)&loopback};
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < 2; i++) {
      int a = socket(home.ss_family, SOCK_STREAM, 0);
      SAY(connect(a, to[i], home_bytes));
      if (round == 1) await(l, POLLIN);
      if (round == 1) say_ready("listener", l);
      struct sockaddr_storage peer;
      socklen_t bytes = sizeof peer;
      int b = accept(l, (struct sockaddr *)&peer, &bytes);
      SAY(b >= 0);
      say_from(&peer);
      SAY(port_of(b) == port);
      SAY(send(a, "hello", 5, 0));
      SAY(recv(b, buffer, 10, 0));
      close(a);
      SAY(recv(b, buffer, 10, 0));
      close(b);
    }
    fcntl(l, F_SETFL, O_NONBLOCK);
    SAY(accept(l, NULL, NULL));
  }
  int waiting[4];
  for (int i = 0; i < 4; i++) {
    waiting[i] = socket(home.ss_family, SOCK_STREAM, 0);
    SAY(connect(waiting[i], to[i % 2], home_bytes));
  }
  int taken = 0;
  for (int tries = 0; tries < LONG_MS / 10 && taken < 4; tries++) {
    int b = accept(l, NULL, NULL);
    if (b < 0) {
      usleep(10000);
      continue;
    }
    taken++;
    close(b);
  }
  printf("taken %d\n", taken);
  for (int i = 0; i < 4; i++) close(waiting[i]);
  close(l);
}

/* IPv4 comes to a dual-stack socket in its mapped form. */
static void dual_stack(void) {
  section("dual stack");
  uint16_t port;
  int b = server(SOCK_DGRAM, &port), a = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  SAY(sendto(a, "four", 4, 0, (struct sockaddr *)&to, sizeof to));
  struct sockaddr_storage from;
  socklen_t bytes = sizeof from;
  SAY(recvfrom(b, buffer, 10, 0, (struct sockaddr *)&from, &bytes));
  say_from(&from);
  printf("mapped %d\n", IN6_IS_ADDR_V4MAPPED(&((struct sockaddr_in6 *)&from)->sin6_addr));
  SAY(sendto(b, "back", 4, 0, (struct sockaddr *)&from, bytes));
  SAY(recv(a, buffer, 10, 0));
  close(a);
  close(b);
  b = socket(AF_INET6, SOCK_DGRAM, 0);
  SAY(set_int(b, IPPROTO_IPV6, IPV6_V6ONLY, 1));
  SAY(bind(b, (struct sockaddr *)&any, home_bytes));
  SAY(int_option(b, IPPROTO_IPV6, IPV6_V6ONLY));
  SAY(sendto(b, "x", 1, 0, (struct sockaddr *)&to, sizeof to));
  close(b);
}

int main(int argc, char **argv) {
  start(argc, argv);
  make_addresses();
  datagrams();
  connections();
  if (home.ss_family == AF_INET6) dual_stack();
  return 0;
}
