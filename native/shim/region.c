/* Regions that this process has mapped: they stay mapped, as the engine uses their blocks again. */
#include <sys/mman.h>
#include <sys/stat.h>

#include "core.h"

struct region {
  struct region *next;
  uint8_t *at;
  uint32_t id, bytes;
  uint32_t engine_pid; /* numbers come again with another engine */
};

static struct mr_mutex mutex;
static struct mr_pool pool = {.object_bytes = sizeof(struct region)};
static struct region *regions;

_Static_assert(sizeof(struct region) % 16 == 0, "pool");

static struct region *find(struct mr_link *link, uint32_t id) {
  for (struct region *at = regions; at != NULL; at = at->next) {
    if (at->id == id && at->engine_pid == link->session->engine_pid) return at;
  }
  return NULL;
}

/* The engine's word for the size is compared with the memfd's, so that nothing behind it is touched. */
static struct region *map(struct mr_link *link, uint32_t id, int fd) {
  struct stat status;
  if (fstat(fd, &status) < 0 || status.st_size < MR_PAGE || status.st_size > UINT32_MAX) return NULL;
  size_t bytes = (size_t)status.st_size;
  uint8_t *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return NULL;
  const struct mr_region *header = (const struct mr_region *)(const void *)at;
  struct region *made = NULL;
  if (header->magic == MR_MAGIC && header->version == MR_VERSION) made = mr_pool_take(&pool);
  if (made == NULL) {
    munmap(at, bytes);
    return NULL;
  }
  *made = (struct region){regions, at, id, (uint32_t)bytes, link->session->engine_pid};
  regions = made;
  return made;
}

static int ask(struct mr_link *link, uint32_t id) {
  struct mr_region_wanted wanted = {.type = MR_MSG_REGION, .region_id = id};
  struct mr_opened opened;
  int got[2];
  int failed =
      mr_control_ask(link, &wanted, sizeof wanted, NULL, 0, &opened, sizeof opened, got);
  if (failed != 0) return failed;
  if (got[1] >= 0) real.close(got[1]);
  return got[0] >= 0 ? got[0] : -EPROTO;
}

uint8_t *mr_region_map(struct mr_link *link, uint32_t region_id, uint32_t bytes, int fd) {
  int saved = errno;
  mr_mutex_lock(&mutex);
  struct region *found = find(link, region_id);
  if (found == NULL) {
    int from = fd >= 0 ? fd : ask(link, region_id);
    if (from >= 0) found = map(link, region_id, from);
    if (from >= 0 && from != fd) real.close(from);
  }
  uint8_t *at = found != NULL && found->bytes >= bytes ? found->at : NULL;
  mr_mutex_unlock(&mutex);
  errno = saved;
  return at;
}

uint32_t mr_region_bytes(const uint8_t *region) {
  mr_mutex_lock(&mutex);
  uint32_t bytes = 0;
  for (struct region *at = regions; at != NULL; at = at->next) {
    if (at->at == region) bytes = at->bytes;
  }
  mr_mutex_unlock(&mutex);
  return bytes;
}

void mr_region_before_fork(void) { mr_mutex_lock(&mutex); }
void mr_region_after_fork(void) { mr_mutex_unlock(&mutex); }
