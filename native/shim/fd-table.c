/*
 * What this process knows of each descriptor number: one word a number, in leaves that are mapped when
 * first needed. Reading takes no lock: a number that is nothing to us costs two loads.
 *
 * A word is the object's address, its kind in the low bits, and above the address a count of the
 * references that readers have taken since the word was written. Reader and address cannot come apart:
 * one atomic addition reads the address and counts the reader. Readers give references back
 * to the object's own counter, which holds HELD for each word that points to it, so it cannot come
 * to 0 while a word does. Who replaces a word moves its count into the object's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "real.h"
#include "shim.h"

#define LEAF_BITS 10
#define LEAF_ENTRIES (1 << LEAF_BITS)
#define LEAVES 4096 /* 4 Mi descriptors: fs.nr_open is 1 Mi unless raised */

#define KIND_MASK 7ul
#define COUNT_SHIFT 48
#define ONE_READER (1ul << COUNT_SHIFT)
#define ADDRESS_MASK (ONE_READER - 1 - KIND_MASK)
#define HELD (1 << 16)       /* more than the count in a word can say */
#define MANY_READERS (1 << 14) /* moved into the object before the count's 16 bits overflow */

typedef _Atomic(uint64_t) word;

static _Atomic(word *) leaves[LEAVES];

static word *word_of(int fd) {
  if ((unsigned)fd >= LEAVES * LEAF_ENTRIES) return NULL;
  word *leaf = atomic_load_explicit(&leaves[fd >> LEAF_BITS], memory_order_acquire);
  return leaf == NULL ? NULL : &leaf[fd & (LEAF_ENTRIES - 1)];
}

static word *word_made(int fd) {
  word *found = word_of(fd);
  if (found != NULL || (unsigned)fd >= LEAVES * LEAF_ENTRIES) return found;
  size_t bytes = LEAF_ENTRIES * sizeof(word);
  void *made = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (made == MAP_FAILED) return NULL;
  word *expected = NULL;
  if (!atomic_compare_exchange_strong(&leaves[fd >> LEAF_BITS], &expected, (word *)made)) {
    munmap(made, bytes);
  }
  return word_of(fd);
}

static enum mr_fd_kind kind_of(uint64_t value) { return (enum mr_fd_kind)(value & KIND_MASK); }
static void *object_of(uint64_t value) { return (void *)(value & ADDRESS_MASK); }
static int readers_of(uint64_t value) { return (int)(value >> COUNT_SHIFT); }

/* Every object that the table points to begins with its counters. */
_Static_assert(offsetof(struct mr_sock, references) == 0, "mr_sock");
_Static_assert(offsetof(struct mr_pending, references) == 0, "mr_pending");
_Static_assert(offsetof(struct mr_sock, descriptors) == sizeof(atomic_int), "mr_sock");
_Static_assert(offsetof(struct mr_pending, descriptors) == sizeof(atomic_int), "mr_pending");
static void count(void *object, int change) {
  atomic_fetch_add((atomic_int *)object, change);
}

static void drop(enum mr_fd_kind kind, void *object) {
  if (kind == MR_FD_SOCKET) mr_sock_drop(object);
  else if (kind == MR_FD_PENDING) mr_pending_drop(object);
  else if (kind == MR_FD_EPOLL) mr_epoll_drop(object);
}

/* What a lodger (fork.c) has changed is not what its parent's table says any more. */
static unsigned lost_at(int fd) { return fd < MR_LOST - 1 ? (unsigned)fd : MR_LOST - 1; }
static bool was_lost(int fd) { return (mr_thread.lost[lost_at(fd) / 64] >> lost_at(fd) % 64) & 1; }
static bool is_lost(int fd) { return __builtin_expect(mr_thread.has_lost, 0) && was_lost(fd); }
static void lose(int fd) {
  mr_thread.has_lost = true;
  mr_thread.lost[lost_at(fd) / 64] |= 1ull << lost_at(fd) % 64;
}

void mr_fd_begin_lodging(bool is_lodger) {
  mr_thread.is_lodger = is_lodger;
  mr_thread.has_lost = false;
  memset(mr_thread.lost, 0, sizeof mr_thread.lost);
}

enum mr_fd_kind mr_fd_kind_of(int fd) {
  word *at = word_of(fd);
  if (at == NULL || is_lost(fd)) return MR_FD_PLAIN;
  return kind_of(atomic_load_explicit(at, memory_order_acquire));
}

/* Many readers since the word was written: their count goes to the object. Readers who come meanwhile
 * stay in the word, so that two who read without a pause cannot keep each other from it until the count
 * overflows. */
static void settle(word *at, uint64_t seen) {
  void *object = object_of(seen);
  int moved = readers_of(seen);
  count(object, moved);
  while (object_of(seen) == object && readers_of(seen) >= moved) {
    if (atomic_compare_exchange_weak(at, &seen, seen - (uint64_t)moved * ONE_READER)) return;
  }
  count(object, -moved); /* who replaced the word has moved them */
}

struct mr_fd mr_fd_get(int fd) {
  struct mr_fd none = {.kind = MR_FD_PLAIN};
  word *at = word_of(fd);
  if (at == NULL || is_lost(fd)) return none;
  uint64_t seen = atomic_load_explicit(at, memory_order_acquire);
  for (;;) {
    if (object_of(seen) == NULL) return (struct mr_fd){.kind = kind_of(seen)};
    if (atomic_compare_exchange_weak(at, &seen, seen + ONE_READER)) break;
  }
  seen += ONE_READER;
  struct mr_fd entry = {.kind = kind_of(seen), .sock = object_of(seen)};
  if (readers_of(seen) >= MANY_READERS) settle(at, seen);
  return entry;
}

void mr_fd_put(struct mr_fd entry) { drop(entry.kind, entry.sock); }

/* The process's descriptors of a socket: the last that goes takes it out of its epoll instances. */
static void count_descriptor(enum mr_fd_kind kind, void *object, int change) {
  if (kind != MR_FD_SOCKET && kind != MR_FD_PENDING) return;
  atomic_int *descriptors = (atomic_int *)object + 1;
  if (atomic_fetch_add(descriptors, change) + change > 0) return;
  if (kind == MR_FD_SOCKET) mr_epoll_forget(object);
  else mr_epoll_forget_pending(object);
}

void mr_fd_set(int fd, struct mr_fd entry) {
  bool is_object =
      entry.kind == MR_FD_SOCKET || entry.kind == MR_FD_PENDING || entry.kind == MR_FD_EPOLL;
  if (__builtin_expect(mr_thread.is_lodger, 0)) { /* the table is another process's */
    lose(fd);
    if (is_object) drop(entry.kind, entry.sock);
    return;
  }
  uint64_t value = entry.kind | (is_object ? (uint64_t)(uintptr_t)entry.sock : 0);
  word *at = entry.kind == MR_FD_PLAIN ? word_of(fd) : word_made(fd);
  if (at == NULL) {
    if (is_object) drop(entry.kind, entry.sock);
    return;
  }
  if (is_object) {
    count(entry.sock, HELD);
    count_descriptor(entry.kind, entry.sock, 1);
  }
  uint64_t old = atomic_exchange(at, value);
  void *object = object_of(old);
  if (object == NULL) return;
  count_descriptor(kind_of(old), object, -1);
  count(object, readers_of(old) - HELD);
  drop(kind_of(old), object);
}

bool mr_fd_has_room(int fd) { return word_made(fd) != NULL; }

void mr_fd_clear(int fd) {
  if (mr_fd_kind_of(fd) != MR_FD_PLAIN) mr_fd_set(fd, (struct mr_fd){.kind = MR_FD_PLAIN});
}

/* Programs look at low numbers, select has 1,024; those of the shim start above, if there is room. */
static int copy_above(int fd, int from) {
  int hidden = -1;
  for (; hidden < 0 && from > 16; from /= 2) {
    hidden = real.fcntl(fd, F_DUPFD_CLOEXEC, (void *)(intptr_t)from);
  }
  return hidden;
}

static int hidden_from(void) {
  struct rlimit limit;
  rlim_t half = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur / 2 : 512;
  return half > 8192 ? 8192 : (int)half;
}

int mr_fd_hidden_copy(int fd) {
  static atomic_int known;
  int saved = errno;
  if (atomic_load(&known) == 0) atomic_store(&known, hidden_from());
  int hidden = copy_above(fd, atomic_load(&known));
  if (hidden >= 0) mr_fd_set(hidden, (struct mr_fd){.kind = MR_FD_PRIVATE});
  errno = saved;
  return hidden;
}

int mr_fd_hide(int fd) {
  int saved = errno;
  int hidden = mr_limit_copy_above(fd);
  if (hidden < 0) hidden = copy_above(fd, hidden_from());
  if (hidden >= 0) {
    real.close(fd);
  } else {
    hidden = fd;
    real.fcntl(fd, F_SETFD, (void *)FD_CLOEXEC);
  }
  mr_fd_set(hidden, (struct mr_fd){.kind = MR_FD_PRIVATE});
  errno = saved;
  return hidden;
}

void mr_fd_each(void (*visit)(int fd, struct mr_fd entry, void *context), void *context) {
  for (int leaf = 0; leaf < LEAVES; leaf++) {
    if (atomic_load_explicit(&leaves[leaf], memory_order_acquire) == NULL) continue;
    for (int fd = leaf << LEAF_BITS; fd < (leaf + 1) << LEAF_BITS; fd++) {
      if (mr_fd_kind_of(fd) == MR_FD_PLAIN) continue;
      struct mr_fd entry = mr_fd_get(fd);
      if (entry.kind != MR_FD_PLAIN) visit(fd, entry, context);
      mr_fd_put(entry);
    }
  }
}
