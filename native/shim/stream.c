/* TCP: bytes between the program and the socket's rings, as tcp_sendmsg and tcp_recvmsg of Linux. */
#include <poll.h>

#include "core.h"

int64_t mr_timeout(uint64_t set_ns) {
  return set_ns == 0 || set_ns > INT64_MAX ? -1 : (int64_t)set_ns;
}

static bool must_not_wait(struct mr_sock *sock, int flags) {
  return (flags & MSG_DONTWAIT) != 0 || mr_load(&sock->shared->nonblock) != 0;
}

/* As a call that waited says it: SO_RCVTIMEO's end is EAGAIN. */
static ssize_t ended(ssize_t done, int why) {
  if (done > 0) return done;
  return why == -ETIMEDOUT ? -EAGAIN : why;
}

/* ---- Sending ---------------------------------------------------------------------------------------- */

/*
 * So much of a long write is published at a time: the engine moves it on while the rest is copied.
 * Measured: iperf3, 128 KiB a write, both programs on one processor, 28.1 to 29.1 Gbit/s with it, 16.6 to 21.2 without,
 * 21.8 to 25.6 with half of it, and no more with rings of 128 or 256 KiB (runs of 4 s, 2026-11).
 */
#define PIECE_BYTES 32768

/* Copies to the ring piece by piece, and submits all but the last. Bytes, or -EFAULT. */
static ssize_t put_pieces(struct mr_sock *sock, struct mr_cursor *from, uint32_t tail, size_t n) {
  size_t done = 0;
  while (done < n) {
    size_t piece = n - done < PIECE_BYTES ? n - done : PIECE_BYTES;
    int failed = mr_ring_put(sock->tx, sock->tx_bytes, tail + (uint32_t)done, from, piece);
    if (failed != 0) return done > 0 ? (ssize_t)done : failed;
    done += piece;
    mr_store_release(&sock->shared->tx_tail, tail + (uint32_t)done);
    if (done < n) mr_sock_submit_piece(sock);
  }
  return (ssize_t)done;
}

/* Copies what there is room for and publishes it. Bytes, 0: no room, or -EFAULT, -EPROTO. */
static ssize_t put(struct mr_sock *sock, struct mr_cursor *from, size_t n, int flags) {
  struct mr_socket *shared = sock->shared;
  mr_lock(&shared->tx_lock);
  uint32_t tail = shared->tx_tail;
  uint32_t used = mr_sock_sending(sock, tail, n);
  ssize_t result = -EPROTO;
  if (MR_LIKELY(used <= sock->tx_bytes)) {
    size_t room = sock->tx_bytes - used;
    /* Before the bytes: who looks in between sends them at once, and never holds them back for good. */
    uint32_t more = (flags & MSG_MORE) != 0;
    if (MR_UNLIKELY(shared->more != more)) __atomic_store_n(&shared->more, more, __ATOMIC_RELEASE);
    result = put_pieces(sock, from, tail, n < room ? n : room);
  }
  mr_unlock(&shared->tx_lock);
  return result;
}

static bool has_room(struct mr_sock *sock) {
  uint32_t used = mr_load(&sock->shared->tx_tail) - mr_load(&sock->shared->tx_head);
  return used < sock->tx_bytes;
}

/* Whether the state lets it send: 1 yes, 0 it is connecting, or a negated error number. The pending error
 * is left for the next call when this one has `done` something. */
static int may_send(struct mr_sock *sock, ssize_t done) {
  struct mr_socket *shared = sock->shared;
  uint32_t status = mr_sock_status(sock);
  bool is_open = (status & (MR_STATUS_CONNECTED | MR_STATUS_NO_SEND)) == MR_STATUS_CONNECTED;
  if (MR_LIKELY(is_open && shared->kind == MR_KIND_TCP && !(mr_load(&shared->shut) & 2) &&
                __atomic_load_n(&shared->error, __ATOMIC_RELAXED) == 0)) {
    return 1;
  }
  if (shared->kind != MR_KIND_TCP) return -EPIPE;
  int error = done == 0 ? mr_sock_take_error(sock) : 0;
  if (error != 0) return -error;
  if ((status & MR_STATUS_CONNECTING) && !(mr_load(&shared->shut) & 2)) return 0;
  return is_open && !(mr_load(&shared->shut) & 2) ? 1 : -EPIPE;
}

static ssize_t send_urgent(struct mr_sock *sock, int fd, struct mr_cursor *from, size_t n) {
  struct mr_calling calling;
  if (n == 0) return 0;
  int result = mr_call_begin(&calling, sock, fd, MR_OP_SEND_OOB);
  if (result != 0) return result;
  size_t part = n < sizeof calling.call->data ? n : sizeof calling.call->data;
  result = mr_cursor_read(from, calling.call->data, part);
  if (result == 0) {
    calling.call->data_bytes = (uint32_t)part;
    result = mr_call_wait(&calling, false);
  }
  mr_call_end(&calling);
  return result < 0 ? result : (ssize_t)part;
}

/* All but the last byte go as usual: only that one is urgent. */
static ssize_t send_with_urgent(struct mr_sock *sock, int fd, struct mr_cursor *from, size_t n, int flags) {
  ssize_t before = 0;
  if (n > 1) before = mr_stream_send(sock, fd, from, n - 1, flags & ~MSG_OOB);
  if (before < 0 || (size_t)before < n - (n > 0)) return before;
  int allowed = may_send(sock, before);
  if (allowed <= 0) return ended(before, allowed == 0 ? -EAGAIN : allowed);
  ssize_t last = send_urgent(sock, fd, from, n - (size_t)before);
  return last < 0 ? ended(before, (int)last) : before + last;
}

ssize_t mr_stream_send(struct mr_sock *sock, int fd, struct mr_cursor *from, size_t n, int flags) {
  struct mr_socket *shared = sock->shared;
  if (MR_UNLIKELY(flags & MSG_OOB)) return send_with_urgent(sock, fd, from, n, flags);
  int unjoined = mr_sock_join(sock, fd);
  if (MR_UNLIKELY(unjoined != 0)) return unjoined;
  struct mr_wait wait;
  bool waits = false;
  ssize_t done = 0;
  for (;;) {
    uint32_t seen = mr_sock_seen(sock);
    int allowed = may_send(sock, done);
    if (MR_UNLIKELY(allowed < 0)) return ended(done, allowed);
    if (MR_LIKELY(allowed > 0)) {
      ssize_t part = put(sock, from, n - (size_t)done, flags);
      if (part < 0) return ended(done, (int)part);
      if (part > 0) mr_sock_submit(sock);
      done += part;
      if (MR_LIKELY((size_t)done == n)) return done;
      mr_store(&shared->no_space, 1);
      if (has_room(sock)) continue;
    }
    if (must_not_wait(sock, flags)) {
      mr_sock_missed(sock);
      return ended(done, -EAGAIN);
    }
    if (!waits) mr_wait_begin(&wait, mr_timeout(shared->sndtimeo_ns));
    waits = true;
    int failed = mr_wait_change(&wait, sock, seen, -1);
    if (failed != 0) return ended(done, failed);
  }
}

/* ---- Receiving -------------------------------------------------------------------------------------- */

/* What one look at the ring found. */
struct look {
  uint32_t status;   /* from before the look */
  bool at_mark;      /* the urgent mark ended it */
  bool is_full;      /* nothing more can come before something is read */
  bool had_some;
  uint32_t left;     /* bytes that are still in the ring */
};

/* Where reading has to stop: the urgent mark, when it is not at the very start. */
static uint32_t up_to_mark(struct mr_sock *sock, uint32_t status, uint32_t head, uint32_t available,
                           bool *at_mark) {
  if (MR_LIKELY(!(status & MR_STATUS_MARK))) return available;
  uint32_t distance = mr_load(&sock->shared->urgent_at) - head;
  if (distance > available || distance == 0) return available;
  *at_mark = true;
  return distance;
}

/* Takes up to n bytes, `skip` bytes from the front with MSG_PEEK. Bytes, -EFAULT or -EPROTO. */
static ssize_t take(struct mr_sock *sock, struct mr_cursor *to, size_t n, uint32_t skip, int flags,
                    bool may_take_at_mark, struct look *look) {
  struct mr_socket *shared = sock->shared;
  mr_lock(&shared->rx_lock);
  look->status = mr_sock_status(sock); /* before the tail: EOF means that the tail is the last */
  look->at_mark = false;
  uint32_t head = shared->rx_head;
  uint32_t used = mr_load(&shared->rx_tail) - head;
  ssize_t result = -EPROTO;
  if (MR_LIKELY(used <= sock->rx_bytes)) {
    uint32_t at = head + (skip < used ? skip : used);
    uint32_t available = used - (at - head);
    look->is_full = used == sock->rx_bytes;
    look->had_some = available > 0;
    if (!may_take_at_mark && (look->status & MR_STATUS_MARK) &&
        mr_load(&shared->urgent_at) == at && available > 0) {
      look->at_mark = true;
      available = 0;
    }
    available = up_to_mark(sock, look->status, at, available, &look->at_mark);
    uint32_t part = n < available ? (uint32_t)n : available;
    look->at_mark = look->at_mark && part == available;
    bool copies = (flags & MSG_TRUNC) == 0;
    int failed = copies && part > 0 ? mr_ring_get(sock->rx, sock->rx_bytes, at, to, part) : 0;
    result = failed != 0 ? failed : (ssize_t)part;
    if (result > 0 && !(flags & MSG_PEEK)) {
      mr_store_release(&shared->rx_head, head + part);
      look->left = used - part;
    }
  }
  mr_unlock(&shared->rx_lock);
  if (result > 0 && !(flags & MSG_PEEK)) mr_sock_made_room(sock, look->left);
  return result;
}

/* Nothing was read and nothing is there: 1 wait, 0 the stream has ended, or a negated error number. */
static int on_empty(struct mr_sock *sock, uint32_t status) {
  struct mr_socket *shared = sock->shared;
  bool has_ended = (status & MR_STATUS_EOF) != 0;
  /* After the peer's end a reset is EPIPE, and reading still says that the stream has ended. */
  if (has_ended && __atomic_load_n(&shared->error, __ATOMIC_SEQ_CST) == EPIPE) return 0;
  int error = mr_sock_take_error(sock);
  if (error != 0) return -error;
  if (has_ended || (mr_load(&shared->shut) & 1)) return 0;
  if (status & (MR_STATUS_CONNECTED | MR_STATUS_CONNECTING)) return 1;
  return mr_sock_is_over(sock, status) ? 0 : -ENOTCONN;
}

static ssize_t recv_urgent(struct mr_sock *sock, int fd, struct mr_cursor *to, size_t n, int flags) {
  struct mr_calling calling;
  int result = mr_call_begin(&calling, sock, fd, MR_OP_RECV_OOB);
  if (result != 0) return result;
  size_t room = n < sizeof calling.call->data ? n : sizeof calling.call->data;
  calling.call->args[0] = (uint32_t)room;
  calling.call->args[1] = (uint32_t)flags;
  result = mr_call_wait(&calling, false);
  if (result > (int)room) result = -EPROTO;
  if (result > 0 && !(flags & MSG_TRUNC)) {
    int failed = mr_cursor_write(to, calling.call->data, (size_t)result);
    if (failed != 0) result = failed;
  }
  mr_call_end(&calling);
  return result;
}

/* SO_PEEK_OFF: peeking goes on where it stopped, reading moves the place back. */
static void move_peek_offset(struct mr_sock *sock, int flags, ssize_t n) {
  int32_t *offset = &sock->shared->peek_off;
  int32_t at = __atomic_load_n(offset, __ATOMIC_RELAXED);
  if (MR_LIKELY(at < 0) || n <= 0) return;
  if (flags & MSG_PEEK) at += (int32_t)n;
  else at = at > n ? at - (int32_t)n : 0;
  __atomic_store_n(offset, at, __ATOMIC_RELAXED);
}

/* Bytes after which a blocking read is content: SO_RCVLOWAT, or all with MSG_WAITALL. */
static size_t target_of(struct mr_sock *sock, size_t n, int flags) {
  if (flags & MSG_WAITALL) return n > 0 ? n : 1;
  uint32_t low = sock->shared->rcvlowat;
  size_t target = low < n ? low : n;
  return target > 0 ? target : 1;
}

/*
 * The peer's end is told when it is known, and a read after it that falls short is the last one in Linux:
 * programs rely on it (HAProxy). So what lies in the stack for want of room in the ring is waited for, by
 * those that do not block, or have enough to return, as well. They wait for nobody but the engine.
 */
static bool is_rest_due(const struct mr_sock *sock, uint32_t status, int flags) {
  if (MR_LIKELY(!mr_sock_has_end_behind(sock, status))) return false;
  return !(flags & MSG_PEEK) && !(mr_load(&sock->shared->shut) & 1) && !mr_engine_is_dead;
}
/* An engine that takes longer for a turn is as good as none; one that has stopped is found out sooner. */
#define REST_NS 1000000000LL
#define REST_LOOK_NS 1000000LL

/* 0: look again. -ETIMEDOUT, -EINTR. */
static int wait_for_rest(struct mr_sock *sock, uint32_t seen, int64_t *until_ns) {
  struct mr_wait wait;
  mr_wait_begin(&wait, REST_LOOK_NS);
  if (*until_ns == 0) *until_ns = wait.deadline_ns + REST_NS;
  int failed = mr_wait_change(&wait, sock, seen, -1);
  if (failed != -ETIMEDOUT || wait.deadline_ns >= *until_ns) return failed;
  return mr_engine_is_stopped(wait.link) ? failed : 0;
}

static ssize_t recv_all(struct mr_sock *sock, struct mr_cursor *to, size_t n, int flags) {
  struct mr_socket *shared = sock->shared;
  size_t target = target_of(sock, n, flags);
  bool peeks = (flags & MSG_PEEK) != 0;
  uint32_t skip = peeks && shared->peek_off > 0 ? (uint32_t)shared->peek_off : 0;
  struct mr_wait wait;
  bool waits = false;
  int64_t rest_until_ns = 0;
  ssize_t done = 0;
  for (;;) {
    uint32_t seen = mr_sock_seen(sock);
    struct look look;
    ssize_t part = take(sock, to, n - (size_t)done, skip, flags, done == 0, &look);
    if (part < 0) return ended(done, (int)part);
    done += part;
    if (peeks) skip += (uint32_t)part;
    bool is_due = (size_t)done < n && is_rest_due(sock, look.status, flags);
    if (MR_LIKELY((size_t)done >= target && !is_due) || (done > 0 && look.at_mark)) return done;
    if (look.had_some && n == 0) return 0;
    if (part > 0) continue; /* the ring's end, or more came */
    if (done > 0) {
      bool is_over = (look.status & MR_STATUS_EOF) || mr_sock_is_over(sock, look.status) || (mr_load(&shared->shut) & 1) ||
                     __atomic_load_n(&shared->error, __ATOMIC_SEQ_CST) != 0;
      if (is_over || (peeks && look.is_full)) return done;
    } else {
      int next = on_empty(sock, look.status);
      if (next <= 0) return next;
    }
    bool never_blocks = must_not_wait(sock, flags);
    if (never_blocks && !is_due) {
      mr_sock_missed(sock);
      return ended(done, -EAGAIN);
    }
    int failed;
    if (MR_UNLIKELY(never_blocks || (size_t)done >= target)) {
      failed = wait_for_rest(sock, seen, &rest_until_ns);
    } else {
      if (!waits) mr_wait_begin(&wait, mr_timeout(shared->rcvtimeo_ns));
      waits = true;
      failed = mr_wait_change(&wait, sock, seen, -1);
    }
    if (failed != 0) return ended(done, never_blocks ? -EAGAIN : failed);
  }
}

ssize_t mr_stream_recv(struct mr_sock *sock, int fd, struct mr_cursor *to, size_t n, int flags) {
  if (MR_UNLIKELY(sock->shared->kind != MR_KIND_TCP)) return -ENOTCONN;
  int unjoined = mr_sock_join(sock, fd);
  if (MR_UNLIKELY(unjoined != 0)) return unjoined;
  if (MR_UNLIKELY(flags & MSG_OOB)) return recv_urgent(sock, fd, to, n, flags);
  ssize_t result = recv_all(sock, to, n, flags);
  move_peek_offset(sock, flags, result);
  return result;
}
