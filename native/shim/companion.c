/*
 * The companion: the kernel socket that a wildcard-bound socket keeps beside it, so that it hears the
 * kernel's interfaces, too. Who carries a datagram is a question of routes, which the engine answers
 * once for each destination until routes change.
 */
#include <fcntl.h>
#include <linux/filter.h>

#include "core.h"

#define TURNS 16      /* reads of the ring for each look at the companion, when both have something */
#define FEW_MISSES 8  /* polls in vain after which the companion is looked at less often ... */
#define MISSES_A_LOOK 8 /* ... that is, each so many polls: a look costs a system call */

bool mr_companion_first(struct mr_sock *sock) {
  static __thread uint32_t turns __attribute__((tls_model("initial-exec")));
  if (MR_LIKELY(sock->companion < 0)) return false;
  if (sock->companion_peer) return true;
  if (atomic_load_explicit(&sock->companion_ready, memory_order_relaxed)) {
    atomic_store(&sock->companion_ready, 0);
    return true;
  }
  return ++turns % TURNS == 0;
}

bool mr_companion_after_miss(struct mr_sock *sock) {
  if (sock->companion < 0) return false;
  unsigned misses = atomic_fetch_add_explicit(&sock->looks, 1, memory_order_relaxed);
  return misses < FEW_MISSES || misses % MISSES_A_LOOK == 0;
}

/* ---- Routes ------------------------------------------------------------------------------------------ */

#define ROUTES 64 /* a power of two; one destination each */

struct route {
  struct mr_address to; /* port 0 */
  uint32_t link_id, routes;
  int answer;
  bool is_known;
};

static struct mr_mutex mutex;
static struct route routes[ROUTES];
/* The thread's last destination: most send to one. */
static __thread struct route last __attribute__((tls_model("initial-exec")));

static struct route *slot_of(const struct mr_address *to) {
  uint32_t hash = to->family * 31u + to->scope;
  for (int i = 0; i < 16; i++) hash = hash * 31u + to->address[i];
  return &routes[(hash ^ hash >> 8) & (ROUTES - 1)];
}

static bool is_current(const struct route *route, const struct mr_link *link, const struct mr_address *to) {
  return route->is_known && route->link_id == link->id &&
         route->routes == mr_load(&link->session->routes) && memcmp(&route->to, to, sizeof *to) == 0;
}

static int ask(struct mr_sock *sock, int fd, struct mr_link *link, const struct mr_address *to) {
  if (MR_LIKELY(is_current(&last, link, to))) return last.answer;
  struct route *slot = slot_of(to);
  mr_mutex_lock(&mutex);
  struct route known = *slot;
  mr_mutex_unlock(&mutex);
  if (!is_current(&known, link, to)) {
    uint32_t before = mr_load(&link->session->routes);
    int answer = mr_call(sock, fd, MR_OP_ROUTE, 0, to);
    if (answer != 1 && answer != MR_ROUTE_BY_PORT && answer != -ENETUNREACH && answer != -EHOSTUNREACH) answer = 0;
    known = (struct route){*to, link->id, before, answer, true};
    mr_mutex_lock(&mutex);
    *slot = known;
    mr_mutex_unlock(&mutex);
  }
  mr_enter(); /* a handler that sends must not find it half written */
  last = known;
  mr_leave();
  return known.answer;
}

/* In the child of fork: another thread may have been in the middle of it. */
void mr_routes_reset(void) {
  mutex = (struct mr_mutex){0};
  memset(routes, 0, sizeof routes);
}

int mr_companion_carries(struct mr_sock *sock, int fd, const struct mr_address *to) {
  if (mr_sock_is_kernels(sock)) return 1;
  if (to == NULL) return sock->companion_peer;
  struct mr_link *link = mr_sock_link(sock, fd);
  if (link == NULL) return 0;
  struct mr_address host = *to;
  host.port = 0;
  bool own_loopback = (link->session->flags & MR_SESSION_LOOPBACK) != 0;
  if (!own_loopback && mr_address_is_loopback(&host)) return sock->companion >= 0 ? 1 : -ENETUNREACH;
  int answer = ask(sock, fd, link, &host);
  /* An address that both have: whoever is at the port now. */
  if (MR_UNLIKELY(answer == MR_ROUTE_BY_PORT)) answer = mr_call(sock, fd, MR_OP_ROUTE, 0, to);
  return answer == 1 && sock->companion < 0 ? -ENETUNREACH : answer;
}

void mr_companion_never_waits(int companion) {
  intptr_t flags = mr_allows(SYS_fcntl) ? real.fcntl(companion, F_GETFL, NULL) : -1;
  if (flags >= 0 && !(flags & O_NONBLOCK)) real.fcntl(companion, F_SETFL, (void *)(flags | O_NONBLOCK));
}

/* ---- Silence ----------------------------------------------------------------------------------------- */

void mr_companion_mute(struct mr_sock *sock, bool on) {
  if (sock->companion < 0) return;
  int saved = errno;
  struct sock_filter nothing = {.code = BPF_RET | BPF_K, .k = 0};
  struct sock_fprog program = {.len = 1, .filter = &nothing};
  int none = 0;
  if (on) real.setsockopt(sock->companion, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
  else real.setsockopt(sock->companion, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none);
  errno = saved;
}
