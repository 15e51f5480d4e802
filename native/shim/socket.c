/* Accelerated sockets as this process has them, and what their shared words mean. */
#include <poll.h>
#include <sys/stat.h>

#include "core.h"

#define OBJECT_BYTES ((sizeof(struct mr_sock) + 15) / 16 * 16)
#define MISSES_A_CHECK 256 /* looks in vain between checks whether the engine lives */

static struct mr_pool pool = {.object_bytes = OBJECT_BYTES};
static struct mr_mutex attach_mutex;
/* By entry of the session; for sockets that come in a second time. What is found with the lock held is
 * not given back to the pool yet, even if its last reference is gone. */
static struct mr_mutex here_mutex;
static struct mr_sock *_Atomic by_local[MR_SOCKETS];

/* ---- Life --------------------------------------------------------------------------------------------- */

static bool is_ring(uint32_t region_bytes, uint32_t at, uint32_t bytes) {
  return bytes >= 64 && (bytes & (bytes - 1)) == 0 && at <= region_bytes && bytes <= region_bytes - at;
}

struct mr_sock *mr_sock_spare(void) { return mr_pool_take(&pool); }
void mr_sock_give_spare(struct mr_sock *sock) { mr_pool_give(&pool, sock); }

bool mr_sock_fill(struct mr_sock *sock, struct mr_link *link, uint8_t *region, uint32_t header_at,
                  uint32_t generation, uint32_t local, int companion) {
  uint32_t size = mr_region_bytes(region);
  if (header_at % 64 != 0 || size < sizeof(struct mr_socket)) return false;
  if (header_at > size - sizeof(struct mr_socket)) return false;
  struct mr_socket *shared = (struct mr_socket *)(void *)(region + header_at);
  /* Once: what is checked is what is used. */
  uint32_t rx_at = mr_load(&shared->rx_at), rx_bytes = mr_load(&shared->rx_bytes);
  uint32_t tx_at = mr_load(&shared->tx_at), tx_bytes = mr_load(&shared->tx_bytes);
  if (!is_ring(size, rx_at, rx_bytes) || !is_ring(size, tx_at, tx_bytes)) return false;
  mr_region_note(region, rx_bytes, tx_bytes);
  atomic_init(&sock->references, 1);
  sock->shared = shared;
  sock->region = region;
  sock->rx = region + rx_at;
  sock->tx = region + tx_at;
  sock->rx_bytes = rx_bytes;
  sock->tx_bytes = tx_bytes;
  sock->generation = generation;
  sock->local = local;
  sock->link_id = link->id;
  sock->companion = companion;
  if (companion >= 0) mr_limit_count_companions(1);
  atomic_init(&sock->copy, -1);
  atomic_store(&by_local[local % MR_SOCKETS], sock);
  return true;
}

struct mr_sock *mr_sock_make(struct mr_link *link, uint8_t *region, uint32_t header_at,
                             uint32_t generation, uint32_t local, int companion) {
  struct mr_sock *sock = mr_sock_spare();
  if (sock == NULL || mr_sock_fill(sock, link, region, header_at, generation, local, companion)) return sock;
  mr_sock_give_spare(sock);
  return NULL;
}

struct mr_sock *mr_sock_hold(struct mr_sock *sock) {
  atomic_fetch_add(&sock->references, 1);
  return sock;
}

static void close_companion(int companion) {
  if (companion < 0) return;
  int saved = errno;
  mr_fd_clear(companion);
  real.close(companion);
  errno = saved;
}

void mr_sock_drop(struct mr_sock *sock) {
  if (atomic_fetch_sub(&sock->references, 1) != 1) return;
  struct mr_link *link = mr_link_now;
  bool may_park = mr_spare_begin(), is_parked = false;
  if (!may_park) mr_spare_drop(sock);
  bool has_entry = link != NULL && link->id == sock->link_id;
  if (has_entry) {
    mr_mutex_lock(&here_mutex);
    atomic_store(&by_local[sock->local % MR_SOCKETS], NULL);
    mr_mutex_unlock(&here_mutex);
  }
  if (may_park) {
    is_parked = has_entry && mr_spare_park(link, sock);
    mr_spare_end();
  }
  if (has_entry && !is_parked && !mr_engine_is_dead) mr_call_release(link, sock->local);
  if (sock->companion >= 0) mr_limit_count_companions(-1);
  close_companion(sock->companion);
  mr_corked_free(sock);
  mr_region_give(sock->region);
  mr_pool_give(&pool, sock);
}

/* ---- Joining, and taking in what came from elsewhere ------------------------------------------------------ */

static void close_all(int got[2]) {
  for (int i = 0; i < 2; i++) {
    if (got[i] >= 0) real.close(got[i]);
    got[i] = -1;
  }
}

struct mr_sock *mr_sock_from(struct mr_link *link, const struct mr_opened *opened, int got[2],
                             int companion, int *failed) {
  int next = 0;
  int came = opened->has_companion ? got[next++] : -1;
  int region_fd = opened->has_region && next < 2 ? got[next] : -1;
  uint8_t *region = NULL;
  *failed = mr_region_map(link, opened->region_id, opened->region_bytes, region_fd, &region);
  if (companion < 0 && came >= 0) {
    companion = mr_fd_hide(came);
    got[0] = -1;
  }
  close_all(got);
  struct mr_sock *sock = NULL;
  if (region != NULL) {
    sock = mr_sock_make(link, region, opened->header_at, opened->generation, opened->local, companion);
    if (sock == NULL) mr_region_give(region);
    if (sock == NULL) *failed = -ENOMEM;
  }
  if (sock == NULL) close_companion(companion);
  return sock;
}

/* 0: `opened` and `got` are filled; the entry is taken. */
static int ask_to_attach(struct mr_link *link, int fd, struct mr_opened *opened, int got[2]) {
  int local = mr_local_alloc();
  if (local < 0) return -ENFILE;
  struct mr_attach attach = {.type = MR_MSG_ATTACH, .local = (uint32_t)local, .fd = fd};
  int failed =
      mr_control_ask(link, &attach, sizeof attach, &fd, 1, opened, sizeof *opened, got);
  if (failed == 0) failed = opened->result > 0 ? -ENOTSOCK : opened->result;
  if (failed == 0) {
    opened->local = (uint32_t)local;
    return 0;
  }
  mr_local_free((uint32_t)local);
  return failed;
}

struct number {
  struct mr_sock *sock;
  int fd;
};

static void compare_number(int fd, struct mr_fd entry, void *context) {
  struct number *wanted = context;
  if (entry.kind == MR_FD_SOCKET && entry.sock == wanted->sock) wanted->fd = fd;
}

/* A descriptor of the socket: `fd`, unless it is not known or was closed meanwhile. */
static int number_of(struct mr_sock *sock, int fd) {
  struct mr_fd entry = mr_fd_get(fd);
  bool is_it = entry.kind == MR_FD_SOCKET && entry.sock == sock;
  mr_fd_put(entry);
  if (is_it) return fd;
  struct number found = {sock, -1};
  mr_fd_each(compare_number, &found);
  return found.fd;
}

int mr_sock_attach(struct mr_sock *sock, int fd) {
  struct mr_link *link = mr_link_get();
  if (link == NULL) {
    /* A process that was given a socket and finds no engine: there is none any more. */
    atomic_store(&mr_engine_is_dead, true);
    return -ENETDOWN;
  }
  int saved = errno;
  fd = number_of(sock, fd);
  struct mr_opened opened;
  int got[2] = {-1, -1};
  int failed = 0;
  mr_making_begin();
  mr_making_lock(&attach_mutex);
  if (sock->link_id != link->id) {
    failed = ask_to_attach(link, fd, &opened, got);
    if (failed == 0) {
      close_all(got); /* the companion and the region came by fork, too */
      sock->local = opened.local;
      atomic_store(&by_local[sock->local], sock);
      __atomic_store_n(&sock->link_id, link->id, __ATOMIC_RELEASE);
    }
  }
  mr_mutex_unlock(&attach_mutex);
  mr_making_end();
  if (failed != 0) mr_debug("fd %d cannot join the engine: %s", fd, strerror(-failed));
  errno = saved;
  return failed;
}

int mr_sock_join_slowly(struct mr_sock *sock, int fd) {
  if (mr_sock_attach(sock, fd) == 0 || mr_engine_is_dead) return 0;
  return -ENOBUFS;
}

static bool looks_like_ours(int fd) {
  int value = 0;
  socklen_t bytes = sizeof value;
  if (real.getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &bytes) != 0 || value != AF_UNIX) return false;
  bytes = sizeof value;
  if (real.getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &bytes) != 0) return false;
  return value == SOCK_SEQPACKET;
}

/* False: its last reference is gone. */
static bool hold_living(struct mr_sock *sock) {
  int seen = atomic_load(&sock->references);
  while (seen > 0) {
    if (atomic_compare_exchange_weak(&sock->references, &seen, seen + 1)) return true;
  }
  return false;
}

/* The process may have the socket under another number: held, or NULL. */
static struct mr_sock *already_here(const struct mr_opened *opened, const uint8_t *region) {
  struct mr_sock *found = NULL;
  mr_mutex_lock(&here_mutex);
  for (int i = 0; i < MR_SOCKETS && found == NULL; i++) {
    struct mr_sock *sock = atomic_load(&by_local[i]);
    if (sock == NULL || sock->region != region || sock->generation != opened->generation) continue;
    if ((uint8_t *)sock->shared == region + opened->header_at && hold_living(sock)) found = sock;
  }
  mr_mutex_unlock(&here_mutex);
  return found;
}

static void adopt(struct mr_link *link, int fd) {
  struct mr_opened opened;
  int got[2] = {-1, -1}, failed;
  if (ask_to_attach(link, fd, &opened, got) != 0) return;
  mr_making_note(got[0]);
  mr_making_note(got[1]);
  int region_fd = opened.has_region ? got[opened.has_companion ? 1 : 0] : -1;
  uint8_t *region = NULL;
  mr_region_map(link, opened.region_id, opened.region_bytes, region_fd, &region);
  struct mr_sock *sock = region != NULL ? already_here(&opened, region) : NULL;
  if (sock != NULL) close_all(got);
  else sock = mr_sock_from(link, &opened, got, -1, &failed);
  if (region != NULL) mr_region_give(region);
  if (sock == NULL || sock->local != opened.local) mr_call_release(link, opened.local);
  if (sock != NULL) mr_fd_set(fd, (struct mr_fd){.kind = MR_FD_SOCKET, .sock = sock});
}

void mr_sock_adopt(int fd) {
  int saved = errno;
  struct mr_link *link = mr_fd_kind_of(fd) == MR_FD_PLAIN && looks_like_ours(fd) ? mr_link_get() : NULL;
  if (link != NULL) {
    mr_making_begin();
    adopt(link, fd);
    mr_making_end();
  }
  errno = saved;
}

void mr_sock_each(void (*visit)(struct mr_sock *sock)) {
  mr_mutex_lock(&here_mutex);
  for (int i = 0; i < MR_SOCKETS; i++) {
    struct mr_sock *sock = atomic_load(&by_local[i]);
    if (sock != NULL) visit(sock);
  }
  mr_mutex_unlock(&here_mutex);
}

void mr_socks_before_fork(void) { mr_mutex_lock(&here_mutex); }

void mr_socks_after_fork(bool in_child) {
  for (int i = 0; in_child && i < MR_SOCKETS; i++) {
    if (atomic_load(&by_local[i]) != NULL) atomic_store(&by_local[i], NULL);
  }
  mr_mutex_unlock(&here_mutex);
  if (in_child) attach_mutex = (struct mr_mutex){0}; /* its holder may rest */
}

/* ---- Words of the header ---------------------------------------------------------------------------------- */

uint32_t mr_sock_status(struct mr_sock *sock) {
  uint32_t status = mr_load(&sock->shared->status);
  bool is_ours = mr_load(&sock->shared->generation) == sock->generation;
  /* An engine that is asked to end closes its sockets, and takes some time to go. */
  bool is_gone = !is_ours || (status & MR_STATUS_GONE) != 0;
  if (MR_LIKELY(!is_gone && !atomic_load_explicit(&mr_engine_is_dead, memory_order_relaxed))) return status;
  if (is_gone) mr_engine_died();
  if (is_ours && !atomic_load(&mr_engine_is_dead)) return status;
  return (status | MR_STATUS_GONE | MR_STATUS_EOF | MR_STATUS_NO_SEND) & ~MR_STATUS_CONNECTING;
}

static int error_of_death(const struct mr_sock *sock) {
  return mr_sock_is_stream(sock) ? ECONNRESET : ENETDOWN;
}

/* The engine's death is told once, as a reset would be. */
int mr_sock_take_error(struct mr_sock *sock) {
  int32_t *error = &sock->shared->error;
  /* The block is another socket's by now: so is the error. */
  if (MR_UNLIKELY(mr_load(&sock->shared->generation) != sock->generation)) return 0;
  if (__atomic_load_n(error, __ATOMIC_SEQ_CST) != 0) {
    int taken = __atomic_exchange_n(error, 0, __ATOMIC_SEQ_CST);
    if (taken > 0) return taken;
  }
  if (!atomic_load_explicit(&mr_engine_is_dead, memory_order_relaxed) || mr_sock_is_kernels(sock)) return 0;
  bool was_told = atomic_exchange(&sock->error_told, 1);
  /* What has no end goes on failing. */
  return was_told && sock->shared->kind != MR_KIND_UDP ? 0 : error_of_death(sock);
}

static bool has_error(struct mr_sock *sock) {
  if (__atomic_load_n(&sock->shared->error, __ATOMIC_SEQ_CST) != 0) return true;
  return mr_engine_is_dead && !atomic_load(&sock->error_told) && !mr_sock_is_kernels(sock);
}

static __thread uint32_t misses __attribute__((tls_model("initial-exec")));

void mr_sock_missed(struct mr_sock *sock) {
  (void)sock;
  if (MR_UNLIKELY(++misses % MISSES_A_CHECK == 0)) mr_engine_died();
}

bool mr_sock_submit_piece(struct mr_sock *sock) {
  /* Without a link nothing is submitted, and the word must not say that something was: others who have
   * the socket would never submit again. */
  struct mr_link *link = mr_link_now;
  if (link == NULL || link->id != sock->link_id || mr_engine_is_dead) return true;
  /* No handler between the word and what it says. */
  mr_enter();
  bool is_first = mr_exchange(&sock->shared->submitted, 1) == 0;
  if (is_first) mr_submit(link, sock->local);
  mr_leave();
  return is_first;
}

void mr_sock_submit(struct mr_sock *sock) {
  if (!mr_sock_submit_piece(sock)) mr_sock_missed(sock); /* nobody has looked since the last one */
}

uint32_t mr_sock_type(const struct mr_sock *sock) {
  return mr_sock_is_stream(sock) ? SOCK_STREAM : SOCK_DGRAM;
}

uint64_t mr_sock_events(struct mr_sock *sock) {
  uint64_t rx = mr_load(&sock->shared->rx_events);
  return rx << 32 | mr_load(&sock->shared->tx_events);
}

/* ---- Readiness, as tcp_poll and udp_poll of Linux ----------------------------------------------------------- */

/* The room that sk_stream_is_writeable asks for: half of what is used, a third of all. */
static bool is_writable(struct mr_sock *sock) {
  struct mr_socket *shared = sock->shared;
  for (int look = 0;; look++) {
    uint32_t used = mr_load(&shared->tx_tail) - mr_load(&shared->tx_head);
    if (used <= sock->tx_bytes && sock->tx_bytes - used >= used / 2) return true;
    if (look == 1) return false;
    mr_store(&shared->no_space, 1); /* and once more: the engine may have moved it meanwhile */
  }
}

bool mr_sock_is_over(const struct mr_sock *sock, uint32_t status) {
  return !(status & (MR_STATUS_CONNECTED | MR_STATUS_CONNECTING)) &&
         mr_load(&sock->shared->connect_state) != MR_CONNECT_NONE;
}

/* The urgent byte is of no interest once the stream was read past it. */
static bool is_past_mark(const struct mr_socket *shared, uint32_t status) {
  int32_t past = (int32_t)(mr_load(&shared->rx_head) - mr_load(&shared->urgent_at));
  return (status & MR_STATUS_MARK) && past > 0;
}

bool mr_sock_has_end_behind(const struct mr_sock *sock, uint32_t status) {
  uint32_t tcp = mr_load(&sock->shared->tcp_state);
  if (status & MR_STATUS_EOF) return false;
  if (tcp == 7) return (status & MR_STATUS_CONNECTED) != 0; /* over, and not all of it is in the ring yet */
  return (tcp >= 8 && tcp != 10) || tcp == 6; /* CLOSE_WAIT, LAST_ACK, CLOSING, TIME_WAIT */
}

static short stream_ready(struct mr_sock *sock, uint32_t status, uint32_t used) {
  struct mr_socket *shared = sock->shared;
  uint32_t tcp = mr_load(&shared->tcp_state), shut = mr_load(&shared->shut);
  bool is_connecting = (status & MR_STATUS_CONNECTING) != 0;
  bool peer_ended = (status & MR_STATUS_EOF) != 0 || mr_sock_has_end_behind(sock, status);
  if (mr_sock_is_over(sock, status)) peer_ended = true, status |= MR_STATUS_NO_SEND;
  bool no_read = peer_ended || (shut & 1), no_write = (status & MR_STATUS_NO_SEND) || (shut & 2);
  bool is_closed = !(status & (MR_STATUS_CONNECTED | MR_STATUS_CONNECTING)) ||
                   (status & MR_STATUS_GONE) || tcp == 7;
  short ready = 0;
  if ((no_read && no_write) || is_closed) ready |= POLLHUP;
  if (no_read) ready |= POLLIN | POLLRDNORM | POLLRDHUP;
  if (!is_connecting) {
    uint32_t wanted = mr_load(&shared->rcvlowat);
    uint32_t available = used + mr_load(&shared->rx_more);
    if (used > 0 && (available >= wanted || used == sock->rx_bytes)) ready |= POLLIN | POLLRDNORM;
    else mr_sock_made_room(sock, 0); /* SO_RCVLOWAT wants more than is left: the engine may go on */
    if (no_write || is_writable(sock)) ready |= POLLOUT | POLLWRNORM;
    if ((status & MR_STATUS_URGENT) && !is_past_mark(shared, status)) ready |= POLLPRI;
  }
  /* An error that the status does not know of yet belongs to an end that it does not know of either. */
  bool is_known = mr_engine_is_dead || (status & (MR_STATUS_ERROR | MR_STATUS_GONE));
  if ((is_known && has_error(sock)) || (status & MR_STATUS_ERRQUEUE)) ready |= POLLERR;
  return ready;
}

static short datagram_ready(struct mr_sock *sock, uint32_t status, uint32_t used) {
  uint32_t shut = mr_load(&sock->shared->shut);
  short ready = 0;
  if (has_error(sock) || (status & MR_STATUS_ERRQUEUE)) ready |= POLLERR;
  if (shut & 1) ready |= POLLIN | POLLRDNORM | POLLRDHUP;
  /* Of the engine's death by has_error alone: what says so for ever would keep a program busy. */
  if ((shut & 3) == 3 || ((status & MR_STATUS_GONE) && (!mr_engine_is_dead || has_error(sock)))) ready |= POLLHUP;
  if (used > 0) ready |= POLLIN | POLLRDNORM;
  if (is_writable(sock)) ready |= POLLOUT | POLLWRNORM | POLLWRBAND;
  return ready;
}

static short companion_ready(struct mr_sock *sock) {
  short all = POLLIN | POLLRDNORM | POLLPRI | POLLOUT | POLLWRNORM | POLLWRBAND | POLLRDHUP;
  struct pollfd kernel = {.fd = sock->companion, .events = all};
  int saved = errno;
  int n = mr_kernel_look(&kernel, 1);
  errno = saved;
  return n > 0 ? kernel.revents : 0;
}

short mr_sock_ready(struct mr_sock *sock) {
  struct mr_socket *shared = sock->shared;
  uint32_t status = mr_sock_status(sock); /* first: it may find out that the engine is dead */
  if (mr_sock_is_kernels(sock)) return companion_ready(sock);
  uint32_t used = mr_load(&shared->rx_tail) - mr_load(&shared->rx_head);
  if (shared->kind == MR_KIND_TCP) return stream_ready(sock, status, used);
  if (shared->kind == MR_KIND_UDP) return datagram_ready(sock, status, used);
  /* Of the engine's death until a call has told it: what says so for ever would keep a server busy. Nor can anybody
   * take then what has come. */
  if (mr_engine_is_dead) return has_error(sock) ? POLLHUP | POLLERR : 0;
  short ready = used > 0 ? POLLIN | POLLRDNORM : 0;
  if (status & MR_STATUS_GONE) ready |= POLLHUP | POLLERR;
  return ready;
}
