/*
 * Sockets that a service manager has bound for the program, systemd's socket activation (sd_listen_fds(3)): descriptors
 * from 3 on, named by LISTEN_PID and LISTEN_FDS. They are the kernel's when they come; listeners and bound UDP sockets
 * become Millrace's like those that the program binds itself, with the kernel socket as the companion.
 */
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#include "open.h"
#include "process.h"

#define FIRST 3

/* What a manager may have set (systemd.socket(5)) and Millrace has a use for. */
static const struct {
  int level, option;
  bool is_halved; /* reads back as twice what was set */
} known[] = {
    {SOL_SOCKET, SO_REUSEADDR, false},     {SOL_SOCKET, SO_REUSEPORT, false}, {SOL_SOCKET, SO_KEEPALIVE, false},
    {SOL_SOCKET, SO_BROADCAST, false},     {SOL_SOCKET, SO_PRIORITY, false},  {SOL_SOCKET, SO_MARK, false},
    {SOL_SOCKET, SO_RCVBUF, true},         {SOL_SOCKET, SO_SNDBUF, true},     {SOL_SOCKET, SO_BINDTODEVICE, false},
    {IPPROTO_IP, IP_TOS, false},           {IPPROTO_IP, IP_TTL, false},       {IPPROTO_IP, IP_FREEBIND, false},
    {IPPROTO_IP, IP_TRANSPARENT, false},   {IPPROTO_IP, IP_PKTINFO, false},   {IPPROTO_IPV6, IPV6_V6ONLY, false},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, false}, {IPPROTO_IPV6, IPV6_TCLASS, false},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO, false},  {IPPROTO_TCP, TCP_NODELAY, false},
    {IPPROTO_TCP, TCP_KEEPIDLE, false},    {IPPROTO_TCP, TCP_KEEPINTVL, false}, {IPPROTO_TCP, TCP_KEEPCNT, false},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, false}, {IPPROTO_TCP, TCP_CONGESTION, false},
};

static int option_of(int fd, int option) {
  int value = -1;
  socklen_t bytes = sizeof value;
  return real.getsockopt(fd, SOL_SOCKET, option, &value, &bytes) == 0 ? value : -1;
}

/* Those that are not what a new socket has. */
static void keep_options(int fd, struct mr_pending *pending) {
  int fresh = real.socket(pending->family, pending->type | SOCK_CLOEXEC, 0);
  if (fresh < 0) return;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    char value[64] = {0}, usual[64] = {0};
    socklen_t bytes = sizeof value, room = sizeof usual;
    if (known[i].level == IPPROTO_IPV6 && pending->family != AF_INET6) continue;
    if (known[i].level == IPPROTO_TCP && pending->type != SOCK_STREAM) continue;
    if (real.getsockopt(fd, known[i].level, known[i].option, value, &bytes) < 0) continue;
    if (real.getsockopt(fresh, known[i].level, known[i].option, usual, &room) < 0) continue;
    if (bytes == room && memcmp(value, usual, bytes) == 0) continue;
    int number;
    memcpy(&number, value, sizeof number);
    number /= 2;
    if (known[i].is_halved) memcpy(value, &number, sizeof number);
    mr_open_keep_option(fd, pending, known[i].level, known[i].option, value, bytes);
  }
  real.close(fresh);
}

/* As listen(2) had it: TCP_INFO says so of listeners. */
static int backlog_of(int fd) {
  struct tcp_info info = {0};
  socklen_t bytes = sizeof info;
  if (real.getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) < 0 || info.tcpi_sacked > INT_MAX) return INT_MAX;
  return (int)info.tcpi_sacked;
}

static bool has_peer(int fd) {
  struct sockaddr_storage peer;
  socklen_t bytes = sizeof peer;
  return real.getpeername(fd, (struct sockaddr *)&peer, &bytes) == 0;
}

void mr_activate(int fd) {
  int family = option_of(fd, SO_DOMAIN), type = option_of(fd, SO_TYPE);
  if ((family != AF_INET && family != AF_INET6) || mr_fd_kind_of(fd) != MR_FD_PLAIN || has_peer(fd)) return;
  struct mr_pending *pending = mr_open_pending(family, type, option_of(fd, SO_PROTOCOL));
  if (pending == NULL) return;
  int backlog = option_of(fd, SO_ACCEPTCONN) == 1 ? backlog_of(fd) : -1;
  struct mr_address own;
  bool is_bound = mr_open_own_address(fd, pending, &own) == 0 && own.port != 0;
  keep_options(fd, pending);
  if (is_bound) pending->state->own = own;
  pending->state->port_was_asked = is_bound;
  atomic_fetch_add(&pending->references, 1); /* the table's goes when it is decided */
  mr_fd_set(fd, (struct mr_fd){.kind = MR_FD_PENDING, .pending = pending});
  struct mr_asking asking = {.at = MR_AT_BIND, .with_companion = true, .own = &own};
  int answer = is_bound ? mr_open_ask(fd, pending, &asking) : 1;
  mr_pending_drop(pending);
  if (answer < 0) {
    mr_debug("fd %d stays with the kernel: %s", fd, strerrordesc_np(-answer));
    mr_fd_set(fd, (struct mr_fd){.kind = MR_FD_KERNEL});
    return;
  }
  struct mr_fd entry = mr_fd_get(fd);
  if (entry.kind == MR_FD_SOCKET && backlog >= 0) {
    answer = mr_sock_listen_beside(entry.sock, fd, backlog);
    /* Others have the kernel's listener, too: it stays as it is. */
    if (answer < 0) mr_share_leave(entry.sock, strerrordesc_np(-answer));
  }
  mr_fd_put(entry);
}

static long number_in(const char *name) {
  const char *value = getenv(name);
  return value == NULL ? -1 : strtol(value, NULL, 10);
}

struct mr_given mr_activation(void) {
  struct mr_given none = {FIRST, FIRST};
  if (number_in("LISTEN_PID") != getpid()) return none;
  long n = number_in("LISTEN_FDS");
  if (n <= 0) return none;
  return (struct mr_given){FIRST, n < INT_MAX - FIRST ? FIRST + (int)n : INT_MAX};
}
