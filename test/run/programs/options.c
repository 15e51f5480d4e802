/* Socket options: what they are, what they become, and what is refused. */
#include "say.h"

struct named {
  const char *name;
  int level, option;
};
#define NAMED(level, option) {#option, level, option}

static const struct named of_sockets[] = {
    NAMED(SOL_SOCKET, SO_TYPE),          NAMED(SOL_SOCKET, SO_DOMAIN),       NAMED(SOL_SOCKET, SO_PROTOCOL),
    NAMED(SOL_SOCKET, SO_ERROR),         NAMED(SOL_SOCKET, SO_ACCEPTCONN),   NAMED(SOL_SOCKET, SO_REUSEADDR),
    NAMED(SOL_SOCKET, SO_REUSEPORT),     NAMED(SOL_SOCKET, SO_KEEPALIVE),    NAMED(SOL_SOCKET, SO_BROADCAST),
    NAMED(SOL_SOCKET, SO_DONTROUTE),     NAMED(SOL_SOCKET, SO_OOBINLINE),    NAMED(SOL_SOCKET, SO_RCVLOWAT),
    NAMED(SOL_SOCKET, SO_SNDLOWAT),      NAMED(SOL_SOCKET, SO_PRIORITY),     NAMED(SOL_SOCKET, SO_TIMESTAMP),
    NAMED(SOL_SOCKET, SO_TIMESTAMPNS),   NAMED(SOL_SOCKET, SO_RXQ_OVFL),     NAMED(SOL_SOCKET, SO_MARK),
    NAMED(IPPROTO_IP, IP_TTL),           NAMED(IPPROTO_IP, IP_TOS),          NAMED(IPPROTO_IP, IP_MULTICAST_LOOP), NAMED(IPPROTO_IP, IP_PKTINFO),
    NAMED(IPPROTO_IP, IP_RECVTTL),       NAMED(IPPROTO_IP, IP_RECVTOS),      NAMED(IPPROTO_IP, IP_RECVERR),
    NAMED(IPPROTO_IP, IP_MULTICAST_ALL),
};
static const struct named of_tcp[] = {
    NAMED(IPPROTO_TCP, TCP_NODELAY),      NAMED(IPPROTO_TCP, TCP_CORK),         NAMED(IPPROTO_TCP, TCP_KEEPIDLE),
    NAMED(IPPROTO_TCP, TCP_KEEPINTVL),    NAMED(IPPROTO_TCP, TCP_KEEPCNT),      NAMED(IPPROTO_TCP, TCP_SYNCNT),
    NAMED(IPPROTO_TCP, TCP_LINGER2),      NAMED(IPPROTO_TCP, TCP_DEFER_ACCEPT), NAMED(IPPROTO_TCP, TCP_QUICKACK),
    NAMED(IPPROTO_TCP, TCP_USER_TIMEOUT),
};
#define COUNT(list) (sizeof list / sizeof list[0])

static void say_get(int fd, const struct named *option) {
  int value = -7;
  socklen_t bytes = sizeof value;
  if (option->option == IP_MULTICAST_ALL && home.ss_family == AF_INET6) return;
  errno = 0;
  int result = getsockopt(fd, option->level, option->option, &value, &bytes);
  if (result < 0) printf("%s: %s\n", option->name, strerrorname_np(errno));
  else printf("%s: %d, %u bytes\n", option->name, value, bytes);
}

/* Sets to several values and says what each became. */
static void say_set(int fd, const struct named *option) {
  static const int values[] = {1, 0, -1, 5, 70000};
  for (size_t i = 0; i < COUNT(values); i++) {
    if (option->option == SO_RCVLOWAT && values[i] < 0) continue; /* as much as the buffer may grow to */
    errno = 0;
    int result = set_int(fd, option->level, option->option, values[i]);
    int is = int_option(fd, option->level, option->option);
    printf("%s = %d: %s, is %d\n", option->name, values[i], result < 0 ? strerrorname_np(errno) : "set", is);
  }
  char byte = 1;
  int result = setsockopt(fd, option->level, option->option, &byte, 1);
  printf("%s with one byte: %s\n", option->name, result < 0 ? strerrorname_np(errno) : "set");
  result = setsockopt(fd, option->level, option->option, NULL, sizeof(int));
  printf("%s with no value: %s\n", option->name, result < 0 ? strerrorname_np(errno) : "set");
}

static void defaults(void) {
  int a, b;
  uint16_t port;
  stream(&a, &b);
  section("of a connection");
  for (size_t i = 0; i < COUNT(of_sockets); i++) say_get(a, &of_sockets[i]);
  for (size_t i = 0; i < COUNT(of_tcp); i++) say_get(a, &of_tcp[i]);
  close(a);
  close(b);
  section("of a UDP socket");
  a = datagram(&port);
  for (size_t i = 0; i < COUNT(of_sockets); i++) say_get(a, &of_sockets[i]);
  for (size_t i = 0; i < 3; i++) say_get(a, &of_tcp[i]);
  close(a);
}

static void setting(void) {
  static const int sockets[] = {SO_KEEPALIVE, SO_BROADCAST, SO_OOBINLINE, SO_RCVLOWAT, SO_REUSEADDR, SO_TYPE,
                                SO_SNDLOWAT, SO_ERROR, SO_TIMESTAMP};
  static const int tcp[] = {TCP_NODELAY, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_SYNCNT,
                            TCP_USER_TIMEOUT};
  static const int ip[] = {IP_TTL, IP_TOS, IP_PKTINFO, IP_RECVTTL, IP_MULTICAST_LOOP};
  int a, b;
  uint16_t port;
  stream(&a, &b);
  section("setting, of a connection");
  for (size_t i = 0; i < COUNT(sockets); i++) {
    for (size_t j = 0; j < COUNT(of_sockets); j++) {
      if (of_sockets[j].level == SOL_SOCKET && of_sockets[j].option == sockets[i]) say_set(a, &of_sockets[j]);
    }
  }
  for (size_t i = 0; i < COUNT(tcp); i++) {
    for (size_t j = 0; j < COUNT(of_tcp); j++) {
      if (of_tcp[j].option == tcp[i]) say_set(a, &of_tcp[j]);
    }
  }
  close(a);
  close(b);
  section("setting, of a UDP socket");
  a = datagram(&port);
  for (size_t i = 0; i < COUNT(ip); i++) {
    for (size_t j = 0; j < COUNT(of_sockets); j++) {
      if (of_sockets[j].level == IPPROTO_IP && of_sockets[j].option == ip[i]) say_set(a, &of_sockets[j]);
    }
  }
  close(a);
}

static void shapes(void) {
  section("shapes of values");
  int a, b;
  stream(&a, &b);
  char bytes[64];
  socklen_t n = 1;
  SAY(getsockopt(a, SOL_SOCKET, SO_TYPE, bytes, &n));
  printf("%u\n", n);
  n = 64;
  SAY(getsockopt(a, IPPROTO_TCP, TCP_NODELAY, bytes, &n));
  printf("%u\n", n);
  n = 1;
  SAY(getsockopt(a, IPPROTO_IP, IP_TTL, bytes, &n));
  printf("%u\n", n);
  n = 0;
  SAY(getsockopt(a, SOL_SOCKET, SO_TYPE, bytes, &n));
  n = -1;
  SAY(getsockopt(a, SOL_SOCKET, SO_TYPE, bytes, &n));
  n = 4;
  SAY(getsockopt(a, SOL_SOCKET, SO_TYPE, (void *)8, &n));
  SAY(getsockopt(a, SOL_SOCKET, SO_TYPE, bytes, (socklen_t *)8));
  SAY(getsockopt(a, SOL_SOCKET, 9999, bytes, &n));
  SAY(getsockopt(a, 9999, 1, bytes, &n));
  SAY(setsockopt(a, SOL_SOCKET, 9999, bytes, 4));
  SAY(setsockopt(a, 9999, 1, bytes, 4));
  SAY(setsockopt(a, IPPROTO_TCP, 9999, bytes, 4));
  SAY(setsockopt(a, SOL_SOCKET, SO_KEEPALIVE, bytes, -1));
  SAY(setsockopt(a, SOL_SOCKET, SO_KEEPALIVE, (void *)8, 4));
  char name[16] = "";
  n = sizeof name;
  SAY(setsockopt(a, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
  SAY(getsockopt(a, IPPROTO_TCP, TCP_CONGESTION, name, &n));
  printf("%s, %u bytes\n", name, n);
  SAY(setsockopt(a, IPPROTO_TCP, TCP_CONGESTION, "nonesuch", 8));
  struct tcp_info info;
  n = sizeof info;
  memset(&info, 0, sizeof info);
  SAY(getsockopt(a, IPPROTO_TCP, TCP_INFO, &info, &n));
  printf("state %d, mss there %d, rtt there %d\n", info.tcpi_state, info.tcpi_snd_mss > 100, info.tcpi_rto > 0);
  close(a);
  close(b);
}

int main(int argc, char **argv) {
  start(argc, argv);
  defaults();
  setting();
  shapes();
  return 0;
}
