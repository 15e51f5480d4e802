/* Control data of messages, both ways: cmsg(3), ip(7), ipv6(7), socket(7), udp(7). */
#include "core.h"

#include <linux/errqueue.h> /* needs time.h before it */
#include <netinet/udp.h>

#ifndef TCP_CM_INQ
#define TCP_CM_INQ 36
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* ---- Sending ---------------------------------------------------------------------------------------- */

/* An int, as most of them are; -1: the datum is of another size. */
static int int_of(const uint8_t *data, size_t bytes, int *value) {
  if (bytes != sizeof *value) return -EINVAL;
  memcpy(value, data, sizeof *value);
  return 0;
}

static int take_source(struct mr_ancillary *to, const uint8_t *address, size_t bytes, uint32_t if_index) {
  static const uint8_t none[16];
  if (memcmp(address, none, bytes) != 0) {
    memset(to->own, 0, sizeof to->own);
    memcpy(to->own, address, bytes);
    to->flags |= MR_DATAGRAM_SOURCE;
  }
  to->if_index = if_index;
  return 0;
}

static int read_ipv4(struct mr_ancillary *to, int type, const uint8_t *data, size_t bytes) {
  int value = 0;
  switch (type) {
    case IP_PKTINFO: {
      struct in_pktinfo info;
      if (bytes != sizeof info) return -EINVAL;
      memcpy(&info, data, sizeof info);
      return take_source(to, (const uint8_t *)&info.ipi_spec_dst, 4, (uint32_t)info.ipi_ifindex);
    }
    case IP_TTL:
      if (int_of(data, bytes, &value) != 0 || value < 1 || value > 255) return -EINVAL;
      to->ttl = (uint8_t)value;
      to->flags |= MR_DATAGRAM_TTL;
      return 0;
    case IP_TOS:
      if (bytes == 1) value = data[0];
      else if (int_of(data, bytes, &value) != 0) return -EINVAL;
      if (value < 0 || value > 255) return -EINVAL;
      to->tos = (uint8_t)value;
      to->flags |= MR_DATAGRAM_TOS;
      return 0;
    default:
      return -EINVAL;
  }
}

static int read_ipv6(struct mr_ancillary *to, int type, const uint8_t *data, size_t bytes) {
  int value = 0;
  switch (type) {
    case IPV6_PKTINFO: {
      struct in6_pktinfo info;
      if (bytes < sizeof info) return -EINVAL;
      memcpy(&info, data, sizeof info);
      bool is_mapped = IN6_IS_ADDR_V4MAPPED(&info.ipi6_addr);
      const uint8_t *address = info.ipi6_addr.s6_addr + (is_mapped ? 12 : 0);
      return take_source(to, address, is_mapped ? 4 : 16, info.ipi6_ifindex);
    }
    case IPV6_HOPLIMIT:
    case IPV6_TCLASS:
      if (int_of(data, bytes, &value) != 0 || value < -1 || value > 255) return -EINVAL;
      if (value < 0) return 0;
      if (type == IPV6_HOPLIMIT) to->ttl = (uint8_t)value;
      else to->tos = (uint8_t)value;
      to->flags |= type == IPV6_HOPLIMIT ? MR_DATAGRAM_TTL : MR_DATAGRAM_TOS;
      return 0;
    case IPV6_DONTFRAG:
      return 0;
    default:
      return -EINVAL;
  }
}

/* SCM_RIGHTS and SCM_CREDENTIALS mean nothing here and are let pass, as by the kernel. */
static int read_socket(int type) {
  return type == SCM_RIGHTS || type == SCM_CREDENTIALS || type == SO_TIMESTAMPING ? 0 : -EINVAL;
}

static int read_one(struct mr_sock *sock, const struct cmsghdr *header, const uint8_t *data, size_t bytes,
                    struct mr_ancillary *to, uint16_t *segment_bytes) {
  bool is_udp = sock->shared->kind == MR_KIND_UDP;
  if (header->cmsg_level == SOL_SOCKET) return read_socket(header->cmsg_type);
  if (!is_udp) return 0;
  if (header->cmsg_level == IPPROTO_IP) return read_ipv4(to, header->cmsg_type, data, bytes);
  if (header->cmsg_level == IPPROTO_IPV6 && sock->shared->family == AF_INET6) {
    return read_ipv6(to, header->cmsg_type, data, bytes);
  }
  if (header->cmsg_level == IPPROTO_UDP) {
    if (header->cmsg_type != UDP_SEGMENT || bytes != sizeof *segment_bytes) return -EINVAL;
    memcpy(segment_bytes, data, sizeof *segment_bytes);
  }
  return 0;
}

int mr_ancillary_read(struct mr_sock *sock, const struct msghdr *message, struct mr_ancillary *to,
                      uint16_t *segment_bytes) {
  const uint8_t *user = message->msg_control;
  size_t left = user == NULL ? 0 : message->msg_controllen;
  while (left >= sizeof(struct cmsghdr)) {
    struct cmsghdr header;
    uint8_t data[64];
    if (mr_copy_from(&header, user, sizeof header) != 0) return -EFAULT;
    if (header.cmsg_len < sizeof header || header.cmsg_len > left) return -EINVAL;
    size_t bytes = header.cmsg_len - CMSG_LEN(0);
    size_t part = bytes < sizeof data ? bytes : sizeof data;
    if (mr_copy_from(data, user + CMSG_LEN(0), part) != 0) return -EFAULT;
    int failed = read_one(sock, &header, data, bytes, to, segment_bytes);
    if (failed != 0) return failed;
    size_t whole = CMSG_ALIGN(header.cmsg_len);
    if (whole >= left) break;
    user += whole;
    left -= whole;
  }
  return 0;
}

/* ---- Receiving -------------------------------------------------------------------------------------- */

struct writer {
  uint8_t *at; /* user memory */
  size_t room;
  size_t used;
  int flags;   /* MSG_CTRUNC */
  int failed;
};

/* As put_cmsg of the kernel. */
static void put(struct writer *to, int level, int type, const void *data, size_t bytes) {
  struct cmsghdr header = {.cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(bytes)};
  if (to->at == NULL || to->room < sizeof header) {
    to->flags |= MSG_CTRUNC;
    return;
  }
  if (to->room < header.cmsg_len) {
    to->flags |= MSG_CTRUNC;
    header.cmsg_len = to->room;
  }
  if (mr_copy_to(to->at, &header, sizeof header) != 0 ||
      mr_copy_to(to->at + CMSG_LEN(0), data, header.cmsg_len - CMSG_LEN(0)) != 0) {
    to->failed = -EFAULT;
    return;
  }
  size_t space = CMSG_SPACE(bytes);
  if (space > to->room) space = to->room;
  to->at += space;
  to->room -= space;
  to->used += space;
}

/* What came before SO_TIMESTAMP was set has the time of the reading, as in sock_recv_timestamp of Linux. */
static void put_time(struct writer *to, uint32_t reports, const struct mr_datagram *header) {
  bool is_timed = (header->flags & MR_DATAGRAM_TIMED) != 0;
  int64_t ns = (int64_t)header->time_high << 32 | (uint32_t)header->time_low;
  struct timespec precise = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
  if (!(reports & (MR_REPORT_TIMESTAMP | MR_REPORT_TIMESTAMPNS))) {
    if (!is_timed) return;
  } else if (!is_timed) {
    clock_gettime(CLOCK_REALTIME, &precise);
  }
  struct timeval coarse = {.tv_sec = precise.tv_sec, .tv_usec = precise.tv_nsec / 1000};
  if (reports & MR_REPORT_TIMESTAMPNS) put(to, SOL_SOCKET, SCM_TIMESTAMPNS, &precise, sizeof precise);
  else if (reports & MR_REPORT_TIMESTAMP) put(to, SOL_SOCKET, SCM_TIMESTAMP, &coarse, sizeof coarse);
  struct timespec all[3] = {precise}; /* by software, nothing, by hardware */
  if (reports & MR_REPORT_TIMESTAMPING) put(to, SOL_SOCKET, SCM_TIMESTAMPING, all, sizeof all);
}

static bool is_mapped(const uint8_t address[16]) {
  return IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)address);
}

/* The destination of an IPv4 datagram, which the engine writes in its mapped form. */
static const uint8_t *own_ipv4(const struct mr_datagram *header) {
  return header->own + (is_mapped(header->own) ? 12 : 0);
}

static bool is_ipv4_datagram(const struct mr_datagram *header) {
  return header->peer.family == AF_INET || is_mapped(header->peer.address);
}

/* The local address that answers would have: the destination, unless that is a group. Of what came before it was asked
 * for nothing is known, as ipv4_pktinfo_prepare of Linux has it. */
static void spec_dst_of(struct mr_sock *sock, const struct mr_datagram *header, uint8_t out[4]) {
  if (header->if_index == 0) memset(out, 0, 4);
  else if (header->flags & MR_DATAGRAM_MULTICAST) memcpy(out, sock->shared->local.address, 4);
  else memcpy(out, own_ipv4(header), 4);
}

static void put_ipv4(struct mr_sock *sock, struct writer *to, uint32_t reports, const struct mr_datagram *header) {
  if (reports & MR_REPORT_PKTINFO) {
    struct in_pktinfo info = {.ipi_ifindex = (int)header->if_index};
    spec_dst_of(sock, header, (uint8_t *)&info.ipi_spec_dst);
    memcpy(&info.ipi_addr, own_ipv4(header), 4);
    put(to, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
  }
  int ttl = header->ttl;
  if (reports & MR_REPORT_TTL) put(to, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
  if (reports & MR_REPORT_TOS) put(to, IPPROTO_IP, IP_TOS, &header->tos, 1);
  if (reports & MR_REPORT_ORIGDST) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(sock->shared->local.port)};
    memcpy(&own.sin_addr, own_ipv4(header), 4);
    put(to, IPPROTO_IP, IP_ORIGDSTADDR, &own, sizeof own);
  }
}

static void put_ipv6(struct mr_sock *sock, struct writer *to, uint32_t reports, const struct mr_datagram *header,
                     bool is_ipv4) {
  if (reports & MR_REPORT_PKTINFO6) {
    struct in6_pktinfo info = {.ipi6_ifindex = header->if_index};
    if (is_ipv4) {
      memset(&info.ipi6_addr.s6_addr[10], 0xff, 2);
      memcpy(&info.ipi6_addr.s6_addr[12], own_ipv4(header), 4);
    } else {
      memcpy(&info.ipi6_addr, header->own, 16);
    }
    put(to, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
  }
  if (reports & MR_REPORT_ORIGDST6) {
    struct sockaddr_in6 own = {.sin6_family = AF_INET6, .sin6_port = htons(sock->shared->local.port)};
    if (is_ipv4) {
      memset(&own.sin6_addr.s6_addr[10], 0xff, 2);
      memcpy(&own.sin6_addr.s6_addr[12], own_ipv4(header), 4);
    } else {
      memcpy(&own.sin6_addr, header->own, 16);
      if (IN6_IS_ADDR_LINKLOCAL(&own.sin6_addr)) own.sin6_scope_id = header->if_index;
    }
    put(to, IPPROTO_IPV6, IPV6_ORIGDSTADDR, &own, sizeof own);
  }
  if (is_ipv4) return;
  int value = header->ttl;
  if (reports & MR_REPORT_HOPLIMIT6) put(to, IPPROTO_IPV6, IPV6_HOPLIMIT, &value, sizeof value);
  value = header->tos;
  if (reports & MR_REPORT_TCLASS6) put(to, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof value);
}

int mr_ancillary_write(struct mr_sock *sock, struct msghdr *message, struct mr_received *received) {
  struct writer to = {.at = message->msg_control, .room = message->msg_controllen};
  uint32_t reports = mr_load(&sock->shared->reports);
  if (received->has_header) {
    const struct mr_datagram *header = &received->header;
    bool is_ipv4 = is_ipv4_datagram(header);
    put_time(&to, reports, header);
    if ((reports & MR_REPORT_RXQ_OVFL) && header->drops != 0) {
      put(&to, SOL_SOCKET, SO_RXQ_OVFL, &header->drops, sizeof header->drops);
    }
    if (sock->shared->family == AF_INET6) put_ipv6(sock, &to, reports, header, is_ipv4);
    if (is_ipv4) put_ipv4(sock, &to, reports, header);
  }
  if (reports & MR_REPORT_INQ) {
    const struct mr_socket *shared = sock->shared;
    int left = (int)(mr_load(&shared->rx_tail) - mr_load(&shared->rx_head) + mr_load(&shared->rx_more));
    put(&to, IPPROTO_TCP, TCP_CM_INQ, &left, sizeof left);
  }
  message->msg_controllen = to.used;
  received->flags |= to.flags;
  return to.failed;
}

/* ---- The error queue ----------------------------------------------------------------------------------- */

static int put_error(struct mr_sock *sock, struct msghdr *message, const struct mr_error *error,
                     struct mr_received *received) {
  struct writer to = {.at = message->msg_control, .room = message->msg_controllen};
  uint16_t family = sock->shared->family;
  struct {
    struct sock_extended_err error;
    uint8_t offender[sizeof(struct sockaddr_in6)];
  } datum = {.error = {.ee_errno = error->errno_, .ee_origin = error->origin, .ee_type = error->type,
                       .ee_code = error->code, .ee_info = error->info, .ee_data = error->data}};
  struct sockaddr_storage offender = {0};
  socklen_t bytes = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  if (error->offender.family != 0) mr_address_to(&offender, &error->offender, family);
  memcpy(datum.offender, &offender, bytes);
  bool is_ipv6 = family == AF_INET6;
  put(&to, is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, is_ipv6 ? IPV6_RECVERR : IP_RECVERR, &datum,
      sizeof datum.error + bytes);
  message->msg_controllen = to.used;
  received->flags |= to.flags | MSG_ERRQUEUE;
  received->from = error->destination;
  return to.failed;
}

ssize_t mr_error_recv(struct mr_sock *sock, int fd, struct msghdr *message, struct mr_cursor *to, size_t n,
                      struct mr_received *received) {
  struct mr_calling calling;
  int result = mr_call_begin(&calling, sock, fd, MR_OP_RECV_ERROR);
  if (result != 0) return result;
  result = mr_call_wait(&calling, false);
  uint32_t bytes = calling.call->data_bytes;
  if (result >= 0 && (bytes < sizeof(struct mr_error) || bytes > sizeof calling.call->data)) {
    result = -EPROTO;
  }
  if (result >= 0) {
    struct mr_error error;
    memcpy(&error, calling.call->data, sizeof error);
    size_t payload = bytes - sizeof error;
    size_t part = n < payload ? n : payload;
    if (part < payload) received->flags |= MSG_TRUNC;
    result = mr_cursor_write(to, calling.call->data + sizeof error, part);
    if (result == 0) result = put_error(sock, message, &error, received);
    if (result == 0) result = (int)part;
    /* The last entry takes the pending error with it. */
    if (!(mr_sock_status(sock) & MR_STATUS_ERRQUEUE)) mr_sock_take_error(sock);
  }
  mr_call_end(&calling);
  return result;
}
