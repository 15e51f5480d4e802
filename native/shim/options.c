/*
 * Socket options. Those that say how this end waits and what it tells are words of the header and never
 * leave the shim; the rest is the engine's. What is set holds for the companion as well.
 */
#include <limits.h>
#include <linux/in6.h>
#include <linux/net_tstamp.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include "core.h"

#define MOST_VALUE_BYTES 1024 /* of a value that is set; longer ones are group filters */

/* ---- Flags of `reports` -------------------------------------------------------------------------------- */

static const struct report {
  int level, option;
  uint32_t bit;
  bool engine_too;
} reports[] = {
    {SOL_SOCKET, SO_TIMESTAMP, MR_REPORT_TIMESTAMP, false},
    {SOL_SOCKET, SO_TIMESTAMPNS, MR_REPORT_TIMESTAMPNS, false},
    {SOL_SOCKET, SO_RXQ_OVFL, MR_REPORT_RXQ_OVFL, false},
    {SOL_SOCKET, SO_BROADCAST, MR_REPORT_MAY_BROADCAST, true},
    {IPPROTO_IP, IP_PKTINFO, MR_REPORT_PKTINFO, false},
    {IPPROTO_IP, IP_RECVTTL, MR_REPORT_TTL, false},
    {IPPROTO_IP, IP_RECVTOS, MR_REPORT_TOS, false},
    {IPPROTO_IP, IP_RECVORIGDSTADDR, MR_REPORT_ORIGDST, false},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO, MR_REPORT_PKTINFO6, false},
    {IPPROTO_IPV6, IPV6_RECVHOPLIMIT, MR_REPORT_HOPLIMIT6, false},
    {IPPROTO_IPV6, IPV6_RECVTCLASS, MR_REPORT_TCLASS6, false},
    {IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, MR_REPORT_ORIGDST6, false},
    {IPPROTO_TCP, TCP_INQ, MR_REPORT_INQ, false},
    {IPPROTO_UDP, UDP_CORK, MR_REPORT_CORKED, false},
};

static const struct report *report_of(struct mr_sock *sock, int level, int option) {
  if (level == IPPROTO_IPV6 && sock->shared->family != AF_INET6) return NULL;
  if (level == IPPROTO_UDP && sock->shared->kind != MR_KIND_UDP) return NULL;
  if (level == IPPROTO_TCP && sock->shared->kind == MR_KIND_UDP) return NULL;
  for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++) {
    if (reports[i].level == level && reports[i].option == option) return &reports[i];
  }
  return NULL;
}

static int set_report(struct mr_sock *sock, const struct report *report, int value) {
  uint32_t *word = &sock->shared->reports;
  uint32_t both = MR_REPORT_TIMESTAMP | MR_REPORT_TIMESTAMPNS;
  if ((report->bit & both) && value) __atomic_fetch_and(word, ~both, __ATOMIC_SEQ_CST);
  if (value) __atomic_fetch_or(word, report->bit, __ATOMIC_SEQ_CST);
  else __atomic_fetch_and(word, ~report->bit, __ATOMIC_SEQ_CST);
  if (report->bit == MR_REPORT_CORKED && !value) return mr_datagram_uncork(sock, -1);
  return 0;
}

/* ---- Setting --------------------------------------------------------------------------------------------- */

/* As sock_set_timeout: 0 is none, before the epoch is "do not wait". */
static int set_timeout(uint64_t *word, const uint8_t *value, size_t bytes) {
  struct timeval wanted;
  if (bytes < sizeof wanted) return -EINVAL;
  memcpy(&wanted, value, sizeof wanted);
  if (wanted.tv_usec < 0 || wanted.tv_usec >= 1000000) return -EDOM;
  uint64_t ns = 1;
  if (wanted.tv_sec > INT64_MAX / 1000000000 - 1) ns = 0;
  else if (wanted.tv_sec >= 0) ns = (uint64_t)wanted.tv_sec * 1000000000 + (uint64_t)wanted.tv_usec * 1000;
  __atomic_store_n(word, ns, __ATOMIC_SEQ_CST);
  return 0;
}

static int set_linger(struct mr_socket *shared, const uint8_t *value, size_t bytes) {
  struct linger wanted;
  if (bytes < sizeof wanted) return -EINVAL;
  memcpy(&wanted, value, sizeof wanted);
  uint32_t seconds = wanted.l_linger < 0 ? INT_MAX : (uint32_t)wanted.l_linger;
  mr_store(&shared->linger, wanted.l_onoff ? seconds + 1 : 0);
  return 0;
}

/* What hardware would say is silently missing, as with most of it; of what is sent there are no times. */
static int set_timestamping(struct mr_sock *sock, uint32_t flags) {
  uint32_t of_sending = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_ACK;
  if (flags & of_sending) return -EOPNOTSUPP;
  uint32_t wanted = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
  uint32_t *word = &sock->shared->reports;
  if ((flags & wanted) == wanted) __atomic_fetch_or(word, MR_REPORT_TIMESTAMPING, __ATOMIC_SEQ_CST);
  else __atomic_fetch_and(word, ~MR_REPORT_TIMESTAMPING, __ATOMIC_SEQ_CST);
  return 2;
}

/* 1: not one of ours. Otherwise 0 or a negated error number; 2: done, and the engine is to know. */
static int set_own(struct mr_sock *sock, int level, int option, const uint8_t *value, size_t bytes) {
  struct mr_socket *shared = sock->shared;
  const struct report *report = report_of(sock, level, option);
  int number = 0;
  if (bytes >= sizeof number) memcpy(&number, value, sizeof number);
  else if (level == IPPROTO_IP && bytes >= 1) number = value[0];
  bool is_short = bytes < sizeof number && !(level == IPPROTO_IP && bytes >= 1);
  if (report != NULL) {
    if (is_short) return -EINVAL;
    int failed = set_report(sock, report, number);
    return failed == 0 && report->engine_too ? 2 : failed;
  }
  if (level == IPPROTO_UDP && option == UDP_SEGMENT && shared->kind == MR_KIND_UDP && number >= 0) {
    mr_store(&shared->segment_bytes, (uint32_t)number);
    return 2; /* the engine splits, here it is known what is too long for that */
  }
  if (level != SOL_SOCKET || option == SO_BINDTODEVICE) return 1;
  if (bytes < sizeof number) return -EINVAL;
  switch (option) {
    case SO_TIMESTAMPING:
      return set_timestamping(sock, (uint32_t)number);
    case SO_RCVTIMEO:
      return set_timeout(&shared->rcvtimeo_ns, value, bytes);
    case SO_SNDTIMEO:
      return set_timeout(&shared->sndtimeo_ns, value, bytes);
    case SO_LINGER: {
      int failed = set_linger(shared, value, bytes);
      return failed == 0 ? 2 : failed; /* a hang-up without it would not reset */
    }
    case SO_RCVLOWAT:
      if (number < 0) number = INT_MAX;
      mr_store(&shared->rcvlowat, number == 0 ? 1 : (uint32_t)number);
      return 0;
    case SO_SNDLOWAT:
    case SO_TYPE:
    case SO_DOMAIN:
    case SO_PROTOCOL:
    case SO_ERROR:
    case SO_ACCEPTCONN:
      return -ENOPROTOOPT;
    case SO_PEEK_OFF:
      __atomic_store_n(&shared->peek_off, number, __ATOMIC_SEQ_CST);
      return 0;
    case SO_OOBINLINE:
      mr_store(&shared->oob_inline, number != 0);
      return 2;
    default:
      return 1;
  }
}

/* The engine, or the kernel before it, has taken it. */
static void note_v6only(struct mr_sock *sock, int level, int option, const uint8_t *value, size_t bytes) {
  int number;
  if (level != IPPROTO_IPV6 || option != IPV6_V6ONLY || bytes < sizeof number) return;
  memcpy(&number, value, sizeof number);
  uint32_t *word = &sock->shared->reports;
  if (number != 0) __atomic_fetch_or(word, MR_REPORT_V6ONLY, __ATOMIC_SEQ_CST);
  else __atomic_fetch_and(word, ~MR_REPORT_V6ONLY, __ATOMIC_SEQ_CST);
}

/* Those that cannot fail are posted: what follows in the ring comes after them. */
static bool is_sure(struct mr_sock *sock, int level, int option, size_t bytes) {
  if (sock->shared->kind != MR_KIND_TCP || bytes != sizeof(int)) return false;
  if (level == IPPROTO_TCP) return option == TCP_NODELAY || option == TCP_QUICKACK;
  return level == SOL_SOCKET && option == SO_KEEPALIVE;
}

static int set_engines(struct mr_sock *sock, int fd, int level, int option, const uint8_t *value,
                       size_t bytes, const struct mr_canonical *as) {
  size_t kept = as->is_live ? 0 : as->bytes;
  if (bytes + kept > sizeof((struct mr_call *)0)->data) return -EINVAL;
  struct mr_calling calling;
  int result = mr_call_begin(&calling, sock, fd, MR_OP_SETSOCKOPT);
  if (result != 0) return result;
  calling.call->args[0] = (uint32_t)level;
  calling.call->args[1] = (uint32_t)option;
  calling.call->args[2] = (uint32_t)kept;
  calling.call->args[3] = as->is_taken;
  calling.call->data_bytes = (uint32_t)(bytes + kept);
  memcpy(calling.call->data, value, bytes);
  memcpy(calling.call->data + bytes, as->value, kept);
  if (is_sure(sock, level, option, bytes)) {
    mr_call_post(&calling);
    return 0;
  }
  result = mr_call_wait(&calling, false);
  mr_call_end(&calling);
  return result < 0 ? result : 0;
}

static bool is_membership(int level, int option) {
  if (level == IPPROTO_IP) {
    return (option >= IP_ADD_MEMBERSHIP && option <= IP_DROP_SOURCE_MEMBERSHIP) ||
           (option >= MCAST_JOIN_GROUP && option <= MCAST_LEAVE_SOURCE_GROUP);
  }
  return level == IPPROTO_IPV6 && (option == IPV6_JOIN_GROUP || option == IPV6_LEAVE_GROUP ||
                                   (option >= MCAST_JOIN_GROUP && option <= MCAST_LEAVE_SOURCE_GROUP));
}

bool mr_option_joins(int level, int option, const void *value, size_t bytes, struct mr_address *group) {
  *group = (struct mr_address){.family = level == IPPROTO_IPV6 ? AF_INET6 : AF_INET};
  if (!is_membership(level, option)) return false;
  if (option == MCAST_JOIN_GROUP || option == MCAST_JOIN_SOURCE_GROUP) {
    struct group_req request; /* group_source_req begins alike */
    if (bytes < sizeof request) return false;
    memcpy(&request, value, sizeof request);
    return mr_address_from(group, (struct sockaddr *)&request.gr_group, sizeof request.gr_group,
                           group->family) == 0;
  }
  size_t address_bytes = group->family == AF_INET6 ? 16 : 4;
  if (bytes < address_bytes + 4) return false; /* an address or an index follows */
  memcpy(group->address, value, address_bytes);
  if (group->family == AF_INET6) return option == IPV6_JOIN_GROUP;
  return option == IP_ADD_MEMBERSHIP || option == IP_ADD_SOURCE_MEMBERSHIP;
}

/* A group may be on an interface of Millrace, of the kernel, or of both. */
static int set_with_companion(struct mr_sock *sock, int level, int option, const uint8_t *value,
                              size_t bytes, int result) {
  if (sock->companion < 0) return result;
  int saved = errno;
  int of_kernel = real.setsockopt(sock->companion, level, option, value, (socklen_t)bytes);
  bool decides = is_membership(level, option) || mr_sock_is_kernels(sock);
  errno = saved;
  return decides && of_kernel == 0 ? 0 : result;
}

int mr_as_buffer_option(int level, int option) {
  if (level != SOL_SOCKET) return option;
  if (option == SO_SNDBUFFORCE) return SO_SNDBUF;
  return option == SO_RCVBUFFORCE ? SO_RCVBUF : option;
}

/* Switches that clients set on each connection: what the kernel says is known, as 0 or 1 it is. */
static bool is_known_switch(struct mr_sock *sock, int level, int option, const void *user, socklen_t bytes,
                            struct mr_canonical *as) {
  int number;
  if (!is_sure(sock, level, option, bytes) || option == TCP_QUICKACK) return false;
  if (mr_copy_from(&number, user, sizeof number) != 0 || (number & ~1) != 0) return false;
  *as = (struct mr_canonical){.bytes = sizeof number, .is_taken = true};
  memcpy(as->value, &number, sizeof number);
  return true;
}

int mr_sock_setsockopt(struct mr_sock *sock, int fd, int level, int option, const void *user,
                       socklen_t bytes) {
  _Alignas(8) uint8_t value[MOST_VALUE_BYTES];
  struct mr_canonical as;
  int result = 0;
  /* Measured: asking the kernel costs four system calls, as many as the rest of a short connection. */
  if (!is_known_switch(sock, level, option, user, bytes, &as)) {
    result = mr_kernel_tries(sock, level, option, user, bytes, &as);
  }
  if (result != 0) return (int)mr_return(result);
  if ((int)bytes < 0 || bytes > sizeof value) return (int)mr_return(-EINVAL);
  bool is_short = bytes < sizeof(int) || user == NULL;
  if (is_short && as.bytes == sizeof(int)) {
    /* A byte, or nothing: it means the number that the kernel reads back. */
    memcpy(value, as.value, as.bytes);
    bytes = as.bytes;
  } else if (bytes > 0 && mr_copy_from(value, user, bytes) != 0) {
    return (int)mr_return(-EFAULT);
  }
  option = mr_as_buffer_option(level, option);
  if (level == SOL_SOCKET && option == SO_RCVLOWAT && as.bytes == bytes) memcpy(value, as.value, bytes);
  result = set_own(sock, level, option, value, bytes);
  bool is_done = result == 0 || result == 2;
  if (result >= 1) result = set_engines(sock, fd, level, option, value, bytes, &as);
  if (is_done) result = 0;
  if (result == 0) note_v6only(sock, level, option, value, bytes);
  result = set_with_companion(sock, level, option, value, bytes, result);
  return (int)mr_return(result);
}

void mr_options_replay(struct mr_sock *sock, const uint8_t *records, uint32_t bytes) {
  for (uint32_t at = 0; at + sizeof(struct mr_option) <= bytes;) {
    struct mr_option record;
    memcpy(&record, records + at, sizeof record);
    at += sizeof record;
    if (!(record.level & MR_OPTION_READS_BACK)) {
      set_own(sock, (int)record.level, (int)record.option, records + at, record.bytes);
      note_v6only(sock, (int)record.level, (int)record.option, records + at, record.bytes);
    }
    at += (record.bytes + 3) & ~3u;
  }
}

void mr_options_inherit(struct mr_sock *child, const struct mr_sock *listener) {
  struct mr_socket *to = child->shared;
  const struct mr_socket *from = listener->shared;
  to->rcvtimeo_ns = from->rcvtimeo_ns;
  to->sndtimeo_ns = from->sndtimeo_ns;
  mr_store(&to->rcvlowat, from->rcvlowat);
  mr_store(&to->reports, from->reports);
  mr_store(&to->linger, from->linger);
  mr_store(&to->oob_inline, from->oob_inline);
  __atomic_store_n(&to->peek_off, from->peek_off, __ATOMIC_SEQ_CST);
}

/* ---- Getting --------------------------------------------------------------------------------------------- */

struct value {
  _Alignas(8) uint8_t bytes[MOST_VALUE_BYTES];
  size_t n;
};

static int give_int(struct value *to, int number) {
  memcpy(to->bytes, &number, sizeof number);
  to->n = sizeof number;
  return 0;
}

static int give_timeout(struct value *to, uint64_t ns) {
  struct timeval set = {.tv_sec = (time_t)(ns / 1000000000), .tv_usec = (suseconds_t)(ns % 1000000000 / 1000)};
  memcpy(to->bytes, &set, sizeof set);
  to->n = sizeof set;
  return 0;
}

static int give_linger(struct value *to, uint32_t word) {
  struct linger set = {.l_onoff = word != 0, .l_linger = word != 0 ? (int)(word - 1) : 0};
  memcpy(to->bytes, &set, sizeof set);
  to->n = sizeof set;
  return 0;
}

static int take_any_error(struct mr_sock *sock) {
  int error = mr_sock_take_error(sock);
  if (error != 0 || sock->companion < 0) return error;
  socklen_t bytes = sizeof error;
  return real.getsockopt(sock->companion, SOL_SOCKET, SO_ERROR, &error, &bytes) == 0 ? error : 0;
}

/* As the kernel: options of other protocols are not supported at all, to be read. */
static bool is_of_protocol(struct mr_sock *sock, int level) {
  if (level == SOL_SOCKET || level == IPPROTO_IP) return true;
  if (level == IPPROTO_IPV6) return sock->shared->family == AF_INET6;
  return level == (mr_sock_is_stream(sock) ? IPPROTO_TCP : IPPROTO_UDP);
}

/* The whole of it, or not at all: so many bytes may be asked for at most. */
static int give_peer(struct mr_sock *sock, size_t room, struct value *to) {
  struct sockaddr_storage peer;
  if (!(mr_sock_status(sock) & MR_STATUS_CONNECTED)) return -ENOTCONN;
  socklen_t bytes = mr_address_to(&peer, &sock->shared->remote, sock->shared->family);
  if (bytes < room) return -EINVAL;
  memcpy(to->bytes, &peer, bytes);
  to->n = bytes;
  return 0;
}

/* 1: not one of ours. */
static int get_own(struct mr_sock *sock, int level, int option, size_t room, struct value *to) {
  struct mr_socket *shared = sock->shared;
  const struct report *report = report_of(sock, level, option);
  if (report != NULL) return give_int(to, (mr_load(&shared->reports) & report->bit) != 0);
  if (level != SOL_SOCKET) return 1;
  switch (option) {
    case SO_RCVTIMEO:
      return give_timeout(to, shared->rcvtimeo_ns);
    case SO_SNDTIMEO:
      return give_timeout(to, shared->sndtimeo_ns);
    case SO_LINGER:
      return give_linger(to, mr_load(&shared->linger));
    case SO_RCVLOWAT:
      return give_int(to, shared->rcvlowat > 0 ? (int)shared->rcvlowat : 1);
    case SO_SNDLOWAT:
      return give_int(to, 1);
    case SO_PEEK_OFF:
      return give_int(to, shared->peek_off);
    case SO_OOBINLINE:
      return give_int(to, (int)mr_load(&shared->oob_inline));
    case SO_ERROR:
      return give_int(to, take_any_error(sock));
    case SO_PEERNAME:
      return give_peer(sock, room, to);
    case SO_TYPE:
      return give_int(to, (int)mr_sock_type(sock));
    case SO_DOMAIN:
      return give_int(to, shared->family);
    case SO_PROTOCOL:
      return give_int(to, mr_sock_is_stream(sock) ? IPPROTO_TCP : IPPROTO_UDP);
    case SO_ACCEPTCONN:
      return give_int(to, shared->kind == MR_KIND_LISTENER);
    default:
      return 1;
  }
}

static int get_engines(struct mr_sock *sock, int level, int option, size_t room, const void *given,
                       struct value *to) {
  struct mr_calling calling;
  int result = mr_call_begin(&calling, sock, -1, MR_OP_GETSOCKOPT);
  if (result != 0) return result;
  calling.call->args[0] = (uint32_t)level;
  calling.call->args[1] = (uint32_t)option;
  calling.call->args[2] = (uint32_t)room;
  /* Some are asked with a value: which group, which part. */
  size_t part = room < 256 ? room : 256;
  if (part > 0 && mr_copy_from(calling.call->data, given, part) == 0) calling.call->data_bytes = (uint32_t)part;
  result = mr_call_wait(&calling, false);
  uint32_t bytes = calling.call->data_bytes;
  if (result >= 0 && bytes > sizeof to->bytes) result = -EPROTO;
  if (result >= 0) {
    memcpy(to->bytes, calling.call->data, bytes);
    to->n = bytes;
    result = 0;
  }
  mr_call_end(&calling);
  return result;
}

int mr_sock_getsockopt(struct mr_sock *sock, int level, int option, void *user, socklen_t *user_bytes) {
  struct value value = {.n = 0};
  socklen_t room;
  if (mr_copy_from(&room, user_bytes, sizeof room) != 0) return (int)mr_return(-EFAULT);
  if ((int)room < 0) return (int)mr_return(-EINVAL);
  int result = -ENOPROTOOPT; /* the kernel says how it refuses other levels */
  if (is_of_protocol(sock, level)) result = get_own(sock, level, option, room, &value);
  if (result == 1) {
    if (mr_sock_is_kernels(sock)) return real.getsockopt(sock->companion, level, option, user, user_bytes);
    size_t most = room < sizeof value.bytes ? room : sizeof value.bytes;
    result = get_engines(sock, level, option, most, user, &value);
  }
  /* One that was never set, and is nothing to the engine. */
  if (result == -ENOPROTOOPT) return (int)mr_return(mr_kernel_default(sock, level, option, user, user_bytes));
  if (result != 0) return (int)mr_return(result);
  socklen_t part = room < value.n ? room : (socklen_t)value.n;
  /* IP options of a byte's worth may be asked for as a byte. */
  int number = -1;
  if (value.n == sizeof number) memcpy(&number, value.bytes, sizeof number);
  bool as_byte = level == IPPROTO_IP && number >= 0 && number <= 255 && room > 0 && room < sizeof number;
  if (as_byte) part = 1;
  if (part > 0 && mr_copy_to(user, value.bytes, part) != 0) return (int)mr_return(-EFAULT);
  return (int)mr_return(mr_copy_to(user_bytes, &part, sizeof part));
}
