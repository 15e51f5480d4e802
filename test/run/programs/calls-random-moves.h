/*
 * Of calls-random.c: the moves, each a call on a slot's socket that prints what it said.
 */
#ifndef CALLS_RANDOM_MOVES_H
#define CALLS_RANDOM_MOVES_H

#include "calls-random.h"

static uint8_t bytes[4096];

/* An instance has what another process holds still in the kernel, and not under Millrace: docs/shim.md. */
static void drop(int slot) {
  epoll_ctl(epfd, EPOLL_CTL_DEL, fds[slot], NULL);
  if (fds[slot] >= 0) close(fds[slot]);
  fds[slot] = -1;
  has_tried[slot] = is_inherited[slot] = false;
}

/* What waits for an acknowledgement comes when that does. */
static void say_at_once(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void make(int slot) {
  int family = draw(2) ? AF_INET : AF_INET6, type = draw(5) < 3 ? SOCK_STREAM : SOCK_DGRAM;
  bool waits = draw(6) == 0;
  drop(slot);
  fds[slot] = socket(family, type | (waits ? 0 : SOCK_NONBLOCK), 0);
  say_at_once(fds[slot]);
  /* What waits gives up soon. */
  struct timeval soon = {.tv_usec = 60000};
  if (waits) setsockopt(fds[slot], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
  if (waits) setsockopt(fds[slot], SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
  say("%d.%d socket %s %s%s: %s", me, slot, family == AF_INET ? "4" : "6", type == SOCK_STREAM ? "tcp" : "udp",
      waits ? " waits" : "", outcome(fds[slot] >= 0 ? 0 : -1));
}

/* A connection between two slots, through a listener that goes, or two datagram sockets that have each other. */
static void make_pair(int slot) {
  int other = (slot + 1 + (int)draw(SLOTS - 1)) % SLOTS, family = draw(2) ? AF_INET : AF_INET6, is_tcp = draw(4) > 0;
  struct sockaddr_in6 name = {.sin6_family = (sa_family_t)family};
  socklen_t n = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof name, whole = n;
  if (family == AF_INET) ((struct sockaddr_in *)&name)->sin_addr = home4;
  else name.sin6_addr = home6;
  int first = socket(family, is_tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
  int second = socket(family, is_tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
  drop(slot);
  drop(other);
  MUST(bind(first, (struct sockaddr *)&name, n));
  if (is_tcp) MUST(listen(first, 8));
  MUST(getsockname(first, (struct sockaddr *)&name, &n));
  MUST(connect(second, (struct sockaddr *)&name, whole));
  if (is_tcp) {
    fds[slot] = accept(first, NULL, NULL);
    close(first);
  } else {
    MUST(getsockname(second, (struct sockaddr *)&name, &n));
    MUST(connect(first, (struct sockaddr *)&name, whole));
    fds[slot] = first;
  }
  fds[other] = second;
  has_tried[slot] = has_tried[other] = true;
  for (int i = 0; i < 2; i++) {
    int fd = fds[i == 0 ? slot : other];
    set_nonblocking(fd);
    say_at_once(fd);
  }
  say("%d.%d pair with %d: %s %s", me, slot, other, family == AF_INET ? "4" : "6", is_tcp ? "tcp" : "udp");
}

static void do_bind(int slot) {
  struct sockaddr_storage to;
  const char *text;
  socklen_t n = draw_address(slot, &to, TO_BIND, &text);
  if (has_tried[slot] || is_inherited[slot]) return; /* the other process may have tried */
  say("%d.%d bind %s (%u): %s", me, slot, text, n, outcome(bind(fds[slot], (struct sockaddr *)&to, n)));
}

static bool is_ipv6_stream(int fd) {
  int domain = 0;
  socklen_t n = sizeof domain;
  getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n);
  return domain == AF_INET6 && type_of(fd) == SOCK_STREAM;
}

static void do_connect(int slot) {
  struct sockaddr_storage to;
  const char *text;
  socklen_t n = draw_address(slot, &to, TO_CONNECT, &text);
  /* Refused over one of the two, tried over the other: the kernel loses its way, too. */
  if (has_tried[slot] && is_ipv6_stream(fds[slot])) return;
  has_tried[slot] = true;
  say("%d.%d connect %s (%u): %s", me, slot, text, n, outcome(connect(fds[slot], (struct sockaddr *)&to, n)));
}

static void do_listen(int slot) {
  int backlog = (int)draw(3) * 8 + 8;
  if (has_tried[slot]) return;
  say("%d.%d listen: %s", me, slot, outcome(listen(fds[slot], backlog)));
}

static void do_accept(int slot) {
  int into = (int)draw(SLOTS), flags = draw(8) == 0 ? SOCK_CLOEXEC | SOCK_NONBLOCK : draw(30) == 0 ? 77 : SOCK_NONBLOCK;
  bool with_name = draw(2);
  struct sockaddr_storage name = {0};
  socklen_t n = draw(8) == 0 ? 9 : sizeof name;
  if (into == slot) into = (into + 1) % SLOTS;
  int fd = accept4(fds[slot], with_name ? (struct sockaddr *)&name : NULL, with_name ? &n : NULL, flags);
  const char *result = outcome(fd >= 0 ? 0 : -1);
  if (fd >= 0) {
    drop(into);
    fds[into] = fd;
    say_at_once(fd);
    has_tried[into] = true;
  }
  say("%d.%d accept into %d: %s %s %u", me, slot, into, result, fd >= 0 && with_name && n > 9 ? name_of(SOCK_STREAM, &name) : "", with_name ? n : 0);
}

static const struct { int bit; const char *name; } FLAG_NAMES[] = {
    {MSG_OOB, "OOB"}, {MSG_PEEK, "PEEK"}, {MSG_TRUNC, "TRUNC"}, {MSG_CTRUNC, "CTRUNC"}, {MSG_EOR, "EOR"},
    {MSG_ERRQUEUE, "ERRQUEUE"}, {MSG_MORE, "MORE"}, {MSG_DONTWAIT, "DONTWAIT"}, {MSG_WAITALL, "WAITALL"}};

static const char *flags_text(int flags) {
  static char text[128];
  *text = '\0';
  for (size_t i = 0; i < sizeof FLAG_NAMES / sizeof *FLAG_NAMES; i++) {
    if (flags & FLAG_NAMES[i].bit) strcat(strcat(text, " "), FLAG_NAMES[i].name);
  }
  return text;
}

static void do_send(int slot) {
  static const int some_flags[] = {0, 0, MSG_DONTWAIT};
  static const size_t sizes[] = {0, 1, 2, 50, 50, 300, 700};
  int flags = PICK(some_flags), how = (int)draw(5);
  size_t n = PICK(sizes);
  if (type_of(fds[slot]) == SOCK_DGRAM && is_undecided(slot)) how = 3; /* without an address the kernel binds it */
  struct sockaddr_storage to;
  const char *text;
  uint8_t first = (uint8_t)draw(256);
  socklen_t to_bytes = draw_address(slot, &to, TO_SEND, &text);
  struct iovec parts[2] = {{bytes, n / 2}, {bytes + n / 2, n - n / 2}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)(first + i);
  ssize_t sent;
  if (how == 0) {
    message.msg_name = &to;
    message.msg_namelen = to_bytes;
  }
  if (how < 2) sent = sendmsg(fds[slot], &message, flags | MSG_NOSIGNAL);
  else if (how == 2) sent = writev(fds[slot], parts, 2);
  else if (how == 3) sent = sendto(fds[slot], bytes, n, flags | MSG_NOSIGNAL, (struct sockaddr *)&to, to_bytes);
  else sent = send(fds[slot], bytes, n, flags | MSG_NOSIGNAL);
  say("%d.%d send %zu%s%s%s: %s", me, slot, n, how == 2 ? " by writev" : flags_text(flags), how == 0 || how == 3 ? " to " : "",
      how == 0 || how == 3 ? text : "", outcome(sent));
}

static uint32_t sum_of(size_t n) {
  uint32_t sum = 0;
  for (size_t i = 0; i < n && i < sizeof bytes; i++) sum = sum * 31 + bytes[i];
  return sum;
}

static void do_receive(int slot) {
  static const int some_flags[] = {0, 0, 0, MSG_DONTWAIT, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_OOB, MSG_WAITALL, MSG_ERRQUEUE};
  static const size_t sizes[] = {0, 1, 20, 60, 400, 4096, 4096};
  int flags = PICK(some_flags), how = (int)draw(3);
  size_t n = PICK(sizes);
  struct sockaddr_storage from = {0};
  _Alignas(8) uint8_t control[256];
  struct iovec parts[2] = {{bytes, n / 3}, {bytes + n / 3, n - n / 3}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2, .msg_name = &from, .msg_namelen = sizeof from,
                           .msg_control = control, .msg_controllen = draw(3) == 0 ? 0 : sizeof control};
  socklen_t from_bytes = sizeof from;
  int type = type_of(fds[slot]);
  memset(bytes, 0, sizeof bytes);
  ssize_t got;
  if (how == 0) got = recvmsg(fds[slot], &message, flags);
  else if (how == 1) got = recvfrom(fds[slot], bytes, n, flags, (struct sockaddr *)&from, &from_bytes);
  else got = recv(fds[slot], bytes, n, flags);
  char line[256];
  int at = snprintf(line, sizeof line, "%d.%d receive %zu%s: %s", me, slot, n, flags_text(flags), outcome(got));
  if (got > 0) at += snprintf(line + at, sizeof line - (size_t)at, " sum %x", sum_of((size_t)got < n ? (size_t)got : n));
  if (got >= 0 && how < 2) {
    at += snprintf(line + at, sizeof line - (size_t)at, " from %s (%u)", from.ss_family == 0 ? "-" : name_of(type, &from),
                   how == 0 ? message.msg_namelen : from_bytes);
  }
  if (got >= 0 && how == 0) {
    at += snprintf(line + at, sizeof line - (size_t)at, " flags%s", flags_text(message.msg_flags));
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
      at += snprintf(line + at, sizeof line - (size_t)at, " control %d/%d/%zu", c->cmsg_level, c->cmsg_type, (size_t)c->cmsg_len);
    }
  }
  say("%s", line);
}

static void do_shutdown(int slot) {
  int listens = 0;
  socklen_t n = sizeof listens;
  struct sockaddr_storage peer;
  getsockopt(fds[slot], SOL_SOCKET, SO_ACCEPTCONN, &listens, &n);
  n = sizeof peer;
  /* Of one that is neither, what it will be does not know of it. */
  if (!listens && getpeername(fds[slot], (struct sockaddr *)&peer, &n) < 0) return;
  int how = draw(30) == 0 ? 3 : (int)draw(3);
  has_tried[slot] = true;
  say("%d.%d shutdown %d: %s", me, slot, how, outcome(shutdown(fds[slot], how)));
}

/* Options with an effect on other calls, and those whose answer is the socket's state. */
static const struct { int level, option; const char *name; bool is_set, is_got; } OPTIONS[] = {
    {SOL_SOCKET, SO_ERROR, "SO_ERROR", false, true},
    {SOL_SOCKET, SO_ERROR, "SO_ERROR", false, true},
    {SOL_SOCKET, SO_ACCEPTCONN, "SO_ACCEPTCONN", false, true},
    {SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL", true, true},
    {SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN", false, true},
    {SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR", true, true},
    {SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR", true, true},
    {SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT", true, true},
    {SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT", true, true},
    {SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE", true, true},
    {SOL_SOCKET, SO_BROADCAST, "SO_BROADCAST", true, true},
    {SOL_SOCKET, SO_OOBINLINE, "SO_OOBINLINE", true, true},
    {SOL_SOCKET, SO_OOBINLINE, "SO_OOBINLINE", true, true},
    {SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT", true, true},
    {SOL_SOCKET, SO_TIMESTAMP, "SO_TIMESTAMP", true, true},
    {SOL_SOCKET, SO_DONTROUTE, "SO_DONTROUTE", true, true},
    {SOL_SOCKET, SO_PEEK_OFF, "SO_PEEK_OFF", true, true},
    {SOL_SOCKET, SO_LINGER, "SO_LINGER", true, true},
    {SOL_SOCKET, SO_LINGER, "SO_LINGER", true, true},
    {IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY", false, true},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT", true, true},
    {IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE", true, true},
    {IPPROTO_TCP, TCP_INFO, "TCP_INFO", false, true},
    {IPPROTO_TCP, TCP_INFO, "TCP_INFO", false, true},
    {IPPROTO_UDP, UDP_CORK, "UDP_CORK", true, true},
    {IPPROTO_IP, IP_TOS, "IP_TOS", true, true},
    {IPPROTO_IP, IP_TTL, "IP_TTL", true, false},
    {IPPROTO_IP, IP_PKTINFO, "IP_PKTINFO", true, true},
    {IPPROTO_IP, IP_RECVERR, "IP_RECVERR", true, true},
    {IPPROTO_IP, IP_RECVTOS, "IP_RECVTOS", true, true},
    {IPPROTO_IP, IP_RECVTTL, "IP_RECVTTL", true, true},
    {IPPROTO_IP, IP_FREEBIND, "IP_FREEBIND", true, true},
    {IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY", true, true},
    {IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY", true, true},
    {IPPROTO_IPV6, IPV6_TCLASS, "IPV6_TCLASS", true, true},
    {IPPROTO_IPV6, IPV6_RECVERR, "IPV6_RECVERR", true, true},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO", true, true},
    {IPPROTO_IPV6, IPV6_RECVTCLASS, "IPV6_RECVTCLASS", true, true},
};

static void do_set(int slot) {
  size_t which = draw(sizeof OPTIONS / sizeof *OPTIONS);
  static const int values[] = {1, 1, 1, 0, 0, 2, 5, -1, 300};
  static const socklen_t lengths[] = {4, 4, 4, 4, 4, 4, 8, 1, 0};
  int value[2] = {PICK(values), 0};
  socklen_t n = PICK(lengths);
  if (OPTIONS[which].option == SO_LINGER && OPTIONS[which].level == SOL_SOCKET && n != 0) n = 8;
  if (!OPTIONS[which].is_set) return;
  say("%d.%d set %s %d (%u): %s", me, slot, OPTIONS[which].name, value[0], n,
      outcome(setsockopt(fds[slot], OPTIONS[which].level, OPTIONS[which].option, value, n)));
}

static void do_get(int slot) {
  size_t which = draw(sizeof OPTIONS / sizeof *OPTIONS);
  static const socklen_t lengths[] = {4, 4, 4, 4, 4, 8, 1, 0};
  int value[64] = {0};
  socklen_t n = PICK(lengths);
  bool is_info = OPTIONS[which].level == IPPROTO_TCP && OPTIONS[which].option == TCP_INFO;
  if (is_info) n = 1;
  int result = getsockopt(fds[slot], OPTIONS[which].level, OPTIONS[which].option, value, &n);
  bool is_shown = result == 0 && OPTIONS[which].is_got;
  say("%d.%d get %s: %s (%u) %d %d", me, slot, OPTIONS[which].name, outcome(result), n, is_shown ? value[0] : 0, is_shown ? value[1] : 0);
}

static void do_name(int slot) {
  struct sockaddr_storage peer;
  socklen_t peer_bytes = sizeof peer;
  bool has_peer = getpeername(fds[slot], (struct sockaddr *)&peer, &peer_bytes) == 0;
  if (has_tried[slot] && !has_peer) return; /* the kernel forgets where it was after a refusal has been told */
  struct sockaddr_storage name = {0};
  bool of_peer = draw(2);
  socklen_t n = draw(6) == 0 ? draw(20) : sizeof name;
  socklen_t room = n;
  int result = of_peer ? getpeername(fds[slot], (struct sockaddr *)&name, &n) : getsockname(fds[slot], (struct sockaddr *)&name, &n);
  say("%d.%d %s (%u): %s (%u) %s", me, slot, of_peer ? "getpeername" : "getsockname", room, outcome(result), n,
      result == 0 && room > 20 ? name_of(type_of(fds[slot]), &name) : "");
}

static void do_ioctl(int slot) {
  int value = -7;
  switch (draw(3)) {
    case 0:
      say("%d.%d FIONREAD: %s", me, slot, outcome(ioctl(fds[slot], FIONREAD, &value)));
      break;
    case 1:
      say("%d.%d atmark: %s", me, slot, outcome(sockatmark(fds[slot])));
      return;
    default: {
      int flags = fcntl(fds[slot], F_GETFL);
      say("%d.%d flags: %s", me, slot, flags < 0 ? outcome(-1) : flags & O_NONBLOCK ? "nonblock" : "waits");
      return;
    }
  }
  say("  %d", value);
}

static void do_copy(int slot) {
  int into = (int)draw(SLOTS);
  bool by_number = draw(2);
  if (into == slot || fds[slot] < 0) return;
  if (by_number && fds[into] >= 0) {
    epoll_ctl(epfd, EPOLL_CTL_DEL, fds[into], NULL);
    say("%d.%d dup2 onto %d: %s", me, slot, into, outcome(dup2(fds[slot], fds[into]) < 0 ? -1 : 0));
    return;
  }
  drop(into);
  fds[into] = dup(fds[slot]);
  has_tried[into] = true;
  say("%d.%d dup into %d: %s", me, slot, into, outcome(fds[into] < 0 ? -1 : 0));
}

static void do_close(int slot) {
  epoll_ctl(epfd, EPOLL_CTL_DEL, fds[slot], NULL);
  int result = fds[slot] >= 0 ? close(fds[slot]) : 1;
  fds[slot] = -1;
  say("%d.%d close: %s", me, slot, outcome(result));
}

static void do_epoll(int slot) {
  static const int ops[] = {EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL};
  static const char *const names[] = {"?", "add", "del", "mod"};
  int op = PICK(ops);
  uint32_t events = 0;
  if (draw(4)) events |= EPOLLIN;
  if (draw(3)) events |= EPOLLOUT;
  if (draw(2)) events |= EPOLLRDHUP;
  if (draw(6) == 0) events |= EPOLLONESHOT;
  say("%d.%d epoll %s %s%s: %s", me, slot, names[op], events_text(events), events & EPOLLONESHOT ? "|ONESHOT" : "",
      outcome(control(epfd, op, fds[slot], events, (uint64_t)slot)));
}

static void do_wait(int slot) {
  (void)slot;
  wait_and_say(me == 0 ? "0 epoll_wait" : "1 epoll_wait", epfd, 16, 0);
}

static const struct { void (*run)(int slot); uint32_t weight; } CALLS[] = {
    {make, 5}, {make_pair, 5},     {do_bind, 8},  {do_listen, 6}, {do_connect, 10}, {do_accept, 9}, {do_send, 16}, {do_receive, 16},
    {do_shutdown, 4}, {do_set, 7}, {do_get, 7},   {do_name, 4},     {do_ioctl, 3},  {do_copy, 2},  {do_close, 3},
    {do_epoll, 5}, {do_wait, 4},
};

static void call(void) {
  uint32_t all = 0, slot = draw(SLOTS);
  for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) all += CALLS[i].weight;
  uint32_t at = draw(all);
  size_t i = 0;
  while (at >= CALLS[i].weight) at -= CALLS[i++].weight;
  if (fds[slot] >= 0) CALLS[i].run((int)slot);
  else if (draw(2)) make((int)slot);
  else make_pair((int)slot);
}

static char looked[512];

/* What poll says of all, if it says something else than before. */
static void look(void) {
  char line[512];
  int at = 0;
  for (int i = 0; i < SLOTS; i++) {
    if (fds[i] < 0) continue;
    struct pollfd one = {.fd = fds[i], .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP};
    poll(&one, 1, 0);
    at += snprintf(line + at, sizeof line - (size_t)at, " %d.%d:%s", me, i, events_text((uint32_t)(uint16_t)one.revents));
  }
  line[at] = '\0';
  if (strcmp(line, looked) == 0) return;
  strcpy(looked, line);
  say("  %s", line);
}

#endif
