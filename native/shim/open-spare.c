/*
 * TCP sockets that connect to where one has been accelerated before: the engine is not asked; the socket gets a spare
 * end of a closed one (spare.c), and the engine hears of it with the call that connects.
 */
#include "open.h"

/* ---- Where connections were accelerated --------------------------------------------------------------- */

#define DESTINATIONS 16
#define KEPT_OPTIONS 256

/* What decides is in it: rules, addresses and routes make `routes` grow. */
static struct destination {
  struct mr_address peer;
  uint32_t link_id, routes, options_bytes;
  uint16_t family;
  uint8_t options[KEPT_OPTIONS];
  char reason[112];
} destinations[DESTINATIONS];
static struct mr_mutex destinations_mutex;

static struct destination *slot_of(const struct mr_address *peer) {
  uint32_t hash = peer->port * 31u + peer->scope;
  for (int i = 0; i < 16; i++) hash = hash * 31u + peer->address[i];
  return &destinations[(hash ^ hash >> 8) % DESTINATIONS];
}

void mr_open_remember(struct mr_link *link, struct mr_pending *pending, const struct mr_address *peer,
                     uint32_t routes, const char *reason) {
  if (pending->options_bytes > KEPT_OPTIONS || pending->type != SOCK_STREAM) return;
  struct destination *at = slot_of(peer);
  mr_mutex_lock(&destinations_mutex);
  *at = (struct destination){.peer = *peer, .link_id = link->id, .family = (uint16_t)pending->family};
  at->routes = routes;
  at->options_bytes = pending->options_bytes;
  memcpy(at->options, pending->options, pending->options_bytes);
  memcpy(at->reason, reason, sizeof at->reason);
  mr_mutex_unlock(&destinations_mutex);
}

static bool is_known(struct mr_link *link, struct mr_pending *pending, const struct mr_address *peer,
                     char *reason) {
  struct destination *at = slot_of(peer);
  mr_mutex_lock(&destinations_mutex);
  bool is_it = at->link_id == link->id && at->routes == mr_load(&link->session->routes) &&
               at->family == pending->family && memcmp(&at->peer, peer, sizeof *peer) == 0 &&
               at->options_bytes == pending->options_bytes &&
               memcmp(at->options, pending->options, pending->options_bytes) == 0;
  if (is_it) memcpy(reason, at->reason, sizeof at->reason);
  mr_mutex_unlock(&destinations_mutex);
  return is_it;
}

static void set_free(int fd, struct mr_fd entry, void *unused) {
  (void)fd, (void)unused;
  if (entry.kind != MR_FD_PENDING) return;
  struct mr_open_state *state = entry.pending->state;
  state->mutex = (struct mr_mutex){0};
  /* The parent has it undecided, too, and may open it: there cannot be two. */
  state->stays_undecided = state->own.family != 0;
}

/* In the child of fork: another thread may have been in the middle of it, or of asking about a socket. */
void mr_openings_reset(void) {
  destinations_mutex = (struct mr_mutex){0};
  mr_fd_each(set_free, NULL);
}

/* ---- Without asking ------------------------------------------------------------------------------------ */

/* The socket in the spare's block, which is mapped, or NULL. */
static struct mr_sock *sock_of(struct mr_link *link, const struct mr_spare *spare) {
  uint8_t *region = mr_region_hold(link, spare->region_id);
  if (region == NULL) return NULL;
  struct mr_sock *sock = mr_sock_make(link, region, spare->header_at, spare->generation, spare->local, -1);
  if (sock == NULL) mr_region_give(region);
  return sock;
}

/* With nobody giving descriptors away, who would wait: so the engine is not asked for the block's region, `lacking`,
 * the first time. */
static int open_spare(struct mr_link *link, int fd, struct mr_pending *pending, const struct mr_address *peer,
                      const struct mr_opened *opened, uint32_t *lacking) {
  struct mr_spare spare;
  struct mr_calling calling;
  bool is_first = *lacking == 0;
  if (!mr_spare_take(link, (uint16_t)pending->family, &spare)) return 1;
  if (!mr_call_try(&calling, link, spare.local, MR_OP_OPEN)) {
    mr_spare_give_back(&spare);
    return 1;
  }
  struct mr_sock *sock = sock_of(link, &spare);
  if (sock == NULL) {
    mr_call_end(&calling);
    if (is_first) {
      *lacking = spare.region_id;
      mr_spare_give_back(&spare);
      return 1;
    }
    /* Not back: it would be the first to be taken next time, in vain again. */
    mr_spare_close(spare.fd);
    mr_local_free(spare.local);
    return 1;
  }
  sock->connects = true;
  sock->epoch = spare.epoch;
  struct mr_asking asking = {.at = MR_AT_CONNECT, .peer = peer};
  calling.call->data_bytes = (uint32_t)mr_open_write_message(calling.call->data, fd, -1, pending, spare.local, &asking);
  bool nonblock = mr_open_is_nonblocking(fd);
  mr_spare_set_nonblock(&spare, nonblock);
  mr_store(&sock->shared->connect_state, MR_CONNECT_STARTED);
  mr_open_say_enabled(fd, sock, peer, opened);
  mr_open_replace(fd, pending, spare.fd, sock, nonblock);
  mr_call_post(&calling);
  mr_spare_publish(sock, spare.fd);
  mr_sock_drop(sock);
  return 0;
}

int mr_open_spare(int fd, struct mr_pending *pending, const struct mr_address *peer) {
  struct mr_link *link = mr_link_get();
  if (link == NULL || pending->type != SOCK_STREAM || pending->state->own.family != 0) return 1;
  if (mr_opt_out_reason(pending) != NULL || pending->state->too_many) return 1;
  struct mr_opened opened = {.result = 0};
  if (!is_known(link, pending, peer, opened.reason) || !mr_spare_begin()) return 1;
  uint32_t lacking = 0;
  int result = open_spare(link, fd, pending, peer, &opened, &lacking);
  mr_spare_end();
  if (MR_LIKELY(result == 0 || lacking == 0)) return result;
  uint8_t *region = NULL;
  mr_region_map(link, lacking, 0, -1, &region);
  if (mr_spare_begin()) {
    result = open_spare(link, fd, pending, peer, &opened, &lacking);
    mr_spare_end();
  }
  if (region != NULL) mr_region_give(region);
  return result;
}
