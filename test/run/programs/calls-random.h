/*
 * Of calls-random.c: chance, what both processes know, and the addresses that calls are about.
 */
#ifndef CALLS_RANDOM_H
#define CALLS_RANDOM_H

#include <netinet/udp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include "harness.h"

enum { SLOTS = 5, PROCESSES = 2, STEPS = 45 };

/* ---- Chance ------------------------------------------------------------------------------------------- */

static uint32_t state;

/* Of splitmix32: seeds next to each other have nothing in common. */
static uint32_t draw(uint32_t below) {
  uint32_t z = state += 0x9e3779b9;
  z = (z ^ z >> 16) * 0x21f0aaad;
  z = (z ^ z >> 15) * 0x735a2d97;
  return ((z ^ z >> 15) >> 4) % below;
}
#define PICK(array) (array)[draw(sizeof(array) / sizeof *(array))]

/* ---- What both processes know ------------------------------------------------------------------------- */

struct shared {
  uint16_t ports[PROCESSES][SLOTS]; /* of the slot's socket, or of the one that it had last */
  int types[PROCESSES][SLOTS];      /* 0: it has none */
};
static struct shared *shared;
static struct in_addr home4;
static struct in6_addr home6;
static const uint16_t nobody = 4; /* a port at which nobody is */
static int fds[SLOTS], me, epfd, resting;
static bool is_inherited[SLOTS];
static bool has_tried[SLOTS]; /* to connect; one that was refused keeps what the kernel takes from it */
static int pause_us = 300;
static int turns[PROCESSES][2]; /* pipes: whose turn it is */

/* A port is called by the first slot whose socket has it. */
static const char *name_of_port(int type, uint16_t port) {
  static char text[8];
  if (port == 0) return "0";
  if (port == nobody) return "nobody";
  for (int i = 0; i < PROCESSES * SLOTS; i++) {
    int process = i / SLOTS, slot = i % SLOTS;
    if (shared->ports[process][slot] != port || shared->types[process][slot] != type) continue;
    snprintf(text, sizeof text, "p%d.%d", process, slot);
    return text;
  }
  return "?";
}

static int type_of(int fd) {
  int type = 0;
  socklen_t bytes = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) < 0 ? -1 : type;
}

static const char *name_of(int type, const struct sockaddr_storage *address) {
  static char text[128];
  const struct sockaddr_in *in = (const void *)address;
  const struct sockaddr_in6 *in6 = (const void *)address;
  char host[64];
  if (address->ss_family == AF_INET) {
    snprintf(host, sizeof host, "%s", in->sin_addr.s_addr == home4.s_addr ? "home4" : in->sin_addr.s_addr == 0 ? "any4" : "other4");
  } else if (address->ss_family == AF_INET6) {
    uint32_t last;
    memcpy(&last, &in6->sin6_addr.s6_addr[12], 4);
    bool is_mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
    snprintf(host, sizeof host, "%s",
             is_mapped ? (last == home4.s_addr ? "mapped" : last == 0 ? "any-mapped" : "other-mapped")
             : memcmp(&in6->sin6_addr, &home6, 16) == 0 ? "home6"
             : IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr)  ? "any6"
                                                         : "other6");
  } else {
    snprintf(text, sizeof text, "family %d", address->ss_family);
    return text;
  }
  snprintf(text, sizeof text, "%s:%s", host, name_of_port(type, ntohs(in->sin_port)));
  return text;
}

static void note_port(int slot) {
  struct sockaddr_storage name;
  socklen_t bytes = sizeof name;
  shared->types[me][slot] = 0;
  if (fds[slot] < 0 || getsockname(fds[slot], (struct sockaddr *)&name, &bytes) < 0) return;
  uint16_t port = ntohs(((struct sockaddr_in *)&name)->sin_port);
  shared->types[me][slot] = type_of(fds[slot]);
  shared->ports[me][slot] = port;
}

/* All that is under way has arrived: the stack is asked, and has a while. */
static void come_to_rest(void) {
  for (int i = 0; i < 3; i++) {
    struct tcp_info info;
    socklen_t bytes = sizeof info;
    getsockopt(resting, IPPROTO_TCP, TCP_INFO, &info, &bytes);
    usleep((useconds_t)pause_us);
  }
}

/* ---- Addresses ------------------------------------------------------------------------------------------ */

/* Not bound, not connected. */
static bool is_undecided(int slot) {
  struct sockaddr_storage name;
  socklen_t n = sizeof name;
  return getsockname(fds[slot], (struct sockaddr *)&name, &n) == 0 && ((struct sockaddr_in *)&name)->sin_port == 0;
}

enum purpose { TO_BIND, TO_CONNECT, TO_SEND };

/* An address to bind or connect to; its length. Draws the same whatever there is. */
static socklen_t draw_address(int at, struct sockaddr_storage *to, enum purpose purpose, const char **text) {
  bool to_bind = purpose == TO_BIND;
  static const char *const hosts[] = {"home", "home", "home", "any", "mapped", "group", "broadcast", "unspec"};
  static char said[64];
  static const uint32_t binds[] = {0, 0, 0, 0, 3, 3, 3, 4, 5}, others[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 5, 6};
  uint32_t host = to_bind ? PICK(binds) : PICK(others), which = draw(PROCESSES), slot = draw(SLOTS), kind = draw(12), other = draw(10);
  uint32_t length = draw(40);
  int family = AF_INET;
  socklen_t n = sizeof family;
  getsockopt(fds[at], SOL_SOCKET, SO_DOMAIN, &family, &n);
  int domain = family;
  if (other == 0 && !(is_undecided(at) && !to_bind)) family = AF_INET + AF_INET6 - family;
  bool is_tcp = type_of(fds[at]) == SOCK_STREAM;
  if (other > 1 && family == AF_INET && host == 4) host = 0;
  /* Where datagrams to all and to groups go is a question of routes. */
  if ((host == 5 || host == 6) && !is_tcp) host = 0;
  /* IPv6 datagram sockets with a name talk to their own kind. */
  if (domain == AF_INET6 && !is_tcp && !to_bind && !is_undecided(at)) {
    struct sockaddr_in6 name;
    n = sizeof name;
    getsockname(fds[at], (struct sockaddr *)&name, &n);
    family = AF_INET6;
    if (!IN6_IS_ADDR_UNSPECIFIED(&name.sin6_addr)) host = IN6_IS_ADDR_V4MAPPED(&name.sin6_addr) ? 4 : 0;
  }
  if (is_tcp && to_bind && (host == 4 || host == 5)) host = 0; /* where it may connect to then is a question of routes */
  if (host == 7 && (purpose == TO_SEND || !is_tcp)) host = 0; /* the port of a datagram socket goes with it */
  /* That a port is taken may be said by listen. */
  bool is_free = to_bind ? kind < 8 || is_tcp : kind == 0 && is_tcp;
  bool is_nobody = !to_bind && (kind == 1 || (shared->ports[which][slot] == 0 && !is_tcp));
  uint16_t port = is_free ? 0 : is_nobody ? nobody : shared->ports[which][slot];
  memset(to, 0, sizeof *to);
  struct sockaddr_in *in = (void *)to;
  struct sockaddr_in6 *in6 = (void *)to;
  in->sin_port = htons(port);
  bool is4 = host == 6 || (host != 4 && family == AF_INET);
  to->ss_family = host == 7 ? AF_UNSPEC : is4 ? AF_INET : AF_INET6;
  if (host < 3 && is4) in->sin_addr = home4;
  if (host < 3 && !is4) in6->sin6_addr = home6;
  if (host == 4) {
    memset(&in6->sin6_addr.s6_addr[10], 0xff, 2);
    memcpy(&in6->sin6_addr.s6_addr[12], &home4, 4);
  }
  if (host == 5 && is4) in->sin_addr.s_addr = htonl(0xe0010203);
  if (host == 5 && !is4) inet_pton(AF_INET6, "ff15::1234", &in6->sin6_addr);
  if (host == 6) in->sin_addr.s_addr = 0xffffffff;
  snprintf(said, sizeof said, "%s%s:%s%s", hosts[host], is4 ? "4" : "6", is_free ? "0" : is_nobody ? "nobody" : "",
           is_free || is_nobody ? "" : (char[]){'p', (char)('0' + which), '.', (char)('0' + slot), 0});
  *text = said;
  socklen_t whole = is4 ? sizeof *in : sizeof *in6;
  if (!to_bind && !is_tcp && is_undecided(at)) length = 3; /* what fails binds it in the kernel */
  return length == 0 ? whole - 5 : length == 1 ? 3 : length == 2 ? sizeof *to : whole;
}

#endif
