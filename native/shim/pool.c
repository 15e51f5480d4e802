/* Objects of one size from mapped memory. It is never given back to the kernel, only to the pool. */
#include <sys/mman.h>

#include "core.h"

#define CHUNK_BYTES 65536

/* Cuts a new chunk into free objects. */
static bool grow(struct mr_pool *pool) {
  uint8_t *chunk =
      mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (chunk == MAP_FAILED) return false;
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
