/* UDP: datagrams between the program and the socket's rings, as udp_sendmsg and udp_recvmsg of Linux. */
#include <sys/mman.h>

#include "core.h"

#define HEADER_BYTES 64u
#define MOST_IPV4 65507
#define MOST_IPV6 65527

static uint32_t padded(uint32_t bytes) { return (bytes + 63u) & ~63u; }

static bool must_not_wait(struct mr_sock *sock, int flags) {
  return (flags & MSG_DONTWAIT) != 0 || mr_load(&sock->shared->nonblock) != 0;
}

/* ---- Sending ---------------------------------------------------------------------------------------- */

/* A datagram that MSG_MORE or UDP_CORK keeps back: the first send's destination, everybody's bytes. */
struct mr_corked {
  struct mr_mutex mutex;
  uint32_t bytes;
  bool is_open;
  struct mr_address to;
  struct mr_ancillary ancillary;
  uint8_t payload[65536];
};

/* 0 it is in the ring, -EAGAIN no room, or another negated error number. */
static int put(struct mr_sock *sock, const struct mr_datagram *header, struct mr_cursor *from) {
  struct mr_socket *shared = sock->shared;
  uint32_t whole = HEADER_BYTES + padded(header->payload_bytes);
  mr_lock(&shared->tx_lock);
  uint32_t tail = shared->tx_tail;
  uint32_t used = mr_sock_sending(sock, tail, whole);
  int result = -EPROTO;
  if (MR_LIKELY(used <= sock->tx_bytes && tail % HEADER_BYTES == 0)) {
    result = -EAGAIN;
    if (MR_LIKELY(whole <= sock->tx_bytes - used)) {
      memcpy(sock->tx + (tail & (sock->tx_bytes - 1)), header, sizeof *header);
      result = mr_ring_put(sock->tx, sock->tx_bytes, tail + HEADER_BYTES, from, header->payload_bytes);
      if (MR_LIKELY(result == 0)) mr_store_release(&shared->tx_tail, tail + whole);
    }
  }
  mr_unlock(&shared->tx_lock);
  return result;
}

static bool has_room_for(struct mr_sock *sock, uint32_t payload_bytes) {
  uint32_t used = mr_load(&sock->shared->tx_tail) - mr_load(&sock->shared->tx_head);
  return used <= sock->tx_bytes && HEADER_BYTES + padded(payload_bytes) <= sock->tx_bytes - used;
}

/* Errors that the kernel reports before it looks at room. */
static int refusal(struct mr_sock *sock, size_t n, const struct mr_address *to) {
  struct mr_socket *shared = sock->shared;
  uint32_t status = mr_sock_status(sock);
  uint16_t family = to != NULL ? to->family : shared->family;
  if (to == NULL && !(status & MR_STATUS_CONNECTED)) return -EDESTADDRREQ;
  if (to != NULL && to->port == 0) return -EINVAL;
  bool is_other = to != NULL && family == AF_INET && shared->family == AF_INET6;
  if (MR_UNLIKELY(is_other) && (mr_load(&shared->reports) & MR_REPORT_V6ONLY)) return -ENETUNREACH;
  if (n > (family == AF_INET ? MOST_IPV4 : MOST_IPV6)) return -EMSGSIZE;
  if (HEADER_BYTES + padded((uint32_t)n) > sock->tx_bytes) return -EMSGSIZE;
  uint32_t segment = mr_load(&shared->segment_bytes);
  if (MR_UNLIKELY(segment != 0) && n > (size_t)segment * MR_MOST_SEGMENTS) return -EINVAL;
  if (to != NULL && family == AF_INET && memcmp(to->address, "\xff\xff\xff\xff", 4) == 0 &&
      !(mr_load(&shared->reports) & MR_REPORT_MAY_BROADCAST)) {
    return -EACCES;
  }
  if (MR_UNLIKELY(__atomic_load_n(&shared->error, __ATOMIC_RELAXED) != 0 || (status & MR_STATUS_GONE))) {
    int error = mr_sock_take_error(sock);
    if (error != 0) return -error;
  }
  if ((mr_load(&shared->shut) & 2) || (status & MR_STATUS_NO_SEND)) return -EPIPE;
  return 0;
}

static ssize_t send_one(struct mr_sock *sock, struct mr_cursor *from, size_t n, int flags,
                        const struct mr_address *to, const struct mr_ancillary *ancillary) {
  struct mr_socket *shared = sock->shared;
  struct mr_datagram header = {.payload_bytes = (uint32_t)n};
  if (to != NULL) header.peer = *to;
  if (ancillary != NULL) {
    header.flags = ancillary->flags;
    header.ttl = ancillary->ttl;
    header.tos = ancillary->tos;
    header.if_index = ancillary->if_index;
    memcpy(header.own, ancillary->own, sizeof header.own);
  }
  struct mr_wait wait;
  bool waits = false;
  for (;;) {
    uint32_t seen = mr_sock_seen(sock);
    int failed = refusal(sock, n, to);
    if (MR_UNLIKELY(failed != 0)) return failed;
    failed = put(sock, &header, from);
    if (MR_LIKELY(failed == 0)) {
      mr_sock_submit(sock);
      return (ssize_t)n;
    }
    if (failed != -EAGAIN) return failed;
    mr_store(&shared->no_space, 1);
    if (has_room_for(sock, header.payload_bytes)) continue;
    if (must_not_wait(sock, flags)) {
      mr_sock_missed(sock);
      return -EAGAIN;
    }
    if (!waits) mr_wait_begin(&wait, mr_timeout(shared->sndtimeo_ns));
    waits = true;
    failed = mr_wait_change(&wait, sock, seen, -1);
    if (failed != 0) return failed == -ETIMEDOUT ? -EAGAIN : failed;
  }
}

/* ---- MSG_MORE, UDP_CORK -------------------------------------------------------------------------------- */

static struct mr_corked *corked_of(struct mr_sock *sock) {
  struct mr_corked *corked = __atomic_load_n(&sock->corked, __ATOMIC_ACQUIRE);
  if (corked != NULL) return corked;
  void *made = mmap(NULL, sizeof *corked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (made == MAP_FAILED) return NULL;
  if (__atomic_compare_exchange_n(&sock->corked, &corked, made, false, __ATOMIC_SEQ_CST,
                                  __ATOMIC_SEQ_CST)) {
    return made;
  }
  munmap(made, sizeof *corked);
  return corked;
}

void mr_corked_free(struct mr_sock *sock) {
  if (sock->corked != NULL) munmap(sock->corked, sizeof *sock->corked);
  sock->corked = NULL;
}

static ssize_t send_kept(struct mr_sock *sock, struct mr_corked *corked, int flags) {
  struct mr_cursor all = mr_cursor_of(corked->payload, corked->bytes);
  const struct mr_address *to = corked->to.family != 0 ? &corked->to : NULL;
  corked->is_open = false;
  return send_one(sock, &all, corked->bytes, flags, to, &corked->ancillary);
}

static ssize_t send_corked(struct mr_sock *sock, struct mr_cursor *from, size_t n, int flags,
                           const struct mr_address *to, const struct mr_ancillary *ancillary) {
  struct mr_corked *corked = corked_of(sock);
  if (corked == NULL) return -ENOBUFS;
  bool keeps = (flags & MSG_MORE) || (mr_load(&sock->shared->reports) & MR_REPORT_CORKED);
  mr_mutex_lock(&corked->mutex);
  ssize_t result = 0;
  if (!corked->is_open) {
    result = refusal(sock, n, to);
    corked->to = to != NULL ? *to : (struct mr_address){0};
    corked->ancillary = ancillary != NULL ? *ancillary : (struct mr_ancillary){0};
    corked->bytes = 0;
  }
  if (result == 0 && corked->bytes + n > MOST_IPV4) result = -EMSGSIZE;
  if (result == 0) result = mr_cursor_read(from, corked->payload + corked->bytes, n);
  if (result == 0) {
    corked->bytes += (uint32_t)n;
    corked->is_open = true;
    if (!keeps) result = send_kept(sock, corked, flags);
  }
  mr_mutex_unlock(&corked->mutex);
  return result < 0 ? result : (ssize_t)n;
}

/* UDP_CORK was switched off. */
int mr_datagram_uncork(struct mr_sock *sock, int fd) {
  struct mr_corked *corked = __atomic_load_n(&sock->corked, __ATOMIC_ACQUIRE);
  if (corked == NULL) return 0;
  int unjoined = mr_sock_join(sock, fd);
  if (unjoined != 0) return unjoined;
  mr_mutex_lock(&corked->mutex);
  ssize_t result = corked->is_open ? send_kept(sock, corked, 0) : 0;
  mr_mutex_unlock(&corked->mutex);
  return result < 0 ? (int)result : 0;
}

ssize_t mr_datagram_send(struct mr_sock *sock, int fd, struct mr_cursor *from, size_t n, int flags,
                         const struct mr_address *to, const struct mr_ancillary *ancillary) {
  int unjoined = mr_sock_join(sock, fd);
  if (MR_UNLIKELY(unjoined != 0)) return unjoined;
  /* Linux refuses it over IPv4 and does not look over IPv6. */
  if (MR_UNLIKELY((flags & MSG_OOB) && sock->shared->family == AF_INET)) return -EOPNOTSUPP;
  bool is_corked = (flags & MSG_MORE) || (sock->corked != NULL && sock->corked->is_open) ||
                   (mr_load(&sock->shared->reports) & MR_REPORT_CORKED);
  if (MR_UNLIKELY(is_corked)) return send_corked(sock, from, n, flags, to, ancillary);
  return send_one(sock, from, n, flags, to, ancillary);
}

/* ---- Receiving -------------------------------------------------------------------------------------- */

/* The datagram at `at`, of which `available` bytes are there; false: the ring makes no sense. */
static bool read_header(struct mr_sock *sock, uint32_t at, uint32_t available, struct mr_datagram *header) {
  if (at % HEADER_BYTES != 0 || available < HEADER_BYTES) return false;
  memcpy(header, sock->rx + (at & (sock->rx_bytes - 1)), sizeof *header);
  return header->payload_bytes <= available - HEADER_BYTES;
}

/* Where MSG_PEEK looks with SO_PEEK_OFF: past whole datagrams, then so many bytes into one. */
static bool skip_to(struct mr_sock *sock, uint32_t *at, uint32_t *available, uint32_t *offset,
                    struct mr_datagram *header) {
  while (*offset > 0 && *offset >= header->payload_bytes) {
    uint32_t whole = HEADER_BYTES + padded(header->payload_bytes);
    *offset -= header->payload_bytes;
    if (whole >= *available) return false;
    *at += whole;
    *available -= whole;
    if (!read_header(sock, *at, *available, header)) return false;
  }
  return true;
}

static void move_peek_offset(struct mr_sock *sock, int flags, uint32_t n, uint32_t payload) {
  int32_t *offset = &sock->shared->peek_off;
  int32_t at = __atomic_load_n(offset, __ATOMIC_RELAXED);
  if (MR_LIKELY(at < 0)) return;
  if (flags & MSG_PEEK) at += (int32_t)n;
  else at = at > (int32_t)payload ? at - (int32_t)payload : 0;
  __atomic_store_n(offset, at, __ATOMIC_RELAXED);
}

/* One datagram, if there is one: its bytes as recvmsg returns them, -EAGAIN, or another error. */
ssize_t mr_datagram_take(struct mr_sock *sock, struct mr_cursor *to, size_t n, int flags,
                         struct mr_received *received) {
  struct mr_socket *shared = sock->shared;
  if (mr_load(&shared->rx_tail) == mr_load(&shared->rx_head)) return -EAGAIN;
  ssize_t result = -EAGAIN;
  uint32_t left = 0;
  bool was_taken = false;
  mr_lock(&shared->rx_lock);
  uint32_t head = shared->rx_head, at = head;
  uint32_t used = mr_load(&shared->rx_tail) - head, available = used;
  struct mr_datagram *header = &received->header;
  if (used == 0) goto out;
  result = -EPROTO;
  if (used > sock->rx_bytes || !read_header(sock, at, available, header)) goto out;
  uint32_t offset = 0;
  if (MR_UNLIKELY((flags & MSG_PEEK) && shared->peek_off > 0)) {
    offset = (uint32_t)shared->peek_off;
    result = -EAGAIN;
    if (!skip_to(sock, &at, &available, &offset, header)) goto out;
  }
  uint32_t rest = header->payload_bytes - offset;
  uint32_t part = n < rest ? (uint32_t)n : rest;
  int failed = mr_ring_get(sock->rx, sock->rx_bytes, at + HEADER_BYTES + offset, to, part);
  received->has_header = true;
  received->from = header->peer;
  received->flags = part < rest ? MSG_TRUNC : 0;
  result = flags & MSG_TRUNC ? (ssize_t)rest : (ssize_t)part;
  if (!(flags & MSG_PEEK)) {
    /* A datagram whose copy failed is gone, as it is in the kernel. */
    uint32_t whole = HEADER_BYTES + padded(header->payload_bytes);
    mr_store_release(&shared->rx_head, head + whole);
    left = used - (whole < used ? whole : used);
    was_taken = true;
  }
  if (failed != 0) result = failed;
  else move_peek_offset(sock, flags, part, header->payload_bytes);
out:
  mr_unlock(&shared->rx_lock);
  if (was_taken) mr_sock_made_room(sock, left);
  return result;
}

int mr_datagram_next_bytes(struct mr_sock *sock) {
  struct mr_socket *shared = sock->shared;
  struct mr_datagram header;
  int bytes = -1;
  mr_lock(&shared->rx_lock);
  uint32_t head = shared->rx_head;
  uint32_t used = mr_load(&shared->rx_tail) - head;
  if (used > 0 && used <= sock->rx_bytes && read_header(sock, head, used, &header)) {
    bytes = (int)header.payload_bytes;
  }
  mr_unlock(&shared->rx_lock);
  return bytes;
}
