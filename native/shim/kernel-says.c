/*
 * What the kernel says to a socket option: a kernel socket of the same kind is asked, and goes. So lengths,
 * ranges, privileges and what a value reads back as are the kernel's own; what the option does is ours.
 */
#include <linux/in6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include "core.h"

static int open_one(struct mr_sock *sock) {
  bool is_stream = mr_sock_is_stream(sock);
  return real.socket(sock->shared->family, (is_stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
}

/* Options whose answer hangs on interfaces, addresses, states or programs that only ours has. */
static bool is_about_ours(int level, int option) {
  switch (level) {
    case SOL_SOCKET:
      return option == SO_BINDTODEVICE || option == SO_BINDTOIFINDEX || option == SO_ATTACH_FILTER ||
             option == SO_DETACH_FILTER || option == SO_ATTACH_BPF ||
             option == SO_ATTACH_REUSEPORT_CBPF || option == SO_ATTACH_REUSEPORT_EBPF ||
             option == SO_DETACH_REUSEPORT_BPF;
    case IPPROTO_IP:
      return option == IP_MULTICAST_IF || (option >= IP_ADD_MEMBERSHIP && option <= MCAST_MSFILTER) ||
             option == IP_UNICAST_IF || option == IP_OPTIONS;
    case IPPROTO_IPV6:
      return option == IPV6_MULTICAST_IF || option == IPV6_V6ONLY || option == IPV6_ADDRFORM ||
             option == IPV6_JOIN_GROUP || option == IPV6_LEAVE_GROUP || option == IPV6_JOIN_ANYCAST ||
             option == IPV6_LEAVE_ANYCAST || option == IPV6_FLOWLABEL_MGR || option == IPV6_PKTINFO ||
             option == IPV6_UNICAST_IF || option == IPV6_IPSEC_POLICY || option == IPV6_XFRM_POLICY ||
             (option >= MCAST_JOIN_GROUP && option <= MCAST_MSFILTER);
    case IPPROTO_TCP:
      return option == TCP_MAXSEG || option == TCP_MD5SIG || option == TCP_MD5SIG_EXT ||
             (option >= TCP_REPAIR && option <= TCP_REPAIR_OPTIONS) || option == TCP_ULP ||
             option == TCP_CONGESTION || option == TCP_ZEROCOPY_RECEIVE || option >= 38;
    default:
      return false;
  }
}

/* Its value changes by itself. */
static bool is_live(int level, int option) {
  if (level == IPPROTO_TCP) return option == TCP_QUICKACK || option == TCP_CORK || option == TCP_INQ;
  if (level == SOL_SOCKET) return option == SO_PEEK_OFF || option == SO_TIMESTAMP || option == SO_TIMESTAMPNS;
  return level == IPPROTO_UDP && option == UDP_CORK;
}

bool mr_kernel_may_not_know(int level, int option) {
  if (level == SOL_SOCKET) return option == SO_BINDTODEVICE || option == SO_BINDTOIFINDEX;
  if (level == IPPROTO_IP) return option == IP_MULTICAST_IF;
  return level == IPPROTO_IPV6 && option == IPV6_MULTICAST_IF;
}

bool mr_kernel_reads_back(int level, int option) {
  return !is_about_ours(level, option) && !is_live(level, option);
}

int mr_kernel_tries(struct mr_sock *sock, int level, int option, const void *user, socklen_t bytes,
                    struct mr_canonical *as) {
  as->bytes = 0;
  as->is_taken = false;
  as->is_live = is_live(level, option);
  /* Unless it is no value at all, or one that such sockets never have. */
  bool is_plain = level == SOL_SOCKET || level == IPPROTO_TCP || level == IPPROTO_UDP;
  bool is_odd = bytes < sizeof(int) || user == NULL || (mr_sock_is_stream(sock) && !is_plain) ||
                (level == IPPROTO_IPV6 && sock->shared->family == AF_INET);
  bool is_ours = is_about_ours(level, option);
  if (is_ours && (!is_odd || option == SO_BINDTODEVICE)) return 0;
  int saved = errno;
  int fd = open_one(sock);
  if (fd < 0) {
    errno = saved;
    return 0; /* no descriptor left: then as the engine has it */
  }
  int result = real.setsockopt(fd, level, option, user, bytes) < 0 ? -errno : 0;
  if (result == 0 && level == SOL_SOCKET) {
    if (option == SO_SNDBUFFORCE) option = SO_SNDBUF;
    if (option == SO_RCVBUFFORCE) option = SO_RCVBUF;
  }
  as->is_taken = result == 0;
  socklen_t room = sizeof as->value;
  if (result == 0 && !is_ours && real.getsockopt(fd, level, option, as->value, &room) == 0) as->bytes = room;
  real.close(fd);
  errno = saved;
  return result;
}

int mr_kernel_default(struct mr_sock *sock, int level, int option, void *value, socklen_t *bytes) {
  int saved = errno;
  int fd = open_one(sock);
  if (fd < 0) {
    errno = saved;
    return -ENOPROTOOPT;
  }
  int result = real.getsockopt(fd, level, option, value, bytes) < 0 ? -errno : 0;
  real.close(fd);
  errno = saved;
  return result;
}
