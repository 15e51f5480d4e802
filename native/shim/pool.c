/* Objects of one size from mapped memory. It is never given back to the kernel, only to the pool. */
#include <sys/mman.h>

#include "core.h"

#define CHUNK_BYTES 65536

/* All pools that have ever had anything, for fork. */
static struct mr_pool *_Atomic pools;

/* Once for each pool, by whoever holds its lock. */
static void enlist(struct mr_pool *pool) {
  if (pool->is_listed) return;
  pool->is_listed = true;
  pool->next = atomic_load(&pools);
  while (!atomic_compare_exchange_weak(&pools, &pool->next, pool)) {
  }
}

/* Cuts a new chunk into free objects. */
static bool grow(struct mr_pool *pool) {
  uint8_t *chunk =
      mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (chunk == MAP_FAILED) return false;
  enlist(pool);
  for (size_t at = 0; at + pool->object_bytes <= CHUNK_BYTES; at += pool->object_bytes) {
    *(void **)(void *)(chunk + at) = pool->free;
    pool->free = chunk + at;
  }
  return true;
}

void *mr_pool_take(struct mr_pool *pool) {
  mr_mutex_lock(&pool->mutex);
  void *taken = pool->free != NULL || grow(pool) ? pool->free : NULL;
  if (taken != NULL) pool->free = *(void **)taken;
  mr_mutex_unlock(&pool->mutex);
  if (taken != NULL) memset(taken, 0, pool->object_bytes);
  return taken;
}

void mr_pool_give(struct mr_pool *pool, void *object) {
  mr_mutex_lock(&pool->mutex);
  *(void **)object = pool->free;
  pool->free = object;
  mr_mutex_unlock(&pool->mutex);
}

/* Those that were listed when the fork began; later ones come before them in the list. */
static struct mr_pool *held_for_fork;

void mr_pools_before_fork(void) {
  struct mr_pool *first = atomic_load(&pools);
  for (struct mr_pool *at = first; at != NULL; at = at->next) mr_mutex_lock(&at->mutex);
  held_for_fork = first;
}

void mr_pools_after_fork(void) {
  for (struct mr_pool *at = held_for_fork; at != NULL; at = at->next) mr_mutex_unlock(&at->mutex);
}
