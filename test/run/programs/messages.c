/* Control data, both ways; scatter and gather; addresses and flags of messages. */
#include "say.h"

static char buffer[4096], control[512];

/* What came with the message, without what differs between machines. */
static void say_control(struct msghdr *message) {
  printf("flags %x:", message->msg_flags);
  for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
    int value = 0;
    size_t bytes = at->cmsg_len - CMSG_LEN(0);
    memcpy(&value, CMSG_DATA(at), bytes < sizeof value ? bytes : sizeof value);
    bool is_plain = (at->cmsg_level == IPPROTO_IP && (at->cmsg_type == IP_TTL || at->cmsg_type == IP_TOS)) ||
                    (at->cmsg_level == IPPROTO_IPV6 &&
                     (at->cmsg_type == IPV6_HOPLIMIT || at->cmsg_type == IPV6_TCLASS));
    printf(" %d/%d %zu bytes", at->cmsg_level, at->cmsg_type, bytes);
    if (is_plain) printf(" = %d", value);
  }
  printf("\n");
}

static ssize_t receive(int fd, struct msghdr *message, size_t room, int flags) {
  static struct sockaddr_storage from;
  static struct iovec part;
  part = (struct iovec){buffer, sizeof buffer};
  *message = (struct msghdr){.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1};
  message->msg_control = control;
  message->msg_controllen = room;
  await(fd, POLLIN);
  return recvmsg(fd, message, flags);
}

static int64_t ms_of(const struct timespec *time) { return (int64_t)time->tv_sec * 1000 + time->tv_nsec / 1000000; }

static void reports_ipv4(void) {
  section("reports of IPv4");
  uint16_t port;
  int a = socket(AF_INET, SOCK_DGRAM, 0), b = datagram(&port);
  connect(a, at(port), home_bytes);
  SAY(set_int(b, IPPROTO_IP, IP_PKTINFO, 1));
  SAY(set_int(b, IPPROTO_IP, IP_RECVTTL, 1));
  SAY(set_int(b, IPPROTO_IP, IP_RECVTOS, 1));
  SAY(int_option(b, IPPROTO_IP, IP_PKTINFO));
  SAY(int_option(b, IPPROTO_IP, IP_RECVTTL));
  SAY(set_int(a, IPPROTO_IP, IP_TTL, 33));
  SAY(set_int(a, IPPROTO_IP, IP_TOS, 0x28));
  SAY(int_option(a, IPPROTO_IP, IP_TTL));
  SAY(int_option(a, IPPROTO_IP, IP_TOS));
  struct msghdr message;
  SAY(send(a, "x", 1, 0));
  SAY(receive(b, &message, sizeof control, 0));
  say_control(&message);
  struct cmsghdr *first = CMSG_FIRSTHDR(&message);
  if (first != NULL && first->cmsg_type == IP_PKTINFO) {
    struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(first);
    struct in_addr own = ((struct sockaddr_in *)&home)->sin_addr;
    printf("to us %d, local %d, interface %d\n", info->ipi_addr.s_addr == own.s_addr,
           info->ipi_spec_dst.s_addr == own.s_addr, info->ipi_ifindex != 0);
  }
  SAY(send(a, "x", 1, 0));
  SAY(receive(b, &message, CMSG_SPACE(sizeof(struct in_pktinfo)) + 3, 0));
  say_control(&message);
  SAY(send(a, "x", 1, 0));
  SAY(receive(b, &message, 20, 0));
  say_control(&message);
  SAY(send(a, "x", 1, 0));
  SAY(receive(b, &message, 0, 0));
  say_control(&message);
  SAY(set_int(b, IPPROTO_IP, IP_PKTINFO, 0));
  SAY(set_int(b, IPPROTO_IP, IP_RECVTTL, 0));
  SAY(set_int(b, IPPROTO_IP, IP_RECVTOS, 0));
  SAY(set_int(b, SOL_SOCKET, SO_TIMESTAMP, 1));
  SAY(int_option(b, SOL_SOCKET, SO_TIMESTAMP));
  SAY(send(a, "x", 1, 0));
  SAY(receive(b, &message, sizeof control, 0));
  say_control(&message);
  SAY(set_int(b, SOL_SOCKET, SO_TIMESTAMPNS, 1));
  SAY(int_option(b, SOL_SOCKET, SO_TIMESTAMP));
  struct timespec stamp, now, before;
  clock_gettime(CLOCK_REALTIME, &before);
  before.tv_sec--; /* Millrace's has the time at which a turn of the engine began */
  SAY(send(a, "x", 1, 0));
  SAY(receive(b, &message, sizeof control, 0));
  say_control(&message);
  first = CMSG_FIRSTHDR(&message);
  must(first != NULL, "a timestamp");
  memcpy(&stamp, CMSG_DATA(first), sizeof stamp);
  clock_gettime(CLOCK_REALTIME, &now);
  printf("stamp is now: %d\n", ms_of(&before) <= ms_of(&stamp) && ms_of(&stamp) <= ms_of(&now) + 1);
  SAY(set_int(b, SOL_SOCKET, SO_TIMESTAMPNS, 0));
  SAY(send(a, "x", 1, 0));
  await(b, POLLIN);
  SAY(set_int(b, SOL_SOCKET, SO_TIMESTAMPNS, 1)); /* too late for this one: it has the time of the reading */
  SAY(receive(b, &message, sizeof control, 0));
  first = CMSG_FIRSTHDR(&message);
  must(first != NULL, "a timestamp");
  memcpy(&stamp, CMSG_DATA(first), sizeof stamp);
  clock_gettime(CLOCK_REALTIME, &now);
  printf("stamp is now: %d\n", ms_of(&before) <= ms_of(&stamp) && ms_of(&stamp) <= ms_of(&now) + 1);
  close(a);
  close(b);
}

static void add(struct msghdr *message, int level, int type, const void *data, size_t bytes) {
  struct cmsghdr *at = (struct cmsghdr *)(control + message->msg_controllen);
  memset(at, 0, CMSG_SPACE(bytes));
  *at = (struct cmsghdr){.cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(bytes)};
  memcpy(CMSG_DATA(at), data, bytes);
  message->msg_control = control;
  message->msg_controllen += CMSG_SPACE(bytes);
}

static void sends_ipv4(void) {
  section("what goes along over IPv4");
  uint16_t port;
  int a = socket(AF_INET, SOCK_DGRAM, 0), b = datagram(&port);
  set_int(b, IPPROTO_IP, IP_RECVTTL, 1);
  set_int(b, IPPROTO_IP, IP_RECVTOS, 1);
  struct iovec parts[2] = {{"ab", 2}, {"cd", 2}};
  struct msghdr message = {.msg_name = at(port), .msg_namelen = home_bytes, .msg_iov = parts, .msg_iovlen = 2};
  struct msghdr got;
  int ttl = 5, tos = 0x10, zero = 0, big = 300;
  add(&message, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
  add(&message, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
  SAY(sendmsg(a, &message, 0));
  SAY(receive(b, &got, sizeof control, 0));
  say_control(&got);
  message.msg_name = at(port);
  message.msg_controllen = 0;
  struct in_pktinfo info = {.ipi_spec_dst = ((struct sockaddr_in *)&home)->sin_addr};
  add(&message, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
  SAY(sendmsg(a, &message, 0));
  SAY(receive(b, &got, sizeof control, 0));
  say_control(&got);
  printf("from as asked: %d\n",
         ((struct sockaddr_in *)got.msg_name)->sin_addr.s_addr == info.ipi_spec_dst.s_addr);
  message.msg_name = at(port);
  message.msg_controllen = 0;
  add(&message, IPPROTO_IP, IP_TTL, &zero, sizeof zero);
  SAY(sendmsg(a, &message, 0));
  message.msg_controllen = 0;
  add(&message, IPPROTO_IP, IP_TTL, &big, sizeof big);
  SAY(sendmsg(a, &message, 0));
  message.msg_controllen = 0;
  add(&message, IPPROTO_IP, 77, &ttl, sizeof ttl);
  SAY(sendmsg(a, &message, 0));
  message.msg_controllen = 0;
  add(&message, SOL_SOCKET, SCM_RIGHTS, &a, sizeof a);
  SAY(sendmsg(a, &message, 0));
  message.msg_controllen = 0;
  add(&message, SOL_SOCKET, 77, &a, sizeof a);
  SAY(sendmsg(a, &message, 0));
  message.msg_controllen = 0;
  add(&message, 4242, 77, &a, sizeof a);
  SAY(sendmsg(a, &message, 0));
  ((struct cmsghdr *)control)->cmsg_len = 3;
  SAY(sendmsg(a, &message, 0));
  ((struct cmsghdr *)control)->cmsg_len = 4000;
  SAY(sendmsg(a, &message, 0));
  message.msg_controllen = 0;
  message.msg_control = NULL;
  message.msg_namelen = 3;
  SAY(sendmsg(a, &message, 0));
  message.msg_iovlen = 2000;
  message.msg_namelen = home_bytes;
  SAY(sendmsg(a, &message, 0));
  message.msg_iovlen = 1;
  message.msg_iov = (struct iovec *)8;
  SAY(sendmsg(a, &message, 0));
  SAY(sendmsg(a, (struct msghdr *)8, 0));
  SAY(recvmsg(a, (struct msghdr *)8, MSG_DONTWAIT));
  close(a);
  close(b);
}

static void segments(void) {
  section("UDP_SEGMENT");
  uint16_t port, bytes = 3;
  int a = socket(home.ss_family, SOCK_DGRAM, 0), b = datagram(&port);
  struct iovec part = {"abcdefgh", 8};
  struct msghdr message = {.msg_name = at(port), .msg_namelen = home_bytes, .msg_iov = &part, .msg_iovlen = 1};
  add(&message, IPPROTO_UDP, 103, &bytes, sizeof bytes);
  SAY(sendmsg(a, &message, 0));
  for (int i = 0; i < 3; i++) {
    await(b, POLLIN);
    SAY(recv(b, buffer, 100, MSG_DONTWAIT));
  }
  SAY(recv(b, buffer, 100, MSG_DONTWAIT));
  close(a);
  close(b);
}

static void reports_ipv6(void) {
  section("reports of IPv6");
  uint16_t port;
  int a = socket(AF_INET6, SOCK_DGRAM, 0), b = datagram(&port);
  connect(a, at(port), home_bytes);
  SAY(set_int(b, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1));
  SAY(set_int(b, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1));
  SAY(set_int(b, IPPROTO_IPV6, IPV6_RECVTCLASS, 1));
  SAY(set_int(a, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 44));
  SAY(set_int(a, IPPROTO_IPV6, IPV6_TCLASS, 0x20));
  SAY(int_option(a, IPPROTO_IPV6, IPV6_UNICAST_HOPS));
  struct msghdr message;
  SAY(send(a, "x", 1, 0));
  SAY(receive(b, &message, sizeof control, 0));
  say_control(&message);
  struct iovec part = {"y", 1};
  int hops = 7, class = 0x40;
  message = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
  add(&message, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof hops);
  add(&message, IPPROTO_IPV6, IPV6_TCLASS, &class, sizeof class);
  SAY(sendmsg(a, &message, 0));
  SAY(receive(b, &message, sizeof control, 0));
  say_control(&message);
  close(a);
  close(b);
}

/* What is known of a datagram that came before anybody asked. */
static void late_reports(void) {
  section("reports of what is there already");
  uint16_t port;
  int a = socket(home.ss_family, SOCK_DGRAM, 0), b = datagram(&port);
  bool is_ipv6 = home.ss_family == AF_INET6;
  SAY(sendto(a, "x", 1, 0, at(port), home_bytes));
  await(b, POLLIN);
  if (is_ipv6) {
    SAY(set_int(b, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1));
    SAY(set_int(b, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1));
  } else {
    SAY(set_int(b, IPPROTO_IP, IP_PKTINFO, 1));
    SAY(set_int(b, IPPROTO_IP, IP_RECVORIGDSTADDR, 1));
    SAY(set_int(b, IPPROTO_IP, IP_RECVTTL, 1));
  }
  SAY(set_int(b, SOL_SOCKET, SO_RXQ_OVFL, 1));
  struct msghdr message;
  SAY(receive(b, &message, sizeof control, 0));
  say_control(&message);
  for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at != NULL; at = CMSG_NXTHDR(&message, at)) {
    if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo *info = (struct in6_pktinfo *)CMSG_DATA(at);
      struct in6_addr *own = &((struct sockaddr_in6 *)&home)->sin6_addr;
      printf("to us %d, interface %d\n", memcmp(&info->ipi6_addr, own, 16) == 0, info->ipi6_ifindex != 0);
    }
    if (at->cmsg_level != IPPROTO_IP) continue;
    struct in_addr own = ((struct sockaddr_in *)&home)->sin_addr;
    struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(at);
    struct sockaddr_in *original = (struct sockaddr_in *)CMSG_DATA(at);
    if (at->cmsg_type == IP_PKTINFO) {
      printf("to us %d, local %d, interface %d\n", info->ipi_addr.s_addr == own.s_addr,
             info->ipi_spec_dst.s_addr == own.s_addr, info->ipi_ifindex != 0);
    }
    if (at->cmsg_type == IP_ORIGDSTADDR) printf("to us %d\n", original->sin_addr.s_addr == own.s_addr);
  }
  close(a);
  close(b);
}

/* The largest packet that is sent in one piece. */
static void largest_piece(void) {
  section("IPV6_MTU");
  uint16_t port;
  int a = socket(AF_INET6, SOCK_DGRAM, 0), b = datagram(&port), c, d;
  static char large[4000];
  SAY(set_int(a, IPPROTO_IPV6, IPV6_MTU, 1279));
  SAY(set_int(a, IPPROTO_IPV6, IPV6_MTU, 1280));
  SAY(int_option(a, IPPROTO_IPV6, IPV6_MTU));
  SAY(sendto(a, large, sizeof large, 0, at(port), home_bytes));
  SAY(set_int(a, IPPROTO_IPV6, IPV6_MTU, 1300));
  SAY(set_int(a, IPPROTO_IPV6, IPV6_MTU, 0));
  SAY(set_int(a, IPPROTO_IPV6, IPV6_MTU, -1));
  SAY(await(b, POLLIN));
  SAY(recv(b, large, sizeof large, 0));
  stream(&c, &d);
  SAY(set_int(c, IPPROTO_IPV6, IPV6_MTU, 1279));
  SAY(set_int(c, IPPROTO_IPV6, IPV6_MTU, 1280));
  close(a);
  close(b);
  close(c);
  close(d);
}

static void over_tcp(void) {
  section("messages over TCP");
  int a, b;
  stream(&a, &b);
  struct iovec parts[2] = {{"ab", 2}, {"cd", 2}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2}, got;
  SAY(sendmsg(a, &message, MSG_MORE));
  SAY(sendmsg(a, &message, 0));
  await_bytes(b, 8);
  SAY(receive(b, &got, sizeof control, MSG_CMSG_CLOEXEC));
  say_control(&got);
  printf("name bytes %u\n", got.msg_namelen);
  int value = 3;
  add(&message, SOL_SOCKET, 77, &value, sizeof value);
  SAY(sendmsg(a, &message, 0));
  SAY(recvmsg(b, &got, MSG_ERRQUEUE));
  close(a);
  close(b);
}

static void error_queue(void) {
  section("the error queue");
  uint16_t port;
  int a = socket(home.ss_family, SOCK_DGRAM, 0), b = datagram(&port);
  close(b);
  bool is_ipv6 = home.ss_family == AF_INET6;
  int level = is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, option = is_ipv6 ? IPV6_RECVERR : IP_RECVERR;
  struct msghdr got;
  SAY(set_int(a, level, option, 1));
  SAY(int_option(a, level, option));
  SAY(sendto(a, "lost", 4, 0, at(port), home_bytes));
  say_ready_after("a", a, POLLERR);
  struct sockaddr_storage name;
  struct iovec part = {buffer, sizeof buffer};
  got = (struct msghdr){.msg_name = &name, .msg_namelen = sizeof name, .msg_iov = &part, .msg_iovlen = 1};
  got.msg_control = control;
  got.msg_controllen = sizeof control;
  SAY(recvmsg(a, &got, MSG_ERRQUEUE));
  say_control(&got);
  printf("%.4s, port right %d\n", buffer, ntohs(((struct sockaddr_in *)&name)->sin_port) == port);
  SAY(recvmsg(a, &got, MSG_ERRQUEUE));
  say_ready("a", a);
  SAY(recv(a, buffer, 1, MSG_DONTWAIT));
  close(a);
}

int main(int argc, char **argv) {
  start(argc, argv);
  if (home.ss_family == AF_INET) {
    reports_ipv4();
    sends_ipv4();
  } else {
    reports_ipv6();
    largest_piece();
  }
  late_reports();
  segments();
  over_tcp();
  error_queue();
  return 0;
}
