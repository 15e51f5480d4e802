/*
 * Every option number of every level, read and set in many shapes on sockets in four states, and those that
 * are set before a socket listens, connects or is bound, and what an accepted connection has of them.
 */
#include "say.h"

static const struct range {
  const char *name;
  int level, to;
} ranges[] = {
    {"SOL_SOCKET", SOL_SOCKET, 83}, {"IPPROTO_IP", IPPROTO_IP, 52},   {"IPPROTO_IPV6", IPPROTO_IPV6, 81},
    {"IPPROTO_TCP", IPPROTO_TCP, 43}, {"IPPROTO_UDP", IPPROTO_UDP, 106},
};
#define COUNT(list) (sizeof list / sizeof list[0])

enum { CONNECTION, LISTENER, DATAGRAMS, WITH_PEER, STATES };
static const char *const states[] = {"connection", "listener", "datagram socket", "one with a peer"};

static int in_state(int state) {
  int a, b;
  uint16_t port;
  switch (state) {
    case CONNECTION:
      stream(&a, &b); /* the other end stays open until the program ends */
      return a;
    case LISTENER:
      return listener(&port);
    default:
      a = datagram(&port);
      if (state == WITH_PEER) must(connect(a, at(9), home_bytes) == 0, "connect");
      return a;
  }
}

struct number {
  int level, option;
};

/* Values that are each socket's, each machine's or each moment's own. */
static const struct number own_values[] = {
    {SOL_SOCKET, SO_COOKIE},     {SOL_SOCKET, SO_INCOMING_CPU}, {SOL_SOCKET, 55 /* SO_MEMINFO */},
    {SOL_SOCKET, SO_PEERNAME},   {IPPROTO_IP, 52 /* no option */}, {IPPROTO_IP, 9}, {IPPROTO_IPV6, 6},
    {IPPROTO_TCP, TCP_MAXSEG},   {IPPROTO_TCP, TCP_INFO},       {IPPROTO_TCP, TCP_CONGESTION},
    {IPPROTO_TCP, TCP_TIMESTAMP}, {IPPROTO_TCP, TCP_CC_INFO},   {IPPROTO_TCP, TCP_WINDOW_CLAMP},
    {IPPROTO_IP, IP_MTU},        {IPPROTO_IPV6, IPV6_MTU},      {IPPROTO_IPV6, IPV6_PATHMTU},
    {SOL_SOCKET, SO_RCVLOWAT},   {SOL_SOCKET, 66}, {SOL_SOCKET, 67}, /* new timeouts: set by 16 bytes before */
};
/* Buffers that nobody has set a size for: each stack has its own. */
static bool is_buffer(int level, int option) {
  return level == SOL_SOCKET && (option == SO_SNDBUF || option == SO_RCVBUF);
}

/* What is refused here: no one must believe that it works. */
static const struct number refused[] = {
    {SOL_SOCKET, SO_ATTACH_FILTER}, {SOL_SOCKET, SO_ATTACH_BPF}, {SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF},
    {SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF}, {SOL_SOCKET, SO_DETACH_REUSEPORT_BPF},
    {SOL_SOCKET, SO_ZEROCOPY}, {SOL_SOCKET, SO_TXTIME}, {SOL_SOCKET, SO_TIMESTAMPING}, {SOL_SOCKET, 65},
    {SOL_SOCKET, SO_BINDTOIFINDEX}, {SOL_SOCKET, 80 /* SO_DEVMEM_DONTNEED */},
    {SOL_SOCKET, 44 /* SO_LOCK_FILTER */}, {IPPROTO_IP, IP_OPTIONS}, {IPPROTO_IP, IP_TRANSPARENT},
    {IPPROTO_IP, IP_UNICAST_IF}, {IPPROTO_IPV6, IPV6_ADDRFORM}, {IPPROTO_IPV6, 2 /* IPV6_2292PKTINFO */},
    {IPPROTO_IPV6, 8 /* IPV6_2292HOPLIMIT */}, {IPPROTO_IPV6, 6 /* IPV6_2292PKTOPTIONS */},
    {IPPROTO_IPV6, 32 /* IPV6_FLOWLABEL_MGR */}, {IPPROTO_IPV6, IPV6_IPSEC_POLICY}, {IPPROTO_IPV6, IPV6_XFRM_POLICY},
    {IPPROTO_IPV6, 76 /* IPV6_UNICAST_IF */}, {IPPROTO_IPV6, IPV6_TRANSPARENT}, {IPPROTO_IPV6, IPV6_PKTINFO},
    {IPPROTO_IPV6, IPV6_HOPOPTS}, {IPPROTO_IPV6, IPV6_RTHDRDSTOPTS}, {IPPROTO_IPV6, IPV6_RTHDR},
    {IPPROTO_IPV6, IPV6_DSTOPTS}, {IPPROTO_IPV6, IPV6_MTU}, {IPPROTO_IPV6, IPV6_V6ONLY},
    {IPPROTO_TCP, TCP_MD5SIG}, {IPPROTO_TCP, TCP_REPAIR}, {IPPROTO_TCP, TCP_REPAIR_QUEUE},
    {IPPROTO_TCP, TCP_QUEUE_SEQ}, {IPPROTO_TCP, TCP_REPAIR_OPTIONS}, {IPPROTO_TCP, TCP_ULP},
    {IPPROTO_TCP, TCP_MD5SIG_EXT}, {IPPROTO_TCP, TCP_REPAIR_WINDOW}, {IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE},
    {IPPROTO_TCP, 38}, {IPPROTO_TCP, 39}, {IPPROTO_TCP, 40}, {IPPROTO_TCP, 41}, {IPPROTO_TCP, 42},
    {IPPROTO_TCP, 43}, {IPPROTO_TCP, TCP_FASTOPEN_CONNECT}, {IPPROTO_TCP, TCP_FASTOPEN_KEY},
    {IPPROTO_TCP, 34 /* TCP_FASTOPEN_NO_COOKIE */}, {IPPROTO_TCP, TCP_FASTOPEN}, {IPPROTO_UDP, UDP_ENCAP},
};

static bool is_in(const struct number *list, size_t n, int level, int option) {
  for (size_t i = 0; i < n; i++) {
    if (list[i].level == level && list[i].option == option) return true;
  }
  return false;
}

static bool joins(int level, int option) {
  if (level == IPPROTO_IP) return option >= 32 && option <= 48;
  return level == IPPROTO_IPV6 && (option == 17 || option == 20 || option == 21 || option == 27 ||
                                   option == 28 || (option >= 42 && option <= 48));
}

static void say_value(const char *what, int result, const uint8_t *value, socklen_t n) {
  printf(" %s", what);
  if (result < 0) {
    printf(" %s", strerrorname_np(errno));
    return;
  }
  printf(" %u:", n);
  for (socklen_t i = 0; i < n && i < 40; i++) printf("%02x", value[i]);
}

static void read_all(int state) {
  int fd = in_state(state);
  for (size_t r = 0; r < COUNT(ranges); r++) {
    for (int option = 0; option <= ranges[r].to; option++) {
      int level = ranges[r].level;
      if (is_in(own_values, COUNT(own_values), level, option) || is_buffer(level, option)) continue;
      if (level == IPPROTO_IP && option == IP_MULTICAST_ALL && home.ss_family == AF_INET6) continue;
      if (is_in(refused, COUNT(refused), level, option) || joins(level, option)) continue;
      printf("%s, %s %d is", states[state], ranges[r].name, option);
      static const socklen_t rooms[] = {64, 1, 3};
      for (size_t i = 0; i < COUNT(rooms); i++) {
        uint8_t value[64];
        memset(value, 0xee, sizeof value);
        socklen_t n = rooms[i];
        int result = getsockopt(fd, level, option, value, &n);
        say_value("", result, value, n);
      }
      printf("\n");
    }
  }
  close(fd);
}

static void set_one(int fd, int level, int option) {
  static const int values[] = {1, 0, -1, 70000};
  static const socklen_t lengths[] = {0, 1, 3, 16};
  bool tells = !is_in(own_values, COUNT(own_values), level, option);
  for (size_t i = 0; i < COUNT(values); i++) {
    int result = set_int(fd, level, option, values[i]);
    printf(" %d %s", values[i], result < 0 ? strerrorname_np(errno) : "ok");
    if (tells && !(is_buffer(level, option) && result < 0)) printf(" %d", int_option(fd, level, option));
  }
  uint8_t value[16] = {1};
  for (size_t i = 0; i < COUNT(lengths); i++) {
    int result = setsockopt(fd, level, option, value, lengths[i]);
    printf(" [%u] %s", lengths[i], result < 0 ? strerrorname_np(errno) : "ok");
  }
  int result = setsockopt(fd, level, option, NULL, sizeof(int));
  printf(" null %s\n", result < 0 ? strerrorname_np(errno) : "ok");
}

static void set_all(int state) {
  for (size_t r = 0; r < COUNT(ranges); r++) {
    int fd = in_state(state);
    for (int option = 0; option <= ranges[r].to; option++) {
      int level = ranges[r].level;
      if (is_in(refused, COUNT(refused), level, option) || joins(level, option)) continue;
      if (level == IPPROTO_TCP && (option == TCP_MAXSEG || option == TCP_WINDOW_CLAMP)) continue;
      printf("%s, %s %d:", states[state], ranges[r].name, option);
      set_one(fd, level, option);
    }
    close(fd);
  }
}

/* ---- Set before the socket is more than made ------------------------------------------------------------ */

static const struct early {
  int level, option, value;
} early[] = {
    {SOL_SOCKET, SO_SNDBUF, 70000}, {SOL_SOCKET, SO_RCVBUF, 70000}, {SOL_SOCKET, SO_SNDBUF, 1},
    {SOL_SOCKET, SO_RCVBUF, 1}, {SOL_SOCKET, SO_PRIORITY, 5}, {SOL_SOCKET, SO_BUSY_POLL, 50},
    {SOL_SOCKET, SO_MAX_PACING_RATE, 100000}, {SOL_SOCKET, SO_NO_CHECK, 1}, {SOL_SOCKET, SO_RCVLOWAT, 10},
    {SOL_SOCKET, SO_RXQ_OVFL, 1}, {SOL_SOCKET, SO_TIMESTAMPING, 24}, {IPPROTO_TCP, TCP_NODELAY, 1},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, 5}, {IPPROTO_TCP, TCP_FASTOPEN, 5}, {IPPROTO_TCP, TCP_WINDOW_CLAMP, 5000},
    {IPPROTO_TCP, TCP_KEEPIDLE, 100}, {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 100000},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, 3000}, {IPPROTO_TCP, TCP_SYNCNT, 3}, {IPPROTO_IP, IP_TOS, 0x10},
    {IPPROTO_IP, IP_TTL, 33}, {IPPROTO_IP, IP_FREEBIND, 1}, {IPPROTO_IP, IP_MTU_DISCOVER, 2},
    {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1}, {IPPROTO_IPV6, IPV6_TCLASS, 0x20},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 33}, {IPPROTO_UDP, UDP_CORK, 0}, {IPPROTO_UDP, UDP_SEGMENT, 500},
    {IPPROTO_UDP, UDP_GRO, 1},
};

static void set_early(int state) {
  for (size_t i = 0; i < COUNT(early); i++) {
    const struct early *e = &early[i];
    int fd = socket(home.ss_family, state == DATAGRAMS ? SOCK_DGRAM : SOCK_STREAM, 0), other = -1;
    int result = set_int(fd, e->level, e->option, e->value);
    printf("level %d option %d set to %d: %s", e->level, e->option, e->value, result < 0 ? "refused" : "ok");
    uint16_t port;
    if (state == CONNECTION) {
      other = listener(&port);
      must(connect(fd, at(port), home_bytes) == 0, "connect");
    } else {
      must(bind(fd, at(0), home_bytes) == 0, "bind");
    }
    if (state == LISTENER) {
      must(listen(fd, 5) == 0, "listen");
      other = socket(home.ss_family, SOCK_STREAM, 0);
      must(connect(other, at(port_of(fd)), home_bytes) == 0, "connect");
      must(send(other, "x", 1, 0) == 1, "send"); /* with TCP_DEFER_ACCEPT there is nothing to accept before */
      int accepted = accept(fd, NULL, NULL);
      if (result == 0) printf(", accepted %d", int_option(accepted, e->level, e->option));
      close(accepted);
    }
    if (result == 0 || !is_buffer(e->level, e->option)) {
      printf(", %s %d", states[state], int_option(fd, e->level, e->option));
    }
    printf("\n");
    close(fd);
    if (other >= 0) close(other);
  }
}

int main(int argc, char **argv) {
  start(argc, argv);
  for (int state = 0; state < STATES; state++) {
    read_all(state);
    set_all(state);
  }
  for (int state = 0; state < WITH_PEER; state++) set_early(state);
  return 0;
}
