/*
 * Regions that this process has mapped. Each socket holds its own; of those that nobody holds the last one
 * of each size of rings stays mapped, as the engine keeps it for the next socket of that size, and of the
 * others as much as the engine keeps, those that were used last: connections that come and go in waves would
 * ask for a region each time. The rest goes: the engine gives up what has no sockets, and their memory would
 * stay with us.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include "core.h"

struct region {
  struct region *next;
  uint8_t *at;
  uint32_t id, bytes;
  uint32_t engine_pid; /* numbers come again with another engine */
  uint32_t holders;
  uint32_t left_at;    /* `departures` when its last holder went */
  uint32_t rx_bytes, tx_bytes; /* of its rings; 0: not known yet */
};

static struct mr_mutex mutex;
static struct mr_pool pool = {.object_bytes = (sizeof(struct region) + 15) / 16 * 16};
static struct region *regions;
static uint32_t departures;

#define KEEP_BYTES (16u << 20) /* unused; as in src/engine/region.ts */

static struct region *find(struct mr_link *link, uint32_t id) {
  for (struct region *at = regions; at != NULL; at = at->next) {
    if (at->id == id && at->engine_pid == link->session->engine_pid) return at;
  }
  return NULL;
}

/* The engine's word for the size is compared with the memfd's, so that nothing behind it is touched. */
static int map(struct mr_link *link, uint32_t id, int fd, struct region **made) {
  struct stat status;
  if (fstat(fd, &status) < 0 || status.st_size < MR_PAGE || status.st_size > UINT32_MAX) return -EPROTO;
  size_t bytes = (size_t)status.st_size;
  uint8_t *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return -ENOMEM;
  const struct mr_region *header = (const struct mr_region *)(const void *)at;
  int failed = header->magic == MR_MAGIC && header->version == MR_VERSION ? 0 : -EPROTO;
  *made = failed == 0 ? mr_pool_take(&pool) : NULL;
  if (*made == NULL) {
    munmap(at, bytes);
    return failed != 0 ? failed : -ENOMEM;
  }
  **made = (struct region){.next = regions, .at = at, .id = id, .bytes = (uint32_t)bytes};
  (*made)->engine_pid = link->session->engine_pid;
  regions = *made;
  return 0;
}

static int ask_once(struct mr_link *link, uint32_t id, int number) {
  struct mr_region_wanted wanted = {.type = MR_MSG_REGION, .region_id = id};
  struct mr_opened opened;
  int got[2] = {number, -1};
  int failed =
      mr_control_ask(link, &wanted, sizeof wanted, NULL, 0, &opened, sizeof opened, got);
  if (failed != 0) return failed;
  if (got[1] >= 0) real.close(got[1]);
  if (opened.result < 0) return -ENOENT;
  return got[0] >= 0 ? got[0] : -EMFILE; /* the kernel had no number for it */
}

static int ask(struct mr_link *link, uint32_t id) {
  int fd = ask_once(link, id, -1);
  if (fd == -EMFILE && mr_spares_shed()) fd = ask_once(link, id, -1);
  if (fd == -EMFILE) fd = ask_once(link, id, MR_GOT_ABOVE_LIMIT);
  return fd;
}

/* With the lock held: another thread may have been faster. */
static int hold(struct mr_link *link, uint32_t id, int fd, uint32_t bytes, uint8_t **at) {
  struct region *found = find(link, id);
  int failed = found != NULL ? 0 : fd < 0 ? -ENOENT : map(link, id, fd, &found);
  if (failed == 0 && found->bytes < bytes) failed = -EPROTO;
  if (failed != 0) return failed;
  found->holders++;
  *at = found->at;
  return 0;
}

uint8_t *mr_region_hold(struct mr_link *link, uint32_t region_id) {
  uint8_t *at = NULL;
  mr_mutex_lock(&mutex);
  hold(link, region_id, -1, 0, &at);
  mr_mutex_unlock(&mutex);
  return at;
}

/* Fork does not wait for the engine: it is asked with the lock free. */
int mr_region_map(struct mr_link *link, uint32_t region_id, uint32_t bytes, int fd, uint8_t **at) {
  int saved = errno;
  mr_mutex_lock(&mutex);
  int failed = hold(link, region_id, fd, bytes, at);
  mr_mutex_unlock(&mutex);
  if (failed == -ENOENT && fd < 0) {
    mr_making_begin();
    int came = ask(link, region_id);
    failed = came < 0 ? came : 0;
    if (came >= 0) {
      mr_mutex_lock(&mutex);
      failed = hold(link, region_id, came, bytes, at);
      mr_mutex_unlock(&mutex);
      real.close(came);
    }
    mr_making_end();
  }
  errno = saved;
  return failed;
}

static struct region **place_of(const uint8_t *region) {
  struct region **place = &regions;
  while (*place != NULL && (*place)->at != region) place = &(*place)->next;
  return place;
}

static bool is_last_of_size(const struct region *region) {
  for (struct region *at = regions; at != NULL; at = at->next) {
    if (at != region && at->rx_bytes == region->rx_bytes && at->tx_bytes == region->tx_bytes) return false;
  }
  return true;
}

/* The region that was left longest ago, if more is unused than is to be kept. */
static struct region *superfluous(void) {
  struct region *oldest = NULL;
  uint64_t unused = 0;
  for (struct region *at = regions; at != NULL; at = at->next) {
    if (at->holders > 0) continue;
    unused += at->bytes;
    if (is_last_of_size(at)) continue;
    if (oldest == NULL || (int32_t)(at->left_at - oldest->left_at) < 0) oldest = at;
  }
  return unused > KEEP_BYTES ? oldest : NULL;
}

void mr_region_give(const uint8_t *region) {
  mr_mutex_lock(&mutex);
  struct region *found = *place_of(region);
  if (found != NULL && --found->holders == 0) {
    found->left_at = departures++;
    while ((found = superfluous()) != NULL) {
      *place_of(found->at) = found->next;
      munmap(found->at, found->bytes);
      mr_pool_give(&pool, found);
    }
  }
  mr_mutex_unlock(&mutex);
}

void mr_region_note(const uint8_t *region, uint32_t rx_bytes, uint32_t tx_bytes) {
  mr_mutex_lock(&mutex);
  struct region *found = *place_of(region);
  if (found != NULL) {
    found->rx_bytes = rx_bytes;
    found->tx_bytes = tx_bytes;
  }
  mr_mutex_unlock(&mutex);
}

uint32_t mr_region_bytes(const uint8_t *region) {
  mr_mutex_lock(&mutex);
  const struct region *found = *place_of(region);
  uint32_t bytes = found != NULL ? found->bytes : 0;
  mr_mutex_unlock(&mutex);
  return bytes;
}

void mr_region_before_fork(void) { mr_mutex_lock(&mutex); }
void mr_region_after_fork(void) { mr_mutex_unlock(&mutex); }
